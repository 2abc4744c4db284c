"""What migrations fill in, on rows as they were stored before them: in a database of its own, made for the test."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps.registry import Apps
from django.db import IntegrityError, InternalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

pytestmark = pytest.mark.slow

ALIAS = "scratch"
BEFORE, FILLED, AFTER = (
    "0011_rulings_come_with_evidence",
    "0012_what_a_claim_is_about",
    "0013_spam_is_hidden",
)


@pytest.fixture
def scratch(django_db_blocker) -> Iterator[BaseDatabaseWrapper]:
    """An empty database beside those of all other tests."""
    name = f"{ALIAS}_{uuid.uuid4().hex[:12]}"
    with django_db_blocker.unblock():
        with connection._nodb_cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}"')
        connections.databases[ALIAS] = connection.settings_dict | {"NAME": name}
        try:
            yield connections[ALIAS]
        finally:
            connections[ALIAS].close()
            del connections[ALIAS], connections.databases[ALIAS]
            with connection._nodb_cursor() as cursor:
                cursor.execute(f'DROP DATABASE "{name}"')


def migrate(database: BaseDatabaseWrapper, name: str) -> Apps:
    """The models as they are after this migration, which has been run."""
    executor = MigrationExecutor(database)
    return executor.migrate([("taxonomy", name)]).apps


class Rows:
    """Rows of the models as they were then. Actions cannot write them: they know today's alone."""

    def __init__(self, apps: Apps) -> None:
        self.apps = apps
        self.author = self.add("User", username="ada")
        self.network = self.add_network("net")
        self.family = self.add("Family", layer=self.layer("b"), name="Curves")

    def of(self, model: str) -> Any:
        return self.apps.get_model("taxonomy", model).objects.using(ALIAS)

    def add(self, model: str, **fields: Any) -> Any:
        return self.of(model).create(**fields)

    def add_network(self, name: str) -> Any:
        network = self.add("Network", name=name, title=name, architecture=name)
        for order, (layer, channels) in enumerate((("a", 4), ("b", 3))):
            made = self.add("Layer", network=network, name=layer, order=order, channels=channels, fields=[])
            for index in range(channels):
                self.add("Neuron", layer=made, index=index)
        return network

    def layer(self, name: str) -> Any:
        return self.of("Layer").get(network=self.network, name=name)

    def neuron(self, layer: str, index: int) -> Any:
        return self.of("Neuron").get(layer=self.layer(layer), index=index)

    def claim(self, do: list[dict[str, Any]], of: dict[str, Any] | None = None, **subject: Any) -> Any:
        """A claim with this plan; it measures neurons, or what the network says of pictures."""
        measure = {"what": "response", "of": of} if of else {"what": "prediction"}
        plan = {"do": do, "show": {"kind": "sweep"}, "measure": measure, "expect": {"change": "rises", "margin": 0}}
        said = {"kind": "purity", "sentence": "So.", "plan": plan, "author": self.author, "network": self.network}
        return self.add("Claim", **said, **subject)

    def note(self, *abstracts: str, **said: str) -> Any:
        """A draft with so many versions."""
        note = self.add("Note", network=self.network, created_by=self.author)
        for number, abstract in enumerate(abstracts, 1):
            fields = {"title": "T", "abstract": abstract, "saved_by": self.author} | said
            self.add("NoteVersion", note=note, number=number, **fields)
        return note

    def open(self, note: Any, *, submitted: int = 0, published: int = 0, told: int = 0, reviewed: int = 0) -> Any:
        """The note once it was submitted, with what is known of that by the numbers of versions."""
        versions = {version.number: version for version in self.of("NoteVersion").filter(note=note)}
        note.opened_at = timezone.now()
        note.submitted, note.published = versions.get(submitted), versions.get(published)
        if published:
            note.number, note.published_at = note.pk, note.opened_at
        note.save(using=ALIAS)
        if reviewed:
            said = {"decision": "request changes", "comment": "No."}
            self.add("NoteReview", version=versions[reviewed], reviewer=self.author, **said)
        for number in (told, told + 1) if told else ():  # it was submitted again
            self.add("Event", actor=self.author, verb="note.submitted", note=note, data={"version": number})
        return note


def chosen(layer: str, *channels: int, family: str = "") -> dict[str, Any]:
    """A set of neurons as a plan holds it."""
    return {"layer": layer, "channels": list(channels), "named": ""} | ({"family": family} if family else {})


def about(claim: Any) -> set[str]:
    return {f"{neuron.layer.name}:{neuron.index}" for neuron in claim.neurons.select_related("layer")}


def test_claims_and_notes_from_before_get_what_new_ones_are_stored_with(scratch: BaseDatabaseWrapper) -> None:
    rows = Rows(migrate(scratch, BEFORE))
    rows.add_network("other")  # whose layers are called the same
    curves = str(rows.family.public_id)
    claims = {
        rows.claim(
            [{"do": "zero", "from": chosen("a", 1, 2), "to": chosen("b", 0)}],
            chosen("b", 0, 1),
            neuron=rows.neuron("b", 2),
        ): {"a:1", "a:2", "b:0", "b:1", "b:2"},
        rows.claim([{"do": "drop", "at": chosen("a", 0, 1, 2, 3)}], family=rows.family): set(),  # a whole layer
        rows.claim([{"do": "drop", "at": chosen("b", 0, 1, 2, family=curves)}], family=rows.family): {
            "b:0",
            "b:1",
            "b:2",
        },
        rows.claim(
            [
                {"do": "drop", "at": chosen("a", 3)},
                {"do": "transplant", "at": chosen("b", 1), "with": chosen("b", 2)},
            ],
            note=rows.note("On claims."),
        ): {"a:3", "b:1", "b:2"},
    }
    first, second = rows.note("One."), rows.note("Two.")
    leads = f"See /notes/{first.public_id}/, /notes/{str(second.public_id).upper()}/ and /notes/{uuid.uuid4()}/."
    links = {
        rows.note(leads, leads): {first, second},  # both versions, each once: the latest of a draft counts
        rows.note(leads, "Nothing any more."): set(),
        rows.open(rows.note(leads, "Not published yet."), published=1): {first, second},
        rows.open(rows.note("Once.", leads, "Not submitted yet."), submitted=2): {first, second},
        rows.note("In its body.", body=leads): {first, second},
        rows.note("In how it was chosen.", selection=leads): {first, second},
    }
    own = rows.note("Placeholder.")
    rows.add("NoteVersion", note=own, number=2, title="T", abstract=f"/notes/{own.public_id}/", saved_by=rows.author)
    links[own] = set()
    opened = {
        rows.note("A draft."): None,
        rows.open(rows.note("1", "2", "3", "4"), submitted=4, told=2, reviewed=1): 2,  # the events know
        rows.open(rows.note("1", "2", "3"), published=3, reviewed=2): 2,
        rows.open(rows.note("1", "2", "3"), published=2, submitted=3): 2,
        rows.open(rows.note("1", "2", "3")): 3,  # nothing is known: nobody sees what its authors did not show
    }

    apps = migrate(scratch, FILLED)
    now = {name: apps.get_model("taxonomy", name).objects.using(ALIAS) for name in ("Claim", "Note", "Neuron")}
    assert [about(now["Claim"].get(pk=claim.pk)) for claim in claims] == list(claims.values())
    assert all(neuron.layer.network_id == rows.network.pk for neuron in now["Neuron"].filter(named_by__isnull=False))
    for note, expected in links.items():
        found = now["Note"].get(pk=note.pk).notes.values_list("pk", flat=True)
        assert sorted(found) == sorted(other.pk for other in expected), note.pk
    assert [now["Note"].get(pk=note.pk).opened_with for note in opened] == list(opened.values())

    with scratch.cursor() as cursor:  # and from then on it is kept
        for change in ("DELETE FROM taxonomy_claim_neurons", "UPDATE taxonomy_claim_neurons SET neuron_id = neuron_id"):
            with pytest.raises(InternalError, match="Cannot update or delete rows"):
                cursor.execute(change)
        with pytest.raises(IntegrityError, match="no neuron is added to it"):
            cursor.execute(
                "INSERT INTO taxonomy_claim_neurons (claim_id, neuron_id) SELECT id, %s FROM taxonomy_claim", [1]
            )
        with pytest.raises(IntegrityError, match="note_opens_with_a_version"):
            cursor.execute("UPDATE taxonomy_note SET opened_with = NULL")

    apps = migrate(scratch, AFTER)
    for model in ("Claim", "Note"):
        found = apps.get_model("taxonomy", model).objects.using(ALIAS)
        assert set(found.values_list("hidden_at", "hidden_by", "hidden_reason")) == {(None, None, "")}
