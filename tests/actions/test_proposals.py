"""A new family: proposed, and decided by somebody else."""

import pytest
from django.core.exceptions import ValidationError

from taxonomy.actions import proposals
from taxonomy.models import Event, Family, Layer, Proposal, Role
from taxonomy.permissions import Refused
from tests.factory import make_family, make_network, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def layer() -> Layer:
    return make_network().layers.get(name="mixed3b")


def propose(layer: Layer, **fields) -> Proposal:
    return proposals.create(
        fields.pop("by", None) or make_user(), layer, **{"name": "Curves", "remark": "Bent."} | fields
    )


def test_proposed_accepted(layer: Layer) -> None:
    parent = make_family(layer, "Shapes")
    proposal = propose(
        layer, name="  Tiny \n Curves ", parent=parent, kind="natural", confidence="high", symmetry="rotation"
    )
    reviewer = make_user(role=Role.REVIEWER)
    family = proposals.accept(reviewer, proposal, comment="Yes.")
    assert (family.name, family.remark, family.parent, family.symmetry) == ("Tiny Curves", "Bent.", parent, "rotation")
    proposal.refresh_from_db()
    assert (proposal.state, proposal.decided_by, proposal.family) == ("accepted", reviewer, family)
    verbs = list(Event.objects.order_by("pk").values_list("verb", "actor__username"))
    assert verbs == [("proposal.made", proposal.author.username), ("proposal.accepted", reviewer.username)]


def test_its_author_never_accepts_it(layer: Layer) -> None:
    editor = make_user(role=Role.EDITOR)
    proposal = propose(layer, by=editor)
    with pytest.raises(Refused, match="of their own"):
        proposals.accept(editor, proposal)
    with pytest.raises(Refused, match="of their own"):
        proposals.reject(editor, proposal, comment="no")
    assert not Family.objects.exists()


@pytest.mark.parametrize("role", [Role.CONTRIBUTOR, Role.ADMIN])
def test_only_reviewers_decide(layer: Layer, role: str) -> None:
    with pytest.raises(Refused):
        proposals.accept(make_user(role=role), propose(layer))


def test_decided_once(layer: Layer) -> None:
    proposal, reviewer = propose(layer), make_user(role=Role.REVIEWER)
    proposals.accept(reviewer, proposal)
    for again in (
        lambda: proposals.accept(reviewer, proposal),
        lambda: proposals.reject(reviewer, proposal, comment="no"),
        lambda: proposals.withdraw(proposal.author, proposal),
    ):
        with pytest.raises(Refused, match="already accepted"):
            again()
    assert Family.objects.count() == 1


def test_a_rejection_says_why(layer: Layer) -> None:
    proposal, reviewer = propose(layer), make_user(role=Role.REVIEWER)
    with pytest.raises(ValidationError, match="Say why"):
        proposals.reject(reviewer, proposal, comment="  ")
    proposals.reject(reviewer, proposal, comment="Lines, not curves.")
    proposal.refresh_from_db()
    assert (proposal.state, proposal.comment, proposal.family) == ("rejected", "Lines, not curves.", None)


def test_withdrawn_by_its_author_alone(layer: Layer) -> None:
    proposal = propose(layer)
    with pytest.raises(Refused, match="Only its author"):
        proposals.withdraw(make_user(role=Role.EDITOR), proposal)
    assert proposals.withdraw(proposal.author, proposal).state == "withdrawn"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": "Lines"}, "has a family"),
        ({"name": "lINES"}, "has a family"),
        ({"name": "Arcs"}, "is proposed"),
        ({"name": "   "}, "blank"),
        ({"name": "x" * 121}, "at most 120"),
        ({"name": "a\0b"}, "Null"),
        ({"remark": ""}, "blank"),
        ({"remark": "x" * 20_001}, "at most 20000"),
        ({"kind": "odd"}, "not a valid choice"),
        ({"symmetry": "odd"}, "not a valid choice"),
    ],
)
def test_bad_proposals(layer: Layer, fields: dict, sentence: str) -> None:
    make_family(layer, "Lines")
    propose(layer, name="Arcs")
    with pytest.raises(ValidationError) as caught:
        propose(layer, **fields)
    assert sentence in " ".join(caught.value.messages)
    assert Proposal.objects.count() == 1


def test_a_parent_of_another_layer_or_a_retired_one(layer: Layer) -> None:
    elsewhere = make_family(layer.network.layers.get(name="conv1"), "Gabor")
    retired = make_family(layer, "Old", retired_at="2026-01-01T00:00Z")
    with pytest.raises(ValidationError, match="another layer"):
        propose(layer, parent=elsewhere)
    with pytest.raises(ValidationError, match="retired"):
        propose(layer, parent=retired)


def test_a_name_taken_meanwhile(layer: Layer) -> None:
    proposal = propose(layer)
    make_family(layer, "curves")
    with pytest.raises(ValidationError, match="has a family"):
        proposals.accept(make_user(role=Role.REVIEWER), proposal)
    proposal.refresh_from_db()
    assert proposal.state == "open"


def test_a_retired_name_is_free_again(layer: Layer) -> None:
    make_family(layer, "Curves", retired_at="2026-01-01T00:00Z")
    assert proposals.accept(make_user(role=Role.REVIEWER), propose(layer)).name == "Curves"
