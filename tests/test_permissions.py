"""Who may do what: one table, and the two forms of the independence rule held to each other."""

import pytest
from django.contrib.auth.models import AnonymousUser

from taxonomy import permissions
from taxonomy.models import Label, Neuron, Role, Standing, User
from taxonomy.permissions import Denied, Refused, require
from tests.factory import make_family, make_job, make_label, make_network, make_proposal, make_user

pytestmark = pytest.mark.django_db

VISITOR, BLOCKED = "visitor", "blocked"
SIGNED_IN = {Role.CONTRIBUTOR, Role.REVIEWER, Role.EDITOR, Role.ADMIN}
SCIENCE = SIGNED_IN - {Role.ADMIN}
REVIEWS = {Role.REVIEWER, Role.EDITOR}

TABLE = {
    "can_label": SCIENCE,
    "can_review": REVIEWS,
    "can_propose": SCIENCE,
    "can_comment": SCIENCE,
    "can_moderate": {Role.ADMIN},
    "can_request_evidence": SIGNED_IN,
    "can_keep_catalogue": {Role.ADMIN},
    "can_import_taxonomy": {Role.EDITOR, Role.ADMIN},
    "can_link_families": REVIEWS,
}


def person(role: str) -> User | AnonymousUser:
    if role == VISITOR:
        return AnonymousUser()
    return make_user(role=Role.EDITOR, is_active=False) if role == BLOCKED else make_user(role=role)


@pytest.mark.parametrize("role", [VISITOR, BLOCKED, *Role.values])
@pytest.mark.parametrize("question", TABLE)
def test_the_table(question: str, role: str) -> None:
    answer = getattr(permissions, question)(person(role))
    assert bool(answer) == (role in TABLE[question])
    if isinstance(answer, Denied):
        assert answer.reason.endswith(".")
        assert ("Sign in" in answer.reason) == (role == VISITOR)
        assert ("blocked" in answer.reason) == (role == BLOCKED)


def test_a_refusal_carries_its_reason() -> None:
    with pytest.raises(Refused, match=r"^Sign in to label neurons\.$"):
        require(permissions.can_label(AnonymousUser()))


def test_nothing_can_be_computed_with_a_catalogue() -> None:
    catalogue = make_network(weights_digest="")
    assert not permissions.can_request_evidence(make_user(), catalogue)


def test_nobody_decides_a_proposal_of_their_own_or_a_decided_one() -> None:
    layer = make_network().layers.get(name="mixed3b")
    author, other = make_user(role=Role.EDITOR), make_user(role=Role.REVIEWER)
    proposal = make_proposal(layer, author)
    assert not permissions.can_decide_proposal(author, proposal)
    assert permissions.can_decide_proposal(other, proposal)
    assert not permissions.can_decide_proposal(make_user(), proposal)
    proposal.state = "rejected"
    assert not permissions.can_decide_proposal(other, proposal)


def test_only_its_author_withdraws_a_proposal() -> None:
    author = make_user()
    proposal = make_proposal(make_network().layers.get(name="mixed3b"), author)
    assert permissions.can_withdraw_proposal(author, proposal)
    assert not permissions.can_withdraw_proposal(make_user(role=Role.EDITOR), proposal)


def test_a_job_belongs_to_who_asked_for_it() -> None:
    asker = make_user()
    job = make_job(make_network(), asker)
    assert permissions.can_control_job(asker, job)
    assert permissions.can_control_job(make_user(role=Role.ADMIN), job)
    assert not permissions.can_control_job(make_user(role=Role.REVIEWER), job)
    assert permissions.can_cancel_job(asker, job)
    assert permissions.can_retry_job(asker, job) == permissions.Denied(
        "This job is still running: cancel it first, or wait."
    )
    job.status = "done"
    assert permissions.can_cancel_job(asker, job) == permissions.Denied("This job is already done.")
    assert permissions.can_retry_job(asker, job) == permissions.Denied(
        "Everything in this job is done: there is nothing to retry."
    )


@pytest.mark.parametrize(
    ("appointer", "person_role", "role", "allowed"),
    [
        (Role.ADMIN, Role.CONTRIBUTOR, Role.EDITOR, True),
        (Role.ADMIN, Role.EDITOR, Role.CONTRIBUTOR, True),
        (Role.EDITOR, Role.CONTRIBUTOR, Role.REVIEWER, True),
        (Role.EDITOR, Role.REVIEWER, Role.CONTRIBUTOR, True),
        (Role.EDITOR, Role.CONTRIBUTOR, Role.EDITOR, False),
        (Role.EDITOR, Role.EDITOR, Role.REVIEWER, False),
        (Role.EDITOR, Role.ADMIN, Role.CONTRIBUTOR, False),
        (Role.REVIEWER, Role.CONTRIBUTOR, Role.REVIEWER, False),
    ],
)
def test_appointments(appointer: str, person_role: str, role: str, allowed: bool) -> None:
    assert bool(permissions.can_appoint(make_user(role=appointer), make_user(role=person_role), role)) == allowed


def test_nobody_appoints_themselves_or_the_system() -> None:
    admin = make_user(role=Role.ADMIN)
    assert not permissions.can_appoint(admin, admin, Role.EDITOR)
    assert not permissions.can_appoint(admin, User.objects.system(), Role.EDITOR)


def test_the_list_of_visible_labels_is_the_rule_asked_for_each() -> None:
    network = make_network(layers={"mixed3b": len(Standing.values)})
    family = make_family(network.layers.get())
    mine = make_user()
    readers: list[User | AnonymousUser] = [AnonymousUser(), mine, *(make_user(role=role) for role in Role.values)]
    for index, standing in enumerate(Standing.values):
        neuron = Neuron.objects.at(network.name, f"mixed3b:{index}")
        make_label(neuron, family=family)
        if index % 2:
            make_label(neuron, mine, family)
        Neuron.objects.filter(pk=neuron.pk).update(standing=standing)
    for reader in readers:
        seen = set(permissions.labels_visible_to(reader, Label.objects.all()))
        for label in Label.objects.select_related("neuron"):
            there = Neuron.objects.filter(pk=label.neuron_id)
            own = isinstance(reader, User) and there.filter(permissions.given(reader, "pk")).exists()
            allowed = permissions.can_see_readings(reader, label.neuron, has_given=own) or label.author == reader
            assert (label in seen) == bool(allowed), (reader, label.neuron.standing)
