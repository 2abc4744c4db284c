"""What people decided is kept for ever, and the database itself sees to it: shown by SQL that passes by the actions."""

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from taxonomy import events
from taxonomy.actions import discussions, reviews
from taxonomy.models import (
    Artifact,
    Claim,
    Event,
    Evidence,
    EvidenceVersion,
    Family,
    Image,
    ImageSet,
    Label,
    Membership,
    Neuron,
    NoteReview,
    NoteVersion,
    Proposal,
    Review,
    Role,
    Run,
    Shard,
    Tally,
    Wording,
)
from taxonomy.models.claims import ClaimNeuron
from tests.factory import (
    make_agreed,
    make_claim,
    make_evidence,
    make_family,
    make_image_set,
    make_label,
    make_network,
    make_note,
    make_plan,
    make_proposal,
    make_run,
    make_user,
    neuron_at,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def neuron() -> Neuron:
    """A neuron that was labelled, agreed on and accepted, so that every kind of row about it is there."""
    make_network()
    neuron = neuron_at("mixed3b:3")
    make_evidence(neuron, pictures=["image"])
    curves = make_family(neuron.layer)
    make_agreed(neuron, curves)
    reviews.accept(make_user(role=Role.REVIEWER), neuron)
    discussions.add(make_user(), curves, "It bends.")
    note = make_note(neuron.layer.network, published=True)
    NoteReview.objects.create(version=note.published, reviewer=make_user(role=Role.EDITOR), decision="approve")
    make_run(make_claim(note), "supported")
    return neuron


KEPT = {
    Event: {"verb": "label.forged", "actor_id": None, "at": "2001-01-01"},
    Label: {
        "verdict": "none of these",
        "family_id": None,
        "author_id": None,
        "note": "forged",
        "blind": False,
        "confidence": "low",
        "created_at": "2001-01-01",
    },
    Artifact: {"sha256": "f" * 64, "name": "forged", "suffix": ".png"},
    EvidenceVersion: {"number": 7, "environment": "{}", "wall_seconds": 0, "made_at": "2001-01-01"},
    Membership: {"family_id": None, "primary": False, "parameter": 90, "source": "forged", "made_at": "2001-01-01"},
    Review: {"comment": "forged", "reviewer_id": None, "decision": "reject", "at": "2001-01-01"},
    Wording: {"text": "forged", "number": 7, "at": "2001-01-01"},
    NoteVersion: {"title": "forged", "body": "forged", "subgraph": "{}", "number": 7, "saved_by_id": None},
    NoteReview: {"decision": "request changes", "comment": "forged", "reviewer_id": None, "at": "2001-01-01"},
    Claim: {
        "sentence": "forged",
        "plan": '{"expect": {"change": "falls"}}',
        "kind": "purity",
        "rationale": "forged",
        "author_id": None,
        "stated_at": "2001-01-01",
    },
    ClaimNeuron: {"claim_id": None, "neuron_id": None},
    Run: {
        "ruling": "refuted",
        "effect": 0,
        "low": 0,
        "high": 0,
        "n": 0,
        "ruled_at": "2001-01-01",
        "claim_id": None,
        "evidence_id": None,
        "number": 7,
    },
    Tally: {"standing": "disputed", "inputs": "[]", "rule_version": 0, "at": "2001-01-01"},
}


def execute(statement: str, *values: object) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.rowcount


@pytest.mark.parametrize("model", KEPT, ids=lambda model: model._meta.db_table)
def test_what_was_decided_cannot_be_deleted(neuron: Neuron, model) -> None:
    before = model.objects.count()
    assert before
    with pytest.raises(DatabaseError, match=r"pgtrigger: Cannot (update or )?delete"):
        execute(f"DELETE FROM {model._meta.db_table}")
    assert model.objects.count() == before


@pytest.mark.parametrize(
    ("model", "column", "value"),
    [(model, column, value) for model, changes in KEPT.items() for column, value in changes.items()],
    ids=lambda part: getattr(part, "__name__", str(part)),
)
def test_what_was_decided_cannot_be_changed(neuron: Neuron, model, column: str, value: object) -> None:
    before = list(model.objects.order_by("pk").values())
    with pytest.raises(DatabaseError, match="pgtrigger: Cannot update"):
        execute(f'UPDATE {model._meta.db_table} SET "{column}" = %s', value)
    assert list(model.objects.order_by("pk").values()) == before


@pytest.mark.parametrize(("model", "column"), [(Label, "superseded_at"), (Membership, "ended_at")])
def test_they_end_and_that_is_all(neuron: Neuron, model, column: str) -> None:
    assert execute(f"UPDATE {model._meta.db_table} SET {column} = now()") == model.objects.count()
    with pytest.raises(DatabaseError, match="pgtrigger: Cannot update"):
        execute(f"UPDATE {model._meta.db_table} SET {column} = NULL, neuron_id = neuron_id + 1")


TESTED = {
    Image: {"parameters": '{"class": 1}', "name": "forged.png", "index": 7, "sha256": "f" * 64},
    ImageSet: {"digest": "f" * 64, "name": "forged", "count": 7},
    Evidence: {"parameters": '{"plan": {}}', "kind": "weights", "key": "f" * 64, "claim_id": None},
    Shard: {"parameters": '{"plan": {}}', "kind": "weights"},
}


@pytest.mark.parametrize(
    ("model", "column", "value"),
    [(model, column, value) for model, changes in TESTED.items() for column, value in changes.items()],
    ids=lambda part: getattr(part, "__name__", str(part)),
)
def test_what_an_experiment_tests_cannot_be_changed(model, column: str, value: object) -> None:
    layer = make_network().layers.get(name="mixed3b")
    images = make_image_set(count=6, classes={0: 0})
    show = {"kind": "images", "pictures": "all"}
    plan = make_plan(show=show, measure={"what": "response", "of": "mixed3b:0"})
    make_run(make_claim(make_family(layer, units=[0, 1]), plan=plan, image_set=images))
    before = list(model.objects.order_by("pk").values())
    with pytest.raises(DatabaseError, match="pgtrigger: Cannot update"):
        execute(f'UPDATE {model._meta.db_table} SET "{column}" = %s', value)
    assert list(model.objects.order_by("pk").values()) == before
    with pytest.raises(DatabaseError, match="pgtrigger: Cannot delete"):
        execute("DELETE FROM taxonomy_image")


def test_pictures_may_move(neuron: Neuron) -> None:
    make_image_set()
    assert execute("UPDATE taxonomy_imageset SET folder = '/elsewhere'") == 1


def test_a_run_gets_its_ruling_once(neuron: Neuron) -> None:
    run = make_run(make_claim(Claim.objects.get().note, sentence="Another."), "refuted")
    rule = "UPDATE taxonomy_run SET ruling = %s WHERE id = %s"
    with pytest.raises(DatabaseError, match="pgtrigger: Cannot update"):
        execute(rule, "supported", run.pk)
    with pytest.raises(DatabaseError, match="pgtrigger: Cannot update"):
        execute(rule, "", run.pk)


@pytest.mark.parametrize(("column", "value"), [("ruling", "supported"), ("effect", 3), ("n", 6)])
def test_nobody_rules_before_the_worker(neuron: Neuron, column: str, value: object) -> None:
    run = make_run(make_claim(Claim.objects.get().note, sentence="Another."))
    with pytest.raises(DatabaseError, match="pgtrigger: Cannot rule in taxonomy_run table before the evidence is done"):
        execute(f"UPDATE taxonomy_run SET {column} = %s WHERE id = %s", value, run.pk)
    assert Run.objects.get(pk=run.pk).ruling == ""


@pytest.mark.django_db(transaction=True)
def test_no_neuron_is_added_to_a_claim_afterwards() -> None:
    network = make_network()
    claim = make_claim(make_note(network, published=True))
    other = Neuron.objects.exclude(named_by=claim).first()
    with pytest.raises(IntegrityError, match="A claim is about what it was stated about"):
        claim.neurons.add(other)


def test_an_earlier_reading_stays_beside_the_later_one() -> None:
    make_network()
    neuron, person = neuron_at("mixed3b:3"), make_user()
    first = make_label(neuron, person, make_family(neuron.layer, "Curves"))
    second = make_label(neuron, person, make_family(neuron.layer, "Lines"))
    assert list(Label.objects.filter(author=person)) == [first, second]
    assert list(Label.objects.current().filter(author=person)) == [second]
    with pytest.raises(IntegrityError, match="label_is_current_once"):
        execute("UPDATE taxonomy_label SET superseded_at = NULL WHERE id = %s", first.pk)


def test_nobody_accepts_their_own_proposal(neuron: Neuron) -> None:
    author, other = make_user(role=Role.REVIEWER), make_user(role=Role.REVIEWER)
    proposal = make_proposal(neuron.layer, author)
    family = Family.objects.create(layer=neuron.layer, name=proposal.name)
    accept = "UPDATE taxonomy_proposal SET state = 'accepted', family_id = %s, decided_by_id = %s WHERE id = %s"
    with pytest.raises(IntegrityError, match="proposal_is_not_accepted_by_its_author"):
        execute(accept, family.pk, author.pk, proposal.pk)
    assert Proposal.objects.get().state == "open"
    assert execute(accept, family.pk, other.pk, proposal.pk) == 1


def test_an_accepted_proposal_has_its_family(neuron: Neuron) -> None:
    proposal = make_proposal(neuron.layer)
    with pytest.raises(IntegrityError, match="proposal_accepted_has_its_family"):
        execute(
            "UPDATE taxonomy_proposal SET state = 'accepted', decided_by_id = %s WHERE id = %s",
            make_user(role=Role.REVIEWER).pk,
            proposal.pk,
        )


def test_a_neuron_has_one_primary_family(neuron: Neuron) -> None:
    lines = make_family(neuron.layer, "Lines")
    with pytest.raises(IntegrityError, match="membership_has_one_primary_a_neuron"), transaction.atomic():
        Membership.objects.create(family=lines, neuron=neuron, made_by=make_user())
    Membership.objects.create(family=lines, neuron=neuron, made_by=make_user(), primary=False)
    with pytest.raises(IntegrityError, match="membership_is_current_once"), transaction.atomic():
        Membership.objects.create(family=lines, neuron=neuron, made_by=make_user(), primary=False)


@pytest.mark.parametrize(
    ("table", "column", "word", "constraint"),
    [
        ("taxonomy_neuron", "standing", "settled", "neuron_standing_is_known"),
        ("taxonomy_evidence", "status", "maybe", "evidence_status_is_known"),
        ("taxonomy_user", "role", "king", "user_role_is_known"),
    ],
)
def test_only_words_of_the_vocabulary_are_kept(
    neuron: Neuron, table: str, column: str, word: str, constraint: str
) -> None:
    with pytest.raises(IntegrityError, match=constraint):
        execute(f"UPDATE {table} SET {column} = %s", word)


def test_evidence_that_is_done_shows_something(neuron: Neuron) -> None:
    with pytest.raises(IntegrityError, match="evidence_done_has_a_version"):
        execute("UPDATE taxonomy_evidence SET current_id = NULL")


def test_an_event_brings_along_what_it_is_about(neuron: Neuron) -> None:
    event = events.record(make_user(), "neuron.looked_at", neuron=neuron)
    assert (event.layer, event.network) == (neuron.layer, neuron.layer.network)
