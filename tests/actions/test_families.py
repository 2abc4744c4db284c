"""Importing a taxonomy, all of it or none; and the links between families."""

import pytest
from django.core.exceptions import ValidationError
from django.test.utils import CaptureQueriesContext

from taxonomy.actions import families
from taxonomy.interchange.distill import FamilyRecord, LayerRecord
from taxonomy.models import Event, Evidence, Family, FamilyLink, Membership, Network, Neuron, Role, Standing, User
from taxonomy.permissions import Refused
from tests.factory import make_family, make_network, make_user, neuron_at, picture

pytestmark = pytest.mark.django_db

SOURCE = "An article (2020)"


@pytest.fixture
def network() -> Network:
    return make_network()


@pytest.fixture
def editor() -> User:
    return make_user(role=Role.EDITOR)


def record(*found: FamilyRecord, layer: str = "mixed3b", file: str = "mixed3b.json") -> LayerRecord:
    return LayerRecord(file, layer, list(found), SOURCE)


def test_an_import(network: Network, editor: User) -> None:
    curves = FamilyRecord("Curves", [3, 1], "Bent.", symmetry="rotation", parameters={3: 90.0})
    imported = families.import_taxonomy(editor, network, [record(curves, FamilyRecord("Lines", [1, 5]))])
    assert (imported.families, imported.memberships, imported.repeats) == (2, 4, [])
    rows = Membership.objects.order_by("pk").values_list("family__name", "neuron__index", "primary", "parameter")
    assert list(rows) == [
        ("Curves", 3, True, 90.0),
        ("Curves", 1, True, None),
        ("Lines", 1, False, None),
        ("Lines", 5, True, None),
    ]
    assert set(Neuron.objects.filter(standing=Standing.ACCEPTED).values_list("index", flat=True)) == {1, 3, 5}
    family = Family.objects.get(name="Curves")
    assert (family.remark, family.source, family.order) == ("Bent.", SOURCE, 1)
    assert Event.objects.filter(verb="family.imported").count() == 2
    assert Event.objects.get(verb="taxonomy.imported").data == {"families": 2, "memberships": 4, "pictures": 0}


def test_a_repeated_unit_is_taken_once_and_reported(network: Network, editor: User) -> None:
    imported = families.import_taxonomy(editor, network, [record(FamilyRecord("Curves", [3, 1, 3, 3]))])
    assert imported.memberships == 2
    assert imported.repeats == ["mixed3b.json: family 'Curves' repeats unit 3; taken once."]


def test_every_problem_is_named_and_nothing_is_imported(network: Network, editor: User) -> None:
    make_family(network.layers.get(name="mixed3b"), "Lines")
    with pytest.raises(ValidationError) as caught:
        families.import_taxonomy(
            editor,
            network,
            [
                record(FamilyRecord("Curves", [1, 8, -1]), FamilyRecord("LINES", [2])),
                record(FamilyRecord("X", [1]), layer="mixed9z", file="mixed9z.json"),
            ],
        )
    said = "\n".join(caught.value.messages)
    for sentence in (
        "mixed3b.json: family 'Curves' names unit 8, but mixed3b has 8 units, numbered 0 to 7.",
        "names unit -1",
        "has a family 'LINES' already",
        "mixed9z.json: tinynet has no layer 'mixed9z' (it has conv1, mixed3b).",
    ):
        assert sentence in said
    assert Family.objects.count() == 1
    assert not Membership.objects.exists()
    assert not Event.objects.exists()


def test_a_million_problems_are_cut_short(network: Network, editor: User) -> None:
    with pytest.raises(ValidationError) as caught:
        families.import_taxonomy(editor, network, [record(FamilyRecord("Curves", list(range(1000))))])
    assert len(caught.value.messages) == 51
    assert caught.value.messages[-1] == "And 942 more."


@pytest.mark.parametrize("role", [Role.CONTRIBUTOR, Role.REVIEWER])
def test_only_editors_and_admins(network: Network, role: str) -> None:
    with pytest.raises(Refused, match="Only editors and admins"):
        families.import_taxonomy(make_user(role=role), network, [record(FamilyRecord("Curves", [1]))])


def test_parents_may_stand_below_their_children_but_not_in_a_circle(network: Network, editor: User) -> None:
    child, parent = FamilyRecord("Arches", [1], parent="curves"), FamilyRecord("Curves", [2])
    families.import_taxonomy(editor, network, [record(child, parent)])
    assert Family.objects.get(name="Arches").parent == Family.objects.get(name="Curves")
    for wrong, sentence in (
        ([FamilyRecord("A", [3], parent="B"), FamilyRecord("B", [4], parent="A")], "lies below it"),
        ([FamilyRecord("A", [3], parent="A")], "lies below it"),
        ([FamilyRecord("A", [3], parent="Z")], "not there"),
    ):
        with pytest.raises(ValidationError, match=sentence):
            families.import_taxonomy(editor, network, [record(*wrong)])
    assert Family.objects.count() == 2


def test_pictures_become_evidence_once(network: Network, editor: User) -> None:
    icons = {("mixed3b", 1): (picture(form="PNG"), ".png"), ("mixed3b", 2): (picture(form="PNG"), ".png")}
    icons["mixed9z", 0] = icons["mixed3b", 1]
    imported = families.import_taxonomy(editor, network, [record(FamilyRecord("A", [1]))], icons=icons)
    assert imported.pictures == 2
    evidence = Evidence.objects.get(neuron=neuron_at("mixed3b:1"))
    assert (evidence.kind, evidence.status, evidence.parameters["source"]) == ("imported_picture", "done", SOURCE)
    assert [(file.name, file.suffix) for file in evidence.current.artifacts.all()] == [("image", ".png")]
    again = families.import_taxonomy(editor, network, [record(FamilyRecord("B", [5]))], icons=icons)
    assert again.pictures == 0
    assert Evidence.objects.count() == 2


def test_pictures_cost_the_same_queries_however_many(network: Network, editor: User) -> None:
    from django.db import connection

    counts = []
    for name, units in (("A", range(2)), ("B", range(2, 8))):
        icons = {("mixed3b", unit): (picture(colour=(unit, 0, 0)), ".png") for unit in units}
        with CaptureQueriesContext(connection) as queries:
            families.import_taxonomy(editor, network, [record(FamilyRecord(name, [units[0]]))], icons=icons)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_links_are_written_both_ways(network: Network) -> None:
    reviewer = make_user(role=Role.REVIEWER)
    early = make_family(network.layers.get(name="conv1"), "Early Curves")
    late = make_family(network.layers.get(name="mixed3b"), "Curves")
    families.link(reviewer, late, early, "earlier")
    assert set(FamilyLink.objects.values_list("source__name", "target__name", "kind")) == {
        ("Curves", "Early Curves", "earlier"),
        ("Early Curves", "Curves", "later"),
    }
    for source, target, kind, sentence in (
        (late, early, "earlier", "linked so already"),
        (late, early, "later", "does not lie later"),
        (late, early, "analogue", "another network"),
        (late, early, "friend", "no kind of link"),
    ):
        with pytest.raises(ValidationError, match=sentence):
            families.link(reviewer, source, target, kind)
    with pytest.raises(Refused):
        families.link(make_user(), late, early, "opposes")
    assert FamilyLink.objects.count() == 2
