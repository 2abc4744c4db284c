"""A small world in which every page has something to show."""

from types import SimpleNamespace
from typing import Any

import pytest

from taxonomy.actions import discussions, notes
from taxonomy.actions.sprites import build_sprite
from taxonomy.models import Comment, Comparison, Family, FamilyLink, Note, Role, Ruling, User
from tests.factory import (
    make_agreed,
    make_claim,
    make_evidence,
    make_family,
    make_image_set,
    make_job,
    make_label,
    make_network,
    make_note,
    make_plan,
    make_proposal,
    make_run,
    make_shard,
    make_user,
    neuron_at,
    submit_note,
)
from tests.pages.material import (
    every_kind,
    experiment,
    experiment_on_pictures,
    family_weights,
    joint_tuning,
    make_family_evidence,
    photographs,
)


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


BIBLIOGRAPHY = """@article{olah2020zoom,
  author = {Olah, Chris and Cammarata, Nick}, title = {Zoom In}, journal = {Distill}, year = {2020},
  doi = {10.23915/distill.00024.001}
}"""


def node(neuron: str) -> dict[str, Any]:
    return {"id": neuron, "neuron": neuron, "family": "", "x": 0, "y": 0}


@pytest.fixture
def circuit(world) -> SimpleNamespace:
    """A note with everything in it, corrected once, with a commentary; claims of each ruling, and one not tested."""
    author, network = make_user("wanda"), world.network
    subgraph = {
        "nodes": [node("conv1:0"), node("conv1:1"), node("mixed3b:0")],
        "edges": [
            {"source": "conv1:0", "target": "mixed3b:0", "weight": 0.5, "evidence": ""},
            {"source": "conv1:1", "target": "mixed3b:0", "weight": -0.25, "evidence": ""},
        ],
        "threshold": 0.3,
    }
    matrix = world.curves.evidence.get(kind="family_weights").current
    note = make_note(network, author, make_user("yusuf"), published=True, bibliography=BIBLIOGRAPHY, subgraph=subgraph)
    claims = {ruling: make_claim(note, author, f"It is {ruling or 'untested'}.") for ruling in ("", *Ruling.values)}
    for ruling, claim in claims.items():
        if ruling:
            make_run(claim, ruling, data=experiment(claim.plan, ruling))
    flips = make_plan(
        show={"kind": "images", "image_set": "pictures", "indices": [0, 1]}, measure={"what": "prediction"}
    )
    flips["expect"] = {"change": "rises", "margin": 0.1, "relative": False}
    network.class_names = ["a curve", "a line", "nothing"]
    network.save()
    on_pictures = make_claim(world.curves, author, "Pictures change.", plan=flips, image_set=world.images)
    run = make_run(on_pictures, "supported", data=experiment_on_pictures(flips))
    said = "\n\n".join(
        [
            "## What one sees",
            "[[3b:0]] is a curve [@olah2020zoom], and [[family:3b/curves]] are more: $x^2$ of them.",
            "$$\\sum_i w_i x_i$$",
            f"![Weights to [[3b:0]].](/evidence/{matrix.public_id}/)",
            *(f"- [[claim:{claim.public_id}]]" for claim in claims.values()),
        ]
    )
    motifs = ["equivariance"]
    notes.save(author, note, began_from=1, body=said, selection="All of them.", motifs=motifs, summary="What one sees.")
    submit_note(author, note)
    notes.decide(world.editor, note, version=2, decision="approve")
    answer = make_note(network, world.readers[0], published=True, about=Note.objects.get(pk=note.pk), title="On curves")
    waiting = make_note(network, author, title="Lines")
    submit_note(author, waiting)
    discussions.add(world.readers[0], Note.objects.get(pk=note.pk), "Do they echo?")
    return SimpleNamespace(
        author=author,
        note=note,
        draft=make_note(network, author),
        claims=claims,
        run=run,
        answer=answer,
        waiting=waiting,
    )


@pytest.fixture
def addresses(world, circuit) -> dict[str, str]:
    """One address for each kind of page that a visitor may open."""
    base = f"/networks/{world.network.name}/"
    make_family(make_network("othernet").layers.get(name="mixed3b"), "Bends", units=[0])
    article = circuit.note.get_absolute_url()
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
        "thread": f"{base}thread/",
        "note": article,
        "note as it was": f"{article}versions/1/",
        "versions of a note": f"{article}versions/",
        "what a version changed": f"{article}versions/2/diff/",
        "authors of a note": f"{article}authors/",
        "discussion of a note": f"{article}discussion/",
        "discussion of a claim": f"{circuit.claims[''].get_absolute_url()}discussion/",
        "commentary": circuit.answer.get_absolute_url(),
        "note in review": circuit.waiting.get_absolute_url(),
        "write a note": f"{base}notes/new/",
        "claims": f"{base}claims/",
        **{f"claim {ruling or 'not tested'}": claim.get_absolute_url() for ruling, claim in circuit.claims.items()},
        "claim on pictures": circuit.run.claim.get_absolute_url(),
        "experiment": circuit.run.evidence.current.get_absolute_url(),
        "state a claim": f"/claims/new/?family={world.curves.public_id}",
        "weights": f"{base}weights/",
        "walk along weights": f"{base}weights/?neuron=3b:3",
        "kernel": f"/evidence/{world.read.evidence.get(kind='weights').current.public_id}/kernel/?of=conv1:0",
        "compare neurons": "/compare/?with=tinynet/3b:2&with=tinynet/3b:3",
        "compare families": "/compare/?with=tinynet/mixed3b/Curves&with=othernet/mixed3b/Bends",
        "universality": "/universality/?first=tinynet&second=othernet",
        "people": "/people/",
        "person": f"/people/{world.readers[0].username}/",
        "go": "/go/",
        "terms": "/terms/",
        "sign in": "/accounts/login/",
        "sign up": "/accounts/signup/",
    }
