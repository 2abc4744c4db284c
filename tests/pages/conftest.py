"""A small world in which every page has something to show."""

from types import SimpleNamespace

import pytest

from taxonomy.actions import discussions
from taxonomy.actions.sprites import build_sprite
from taxonomy.models import Comment, Comparison, Family, FamilyLink, Role, User
from tests.factory import (
    make_agreed,
    make_evidence,
    make_family,
    make_image_set,
    make_job,
    make_label,
    make_network,
    make_proposal,
    make_shard,
    make_user,
    neuron_at,
)
from tests.pages.material import every_kind, family_weights, joint_tuning, make_family_evidence, photographs


@pytest.fixture
def world(db) -> SimpleNamespace:
    """Of mixed3b 0 and 1 are accepted into Curves, 2 is agreed, 3 read twice; 2 and 3 have every kind of evidence."""
    network = make_network(preprocessing={"size": 8, "resize": 8})
    first, layer = network.layers.all()
    curves = make_family(layer, "Curves", units=[0, 1], remark="As [[3b:1]] shows.")
    lines = make_family(layer, "Secret Lines", order=1)
    edges = make_family(first, "Edges", units=[0])
    for source, target, kind in ((curves, edges, "earlier"), (edges, curves, "later")):
        FamilyLink.objects.create(source=source, target=target, kind=kind, created_by=User.objects.system())
    agreed, read = neuron_at("3b:2"), neuron_at("3b:3")
    readers = make_agreed(agreed, curves)
    for reader in readers[:2]:
        make_label(read, reader, lines, note="Straight, like [[3b:0]].")
    images = make_image_set()
    photographs(images)
    for neuron in (agreed, read):
        every_kind(neuron, images)
    joint, matrix = joint_tuning([0, 1]), family_weights("mixed3b", [0, 1], "conv1", [0])
    make_family_evidence(curves, "joint_tuning", joint, {"top": 4}, image_set=images)
    make_family_evidence(curves, "family_weights", matrix, {}, other=edges, pictures=["matrix"])
    failed = make_evidence(neuron_at("3b:4"), status="failed", reason="It may be dead.")
    job = make_job(network, readers[0], total=2, failed=1, status="failed")
    make_shard(job, [failed], status="failed")
    build_sprite(layer)
    return SimpleNamespace(
        network=network,
        layer=layer,
        curves=curves,
        lines=lines,
        agreed=agreed,
        read=read,
        unread=neuron_at("3b:4"),
        readers=readers,
        contributor=make_user("newcomer"),
        reviewer=make_user("rita", role=Role.REVIEWER),
        editor=make_user("edith", role=Role.EDITOR),
        admin=make_user("adam", role=Role.ADMIN),
        proposal=make_proposal(layer, readers[0], "Boundaries"),
        job=job,
        images=images,
    )


def talk(about: Family, readers: list[User]) -> None:
    """Of a family: a question that was answered and resolved, and another one that was put in other words."""
    first, second = readers[:2]
    asked = discussions.add(first, about, "Does [[3b:1]] echo?")
    discussions.add(second, about, f"No, @{first.username}: see [[family:3b/secret lines]].", parent=asked)
    discussions.resolve(first, asked)
    open_ = discussions.add(second, about, "Are these *curves*?")
    discussions.edit(second, open_, "Are these all *curves*?")


@pytest.fixture
def addresses(world) -> dict[str, str]:
    """One address for each kind of page that a visitor may open."""
    base = f"/networks/{world.network.name}/"
    talk(world.curves, world.readers)
    version = world.read.evidence.first().current
    compared = Comparison.objects.create(
        version=version, requested_by=world.contributor, status="done", identical=False, pixels={"image": 3}
    )
    return {
        "home": "/",
        "network": base,
        "layer": f"{base}mixed3b/",
        "neuron": f"{base}mixed3b/3/",
        "settled neuron": f"{base}mixed3b/0/",
        "agreed neuron": f"{base}mixed3b/2/",
        "failed neuron": f"{base}mixed3b/4/",
        "family": f"{base}mixed3b/families/{world.curves.pk}/",
        "neuron with an example": f"{base}mixed3b/3/?example=0-1-2",
        "neighbours": f"{base}mixed3b/3/neighbours/",
        "propose": f"{base}mixed3b/propose/",
        "review": "/review/",
        "review sheet": f"/review/sheet/?family={world.curves.pk}",
        "proposals": "/proposals/",
        "proposal": f"/proposals/{world.proposal.public_id}/",
        "discussions": "/discussions/",
        "discussion of a neuron": f"{base}mixed3b/0/discussion/",
        "discussion of a neuron to be read": f"{base}mixed3b/3/discussion/",
        "discussion of a family": f"{base}mixed3b/families/{world.curves.pk}/discussion/",
        "discussion of a proposal": f"/proposals/{world.proposal.public_id}/discussion/",
        "wordings": f"/comments/{Comment.objects.latest('pk').public_id}/wordings/",
        "jobs": "/jobs/",
        "job": f"/jobs/{world.job.public_id}/",
        "activity": "/activity/",
        "evidence": f"/evidence/{version.public_id}/",
        "quilt": f"/evidence/{world.read.evidence.get(kind='dataset_examples').current.public_id}/",
        "matrix": f"/evidence/{world.curves.evidence.get(kind='family_weights').current.public_id}/",
        "comparison": f"/comparisons/{compared.public_id}/",
        "people": "/people/",
        "person": f"/people/{world.readers[0].username}/",
        "go": "/go/",
        "terms": "/terms/",
        "sign in": "/accounts/login/",
        "sign up": "/accounts/signup/",
    }
