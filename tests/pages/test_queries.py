"""How much a page asks of the database, where everything that can happen has happened, and often."""

import datetime
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from taxonomy import events
from taxonomy.actions import discussions, gold, labels, leases, notes, notifications, people, reviews
from taxonomy.models import (
    Comment,
    Decision,
    Discussion,
    Lease,
    Membership,
    Neuron,
    Note,
    Notification,
    Review,
    Role,
    Standing,
    User,
    Why,
)
from tests.factory import (
    make_agreed,
    make_claim,
    make_family,
    make_job,
    make_label,
    make_network,
    make_note,
    make_older,
    make_plan,
    make_proposal,
    make_run,
    make_user,
    neuron_at,
    submit_note,
)
from tests.pages.conftest import BIBLIOGRAPHY
from tests.pages.material import every_kind, experiment

ROLES = (None, "contributor", "reviewer", "editor", "admin")
MOST = 15
# Where somebody decides stands all that a decision rests on: what was read, decided, demanded, cited and said there.
DECIDING = ("reviewed neuron", "stale neuron", "disputed neuron", "review, disputed", "review, stale")
MOST_TO_DECIDE = 20


@pytest.fixture
def crowded(world, circuit, addresses) -> dict[str, str]:
    """Every address, where there are rows of each kind by the dozen, and some to which everything happened."""
    vera = busy(world)
    many(world, circuit)
    for index in (5, 6, 7):
        decided(world, index, vera)
    cited = note_of_everything(world, circuit, vera)
    for person in (world.contributor, world.reviewer, world.editor, world.admin, vera):
        told(world, circuit, person, vera)
    newest(world, circuit, vera)
    base = f"/networks/{world.network.name}/"
    tabs = ("disputed", "stale", "evidence", "family", "proposals", "notes")
    return addresses | {
        "activity, of a network": f"/activity/?network={world.network.name}",
        "agreement": f"{base}agreement/",
        "reviewed neuron": f"{base}mixed3b/7/",
        "stale neuron": f"{base}mixed3b/6/",
        "disputed neuron": f"{base}mixed3b/5/?readings",
        "agreed neuron, with its readings": f"{base}mixed3b/2/?readings",
        "neuron as it was": f"{base}mixed3b/7/?at={datetime.date.today()}",
        "family as it was": f"{world.curves.get_absolute_url()}?at={datetime.date.today()}",
        "discussion of a reviewed neuron": f"{base}mixed3b/7/discussion/",
        "note that cites everything": cited.get_absolute_url(),
        "who did everything": f"/people/{vera.username}/",
        "candidates": "/people/candidates/",
        "gold": "/gold/",
        "me": "/me/",
        "notifications": "/notifications/",
        "following": "/notifications/following/",
        "moderation": "/moderation/?show=all",
        "moderation of notes": "/moderation/notes/?show=all",
        "moderation of claims": "/moderation/claims/?show=all",
        **{f"review, {tab}": f"/review/?tab={tab}" for tab in tabs},
    }


def busy(world: SimpleNamespace) -> User:
    """Somebody who was a contributor, a reviewer and an editor one after the other."""
    vera = make_user("vera", affiliation="Somewhere")
    make_label(world.read, vera, world.curves, note="As [[3b:1]].")
    make_label(neuron_at("3b:4"), vera, verdict="none of these", suggested_name="Wobbles")
    for role in (Role.REVIEWER, Role.EDITOR):
        people.appoint(world.admin, vera, role, reason="Everybody likes them.")
    vera.refresh_from_db()
    return vera


def many(world: SimpleNamespace, circuit: SimpleNamespace) -> None:
    """A dozen of each."""
    for number in range(12):
        family = make_family(world.layer, f"Family {number}", remark="See [[3b:1]] and [[family:3b/curves]].")
        make_proposal(world.layer, world.readers[0], f"Proposal {number}")
        make_job(world.network, world.readers[0])
        make_note(world.network, world.readers[number % 2], published=True, body="[[3b:0]] and [[family:3b/curves]].")
        make_claim(world.curves, world.readers[0], f"It is number {number}.")
        make_claim(circuit.note, world.readers[0], f"It is number {number}.")
        discussions.add(world.readers[1], circuit.note, f"See [[3b:{number % 2}]].")
        member = neuron_at(f"3b:{number % 2}")
        Membership.objects.create(family=family, neuron=member, primary=False, made_by=User.objects.system())


def decided(world: SimpleNamespace, index: int, vera: User) -> None:
    """A neuron is read, missed evidence, objected to, accepted, talked about, claimed about; then 7 is gold, 6 stale,
    and 5 disputed."""
    neuron, judge = neuron_at(f"3b:{index}"), make_user(role=Role.REVIEWER)
    readers = make_agreed(neuron, world.curves)
    make_label(neuron, readers[0], world.curves, polysemantic=True, further=[world.lines], note="Or [[3b:1]].")
    make_label(neuron, make_user(), verdict="cannot tell", missing_evidence="weights", note="Who knows.")
    make_label(neuron, make_user(), world.curves)
    for label in neuron.labels.all():
        make_older(label)
    reviews.object_to(judge, neuron, comment="As [[3b:1]]?")
    reviews.withdraw(judge, neuron)
    reviews.need_evidence(judge, neuron, kind="facets", comment="Let us look.")
    reviews.withdraw(judge, neuron)
    every_kind(neuron, world.images)
    asked = discussions.add(readers[0], neuron, f"Is it like [[3b:1]], @{readers[1].username}?")
    discussions.add(readers[1], neuron, f"Yes, @{readers[0].username}.", parent=asked)
    discussions.resolve(readers[0], asked)
    hidden = discussions.add(readers[1], neuron, "Buy this.")
    discussions.hide(world.admin, hidden, "Advertising.")
    talk = Discussion.objects.of(neuron)
    Comment.objects.bulk_create(
        Comment(discussion=talk, author=readers[number % 3], text=f"See [[3b:{number % 4}]], @{readers[0].username}.")
        for number in range(61)
    )
    claim = make_claim(neuron, readers[0], f"Neuron {index} is a curve.", kind="purity")
    labels.reveal(judge, neuron)
    make_run(claim, "supported", by=judge, data=experiment(claim.plan))
    make_note(world.network, readers[0], published=True, body=f"[[3b:{index}]] is a curve.")
    if index == 5:
        Neuron.objects.filter(pk=neuron.pk).update(standing=Standing.DISPUTED)
        return
    reviews.accept(judge, neuron, comment="So it is.")
    if index == 7:
        gold.mark(world.editor, neuron, "Clear.")
        return
    system = User.objects.system()
    version = neuron.evidence.filter(kind="weights").first().current
    stale = Review.objects.create(neuron=neuron, reviewer=system, decision=Decision.STALE, kind="weights", comment="x")
    stale.cites.set([version])
    Neuron.objects.filter(pk=neuron.pk).update(standing=Standing.STALE)


def note_of_everything(world: SimpleNamespace, circuit: SimpleNamespace, vera: User) -> Note:
    """It names neurons, families and people here and elsewhere, cites, and shows evidence of many kinds."""
    other = make_network("elsewhere")
    layer = other.layers.get(name="mixed3b")
    bends = make_family(layer, "Bends", units=[0])
    make_family(world.layer, "Gone", retired_at=world.read.labels.first().created_at)
    every_kind(neuron_at("3b:1", other), world.images)
    elsewhere = make_claim(bends, world.readers[0], "It is so elsewhere, too.")
    runs = [circuit.run, *(run for claim in circuit.claims.values() for run in claim.runs.all())]
    shown = [
        *(run.evidence.current for run in runs),
        *(one.current for one in world.read.evidence.all()),
        *(one.current for one in neuron_at("3b:1", other).evidence.all()),
        *(one.current for one in world.curves.evidence.all()),
    ]
    body = "\n\n".join(
        [
            "## Everything",
            "[[3b:0]], [[3b:5]] and [[elsewhere/3b:1]] [@olah2020zoom], as @vera and @rita know: $x^2$.",
            "[[family:3b/curves]], [[family:3b/gone]], [[family:elsewhere/3b/bends]] and [[family:3b/nothing]].",
            *(f"- [[claim:{claim.public_id}]]" for claim in (*circuit.claims.values(), elsewhere, circuit.run.claim)),
            f"- [[claim:{neuron_at('3b:7').claims.get().public_id}]]",
            f"See [that one]({circuit.note.get_absolute_url()}).",
            *(f"![It.](/evidence/{version.public_id}/)" for version in shown[:20]),
        ]
    )
    subgraph = Note.objects.get(pk=circuit.note.pk).published.subgraph
    said = {"abstract": "[[3b:0]] is a curve.", "bibliography": BIBLIOGRAPHY, "subgraph": subgraph}
    author = world.readers[0]
    note = make_note(world.network, author, vera, published=True, title="Everything", body=body, **said)
    for one in (note, Note.objects.get(pk=circuit.note.pk)):
        said = discussions.add(world.readers[1], one, f"What of [[elsewhere/3b:1]], @vera, @{author.username}?")
        discussions.add(author, one, "As @rita says.", parent=said)
    make_run(make_claim(note, author, "Everything is so."), "refuted")
    make_note(world.network, world.readers[1], published=True, about=note, title="On everything")
    make_note(world.network, world.readers[1], published=True, body=f"As [there]({note.get_absolute_url()}).")
    notes.save(author, note, began_from=1, body=body + "\n\nMore.", summary="More.")
    submit_note(author, note)
    return note


def told(world: SimpleNamespace, circuit: SimpleNamespace, person: User, vera: User) -> None:
    """The person holds a settled neuron, has notifications of each kind, follows and mutes."""
    Lease.objects.filter(person=person).delete()
    leases.lend(person, neuron_at("3b:1"))
    subjects = (world.curves, world.proposal, circuit.note, circuit.claims[""], neuron_at("3b:7"))
    for subject in subjects:
        notifications.subscribe(person, Discussion.objects.of(subject))
    for number, event in enumerate(events.Event.objects.order_by("-pk")[:40]):
        if not Notification.objects.filter(person=person, event=event).exists():
            notifications.tell(event, {person.pk: Why.values[number % len(Why.values)]})
    if person.role != Role.ADMIN:
        make_older(make_label(world.agreed, person, world.curves))
        make_note(world.network, person, world.readers[2])


def newest(world: SimpleNamespace, circuit: SimpleNamespace, vera: User) -> None:
    """The last that happened, all of it by one person: of each kind of subject one."""
    settled, claim = neuron_at("3b:7"), make_claim(circuit.note, make_user(), plan=make_plan((2, 4)))
    for verb, subjects in (
        ("image_set.added", {"image_set": world.images}),
        ("proposal.made", {"proposal": world.proposal}),
        ("job.requested", {"job": world.job, "network": world.network}),
        ("person.appointed", {"person": world.reviewer}),
        ("note.published", {"note": circuit.note}),
        ("claim.stated", {"claim": claim}),
        ("claim.stated", {"claim": circuit.claims[""]}),
        ("review.accepted", {"neuron": settled, "family": world.curves}),
        ("comment.added", {"neuron": settled, "comment": Comment.objects.filter(discussion__neuron=settled).first()}),
    ):
        events.record(vera, verb, **subjects)


def test_no_page_asks_much(crowded, world):
    asked: dict[tuple[str | None, str], int] = {}
    for role in ROLES:
        client = Client()
        if role:
            client.force_login(getattr(world, role))
        client.get("/")  # what is looked up once a process
        for name, address in crowded.items():
            with CaptureQueriesContext(connection) as queries:
                answer = client.get(address)
            assert answer.status_code in (200, 302, 403), (role, name)
            asked[role, name] = len(queries)
    too_much = {
        (role, name): count
        for (role, name), count in asked.items()
        if count > (MOST_TO_DECIDE if name in DECIDING else MOST)
    }
    assert too_much == {}
