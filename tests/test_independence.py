"""Nobody learns how others read a neuron before it is settled and before they gave their own reading.

A table of every page, fragment, feed, search, mail and API answer that could tell. The words that must not be told
stand nowhere else: in notes, suggested names, comments, objections, demands and decisions. The addresses are held to
the routes of the site: a new one that no row here names fails ``test_every_place_is_looked_at``.
"""

import datetime
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.db.models import F
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import resolve
from rest_framework.authtoken.models import Token

from taxonomy.actions import discussions, gold, labels, leases, moderation, notifications, reviews
from taxonomy.actions.sprites import build_sprite
from taxonomy.models import (
    UNDO,
    Comment,
    Discussion,
    Event,
    Family,
    Label,
    Membership,
    Network,
    Neuron,
    Notification,
    Proposal,
    Reveal,
    Role,
    Standing,
    User,
    Why,
)
from taxonomy.permissions import hidden_from
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
    make_older,
    make_pictured,
    make_plan,
    make_proposal,
    make_run,
    make_user,
    neuron_at,
)
from tests.pages.material import weights
from tests.test_doors import read_routes

pytestmark = pytest.mark.django_db

World = SimpleNamespace

# What is said of neurons that are not settled: of an agreed one, one that needs evidence, one that needs a family.
NOTE, COMMENT, OBJECTION, DEMAND, MISSED, SUGGESTED = "quagga", "numbat", "tapir", "dugong", "wombat", "okapi"
CLAIM, CLAIM_COMMENT = "saola", "caracal"
UNSETTLED = (NOTE, COMMENT, OBJECTION, DEMAND, MISSED, SUGGESTED, CLAIM, CLAIM_COMMENT)
# What is said of a gold neuron, and of a settled one that somebody holds in the queue.
GOLD = GOLD_NOTE, GOLD_REVIEW, GOLD_COMMENT, GOLD_REASON, GOLD_CLAIM, GOLD_CLAIM_COMMENT = (
    "axolotl",
    "pangolin",
    "aardvark",
    "narwhal",
    "gaur",
    "serval",
)
HELD = HELD_NOTE, HELD_REVIEW, HELD_COMMENT, HELD_CLAIM, HELD_CLAIM_COMMENT = (
    "kakapo",
    "bilby",
    "fossa",
    "kouprey",
    "ocelot",
)
# What a draft says, on which a claim was run: for its authors alone.
DRAFT = DRAFT_TITLE, DRAFT_BODY, DRAFT_CLAIM, DRAFT_CLAIM_COMMENT = "thylacine", "bandicoot", "quoll", "margay"
# What an admin hid, and what is said there: for its authors and for admins.
HIDDEN = (
    HIDDEN_TITLE,
    HIDDEN_ABSTRACT,
    HIDDEN_BODY,
    HIDDEN_NOTED,
    HIDDEN_CLAIM,
    HIDDEN_COMMENT,
    HIDDEN_CLAIM_COMMENT,
) = (
    "dibatag",
    "kowari",
    "mulgara",
    "potoroo",
    "bilbies",
    "sengi",
    "zorilla",
)


def read_by_three(neuron: Neuron, family: Family, note: str = "") -> list[User]:
    people = [*make_agreed(neuron, family, people=2), make_user()]
    make_label(neuron, people[-1], family, note=note)
    for label in neuron.labels.all():
        make_older(label)
    return people


@pytest.fixture
def world(db: None) -> World:
    """In mixed3b 0 is gold, 1 settled and held, 2 agreed and objected to, 3 and 4 need evidence, 5 needs a family."""
    network = make_network(layers={"conv1": 4, "mixed3b": 12}, preprocessing={"size": 8, "resize": 8})
    layer = network.layers.get(name="mixed3b")
    neurons = [neuron_at(f"3b:{index}") for index in range(12)]
    make_pictured(neurons[6:])
    curves, lines, arches, rings = (make_family(layer, name) for name in ("Curves", "Lines", "Arches", "Rings"))
    judge, editor = make_user("judge", role=Role.REVIEWER), make_user("edith", role=Role.EDITOR)
    watcher = make_user("watcher")
    for neuron, family, note, comment, review in (
        (neurons[0], arches, GOLD_NOTE, GOLD_COMMENT, GOLD_REVIEW),
        (neurons[1], rings, HELD_NOTE, HELD_COMMENT, HELD_REVIEW),
    ):
        people = read_by_three(neuron, family, note)
        discussions.add(people[0], neuron, f"{comment} @watcher")
        reviews.accept(judge, neuron, comment=review)
    gold.mark(editor, neurons[0], GOLD_REASON)
    people = read_by_three(neurons[2], curves, NOTE)
    discussions.add(people[0], neurons[2], f"{COMMENT} @watcher")
    reviews.object_to(judge, neurons[2], comment=OBJECTION)
    readers = read_by_three(neurons[3], curves)
    reviews.need_evidence(judge, neurons[3], kind="feature_visualization", comment=DEMAND)
    for _ in range(2):
        reading = {"verdict": "cannot tell", "missing_evidence": "weights", "note": MISSED}
        make_older(make_label(neurons[4], make_user(), **reading))
    for _ in range(3):
        make_older(make_label(neurons[5], make_user(), verdict="none of these", suggested_name=SUGGESTED))
    version = make_evidence(neurons[2], data={"value": 1.0}).current
    assert version is not None
    make_evidence(neurons[2], "weights", data=weights("conv1", "in"), parameters={"direction": "in", "layer": "conv1"})
    build_sprite(layer)
    author = make_user("author")
    draft = make_note(network, author, title=f"The {DRAFT_TITLE}", body=f"A {DRAFT_BODY}, as [[3b:9]] shows.")
    published = make_note(network, author, published=True, title="Edges", body="See [[3b:9]].")
    plan = make_plan((8, 9))
    claims_ = {
        "claim": make_claim(neurons[2], people[0], f"A {CLAIM} it is.", plan=make_plan((2, 8, 9))),
        "gold_claim": make_claim(neurons[0], judge, f"A {GOLD_CLAIM} it is.", plan=make_plan((0, 8, 9))),
        "held_claim": make_claim(neurons[1], judge, f"A {HELD_CLAIM} it is.", plan=make_plan((1, 8, 9))),
        "draft_claim": make_claim(draft, author, f"A {DRAFT_CLAIM} it is.", plan=plan),
        "noted_claim": make_claim(published, author, "An edge it is.", plan=plan),
    }
    for name, person, said in (
        ("claim", people[0], CLAIM_COMMENT),
        ("gold_claim", judge, GOLD_CLAIM_COMMENT),
        ("held_claim", judge, HELD_CLAIM_COMMENT),
        ("draft_claim", author, DRAFT_CLAIM_COMMENT),
    ):
        discussions.add(person, claims_[name], f"{said} @watcher")
    hidden = hidden_in(network, make_family(layer, "Hooks", units=[11]), watcher)
    claims_ |= {"hidden_noted": hidden.noted, "hidden_claim": hidden.claim}
    labels.reveal(judge, neurons[2])  # or they could not have the claim on it tested
    runs = {
        f"{name}_version": make_run(one, "supported", by=judge if name == "claim" else None).evidence.current
        for name, one in claims_.items()
    }
    for one in (hidden.note, hidden.claim):
        moderation.hide(hidden.admin, one, "Advertising.")
    return World(
        network=network,
        layer=layer,
        neurons=neurons,
        families=[curves, lines, arches, rings],
        readers=people + readers,
        judge=judge,
        editor=editor,
        watcher=watcher,
        version=version.public_id,
        evidence=version.evidence.pk,
        proposal=make_proposal(layer, people[0], "Boundaries").public_id,
        job=make_job(network, people[0]).public_id,
        label=Label.objects.get(note=NOTE).public_id,
        gold_label=Label.objects.get(note=GOLD_NOTE).public_id,
        images=make_image_set(),
        draft=draft.public_id,
        note=published.public_id,
        hidden=hidden.note.public_id,
        answer=hidden.answer.public_id,
        **{name: one.public_id for name, one in claims_.items()},
        **{name: one.public_id for name, one in runs.items() if one is not None},
        mute=notifications.mute_token(Notification.objects.filter(person=watcher).latest("pk")),
        **{
            name: Comment.objects.get(text__startswith=word).public_id
            for name, word in (("comment", COMMENT), ("gold_comment", GOLD_COMMENT), ("held_comment", HELD_COMMENT))
        },
    )


def hidden_in(network: Network, family: Family, watcher: User) -> SimpleNamespace:
    """A published note with a claim, and a claim on a family, before they are hidden; with all that tells of them."""
    spammer = make_user("spammer")
    said = {"title": f"A {HIDDEN_TITLE}", "abstract": f"A {HIDDEN_ABSTRACT}.", "body": f"A {HIDDEN_BODY}: [[3b:9]]."}
    note = make_note(network, spammer, published=True, **said)
    noted = make_claim(note, spammer, f"A {HIDDEN_NOTED} it is.", plan=make_plan((8, 9)))
    claim = make_claim(family, spammer, f"A {HIDDEN_CLAIM} it is.")
    for subject, comment in ((note, HIDDEN_COMMENT), (claim, HIDDEN_CLAIM_COMMENT)):
        notifications.subscribe(watcher, Discussion.objects.of(subject))
        discussions.add(spammer, subject, f"{comment} @watcher")
    cited = f"See [[claim:{claim.public_id}]], [[claim:{noted.public_id}]] and [that](/notes/{note.public_id}/)."
    answer = make_note(network, make_user(), published=True, about=note, title="An answer", body=cited)
    return SimpleNamespace(admin=make_user("adam", role=Role.ADMIN), note=note, noted=noted, claim=claim, answer=answer)


def unread_newcomer(world: World) -> User:
    return make_user("newcomer")


def has_read(world: World, ago: datetime.timedelta) -> User:
    user = make_user("newcomer")
    for neuron in world.neurons[2:6]:
        make_older(make_label(neuron, user, world.families[1]), ago)
    return user


def within_the_minute(world: World) -> User:
    """Has read all of them just now, and could still take it back: however long it takes to look everywhere."""
    return has_read(world, -datetime.timedelta(hours=1))


def has_given(world: World) -> User:
    return has_read(world, UNDO)


def holder(role: str) -> Callable[[World], User]:
    def hold(world: World) -> User:
        """Holds the settled neuron, as when others settled it while it was in their hands."""
        user = make_user("holder", role=role)
        leases.lend(user, world.neurons[1])
        return user

    return hold


def in_role(role: str) -> Callable[[World], User]:
    return lambda world: make_user("newcomer", role=role)


READERS: dict[str, Callable[[World], User | None]] = {
    "visitor": lambda world: None,
    "contributor": unread_newcomer,
    "contributor within the minute": within_the_minute,
    "mentioned": lambda world: world.watcher,
    "reviewer who has not looked": in_role(Role.REVIEWER),
    "editor who has not looked": in_role(Role.EDITOR),
    "admin": in_role(Role.ADMIN),
}

NEURONS = "/networks/tinynet/mixed3b"
API = "/api/v1"
PAGES_OF_SUBJECTS = ("discussion/", "feed.atom", "discussion/feed.atom")


def every(*forms: str) -> list[str]:
    """The address for each neuron of which there is something to tell."""
    return [form.replace("#", str(index)) for form in forms for index in range(6)]


PAGES_OF_NOTES = (
    *("", "latest/", "versions/", "versions/1/", "versions/1/diff/", "authors/", "edit/", "circuit/", "circuit.svg"),
    *("cite.bib", "cite.txt", "feed.atom", "discussion/", "discussion/feed.atom", "artificial.py"),
)
CLAIMS = ("claim", "gold_claim", "held_claim", "draft_claim", "noted_claim", "hidden_claim", "hidden_noted")
NOTES = ("note", "draft", "hidden", "answer")


PLACES = [
    *("/", "/networks/", "/networks/tinynet/", f"{NEURONS}/", f"{NEURONS}/?sort=name", "/activity/"),
    *("/activity/?network=tinynet", "/go/", "/go/?q=3b:2", "/go/?q=numba", "/people/", "/proposals/", "/jobs/"),
    *("/proposals/{proposal}/", "/jobs/{job}/", "/healthz", f"{NEURONS}/propose/", "/me/", "/label/"),
    *every(f"{NEURONS}/#/", f"{NEURONS}/#/neighbours/", f"{NEURONS}/#/label/", f"{NEURONS}/#/face.png"),
    *("/evidence/{version}/", "/evidence/{version}/quilt/", "/evidence/{version}/embed"),
    *(f"/evidence/{{{name}_version}}/{page}" for name in CLAIMS for page in ("", "embed")),
    *(f"{NEURONS}/families/{{{name}}}/" for name in ("curves", "lines", "arches", "rings")),
    *(f"/people/{{{name}}}/" for name in ("reader", "judge", "editor", "newcomer")),
    *(f"{API}/", f"{API}/networks/", f"{API}/networks/tinynet/", f"{API}/layers/", f"{API}/layers/tinynet/mixed3b/"),
    *(f"{API}/neurons/", f"{API}/neurons/?settled=true", f"{API}/neurons/?settled=false", f"{API}/proposals/"),
    *(f"{API}/families/", f"{API}/families/{{curves}}/", f"{API}/families/{{arches}}/", f"{API}/families/{{rings}}/"),
    *(f"{API}/evidence/", f"{API}/evidence/{{evidence}}/", f"{API}/evidence/?family={{curves}}", f"{API}/jobs/"),
    *(f"{API}/jobs/{{job}}/", f"{API}/proposals/{{proposal}}/", f"{API}/image-sets/", f"{API}/image-sets/pictures/"),
    *(f"{API}/docs/", f"{API}/schema/", f"{API}/reviews/", f"{API}/reviews/?index=2"),
    *every(f"{API}/neurons/tinynet/mixed3b:#/", f"{NEURONS}/#/discussion/", f"{NEURONS}/#/feed.atom"),
    *every(f"{NEURONS}/#/discussion/feed.atom", "/discussions/?layer=mixed3b&network=tinynet"),
    *(
        "/discussions/",
        "/discussions/?state=open",
        f"{API}/discussions/",
        f"{API}/comments/",
        f"{API}/comments/?index=2",
    ),
    *(f"{prefix}/comments/{{{name}}}/" for prefix in ("", API) for name in ("comment", "gold_comment", "held_comment")),
    *(f"{prefix}/comments/{{comment}}/wordings/" for prefix in ("", API)),
    *("/comments/{comment}/edit/", "/moderation/?show=all", "/notifications/", "/notifications/following/"),
    *("/notifications/mute/{mute}/", "/notifications/stop/{stop}/", "/notifications/{feed}/feed.atom"),
    *("/activity/feed.atom", "/networks/tinynet/feed.atom", f"{NEURONS}/feed.atom", "/networks/tinynet/agreement/"),
    *(f"{NEURONS}/families/{{{name}}}/{page}" for name in ("curves", "arches", "rings") for page in PAGES_OF_SUBJECTS),
    *(f"/proposals/{{proposal}}/{page}" for page in PAGES_OF_SUBJECTS),
    *("/label/card/", "/gold/", "/people/candidates/", "/me/data/", "/me/erase/", "/terms/"),
    *(f"{API}/{path}/" for path in ("people", "people/{reader}", "people/candidates", "me", "me/data", "me/progress")),
    *(f"{API}/{path}/" for path in ("terms", "gold", "gold/record", "notifications", "notifications/digest")),
    f"{API}/subscriptions/",
    *("/networks/tinynet/thread/", "/networks/tinynet/thread/feed.atom", "/networks/tinynet/notes/new/"),
    *(f"/notes/{{{name}}}/{page}" for name in NOTES for page in PAGES_OF_NOTES),
    *(f"{API}/notes/{{{name}}}/{page}" for name in NOTES for page in ("", "versions/", "versions/1/", "cite/")),
    *(f"{API}/notes/", f"{API}/claims/", "/networks/tinynet/claims/", "/claims/new/?note={note}"),
    *("/moderation/notes/?show=all", "/moderation/claims/?show=all", "/claims/new/?note={hidden}"),
    "/networks/tinynet/notes/new/?about={hidden}",
    *(f"{prefix}/claims/{{{name}}}/" for prefix in ("", API) for name in CLAIMS),
    *(f"/claims/{{{name}}}/{page}" for name in CLAIMS for page in PAGES_OF_SUBJECTS),
    *(
        f"/complete/?network=tinynet&q={typed}"
        for typed in ("3b:", "claim:it", "claim:saol", "claim:quol", "claim:poto", "claim:bilb", "family:cur")
    ),
    *("/networks/tinynet/weights/", "/networks/tinynet/weights/walk/?neuron=3b:2", "/evidence/{version}/kernel/"),
    *every("/compare/?with=tinynet/3b:#&with=tinynet/3b:9", "/claims/new/?neuron={neuron_#}"),
    *("/compare/?with=tinynet/mixed3b/Curves&with=tinynet/mixed3b/Arches", "/universality/", f"{API}/universality/"),
    *every(f"{NEURONS}/#/?at={{today}}", f"{API}/neurons/tinynet/mixed3b:#/history/"),
    *(f"{API}/families/{{{name}}}/history/" for name in ("curves", "arches", "rings")),
    *(f"{API}/compare/?with=tinynet/3b:{one}&with=tinynet/3b:{one + 1}&with=tinynet/3b:{one + 2}" for one in (0, 3)),
    f"{API}/compare/?with=tinynet/mixed3b/Curves&with=tinynet/mixed3b/Arches",
    *(f"{API}/neurons/tinynet/mixed3b:2/circuit/", f"{API}/agreement/"),
    *(f"{NEURONS}/families/{{{name}}}/?at={{today}}" for name in ("curves", "arches", "rings")),
]
# Where a reviewer comes to look, and is shown: that it was shown is recorded.
ASKED = [
    *("/review/", f"{API}/labels/", f"{API}/labels/?index=2", f"{API}/labels/{{label}}/"),
    *every(f"{NEURONS}/#/?readings", f"{NEURONS}/#/accept/", f"{NEURONS}/#/decide/"),
    *(f"/review/?tab={tab}" for tab in ("disputed", "stale", "evidence", "family", "proposals")),
    *("/review/sheet/?family={curves}", "/review/sheet/?family={lines}"),
]
# What tells of no neuron's readings by what it is; each with the reason.
ELSEWHERE: dict[str, str] = {
    "comparisons/<uuid:public_id>/": "a recipe run twice",
    "comparisons/<uuid:public_id>/<name:name>": "a picture",
    "artifacts/<sha256:sha256><suffix:suffix>": "a picture or the numbers of a piece of evidence",
    "api/v1/comparisons/<uuid:public_id>/": "a recipe run twice",
    "sheets/<uuid:public_id>/": "pictures of neurons to be read, from the queue",
    "sheets/<uuid:public_id>/look/<index:pk>/": "pictures of a neuron to be read, from the queue",
}


IDS = (
    *("proposal", "job", "version", "evidence", "label", "comment", "gold_comment", "held_comment", "mute"),
    *(*NOTES, *CLAIMS, *(f"{name}_version" for name in CLAIMS)),
)


def names(world: World) -> dict[str, Any]:
    curves, lines, arches, rings = (family.pk for family in world.families)
    people = {"reader": world.readers[0].username, "judge": "judge", "editor": "edith", "newcomer": world.me}
    ids = {name: getattr(world, name) for name in IDS}
    person = User.objects.filter(username=world.me).get()
    keys = {"feed": person.feed_key or notifications.renew_feed_key(person), "stop": notifications.stop_token(person)}
    ids |= keys | {"today": datetime.datetime.now(datetime.UTC).date().isoformat()}
    neurons = {f"neuron_{neuron.index}": neuron.public_id for neuron in world.neurons}
    return {"curves": curves, "lines": lines, "arches": arches, "rings": rings} | people | ids | neurons


def signed_in(user: User | None) -> tuple[Client, Client]:
    """The person's browser, and their program."""
    browser, program = Client(), Client()
    if user is not None:
        browser.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
        program.defaults["HTTP_AUTHORIZATION"] = f"Token {Token.objects.get_or_create(user=user)[0].key}"
    return browser, program


def text_of(answer: HttpResponseBase) -> str:
    if answer.streaming:
        return ""
    return answer.content.decode(errors="replace")


def told(world: World, user: User | None, places: list[str]) -> dict[str, str]:
    """What this person is told at each place, as a page and as a fragment of one."""
    world.me = user.username if user else "watcher"
    browser, program = signed_in(user)
    found = {}
    for place in places:
        address = place.format(**names(world))
        client = program if address.startswith(API) else browser
        answer = client.get(address)
        text = text_of(answer)
        if client is browser:
            text += text_of(client.get(address, HTTP_HX_REQUEST="true"))
        found[address] = text
    return found


def leaks(found: dict[str, str], words: tuple[str, ...]) -> list[str]:
    return [f"{address} tells “{word}”" for address, text in found.items() for word in words if word in text]


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_nobody_is_told_what_is_kept_from_them(world: World, reader: str) -> None:
    """One look at every place for each of them: it is most of what this file costs."""
    user = READERS[reader](world)
    found = told(world, user, PLACES)
    looked = {} if user is not None and user.reviews else told(world, user, ASKED)
    nobody_knows_where_it_stands(found, looked)
    progress = re.search(r'id="readings".*?</section>', found[f"{NEURONS}/2/"], re.DOTALL)
    assert progress is not None
    assert re.search(r"\d of 3 readings|\d readings, of 3 asked for", progress[0])
    assert not Reveal.objects.filter(person=user, neuron__in=world.neurons[2:6]).exists()
    if user is not None and not user.reviews and user.role != Role.ADMIN:
        no_gold(world, user, found, looked)
    looked = looked or told(world, user, ASKED)
    hidden = () if reader == "admin" else HIDDEN
    assert not leaks(found | looked, (*DRAFT, *hidden))


def nobody_knows_where_it_stands(found: dict[str, str], looked: dict[str, str]) -> None:
    """Neither what is said of the unsettled ones; of the six none is agreed, disputed, needing anything."""
    assert not leaks(found | looked, UNSETTLED)
    for index in (2, 3, 4, 5):
        answer = found[f"{API}/neurons/tinynet/mixed3b:{index}/"]
        assert '"standing":null' in answer, (index, answer)
    for address, text in (found | looked).items():
        for standing in ("agreed", "disputed", "needs-evidence", "needs-family"):
            assert f"s-{standing}" not in text, f"{address} draws a neuron as {standing}"


def no_gold(world: World, user: User, found: dict[str, str], looked: dict[str, str]) -> None:
    """A gold neuron's answer is hidden from who has not read it."""
    assert not leaks(found | looked, GOLD)
    no_member(world, found, 0, world.families[2])
    assert not Reveal.objects.filter(person=user, neuron=world.neurons[0]).exists()


@pytest.mark.slow
def test_who_gave_a_reading_is_told(world: World) -> None:
    found = told(world, has_given(world), PLACES + ASKED)
    for word in UNSETTLED:
        assert leaks(found, (word,)), f"nobody is ever told “{word}”: the table above proves nothing of it"
    assert not leaks(found, (*DRAFT, *HIDDEN))


@pytest.mark.slow
@pytest.mark.parametrize(("author", "texts"), [("author", DRAFT), ("spammer", HIDDEN), ("adam", HIDDEN)])
def test_who_wrote_it_and_admins_read_what_is_kept_back(world: World, author: str, texts: tuple[str, ...]) -> None:
    found = told(world, User.objects.get(username=author), PLACES)
    for word in texts:
        assert leaks(found, (word,)), f"nobody is ever told “{word}”: the table above proves nothing of it"
    for listed in ("/networks/tinynet/thread/", "/networks/tinynet/claims/", "/activity/", f"{API}/notes/"):
        assert not leaks({listed: found[listed]}, HIDDEN)


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.EDITOR])
def test_a_reviewer_who_asks_is_told_and_it_is_recorded(world: World, role: str) -> None:
    user = make_user("newcomer", role=role)
    assert leaks(told(world, user, [f"{NEURONS}/2/?readings"]), (NOTE,))
    assert not leaks(told(world, user, [f"{NEURONS}/3/"]), UNSETTLED)
    looked = Reveal.objects.filter(person=user, neuron__in=world.neurons[2:6])
    assert list(looked.values_list("neuron", flat=True)) == [world.neurons[2].pk]


@pytest.mark.slow
@pytest.mark.parametrize("role", [Role.CONTRIBUTOR, Role.REVIEWER, Role.EDITOR])
def test_the_answer_of_a_settled_neuron_in_ones_hands_is_hidden(world: World, role: str) -> None:
    user = holder(role)(world)
    found = told(world, user, PLACES + ASKED)
    assert not leaks(found, HELD)
    no_member(world, found, 1, world.families[3])
    assert not Reveal.objects.filter(person=user, neuron=world.neurons[1]).exists()


def no_member(world: World, found: dict[str, str], index: int, family: Family) -> None:
    """Nothing says that the neuron is in the family, nor that the family has a member more than it shows."""
    home = family.get_absolute_url()
    assert f"mixed3b/{index}/" not in main(found[home]), "the family's page names it"
    then = main(next(text for address, text in found.items() if address.startswith(f"{home}?at=")))
    assert f"mixed3b/{index}/" not in then, "the family's page as it was names it"
    assert "being read anew" not in then, "the family as it was has more members than are named"
    assert '"members":[]' in found[f"{API}/families/{family.pk}/"]
    assert '"neurons":0' in found[f"{API}/families/{family.pk}/"]
    answer = found[f"{API}/neurons/tinynet/mixed3b:{index}/"]
    assert '"standing":null' in answer
    assert '"families":[]' in answer
    assert f'"index":{index},' not in found[f"{API}/neurons/?settled=true"]
    assert f'"index":{index},' in found[f"{API}/neurons/?settled=false"]
    own = main(found[f"{NEURONS}/{index}/"])
    lead = own.split('id="label"')[0]
    assert family.name not in lead, "its own page names its family"
    cards = re.findall(r"<article.*?</article>", main(found[f"{NEURONS}/"]), re.DOTALL)
    assert any(f"families/{family.pk}/" in card for card in cards)
    for card in cards:
        assert f"mixed3b/{index}/" not in card, "the layer's page has it on a family's card"
    person = User.objects.get(username=world.me)
    settled = Neuron.objects.settled(hidden_from(person)).count()
    assert settled < Neuron.objects.settled().count()
    for address in (f"{API}/networks/tinynet/", f"{API}/layers/tinynet/mixed3b/"):
        assert f'"settled":{settled}' in found[address], address
    for address in ("/", "/networks/tinynet/", f"{NEURONS}/"):
        maps = " ".join(re.findall(r"<title>[^<]*</title>", main(found[address])))
        counts = [int(count) for count in re.findall(r"(\d+) accepted into a family", maps)]
        assert not counts or max(counts) == settled, f"{address} counts {counts}"
        assert counts or not settled, f"{address} counts none"


def main(text: str) -> str:
    found = re.search(r"<main.*?</main>", text, re.DOTALL)
    assert found is not None
    return found[0]


@pytest.mark.parametrize("reader", ["contributor", "contributor within the minute", "mentioned"])
def test_no_mail_tells_it(world: World, reader: str, mailoutbox: list[Any]) -> None:
    """The digest of somebody who is told of all that was said, before they gave a reading."""
    user = READERS[reader](world)
    assert user is not None
    for event in Event.objects.filter(comment__isnull=False):
        notifications.tell(event, {user.pk: Why.SUBSCRIBED})
    said = discussions.add(world.judge, Proposal.objects.get(public_id=world.proposal), f"Harmless, @{user.username}.")
    assert Notification.objects.filter(person=user, event__comment=said).exists()
    Notification.objects.update(at=F("at") - datetime.timedelta(days=8))
    while notifications.digest():  # a batch at a time
        pass
    mails = {str(number): str(mail.message()) for number, mail in enumerate(mailoutbox) if user.email in mail.to}
    assert leaks(mails, ("Boundaries",)), "nobody is ever mailed: this proves nothing"
    assert not leaks(mails, (*UNSETTLED, *GOLD))
    for index in (0, 2):
        assert not leaks(mails, (f"mixed3b/{index}/",))


def test_everybody_else_is_told_of_settled_neurons(world: World) -> None:
    for user in (None, make_user(role=Role.REVIEWER)):
        found = told(world, user, [f"{NEURONS}/0/", f"{NEURONS}/1/", f"{NEURONS}/", f"{API}/labels/"])
        for word in (GOLD_NOTE, HELD_NOTE):
            assert leaks(found, (word,)), (user, word)


@pytest.mark.slow
def test_after_reading_a_gold_neuron_one_is_told(world: World) -> None:
    user = make_user("newcomer")
    leases.lend(user, world.neurons[0], gold=True)
    label = make_label(world.neurons[0], user, world.families[2])
    assert label.gold
    assert label.blind
    assert leaks(told(world, user, PLACES), GOLD)


def test_who_saw_an_answer_before_it_became_gold_reads_it_no_longer_blind(world: World) -> None:
    """Each place that names a settled neuron's family notes that this person was told."""
    neuron = neuron_at("3b:10")
    Membership.objects.create(neuron=neuron, family=world.families[1], made_by=world.editor)
    Neuron.objects.filter(pk=neuron.pk).update(standing=Standing.ACCEPTED)
    places = [
        f"{NEURONS}/10/",
        f"{NEURONS}/9/",
        f"{NEURONS}/",
        world.families[1].get_absolute_url(),
        f"{API}/families/{world.families[1].pk}/",
        f"{API}/neurons/",
    ]
    for number, place in enumerate(places):
        user = make_user(f"early{number}")
        told(world, user, [place])
        assert Reveal.objects.filter(person=user, neuron=neuron).exists(), f"{place} does not note whom it told"


@pytest.mark.slow
def test_a_look_at_what_was_settled_ends_no_minute(world: World) -> None:
    """A neuron that was settled, and seen, is opened again and read anew: the minute holds as for any other."""
    user = make_user("newcomer")
    told(world, user, [f"{NEURONS}/1/"])
    assert Reveal.objects.filter(person=user, neuron=world.neurons[1]).exists()
    reviews.undo(world.judge, world.neurons[1], comment="Too early.")
    places = PLACES + ASKED
    for first in range(0, len(places), 40):  # all of them together take longer than the minute
        label = make_label(world.neurons[1], user, world.families[0])
        assert not label.blind
        assert not leaks(told(world, user, places[first : first + 40]), HELD)
        labels.undo(user, label)


def test_every_place_is_looked_at(world: World) -> None:
    world.me = "watcher"
    looked = {resolve(place.format(**names(world)).split("?")[0]).route for place in PLACES + ASKED}
    missing = [route for route in read_routes() if route not in looked and route not in ELSEWHERE]
    assert not missing, f"Say in tests/test_independence.py what is told there of a neuron: {', '.join(missing)}"
