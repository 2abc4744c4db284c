"""Who comes through which door: role by action by subject, for every route of the site and of the API.

A row is a method at an address, with who may. Whoever may, runs it, and something in the record changes; whoever may
not, runs it too, gets a sentence, and nothing changes. A method that has no row is refused to everybody. A new route
without a row fails ``test_every_route_is_in_the_table``.
"""

import json
import re
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import hypothesis
import pytest
from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, resolve
from hypothesis import strategies as st
from rest_framework.authtoken.models import Token

from taxonomy.actions import discussions, gold, leases, moderation, notes, notifications, people, reviews, sheets
from taxonomy.actions.sheets import leases_of
from taxonomy.actions.sprites import build_sprite
from taxonomy.models import (
    Block,
    Claim,
    Comment,
    Comparison,
    Decision,
    Discussion,
    Label,
    Note,
    Notification,
    Proposal,
    Review,
    Role,
    Sheet,
    Standing,
    Tally,
    User,
)
from taxonomy.permissions import Refused
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
    make_pictured,
    make_plan,
    make_proposal,
    make_run,
    make_user,
    neuron_at,
    submit_note,
)
from tests.pages.material import experiment, weights

pytestmark = pytest.mark.django_db

VISITOR, BLOCKED, DEMOTED, OWNER, UNTERMED = "visitor", "blocked", "demoted", "owner", "untermed"
CONTRIBUTOR, REVIEWER, EDITOR, ADMIN = Role.CONTRIBUTOR, Role.REVIEWER, Role.EDITOR, Role.ADMIN
EVERYBODY = (VISITOR, BLOCKED, CONTRIBUTOR, OWNER, REVIEWER, EDITOR, ADMIN, DEMOTED, UNTERMED)
# A person whose role was taken away between page and post is a contributor; so is whoever owns the subject.
CONTRIBUTORS = {CONTRIBUTOR, OWNER, DEMOTED}
REVIEWS = {REVIEWER, EDITOR}
SCIENCE = CONTRIBUTORS | REVIEWS
# Who has not accepted the present terms reads, and keeps house for themselves.
SIGNED_IN = SCIENCE | {ADMIN, UNTERMED}
NOBODY: set[str] = set()

API = "/api/v1"
NEURON = "/networks/tinynet/mixed3b"
FAMILY = f"{NEURON}/families/{{curves}}"

World = SimpleNamespace
Made = Callable[[World], Any]


@dataclass(frozen=True)
class Door:
    """One method at one address.

    ``ready`` readies the world for it; ``body`` makes what is sent; ``says`` is what those who may not are told, and
    ``refused`` in which ways: 403, or that it is not there for them, or an answer that does nothing.
    """

    method: str
    address: str  # filled in from the world: "/networks/tinynet/{layer}/"
    may: Collection[str]
    body: Made | Mapping[str, Any] = field(default_factory=dict)
    ready: Made | None = None
    says: Mapping[str, str] = field(default_factory=dict)
    refused: Collection[int] = (403,)
    changes: bool = True

    @property
    def is_api(self) -> bool:
        return self.address.startswith("/api/")

    def __str__(self) -> str:
        return f"{self.method} {self.address}"


def look(address: str, may: Collection[str] = EVERYBODY, **more: Any) -> Door:
    if address.startswith(API) and may == EVERYBODY:  # the token of a blocked account opens nothing
        may = tuple(who for who in may if who != BLOCKED)
    return Door("GET", address, may, changes=False, **more)


def post(address: str, may: Collection[str], body: Made | Mapping[str, Any] | None = None, **more: Any) -> Door:
    return Door("POST", address, may, body or {}, **more)


PICTURE = {"kinds": "feature_visualization"}


def resolved(world: World) -> None:
    discussions.resolve(world.people[OWNER], Comment.objects.get(public_id=world.comment))


def hidden(world: World) -> None:
    discussions.hide(world.people[ADMIN], Comment.objects.get(public_id=world.comment), "Advertising.")


def hidden_note(world: World) -> None:
    moderation.hide(world.people[ADMIN], Note.objects.get(public_id=world.note), "Advertising.")


def hidden_claim(world: World) -> None:
    moderation.hide(world.people[ADMIN], Claim.objects.get(public_id=world.claim), "Advertising.")


def muted(world: World) -> None:
    notifications.mute(world.people[OWNER], Discussion.objects.get(public_id=world.discussion))


def blocked(world: World) -> None:
    people.block(world.people[ADMIN], User.objects.get(username="novice"), reason="Advertising.")


def unmarked(world: World) -> None:
    gold.unmark(world.people[EDITOR], neuron_at("3b:0"))


def schooled(world: World) -> None:
    """The novice has read enough, and well enough, to be a reviewer."""
    count = people.GOLD_NEURONS + people.SETTLED_READINGS
    pool = make_network("school", layers={"pool": count}).layers.get()
    family = make_family(pool, units=range(count))
    novice = User.objects.get(username="novice")
    Label.objects.bulk_create(
        Label(
            neuron=neuron,
            author=novice,
            verdict="family",
            family=family,
            blind=True,
            gold=neuron.index < people.GOLD_NEURONS,
        )
        for neuron in pool.neurons.all()
    )


def sorted_just_now(world: World) -> None:
    sheet = Sheet.objects.get(public_id=world.sheet)
    neuron = leases_of(sheet)[0].neuron
    given = sheets.submit(sheet.person, sheet, [neuron], submission=uuid.uuid4(), verdict="none of these")
    world.sorted = given[0].public_id


def submitted(world: World) -> None:
    submit_note(world.people[OWNER], Note.objects.get(public_id=world.draft))


def written(**said: str) -> dict[str, str]:
    """What the form of a note sends."""
    return {"title": "Curves", "abstract": "Lines make curves.", "body": "As one sees.", "began_from": "1"} | said


def drawn(world: World) -> dict[str, Any]:
    circuit = json.dumps({"nodes": [node("mixed3b:1"), node("conv1:0")], "edges": [], "threshold": 0.3})
    return {"do": "save", "subgraph": circuit, "began_from": "1"}


CLAIM = {
    "changes": "1",
    "change-0-do": "keep_positive",
    "change-0-source": "conv1:0,1",
    "change-0-target": "3b:1,5",
    "stimulus": "curve",
    "step": "15",
    "radii": "16",
    "strokes": "2, 3",
    "what": "response",
    "of": "3b:1,5",
    "change": "rises",
    "margin": "10",
    "relative": "relative",
    "sentence": "It bends.",
    "kind": "causality",
}


def stated(world: World, **subject: Any) -> dict[str, Any]:
    said = {"kind": "causality", "sentence": "It bends.", "plan": make_plan((1, 5))}
    return {"network": "tinynet"} | said | subject


def own_name(world: World) -> dict[str, Any]:
    return {"proof": world.who}


def subject(world: World) -> dict[str, Any]:
    return {"do": "subscribe", "subject": f"neuron:{neuron_at('3b:0').public_id}"}


def said_in_the_queue(world: World) -> dict[str, Any]:
    return {"neuron": neuron_at("3b:7").pk, "reading": world.lines, "confidence": "high"}


PAGES = [
    look("/"),
    look("/networks/"),
    look("/networks/tinynet/"),
    look("/networks/tinynet/mixed3b/"),
    look(f"{FAMILY}/"),
    look(f"{NEURON}/3/"),
    look(f"{NEURON}/3/neighbours/"),
    look(f"{NEURON}/3/face.png"),
    look(f"{NEURON}/3/label/"),
    look(f"{NEURON}/2/accept/"),
    look(f"{NEURON}/2/decide/"),
    look("/review/sheet/?family={curves}"),
    look("/networks/tinynet/mixed3b/propose/"),
    look("/review/"),
    look("/proposals/"),
    look("/proposals/{proposal}/"),
    look("/jobs/"),
    look("/jobs/{job}/"),
    look("/activity/"),
    look("/evidence/{version}/"),
    look("/evidence/{version}/quilt/"),
    look("/evidence/{version}/embed"),
    look("/comparisons/{comparison}/"),
    look("/comparisons/{comparison}/image"),
    look("/artifacts/{artifact}.webp"),
    look("/people/"),
    look("/people/owner/"),
    look("/go/"),
    look("/complete/?network=tinynet&q=3b:"),
    look("/healthz"),
    look(f"{NEURON}/1/discussion/"),
    post(f"{NEURON}/1/discussion/", SCIENCE, {"text": "Bent, I think."}),
    post(f"{NEURON}/2/discussion/", NOBODY, {"text": "Bent, I think."}),  # who has not read it, and not looked
    look(f"{FAMILY}/discussion/"),
    post(f"{FAMILY}/discussion/", SCIENCE, {"text": "Bent, I think."}),
    look("/proposals/{proposal}/discussion/"),
    post("/proposals/{proposal}/discussion/", SCIENCE, {"text": "Bent, I think."}),
    look("/discussions/"),
    look("/comments/{comment}/"),
    look("/comments/{comment}/wordings/"),
    look("/comments/{comment}/edit/", {OWNER}),
    post("/comments/{comment}/edit/", {OWNER}, {"text": "Bent, surely."}),
    post("/comments/{comment}/resolve/", {OWNER} | REVIEWS),
    post("/comments/{comment}/reopen/", {OWNER} | REVIEWS, ready=resolved),
    post("/comments/{comment}/hide/", {ADMIN}, {"reason": "Advertising."}),
    post("/comments/{comment}/unhide/", {ADMIN}, ready=hidden),
    *(look(f"/moderation/{of}", {ADMIN}) for of in ("", "notes/", "claims/")),
    *(post(f"/{of}/hide/", {ADMIN}, {"reason": "Advertising."}) for of in ("notes/{note}", "claims/{claim}")),
    *(post(f"/{of}/hide/", NOBODY, {"reason": "No."}) for of in ("notes/{draft}", "claims/{draft_claim}")),
    post("/notes/{note}/unhide/", {ADMIN}, ready=hidden_note),
    post("/claims/{claim}/unhide/", {ADMIN}, ready=hidden_claim),
    look("/notes/{note}/", {OWNER, ADMIN}, ready=hidden_note, refused=(404,)),
    look("/notes/{note}/edit/", NOBODY, ready=hidden_note, refused=(403, 404)),
    look("/claims/{claim}/", {OWNER, ADMIN}, ready=hidden_claim, refused=(404,)),
    look("/claims/{claim}/", {OWNER, ADMIN}, ready=hidden_note, refused=(404,)),
    post("/claims/{claim}/run/", NOBODY, ready=hidden_claim, refused=(403, 404)),
    post("/claims/{claim}/withdraw/", NOBODY, {"reason": "Wrong."}, ready=hidden_claim, refused=(403, 404)),
    look("/notifications/", SIGNED_IN),
    look("/notifications/following/", SIGNED_IN),
    look("/notifications/mute/{mute}/"),  # their authority is the signed token, whoever has it
    look("/notifications/stop/{stop}/"),
    post("/notifications/", {OWNER}, lambda world: {"read": world.notification}, refused=(403, 404)),
    post("/notifications/follow/", SIGNED_IN, subject),
    post("/notifications/settings/", SIGNED_IN, {"digest": "weekly"}),
    post("/notifications/mute/{mute}/", EVERYBODY),
    post("/notifications/stop/{stop}/", EVERYBODY),
    look("/people/candidates/", {EDITOR}),
    post("/people/candidates/", {EDITOR}, {"person": "novice"}, ready=schooled),
    post("/people/candidates/", NOBODY, {"person": "novice"}),  # who has not read enough
    post("/people/novice/", {ADMIN}, {"act": "block", "reason": "Advertising."}),
    post("/people/novice/", {ADMIN}, {"act": "unblock", "reason": "It was not."}, ready=blocked),
    post("/people/novice/", {ADMIN}, {"act": "erase", "proof": "novice"}),
    look("/me/", SIGNED_IN),
    look("/me/data/", SIGNED_IN),
    look("/me/erase/", SIGNED_IN),
    post("/me/", SIGNED_IN, {"affiliation": "Somewhere else"}),
    post("/me/erase/", SIGNED_IN, own_name),
    look("/terms/"),
    post("/terms/", {UNTERMED}, {"version": settings.TERMS_VERSION}, refused=(302, 403)),
    look("/networks/tinynet/agreement/"),
    look(f"{API}/agreement/"),
    look(f"{API}/neurons/tinynet/mixed3b:0/history/?at=2026-01-01"),
    look(f"{API}/families/{{curves}}/history/"),
    *(look(f"{place}/feed.atom") for place in ("/activity", "/networks/tinynet", NEURON, f"{NEURON}/0", FAMILY)),
    *(look(f"{place}/discussion/feed.atom") for place in (f"{NEURON}/0", FAMILY, "/proposals/{proposal}")),
    look("/proposals/{proposal}/feed.atom"),
    look("/notifications/{feed}/feed.atom"),  # its key is known to one person alone
    look("/gold/", SIGNED_IN),
    post(f"{NEURON}/0/gold/", {EDITOR}, {"reason": "Clear."}, ready=unmarked),
    post(f"{NEURON}/0/gold/", {EDITOR}, {"unmark": "yes"}),
    post(f"{NEURON}/overlap/", {EDITOR}, {"overlap": "5"}),
    post(f"{NEURON}/sheet/", SCIENCE),
    look("/sheets/{sheet}/", {OWNER}),
    look("/sheets/{sheet}/look/{on_sheet}/", {OWNER}),
    post("/sheets/{sheet}/", {OWNER}, lambda world: {"neuron": world.on_sheet, "reading": "none of these"}),
    post("/sheets/{sheet}/undo/", {OWNER}, lambda world: {"label": world.sorted}, ready=sorted_just_now),
    post("/sheets/{sheet}/give-back/", {OWNER}),
    post("/sheets/{sheet}/anew/", {OWNER}),
    look("/label/", SCIENCE),
    look("/label/card/", SCIENCE),
    post("/label/", SCIENCE, said_in_the_queue),
    post("/label/skip/", {OWNER}, lambda world: {"token": world.lease}, refused=(302, 403)),
    post("/label/undo/", {OWNER}, lambda world: {"label": world.own_label}, refused=(403, 404)),
    post("/label/show/", {OWNER}, lambda world: {"label": world.own_label}, refused=(403, 404)),
    post("/networks/tinynet/request/", SIGNED_IN, PICTURE),
    post("/networks/tinynet/mixed3b/request/", SIGNED_IN, PICTURE),
    post(f"{NEURON}/5/request/", SIGNED_IN, PICTURE),
    post(f"{FAMILY}/request/", SIGNED_IN, {"kinds": "joint_tuning", "image_set": "pictures"}),
    post(f"{NEURON}/4/label/", SCIENCE, lambda world: {"reading": world.lines, "confidence": "high"}),
    post(f"{NEURON}/2/accept/", REVIEWS),
    post(f"{NEURON}/2/decide/", REVIEWS, {"decision": "object", "comment": "It echoes."}),
    post(f"{NEURON}/2/decide/", REVIEWS, {"decision": "need evidence", "kind": "tuning_curves", "comment": "Tuned?"}),
    post(f"{NEURON}/1/decide/", REVIEWS, {"decision": "undo", "comment": "Too soon."}),
    post("/review/accept/", REVIEWS, lambda world: {"neurons": neuron_at("3b:2").pk}),
    post(
        "/networks/tinynet/mixed3b/propose/",
        SCIENCE,
        {
            "name": "Arcs",
            "remark": "Bent.",
            "kind": "natural",
            "confidence": "high",
            "symmetry": "none",
        },
    ),
    post("/proposals/{proposal}/", REVIEWS, {"decision": "accept"}),
    post("/proposals/{proposal}/", REVIEWS, {"decision": "reject", "comment": "It is a union of two."}),
    post("/proposals/{proposal}/", {OWNER}, {"decision": "withdraw"}),
    post("/jobs/{job}/cancel/", {OWNER, EDITOR, ADMIN}),
    post("/jobs/{failed}/retry/", {OWNER, EDITOR, ADMIN}),
    post("/evidence/{version}/reproduce/", SIGNED_IN),
    look("/networks/tinynet/thread/"),
    look("/networks/tinynet/thread/feed.atom"),
    look("/networks/tinynet/notes/new/"),
    post("/networks/tinynet/notes/new/", SCIENCE, written()),
    *(look(f"/notes/{{note}}/{page}") for page in ("", "latest/", "versions/", "versions/1/", "versions/1/diff/")),
    *(look(f"/notes/{{note}}/{page}") for page in ("authors/", "circuit.svg", "cite.bib", "cite.json", "cite.txt")),
    *(look(f"/notes/{{note}}/{page}") for page in ("feed.atom", "discussion/", "discussion/feed.atom")),
    look("/notes/{note}/artificial.py", NOBODY, refused=(422,)),  # only circuits of the curve network are built
    *(look(f"/notes/{{draft}}/{page}", {OWNER}) for page in ("", "latest/", "versions/", "versions/1/")),
    *(look(f"/notes/{{draft}}/{page}", {OWNER}) for page in ("versions/1/diff/", "authors/", "edit/", "circuit/")),
    *(look(f"/notes/{{draft}}/{page}", {OWNER}) for page in ("circuit.svg", "cite.bib", "discussion/")),
    *(
        look(f"/notes/{{draft}}/{page}", NOBODY, refused=(403, 404))  # a feed has no reader who could sign in
        for page in ("feed.atom", "discussion/feed.atom")
    ),
    look("/notes/{note}/edit/", {OWNER}),
    post("/notes/{note}/edit/", {OWNER}, written(body="As all see.")),
    post("/notes/{draft}/edit/", {OWNER}, written(body="As all see.")),
    post("/notes/{note}/preview/", {OWNER}, written(), changes=False),
    look("/notes/{note}/circuit/", {OWNER}),
    post("/notes/{note}/circuit/", {OWNER}, drawn),
    post("/notes/{draft}/submit/", {OWNER}, {"version": 1}),
    post("/notes/{draft}/retract/", {OWNER}, ready=submitted),
    post("/notes/{draft}/decide/", {EDITOR}, {"version": 1, "decision": "approve"}, ready=submitted),
    post(
        "/notes/{draft}/decide/",
        {EDITOR},
        {"version": 1, "decision": "request changes", "comment": "?"},
        ready=submitted,
    ),
    post("/notes/{note}/decide/", NOBODY, {"version": 1, "decision": "approve"}),  # nothing of it is in review
    post("/notes/{note}/withdraw/", {OWNER}, {"reason": "It was wrong."}),
    post("/notes/{note}/supersede/", {OWNER}, {"by": "2"}),
    post("/notes/{note}/doi/", {OWNER}, {"doi": "10.1234/curves"}),
    post("/notes/{note}/authors/", {OWNER}, {"do": "ask", "person": "novice"}),
    post("/notes/{note}/authors/", {OWNER}, {"do": "unask", "person": "asked"}),
    post("/notes/{asking}/authors/", {OWNER}, {"do": "agree"}),
    post("/notes/{asking}/authors/", {OWNER}, {"do": "leave"}),
    post("/notes/{note}/discussion/", SCIENCE, {"text": "Bent, I think."}),
    look("/networks/tinynet/claims/"),
    look("/claims/new/?note={note}"),
    look("/claims/new/?note={draft}"),
    post("/claims/new/?note={note}", SCIENCE, CLAIM | {"do": "state"}),
    post("/claims/new/?note={draft}", {OWNER}, CLAIM | {"do": "state"}),
    post("/claims/new/preview/?note={note}", SCIENCE, CLAIM, changes=False),
    look("/claims/{claim}/"),
    look("/claims/{draft_claim}/", {OWNER}),
    *(look(f"/claims/{{claim}}/{page}") for page in ("discussion/", "feed.atom", "discussion/feed.atom")),
    look("/claims/{draft_claim}/discussion/", {OWNER}),
    *(
        look(f"/claims/{{draft_claim}}/{page}", NOBODY, refused=(403, 404))
        for page in ("feed.atom", "discussion/feed.atom")
    ),
    post("/claims/{claim}/discussion/", SCIENCE, {"text": "Which margin?"}),
    post("/claims/{draft_claim}/discussion/", {OWNER}, {"text": "Which margin?"}),
    post("/claims/{claim}/run/", REVIEWS),
    post("/claims/{claim}/withdraw/", {OWNER}, {"reason": "It was wrong."}),
    look("/evidence/{kernels}/kernel/?of=conv1:1"),
    look("/networks/tinynet/weights/"),
    look("/networks/tinynet/weights/walk/?neuron=3b:1"),
    post("/networks/tinynet/weights/request/", SIGNED_IN, {"from": "conv1", "to": "mixed3b"}),
    look("/compare/?with=tinynet/3b:0&with=tinynet/3b:1"),
    look("/universality/"),
    post("/universality/link/", REVIEWS, lambda world: {"source": world.bends, "target": world.elsewhere}),
    post("/people/novice/", {EDITOR, ADMIN}, {"role": "reviewer", "reason": "Reads with care."}),
    post("/people/novice/", {ADMIN}, {"role": "editor", "reason": "Reads with care."}),
    post("/me/", SIGNED_IN, {"token": "new"}),
]

SAID = {"network": "tinynet", "neuron": "3b:4"}
TAXONOMY = [
    *(look(f"{API}/{path}/") for path in ("networks", "layers", "neurons", "families", "evidence", "image-sets")),
    *(look(f"{API}/{path}/") for path in ("labels", "reviews", "proposals", "jobs", "schema")),
    look(f"{API}/"),
    Door("GET", f"{API}/docs/", EVERYBODY, changes=False),
    look(f"{API}/networks/tinynet/"),
    look(f"{API}/layers/tinynet/mixed3b/"),
    look(f"{API}/neurons/tinynet/mixed3b:3/"),
    look(f"{API}/neurons/tinynet/conv1:0/circuit/", SCIENCE),
    look(f"{API}/families/{{curves}}/"),
    look(f"{API}/evidence/{{evidence}}/"),
    look(f"{API}/comparisons/{{comparison}}/"),
    look(f"{API}/image-sets/pictures/"),
    look(f"{API}/labels/{{settled_label}}/"),
    look(f"{API}/proposals/{{proposal}}/"),
    look(f"{API}/jobs/{{job}}/"),
    post(f"{API}/labels/", SCIENCE, SAID | {"family": "Lines"}, says={VISITOR: "Sign in to label neurons."}),
    post(f"{API}/reviews/", REVIEWS, {"network": "tinynet", "neuron": "3b:2"}),
    post(f"{API}/proposals/", SCIENCE, {"network": "tinynet", "layer": "mixed3b", "name": "Arcs", "remark": "Bent."}),
    post(f"{API}/proposals/{{proposal}}/accept/", REVIEWS),
    post(f"{API}/proposals/{{proposal}}/reject/", REVIEWS, {"comment": "No."}),
    post(f"{API}/proposals/{{proposal}}/withdraw/", {OWNER}),
    post(f"{API}/jobs/", SIGNED_IN, {"network": "tinynet", "kinds": ["weights"]}),
    post(f"{API}/jobs/{{job}}/cancel/", {OWNER, EDITOR, ADMIN}),
    post(f"{API}/jobs/{{failed}}/retry/", {OWNER, EDITOR, ADMIN}),
    post(f"{API}/evidence/versions/{{version}}/reproduce/", SIGNED_IN),
    post(f"{API}/token/", EVERYBODY, {"username": "novice", "password": "correct horse"}),
    post(f"{API}/labels/others/", {OWNER, UNTERMED} | REVIEWS, {"network": "tinynet", "neuron": "3b:6"}),
    post(f"{API}/labels/{{own_label}}/undo/", {OWNER}, refused=(403, 404)),
    post(f"{API}/queue/", SCIENCE, {"network": "tinynet"}),
    post(f"{API}/queue/{{lease}}/give-back/", {OWNER}, refused=(204, 403)),
    post(f"{API}/layers/tinynet/mixed3b/overlap/", {EDITOR}, {"overlap": 5}),
    post(f"{API}/sheets/", SCIENCE, {"network": "tinynet", "layer": "mixed3b"}),
    post(
        f"{API}/sheets/{{sheet}}/submit/",
        {OWNER},
        lambda world: {"neurons": ["conv1:0"], "submission": uuid.uuid4(), "verdict": "none of these"},
        refused=(403, 404),
    ),
    post(f"{API}/sheets/{{sheet}}/give-back/", {OWNER}, refused=(403, 404)),
    look(f"{API}/gold/", {EDITOR}),
    look(f"{API}/gold/record/", SCIENCE),
    post(f"{API}/gold/", {EDITOR}, {"network": "tinynet", "neuron": "3b:0", "reason": "Clear."}, ready=unmarked),
    post(f"{API}/gold/tinynet/mixed3b:0/unmark/", {EDITOR}),
    post(f"{API}/reviews/many/", REVIEWS, {"network": "tinynet", "neurons": ["3b:2"]}),
    *(
        post(f"{API}/reviews/", REVIEWS, {"network": "tinynet", "neuron": neuron, "decision": decision} | more)
        for decision, neuron, more in (
            ("object", "3b:2", {"comment": "Two of three are lines."}),
            ("need evidence", "3b:2", {"comment": "What is it for?", "kind": "weights"}),
            ("undo", "3b:0", {"comment": "Too early."}),
        )
    ),
    look(f"{API}/notes/"),
    *(look(f"{API}/notes/{{note}}/{page}") for page in ("", "versions/", "versions/1/", "cite/")),
    *(look(f"{API}/notes/{{draft}}/{page}", {OWNER}) for page in ("", "versions/", "versions/1/", "cite/")),
    post(f"{API}/notes/", SCIENCE, {"network": "tinynet", "title": "Curves"}),
    post(f"{API}/notes/{{note}}/versions/", {OWNER}, {"body": "As all see.", "began_from": 1}),
    post(f"{API}/notes/{{draft}}/submit/", {OWNER}, {"version": 1}),
    post(f"{API}/notes/{{draft}}/retract/", {OWNER}, ready=submitted),
    post(f"{API}/notes/{{draft}}/decide/", {EDITOR}, {"version": 1, "decision": "approve"}, ready=submitted),
    post(f"{API}/notes/{{note}}/withdraw/", {OWNER}, {"reason": "It was wrong."}),
    post(f"{API}/notes/{{note}}/supersede/", {OWNER}, lambda world: {"by": world.later}),
    post(f"{API}/notes/{{note}}/doi/", {OWNER}, {"doi": "10.1234/curves"}),
    post(f"{API}/notes/{{note}}/authors/", {OWNER}, {"person": "novice"}),
    post(f"{API}/notes/{{note}}/authors/unask/", {OWNER}, {"person": "asked"}),
    post(f"{API}/notes/{{asking}}/authors/agree/", {OWNER}),
    post(f"{API}/notes/{{asking}}/authors/leave/", {OWNER}),
    look(f"{API}/claims/"),
    look(f"{API}/claims/{{claim}}/"),
    look(f"{API}/claims/{{draft_claim}}/", {OWNER}),
    post(f"{API}/claims/", SCIENCE, lambda world: stated(world, note=world.note)),
    post(f"{API}/claims/", {OWNER}, lambda world: stated(world, note=world.draft)),
    post(
        f"{API}/claims/preview/",
        SCIENCE,
        lambda world: {"network": "tinynet", "note": world.note, "plan": make_plan((1, 5))},
        changes=False,
    ),
    post(f"{API}/claims/{{claim}}/run/", REVIEWS),
    post(f"{API}/claims/{{claim}}/withdraw/", {OWNER}, {"reason": "It was wrong."}),
    look(f"{API}/compare/?with=tinynet/3b:0&with=tinynet/3b:1"),
    look(f"{API}/compare/?with=tinynet/mixed3b/Curves&with=tinynet/mixed3b/Arches"),
    look(f"{API}/universality/?first=tinynet&second=othernet"),
    post(
        f"{API}/families/{{curves}}/links/", REVIEWS, lambda world: {"target": world.elsewhere_pk, "kind": "analogue"}
    ),
    look(f"{API}/discussions/"),
    look(f"{API}/comments/"),
    look(f"{API}/comments/{{comment}}/"),
    look(f"{API}/comments/{{comment}}/wordings/"),
    post(f"{API}/comments/", SCIENCE, {"network": "tinynet", "neuron": "3b:1", "text": "Bent."}),
    post(f"{API}/comments/", NOBODY, {"network": "tinynet", "neuron": "3b:2", "text": "Bent."}),
    post(f"{API}/comments/", SCIENCE, lambda world: {"proposal": world.proposal, "text": "Bent."}),
    post(f"{API}/comments/", SCIENCE, lambda world: {"claim": world.claim, "text": "Which margin?"}),
    post(f"{API}/comments/", {OWNER}, lambda world: {"claim": world.draft_claim, "text": "Which margin?"}),
    Door("PATCH", f"{API}/comments/{{comment}}/", {OWNER}, {"text": "Bent, surely."}),
    post(f"{API}/comments/{{comment}}/resolve/", {OWNER} | REVIEWS),
    post(f"{API}/comments/{{comment}}/reopen/", {OWNER} | REVIEWS, ready=resolved),
    post(f"{API}/comments/{{comment}}/hide/", {ADMIN}, {"reason": "Advertising."}),
    post(f"{API}/comments/{{comment}}/unhide/", {ADMIN}, ready=hidden),
    post(f"{API}/notes/{{note}}/hide/", {ADMIN}, {"reason": "Advertising."}),
    post(f"{API}/notes/{{note}}/unhide/", {ADMIN}, ready=hidden_note),
    post(f"{API}/claims/{{claim}}/hide/", {ADMIN}, {"reason": "Advertising."}),
    post(f"{API}/claims/{{claim}}/unhide/", {ADMIN}, ready=hidden_claim),
    look(f"{API}/notifications/", SIGNED_IN),
    look(f"{API}/notifications/digest/", SIGNED_IN),
    look(f"{API}/subscriptions/", SIGNED_IN),
    Door("PUT", f"{API}/notifications/digest/", SIGNED_IN, {"digest": "weekly"}),
    post(f"{API}/notifications/feed/", SIGNED_IN),
    post(f"{API}/notifications/read/", {OWNER, REVIEWER}, refused=(200, 403)),  # the others are told of nothing
    post(f"{API}/notifications/{{notification}}/read/", {OWNER}, refused=(403, 404)),
    post(f"{API}/subscriptions/", SIGNED_IN, lambda world: {"proposal": world.proposal}),
    post(f"{API}/subscriptions/", SIGNED_IN, lambda world: {"claim": world.claim}),
    post(f"{API}/subscriptions/", {OWNER}, lambda world: {"claim": world.draft_claim}),
    post(f"{API}/subscriptions/{{discussion}}/mute/", SIGNED_IN),
    post(f"{API}/subscriptions/{{discussion}}/unmute/", SIGNED_IN, ready=muted),
    Door("DELETE", f"{API}/subscriptions/{{discussion}}/", {OWNER}, refused=(204, 403, 404)),
    look(f"{API}/people/"),
    look(f"{API}/people/candidates/", {EDITOR}),
    look(f"{API}/people/owner/"),
    post(f"{API}/people/novice/appoint/", {EDITOR, ADMIN}, {"role": "reviewer", "reason": "Reads with care."}),
    post(f"{API}/people/novice/appoint/", {ADMIN}, {"role": "admin", "reason": "Reads with care."}),
    post(f"{API}/people/novice/confirm/", {EDITOR}, ready=schooled),
    post(f"{API}/people/novice/block/", {ADMIN}, {"reason": "Advertising."}),
    post(f"{API}/people/novice/unblock/", {ADMIN}, {"reason": "It was not."}, ready=blocked),
    post(f"{API}/people/novice/erase/", {ADMIN}, {"proof": "novice"}),
    look(f"{API}/me/", SIGNED_IN),
    look(f"{API}/me/progress/", SIGNED_IN),
    look(f"{API}/me/data/", SIGNED_IN),
    Door("PATCH", f"{API}/me/", SIGNED_IN, {"affiliation": "Somewhere else"}),
    look(f"{API}/terms/"),
    post(f"{API}/terms/", {UNTERMED}, {"version": settings.TERMS_VERSION}, refused=(200, 403)),
]
DOORS = PAGES + TAXONOMY


@pytest.fixture
def world(db: None) -> World:
    """Of mixed3b 0 (gold) and 1 are accepted, 2 is agreed, 3 read twice, 6 by the owner just now; 7 is in their hands.

    The owner has a sheet of conv1, a comment on 0, of which they are told.
    """
    network = make_network(preprocessing={"size": 8, "resize": 8})
    layer = network.layers.get(name="mixed3b")
    settled, agreed, read = (neuron_at(f"3b:{index}") for index in (0, 2, 3))
    curves, lines = make_family(layer, "Curves", units=[1]), make_family(layer, "Lines")
    label = make_label(neuron_at("3b:1"), make_user(), curves)
    make_family(layer, "Arches", units=[0])
    readers = make_agreed(agreed, curves)
    make_agreed(read, lines, people=2)
    owner, editor = make_user("owner"), make_user(EDITOR, role=EDITOR)
    everybody: dict[str, User | None] = {role: make_user(role, role=role) for role in Role.values if role != EDITOR}
    everybody |= {
        VISITOR: None,
        BLOCKED: make_user("blocked", role=EDITOR, is_active=False),
        OWNER: owner,
        EDITOR: editor,
        DEMOTED: make_user("demoted", role=EDITOR),
        UNTERMED: make_user("untermed", role=REVIEWER, terms_version=""),
    }
    make_user("novice", password="correct horse")
    make_user("other-admin", role=ADMIN)
    picture = make_evidence(read, pictures=["image"], data={"value": 1.0})
    failed = make_evidence(neuron_at("3b:4"), status="failed", reason="It may be dead.")
    version = picture.current
    assert version is not None
    artifact = version.artifacts.get(name="image")
    file = {"sha256": artifact.sha256, "suffix": ".webp"}
    compared = Comparison.objects.create(
        version=version, requested_by=owner, status="done", identical=False, files={"image": file}
    )
    broken = make_job(network, owner, failed=1, status="failed")
    broken.shards.create(order=0, kind=failed.kind, status="failed")
    failed.shard = broken.shards.get()
    failed.save()
    images = make_image_set()
    build_sprite(layer)
    make_pictured([neuron_at("3b:6"), neuron_at("3b:7"), neuron_at("conv1:0"), neuron_at("conv1:1")])
    own_label = make_label(neuron_at("3b:6"), owner, lines)
    lease = leases.lend(owner, neuron_at("3b:7"))
    sheet = sheets.take(owner, network.layers.get(name="conv1"))
    assert sheet is not None
    comment = discussions.add(owner, neuron_at("3b:1"), "As @reviewer says.")
    discussions.add(readers[0], neuron_at("3b:1"), "Bent.", parent=comment)
    gold.mark(editor, settled, "Clear.")
    circuit = {"nodes": [node("mixed3b:1")], "edges": [], "threshold": 0.3}
    note, draft = (make_note(network, owner, published=published, subgraph=circuit) for published in (True, False))
    later = make_note(network, owner, published=True)
    asking = make_note(network, readers[0])
    notes.ask(readers[0], asking, owner)
    notes.ask(owner, note, make_user("asked"))
    plan = make_plan((1, 5))
    claim, draft_claim = (make_claim(on, owner, plan=plan) for on in (note, draft))
    make_run(make_claim(note, owner, "They do not.", plan=plan), "refuted", data=experiment(plan, "refuted"))
    kernels = make_evidence(neuron_at("3b:1"), "weights", data=weights("conv1", "in"), pictures=["kernels"])
    other = make_network("othernet").layers.get(name="mixed3b")
    elsewhere = make_family(other, "Curves")
    notification = Notification.objects.filter(person=owner).latest("pk")
    return World(
        people=everybody,
        network=network,
        layer=layer,
        readers=readers,
        curves=curves.pk,
        lines=lines.pk,
        proposal=make_proposal(layer, owner, "Boundaries").public_id,
        job=make_job(network, owner).public_id,
        failed=broken.public_id,
        evidence=picture.pk,
        version=version.public_id,
        comparison=compared.public_id,
        artifact=artifact.sha256,
        settled_label=label.public_id,
        images=images,
        comment=comment.public_id,
        notification=notification.pk,
        discussion=comment.discussion.public_id,
        mute=notifications.mute_token(notification),
        stop=notifications.stop_token(owner),
        lease=lease.token,
        sheet=sheet.public_id,
        on_sheet=leases_of(sheet)[0].neuron_id,
        feed=notifications.renew_feed_key(owner),
        own_label=own_label.public_id,
        note=note.public_id,
        draft=draft.public_id,
        later=later.public_id,
        asking=asking.public_id,
        claim=claim.public_id,
        draft_claim=draft_claim.public_id,
        kernels=kernels.current.public_id,
        bends=curves.public_id,
        elsewhere=elsewhere.public_id,
        elsewhere_pk=elsewhere.pk,
    )


def node(neuron: str) -> dict[str, Any]:
    return {"id": neuron, "neuron": neuron, "family": "", "x": 0, "y": 0}


class Stranger(Exception):
    """Ends an attempt, so that the next person finds the world as it was."""


def attempt(world: World, door: Door, who: str) -> HttpResponseBase:
    """What this person gets there, over a session on pages and with a token on the API."""
    world.who = who
    client = Client()
    person: User | None = world.people[who]
    if person is not None and door.is_api:
        key = Token.objects.get_or_create(user=person)[0].key
        client.defaults["HTTP_AUTHORIZATION"] = f"Token {key}"
    elif person is not None:
        client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    if who == DEMOTED:
        assert person is not None
        client.get("/review/")
        User.objects.filter(pk=person.pk).update(role=CONTRIBUTOR)
    if door.ready is not None:
        door.ready(world)
    world.before = digest()
    body = door.body(world) if callable(door.body) else door.body
    address = door.address.format(**vars(world))
    if door.method == "GET":
        return client.get(address)
    if door.is_api:
        return client.generic(door.method, address, as_json(body), content_type="application/json")
    return client.post(address, body) if door.method == "POST" else client.generic(door.method, address)


def as_json(body: Any) -> bytes:
    return json.dumps(body, default=str).encode()


def digest() -> dict[str, tuple[int, str]]:
    """Of every table of the record how many rows it has, and a digest of them."""
    tables = [model._meta.db_table for model in apps.get_app_config("taxonomy").get_models(include_auto_created=True)]
    tables += ["authtoken_token", "account_emailaddress"]
    rows = " UNION ALL ".join(
        f"SELECT '{table}', count(*), md5(coalesce(string_agg(row::text, '|' ORDER BY row::text), '')) FROM {table} row"
        for table in tables
        if table != "taxonomy_user"
    )
    # When somebody was last here is no change of the record.
    people = (
        "SELECT 'taxonomy_user', count(*), md5(string_agg((to_jsonb(person) - 'last_login')::text, '|' "
        "ORDER BY id)) FROM taxonomy_user person"
    )
    with connection.cursor() as cursor:
        # Processes that help with so many small tables would take ten times as long to start as the work does.
        cursor.execute("SET LOCAL max_parallel_workers_per_gather = 0")
        cursor.execute(f"{rows} UNION ALL {people}")
        return {name: (count, md5) for name, count, md5 in cursor.fetchall()}


def each(world: World, door: Door) -> Iterator[tuple[str, HttpResponseBase, set[str]]]:
    """Everybody tries, each in the same world; with the answer come the tables that it changed."""
    for who in EVERYBODY:
        try:
            with transaction.atomic():
                answer = attempt(world, door, who)
                after = digest()
                changed = {name for name, found in after.items() if found != world.before.get(name)}
                yield who, answer, changed
                raise Stranger
        except Stranger:
            pass
        except Exception as error:  # what would be a 500
            raise AssertionError(f"{who}: {door} raised {error!r}") from error


def said(answer: Any) -> str:
    """The sentence of a refusal."""
    if answer.headers.get("Content-Type", "").startswith("application/json"):
        told = answer.json()
        return str(told["detail"]) if isinstance(told, dict) and "detail" in told else str(told)
    text = answer.content.decode()
    if "<main" not in text:
        return text
    found = re.search(r"<main.*?</main>", text, re.DOTALL)
    assert found is not None
    return " ".join(re.sub(r"<[^>]+>", " ", found[0]).split())


def groups(doors: Iterable[Door]) -> dict[str, list[Door]]:
    """The doors by what they are about, as one world is enough for all of those."""
    found: dict[str, list[Door]] = {}
    for door in doors:
        parts = [part for part in door.address.removeprefix(API).split("/") if part]
        found.setdefault(f"{'api ' if door.is_api else ''}{parts[0] if parts else 'home'}", []).append(door)
    return found


@pytest.mark.parametrize("doors", groups(DOORS).values(), ids=groups(DOORS))
def test_who_comes_through(world: World, doors: list[Door]) -> None:
    problems = [
        f"{who}: {door} gave {answer.status_code}: {problem}"
        for door in doors
        for who, answer, changed in each(world, door)
        for problem in problems_of(door, who, answer, changed)
    ]
    assert not problems, "\n".join(problems)


def problems_of(door: Door, who: str, answer: Any, changed: set[str]) -> Iterator[str]:
    if answer.status_code >= 500:
        yield "broken"
    elif who in door.may:
        if answer.status_code >= 400:
            yield f"refused: {said(answer)[:300]}"
        if getattr(answer, "url", "").startswith("/accounts/"):
            yield "sent to sign in"
        if door.changes and not changed:
            yield "nothing changed"
        return
    # A page that is shown again beside the refusal notes what it shows.
    if changed - {"taxonomy_reveal"}:
        yield f"{', '.join(sorted(changed))} changed"
    if answer.status_code == 302 and not door.is_api and 302 not in door.refused:
        if who not in (VISITOR, BLOCKED) or not answer["Location"].startswith("/accounts/login/"):
            yield f"sent to {answer['Location']}"
        return
    expected = (401,) if door.is_api and who in (VISITOR, BLOCKED) else door.refused
    if answer.status_code not in expected:
        yield f"{expected} was expected: {said(answer)[:300] if answer.content else ''}"
    elif answer.status_code >= 400 and not re.search(r"[A-Z].*\.", said(answer)):
        yield "no sentence"
    elif door.says.get(who, "") not in said(answer):
        yield f"it does not say “{door.says[who]}”"


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def routes(patterns: list[Any] | None = None, prefix: str = "") -> Iterator[str]:
    """Every route of the site and the API; what comes with the parts for accounts and administration stands apart."""
    for found in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(found.pattern)
        if isinstance(found, URLPattern):
            yield route
        elif isinstance(found, URLResolver) and not route.startswith(("accounts/", "admin/")):
            yield from routes(found.url_patterns, route)


NO_ROUTE = "api/v1/(?P<path>.*)"  # tells that there is nothing at an address of the API


FILLED = {"uuid": uuid.UUID(int=0), "index": 0, "int": 0, "sha256": "0" * 64, "suffix": ".webp"}


def read_routes() -> Iterator[str]:
    """Those that answer a GET, were it with 404: what only takes posts refuses before it looks."""
    person = make_user(role=ADMIN)
    page, answer = browser(person), program(person)
    for route in routes():
        filled = re.sub(r"<(?:(\w+):)?\w+>", lambda found: str(FILLED.get(found[1], "x")), route)
        client = answer if route.startswith("api/") else page
        if route != NO_ROUTE and client.get(f"/{filled}").status_code != 405:
            yield route


def test_every_route_is_in_the_table(world: World) -> None:
    known: dict[str, set[str]] = {}
    for door in DOORS:
        known.setdefault(resolve(door.address.format(**vars(world)).split("?")[0]).route, set()).add(door.method)
    missing = [route for route in routes() if route not in known and route != NO_ROUTE]
    assert not missing, f"Say in tests/test_doors.py who comes through: {', '.join(missing)}"
    missing = [route for route in read_routes() if "GET" not in known[route]]
    assert not missing, f"Say in tests/test_doors.py who may look at: {', '.join(missing)}"


@pytest.mark.slow
def test_what_the_table_does_not_name_is_closed_to_everybody(world: World) -> None:
    """Every other method at every address of the table: even an editor and an admin change nothing with it."""
    named: dict[str, set[str]] = {}
    for door in DOORS:
        named.setdefault(door.address, set()).add(door.method)
    for address, methods in named.items():
        for method in METHODS:
            if method in methods or method == "GET":
                continue
            for who in (EDITOR, ADMIN):
                with transaction.atomic():
                    answer = attempt(world, Door(method, address, NOBODY), who)
                    assert answer.status_code < 500, (method, address)
                    # A page that looks the same whatever the method notes what it shows, as when it is looked at.
                    changed = {name for name, found in digest().items() if found != world.before.get(name)}
                    assert changed <= {"taxonomy_reveal", "taxonomy_lease"}, (method, address, who)
                    transaction.set_rollback(True)


def browser(person: User | None) -> Client:
    client = Client()
    if person is not None:
        client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def program(person: User) -> Client:
    return Client(HTTP_AUTHORIZATION=f"Token {Token.objects.get_or_create(user=person)[0].key}")


def send(client: Client, path: str, **body: Any) -> Any:
    return client.post(f"{API}/{path}", as_json(body), content_type="application/json")


class TestNobodyApprovesTheirOwnWork:
    def test_by_their_own_reading(self, world: World) -> None:
        """One of the three who agree reviews: without their reading two are left, and no door lets it through."""
        neuron = neuron_at("3b:2")
        reviewer = world.readers[0]
        User.objects.filter(pk=reviewer.pk).update(role=REVIEWER)
        reviewer.refresh_from_db()
        before = digest()
        page = browser(reviewer).post(f"{NEURON}/2/accept/")
        single = send(program(reviewer), "reviews/", network="tinynet", neuron="3b:2")
        many = send(program(reviewer), "reviews/many/", network="tinynet", neurons=["3b:2"])
        assert page.status_code == single.status_code == 403
        sentence = "Your own reading decides this one"
        assert sentence in said(page)
        assert sentence in said(single)
        assert many.json()[0]["accepted"] is False
        assert sentence in many.json()[0]["reason"]
        with pytest.raises(Refused, match=sentence):
            reviews.accept(reviewer, neuron)
        after = {name for name, found in digest().items() if found != before.get(name)}
        assert after <= {"authtoken_token", "taxonomy_reveal"}

    def test_a_review_that_rests_on_the_reviewers_own_label_is_refused_by_the_database(self, world: World) -> None:
        neuron, reviewer = neuron_at("3b:2"), world.readers[0]
        tally = Tally.objects.create(
            neuron=neuron,
            standing=Standing.AGREED,
            family_id=world.curves,
            rule_version=1,
            inputs=list(neuron.labels.values_list("pk", flat=True)),
        )
        with pytest.raises(DatabaseError), transaction.atomic():
            Review.objects.create(
                neuron=neuron, reviewer=reviewer, decision="accept", family_id=world.curves, tally=tally
            )

    @pytest.mark.parametrize("decision", ["accept", "reject"])
    def test_by_deciding_their_own_proposal(self, world: World, decision: str) -> None:
        User.objects.filter(username="owner").update(role=EDITOR)
        owner = User.objects.get(username="owner")
        before = digest()
        sentence = "Nobody decides a proposal of their own"
        page = browser(owner).post(f"/proposals/{world.proposal}/", {"decision": decision, "comment": "Good."})
        answer = send(program(owner), f"proposals/{world.proposal}/{decision}/", comment="Good.")
        assert page.status_code == answer.status_code == 403
        assert sentence in said(page)
        assert sentence in said(answer)
        assert {name for name, found in digest().items() if found != before[name]} <= {"authtoken_token"}

    def test_an_acceptance_by_its_author_is_refused_by_the_database(self, world: World) -> None:
        proposal = Proposal.objects.get(public_id=world.proposal)
        for model, values in (
            (Proposal, {"state": "accepted", "decided_by": proposal.author_id, "family": world.curves}),
        ):
            with pytest.raises(DatabaseError), transaction.atomic():
                model.objects.filter(pk=proposal.pk).update(**values)

    def test_by_appointing_or_confirming_themselves(self, world: World) -> None:
        for who in (EDITOR, ADMIN):
            person = world.people[who]
            page = browser(person).post(f"/people/{who}/", {"role": "reviewer", "reason": "I read well."})
            answer = send(program(person), f"people/{who}/appoint/", role="reviewer", reason="I read well.")
            assert (page.status_code, answer.status_code) == (403, 403)
            assert "Nobody changes their own role" in said(answer)
            person.refresh_from_db()
            assert person.role == who

    def test_a_block_of_oneself_is_refused_by_the_database(self, world: World) -> None:
        admin = world.people[ADMIN]
        with pytest.raises(DatabaseError), transaction.atomic():
            Block.objects.create(person=admin, by=admin, reason="?")


class TestNobodyPeeks:
    """What a refusal says tells no more than what may be looked at."""

    STANDINGS = re.compile("agreed|disputed|needs evidence|needs family|Curves|Lines")

    @pytest.mark.parametrize("decision", Decision.values)
    def test_through_the_reason_why_a_decision_is_refused(self, world: World, decision: str) -> None:
        contributor = program(world.people[CONTRIBUTOR])
        for neuron in ("3b:2", "3b:3"):
            more = {"comment": "Why?", "kind": "weights", "cites": [world.version]}
            answer = send(contributor, "reviews/", network="tinynet", neuron=neuron, decision=decision, **more)
            assert answer.status_code in (400, 403), answer.json()
            assert not self.STANDINGS.search(said(answer)), said(answer)

    def test_through_asking_to_be_shown(self, world: World) -> None:
        for who in (CONTRIBUTOR, ADMIN):
            answer = send(program(world.people[who]), "labels/others/", network="tinynet", neuron="3b:2")
            assert answer.status_code == 403
            assert not self.STANDINGS.search(said(answer)), said(answer)
        answer = send(program(world.people[CONTRIBUTOR]), "labels/others/", network="tinynet", neuron="3b:0")
        assert answer.status_code == 403, "this one is gold, and its answer hidden from contributors"

    def test_through_what_the_queue_hands_out(self, world: World) -> None:
        """A gold neuron in one's hands looks like any other."""
        person = world.people[CONTRIBUTOR]
        lease = leases.lend(person, neuron_at("3b:0"), gold=True)
        taken = send(program(person), "queue/", network="tinynet").json()["leases"]
        assert {"token", "network", "neuron", "expires_at"} == set(taken[0])
        assert str(lease.token) in {one["token"] for one in taken}
        for decision in ("reopen", "undo"):
            answer = send(program(person), "reviews/", network="tinynet", neuron="3b:0", decision=decision, comment="?")
            assert "accepted" not in said(answer), said(answer)


FORGED = (str(uuid.UUID(int=0)), "x", -1, 0, 2**31, 2**63, 10**40, None, [], {}, "\0", "3b:99999999999", "é" * 300)


def test_forged_ids_in_what_is_sent_are_sentences(world: World) -> None:
    """In place of each value of each body something that is none, or somebody else's: told, and nothing changes."""
    person = world.people[EDITOR]
    for door in DOORS:
        if door.method == "GET" or "token/" in door.address or "erase" in door.address:
            continue
        if door.ready is not None:
            continue
        world.who = EDITOR
        body = dict(door.body(world) if callable(door.body) else door.body)
        for name in body.keys() & {
            "neuron",
            "network",
            "layer",
            "family",
            "reading",
            "token",
            "label",
            "neurons",
            "submission",
            "read",
            "subject",
            "person",
            "cites",
            "parent",
            "image_set",
            "kinds",
        }:
            for forged in FORGED:
                case = (door.address, name, forged)
                client = program(person) if door.is_api else browser(person)
                sent = {**body, name: forged}
                address = door.address.format(**vars(world))
                with transaction.atomic():
                    if door.is_api:
                        answer = client.generic(door.method, address, as_json(sent), content_type="application/json")
                    else:
                        answer = client.post(
                            address, {key: "" if value is None else value for key, value in sent.items()}
                        )
                    assert answer.status_code < 500, case
                    if answer.status_code >= 400:
                        assert re.search(r"[A-Z].*\.", said(answer)), f"{case} without a sentence"
                    transaction.set_rollback(True)


NOWHERE = (uuid.UUID(int=0), uuid.uuid4(), "x", "-1", "0", "9" * 30, "%00", "é", "..", "a" * 300)


@pytest.mark.slow
def test_forged_addresses_are_sentences(world: World) -> None:
    """In place of each id of each address something that is none, and an id of something else."""
    client = Client()
    client.force_login(world.people[EDITOR], backend="allauth.account.auth_backends.AuthenticationBackend")
    before = digest()
    for door in DOORS:
        for name in re.findall(r"{(\w+)}", door.address):
            others = (world.version, world.proposal, world.job, world.curves, 2**31, 2**63)
            for forged in (*NOWHERE, *(one for one in others if one != getattr(world, name))):
                address = door.address.format(**{**vars(world), name: forged})
                answer: Any = client.generic(door.method, address, b"{}", content_type="application/json")
                if answer.status_code in (301, 302):
                    answer = client.get(answer.url)
                # What is not in one's hands is given back as often as one likes.
                assert answer.status_code in (204, 400, 403, 404, 405, 415, 422), (address, answer.status_code)
                if answer.status_code == 404:
                    assert re.search(r"[A-Z].*\.", said(answer)), address
    assert digest() == before


# What a text, a number, a choice or an id may be in a request that somebody made by hand.
MEAN = (
    *("", " ", "\0", "a\0b", "\u202egnp.txt", "\U0001f600" * 50, "<script>alert(1)</script>", "'; DROP TABLE x; --"),
    *("x" * 10_000, "-1", "1e309", "NaN", "Infinity", "true", "null", "[]", "{}", "%s%n", "../../etc/passwd", "\ufeff"),
    *(None, True, -1, 0, 1.5, 2**31, 2**63, 10**400, [], [None], [[]], ["x"] * 1000, {}, {"a": {"b": [1]}}),
)
HALF = "\ud800"  # half a character, which JSON can say and no database keep
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)
WRITES = [door for door in DOORS if door.method != "GET" and "token/" not in door.address]


def withstood(world: World, door: Door, content: bytes | None = None, **body: Any) -> None:
    """Whatever is sent to the door is answered, and with a sentence where it is refused; then all is as it was."""
    person = world.people[EDITOR if EDITOR in door.may or not door.may else ADMIN if ADMIN in door.may else OWNER]
    assert person is not None
    case = f"{door} of {str(body)[:200] if content is None else content[:80]!r}"
    address = door.address.format(**vars(world))
    with transaction.atomic():
        if content is not None or door.is_api:
            client = program(person) if door.is_api else browser(person)
            kind = "application/json" if door.is_api else "application/x-www-form-urlencoded"
            answer: Any = client.generic(door.method, address, as_json(body) if content is None else content, kind)
        else:
            answer = browser(person).post(address, body)
        assert answer.status_code < 500, f"{case} gave {answer.status_code}"
        if answer.status_code >= 400:
            assert re.search(r"[A-Z“].*\.", said(answer)), f"{case} gave {answer.status_code} without a sentence"
        transaction.set_rollback(True)


@pytest.mark.slow
@pytest.mark.parametrize("doors", groups(WRITES).values(), ids=groups(WRITES))
def test_mean_values_are_answered_with_a_sentence(world: World, doors: list[Door]) -> None:
    """Each part of what is sent gets every third of them, and so any three parts all of them."""
    world.who = EDITOR
    for door in doors:
        with transaction.atomic():
            if door.ready is not None:
                door.ready(world)
            body = dict(door.body(world) if callable(door.body) else door.body)
            means = (*MEAN, HALF) if door.is_api else [one for one in MEAN if not isinstance(one, (dict, type(None)))]
            for place, name in enumerate(dict.fromkeys((*body, "comment", "text", "network"))):
                for mean in means[place % 3 :: 3]:
                    withstood(world, door, **{**body, name: mean})
            transaction.set_rollback(True)


@pytest.mark.slow
def test_what_is_no_body_is_answered_with_a_sentence(world: World) -> None:
    for content in (b"", b"{", b"[]", b'"x"', b"null", b"\xff\xfe", b"a=%ff%00", b"x" * 1_000_000):
        for door in WRITES:
            withstood(world, door, content)


@pytest.mark.slow
@hypothesis.given(number=st.integers(0, len(WRITES) - 1), body=st.dictionaries(st.text(max_size=8), JUNK, max_size=4))
@hypothesis.settings(max_examples=400)
def test_anything_at_all_is_answered_with_a_sentence(world: World, number: int, body: dict[str, Any]) -> None:
    door = WRITES[number]
    world.who = EDITOR
    known = dict(door.body(world) if callable(door.body) and door.ready is None else {})
    names = [*known, *body]
    sent = known | dict(zip(names, body.values(), strict=False))
    withstood(world, door, as_json(sent) if door.is_api else None, **({} if door.is_api else flat(sent)))


def flat(body: Mapping[str, Any]) -> dict[str, Any]:
    """As a form sends it."""
    return {
        name: value if isinstance(value, (str, int)) else json.dumps(value, default=str) for name, value in body.items()
    }
