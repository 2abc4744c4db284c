"""Circuit notes: who writes, who is named, who decides, and that what was saved, submitted or published stays."""

import datetime
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from taxonomy import audit
from taxonomy.actions import discussions, notes, notifications
from taxonomy.models import (
    Authorship,
    Discussion,
    Event,
    Network,
    Note,
    NoteState,
    NoteVersion,
    Notification,
    Role,
    Standing,
    User,
)
from taxonomy.permissions import Refused, can_read_note, can_see_asked
from tests.factory import make_family, make_network, make_user, neuron_at, submit_note

pytestmark = pytest.mark.django_db


def make_note(network: Network, author: User | None = None, **content) -> Note:
    """A draft, with all that a submission needs."""
    said = {"title": "Curves from lines", "abstract": "Curves are made of lines.", "body": "Early lines excite curves."}
    return notes.create(author or make_user(), network, **(said | content))


def make_published(network: Network, author: User, editor: User, **content) -> Note:
    """A note through its review."""
    note = make_note(network, author, **content)
    submit_note(author, note)
    notes.decide(editor, note, version=1, decision="approve")
    return again(note)


@pytest.fixture
def author() -> User:
    return make_user("ada")


@pytest.fixture
def editor() -> User:
    return make_user("edith", role=Role.EDITOR)


@pytest.fixture
def note(author: User) -> Note:
    return make_note(make_network(), author)


def again(note: Note) -> Note:
    return Note.objects.get(pk=note.pk)


def verbs(note: Note) -> list[str]:
    return list(Event.objects.filter(note=note).order_by("pk").values_list("verb", flat=True))


def test_from_draft_to_a_correction(note: Note, author: User, editor: User) -> None:
    assert note.state == NoteState.DRAFT
    saved = notes.save(author, note, began_from=1, body="Lines\r\nmake curves. ")
    assert (saved.number, saved.body, saved.title) == (2, "Lines\nmake curves.", note.versions.get(number=1).title)
    submit_note(author, note)
    assert again(note).state == NoteState.IN_REVIEW
    notes.decide(editor, note, version=2, decision="approve", comment="Convincing.")
    assert (again(note).state, again(note).number, again(note).published) == (NoteState.PUBLISHED, 1, saved)
    notes.save(author, note, began_from=2, body="Lines inhibit curves.", summary="The sign was wrong.")
    assert again(note).shown == saved
    submit_note(author, note)
    assert again(note).state == NoteState.PUBLISHED
    notes.decide(editor, note, version=3, decision="approve")
    assert (again(note).state, again(note).number, again(note).shown.number) == (NoteState.CORRECTED, 1, 3)
    assert verbs(note) == [
        *("note.drafted", "note.saved", "note.submitted", "note.published"),
        *("note.saved", "note.submitted", "note.corrected"),
    ]


def test_changes_asked_for(note: Note, author: User, editor: User) -> None:
    submit_note(author, note)
    with pytest.raises(ValidationError, match="what is to be changed"):
        notes.decide(editor, note, version=1, decision="request changes", comment=" ")
    notes.decide(editor, note, version=1, decision="request changes", comment="Which image set?")
    assert again(note).state == NoteState.DRAFT
    assert can_read_note(make_user(), again(note)), "once submitted it stays readable"
    with pytest.raises(Refused, match="Nothing of this note is in review"):
        notes.decide(editor, note, version=1, decision="approve")


def test_numbers_follow_each_other_in_a_network(author: User, editor: User) -> None:
    here, other = make_network(), make_network("other")
    found = [make_published(here, author, editor) for _ in range(3)]
    assert [note.number for note in found] == [1, 2, 3]
    assert make_published(other, author, editor).number == 1
    assert list(Note.objects.filter(network=here).in_thread()) == found


def test_nobody_decides_on_a_note_of_their_own(note: Note, author: User, editor: User) -> None:
    notes.ask(author, note, editor)
    submit_note(author, note)
    with pytest.raises(Refused, match="of their own"):
        notes.decide(editor, note, version=1, decision="approve")
    notes.agree(editor, note)
    notes.leave(editor, note)
    with pytest.raises(Refused, match="of their own"):
        notes.decide(editor, note, version=1, decision="approve")


@pytest.mark.parametrize("end", ["unask", "leave"])
def test_authors_do_not_choose_who_does_not_decide(note: Note, author: User, editor: User, end: str) -> None:
    notes.ask(author, note, editor)
    if end == "unask":
        notes.unask(author, note, editor)
    else:
        notes.leave(editor, note)
    submit_note(author, note)
    notes.decide(editor, note, version=1, decision="approve")
    assert again(note).state == NoteState.PUBLISHED


def test_nobody_becomes_an_author_of_what_was_withdrawn_or_superseded(author: User, editor: User) -> None:
    network, bob = make_network(), make_user("bob")
    for end in ("withdraw", "supersede"):
        note = make_published(network, author, editor)
        notes.ask(author, note, bob)
        if end == "withdraw":
            notes.withdraw(author, note, reason="Wrong.")
        else:
            notes.supersede(author, note, make_published(network, author, editor))
        assert not note.authorships.current().filter(agreed_at=None).exists()
        assert "note.author_unasked" in verbs(note)
        with pytest.raises(Refused, match="not asked"):
            notes.agree(bob, note)
        Authorship.objects.filter(note=note, person=bob).update(ended_at=None)  # from before requests ended with it
        with pytest.raises(Refused, match="its authors stay who they are"):
            notes.agree(bob, note)


def test_who_is_only_asked_is_named_to_its_authors_and_to_who_decides(note: Note, author: User, editor: User) -> None:
    bob, carl, reader = make_user("bob"), make_user("carl"), make_user()
    notifications.subscribe(reader, Discussion.objects.of(note))
    submit_note(author, note)
    notes.ask(author, note, bob, contribution="Measured.")
    notes.ask(author, note, carl)
    notes.leave(bob, note)
    asking = Event.objects.filter(note=note, person__isnull=False)

    def told(user: User | AnonymousUser) -> set[str]:
        return set(asking.visible_to(user).values_list("person__username", flat=True))

    assert told(AnonymousUser()) == told(reader) == set()
    assert (told(bob), told(carl), told(author)) == ({"bob"}, {"carl"}, {"bob", "carl"})
    asked = {user: {one.person for one in note.authorships.current().told_to(user)} for user in (bob, carl, editor)}
    assert asked == {bob: {author}, carl: {author, carl}, editor: {author, carl}}
    assert can_see_asked(editor, again(note))
    assert not can_see_asked(carl, again(note))
    assert not Notification.objects.filter(person=reader, event__person__isnull=False).exists()
    assert Notification.objects.filter(person=author, event__verb="note.author_left").exists()


@pytest.mark.parametrize("role", [Role.CONTRIBUTOR, Role.REVIEWER, Role.ADMIN])
def test_only_editors_decide(note: Note, author: User, role: str) -> None:
    submit_note(author, note)
    with pytest.raises(Refused):
        notes.decide(make_user(role=role), note, version=1, decision="approve")


def test_who_decided_cannot_be_made_an_author(note: Note, author: User, editor: User) -> None:
    submit_note(author, note)
    notes.decide(editor, note, version=1, decision="approve")
    with pytest.raises(ValidationError, match="decided on this note"):
        notes.ask(author, note, editor)


def test_an_editor_decides_on_what_they_read(note: Note, author: User, editor: User) -> None:
    submit_note(author, note)
    notes.save(author, note, began_from=1, body="Something else.")
    submit_note(author, note)
    with pytest.raises(Refused, match="Version 2 was submitted meanwhile"):
        notes.decide(editor, note, version=1, decision="approve")
    assert again(note).published is None


def test_somebody_else_saved_meanwhile(note: Note, author: User) -> None:
    other = make_user("bob")
    notes.ask(author, note, other)
    notes.agree(other, note)
    notes.save(other, note, began_from=1, body="Bob's.")
    with pytest.raises(notes.Overtaken, match="bob saved version 2") as overtaken:
        notes.save(author, note, began_from=1, body="Ada's.")
    assert overtaken.value.base is not None
    assert (overtaken.value.base.number, overtaken.value.latest.body) == (1, "Bob's.")
    assert notes.save(author, note, began_from=2, body="Ada's.").number == 3


def test_what_is_submitted_is_what_its_author_read(note: Note, author: User) -> None:
    other = make_user("bob")
    notes.ask(author, note, other)
    notes.agree(other, note)
    notes.save(other, note, began_from=1, body="Half a sentence")
    with pytest.raises(Refused, match="bob saved version 2 meanwhile: read that one, and submit it"):
        notes.submit(author, note, version=1)
    assert again(note).submitted is None
    notes.submit(author, note, version=2)
    assert again(note).submitted == note.latest


def test_the_same_again_is_no_version(note: Note, author: User) -> None:
    body = note.latest.body
    assert notes.save(author, note, began_from=1, body=f" {body}\n").number == 1
    assert verbs(note) == ["note.drafted"]


@pytest.mark.parametrize("act", ["save", "submit", "retract", "withdraw", "ask", "give_doi", "arrange"])
def test_others_do_not_write_it(note: Note, author: User, editor: User, act: str) -> None:
    asked = make_user()
    notes.ask(author, note, asked)  # who was asked reads, and writes once they agreed
    acts: dict[str, Callable[[User], object]] = {
        "save": lambda user: notes.save(user, note, began_from=1, body="Mine."),
        "submit": lambda user: submit_note(user, note),
        "retract": lambda user: notes.retract(user, note),
        "withdraw": lambda user: notes.withdraw(user, note, reason="Wrong."),
        "ask": lambda user: notes.ask(user, note, make_user()),
        "give_doi": lambda user: notes.give_doi(user, note, "10.1234/x"),
        "arrange": lambda user: notes.arrange(user, note, []),
    }
    for user in (make_user(), editor, asked, make_user(role=Role.ADMIN)):
        with pytest.raises(Refused):
            acts[act](user)


def test_authors_are_asked_and_named_once_they_agree(note: Note, author: User) -> None:
    bob = make_user("bob")
    notes.ask(author, note, bob, contribution="Measured.")
    assert can_read_note(bob, again(note))
    assert list(note.authorships.named().values_list("person__username", flat=True)) == ["ada"]
    told = Notification.objects.get(person=bob)
    assert told.event.verb == "note.author_asked"
    notes.agree(bob, note, contribution=" Measured  the angles. ")
    assert list(note.authorships.named().values_list("person__username", "contribution")) == [
        ("ada", ""),
        ("bob", "Measured the angles."),
    ]
    notes.arrange(bob, note, [bob, author])
    assert list(note.authorships.named().values_list("person__username", flat=True)) == ["bob", "ada"]
    notes.contribute(author, note, "Wrote.")
    notes.contribute(author, note, " Wrote. ")  # the same
    assert verbs(note)[-2:] == ["note.author_moved", "note.contribution_changed"]
    notes.leave(bob, note)
    assert not can_read_note(bob, again(note))
    with pytest.raises(Refused, match="only author"):
        notes.leave(author, note)


def test_who_put_whom_where_is_told(note: Note, author: User) -> None:
    bela, chidi, dora = (make_user(name) for name in ("bela", "chidi", "dora"))
    for person in (bela, chidi, dora):
        notes.ask(author, note, person)
    notes.agree(chidi, note)
    notes.arrange(author, note, [bela, chidi, author])  # bela is only asked: nobody else hears of that
    notes.agree(bela, note)
    notes.arrange(chidi, note, [author])
    notes.arrange(chidi, note, [author])
    notes.leave(chidi, note)
    told = Event.objects.filter(note=note, verb__in=["note.author_agreed", "note.author_moved"]).order_by("pk")
    assert list(told.values_list("actor__username", "person__username", "data__place")) == [
        ("chidi", "chidi", 2),
        ("ada", "chidi", 1),
        ("bela", "bela", 1),
        ("chidi", "ada", 1),
    ]
    assert list(note.authorships.named().values_list("person__username", flat=True)) == ["ada", "bela"]
    assert not list(audit.notes(note.network, Counter()))
    Authorship.objects.filter(note=note, person=bela).update(order=0)
    (found,) = audit.notes(note.network, Counter())
    assert found.sentence == "its authors are not those who agreed, in the order that the events tell."


def test_who_was_asked_may_decline_or_be_unasked(note: Note, author: User) -> None:
    bob = make_user("bob")
    notes.ask(author, note, bob)
    with pytest.raises(ValidationError, match="already"):
        notes.ask(author, note, bob)
    notes.leave(bob, note)
    cleo = make_user("cleo")
    notes.ask(author, note, cleo)
    notes.unask(author, note, cleo)
    with pytest.raises(Refused, match="not asked"):
        notes.agree(cleo, note)
    dan = make_user("dan")
    notes.ask(author, note, dan)
    notes.agree(dan, note)
    with pytest.raises(Refused, match="only they can leave"):
        notes.unask(author, note, dan)
    notes.leave(dan, note)
    notes.ask(author, note, dan)


def test_who_declined_is_asked_again_only_when_they_ask_for_it(note: Note, author: User) -> None:
    bob, note = make_user("bob"), submit_note(author, note)
    for _ in range(2):
        notes.ask(author, note, bob)
        notes.leave(bob, note)
        told = Notification.objects.filter(person=bob).count()
        with pytest.raises(ValidationError, match=r"bob declined.* in the note’s discussion: then ask them"):
            notes.ask(author, note, bob)
        discussions.add(author, note, "Be an author, @bob.")
        with pytest.raises(ValidationError, match="bob declined to be an author"):
            notes.ask(author, note, bob)
        assert Notification.objects.filter(person=bob).exclude(event__verb="comment.added").count() == told
        discussions.add(bob, note, "I measured it: name me.")
        Notification.objects.all().delete()


def test_who_was_unasked_by_mistake_is_asked_again_at_once(note: Note, author: User) -> None:
    bob = make_user("bob")
    notes.ask(author, note, bob)
    for _ in range(3):  # on a draft, where nobody but its authors could say a word
        notes.unask(author, note, bob)
        assert not can_read_note(bob, again(note))
        notes.ask(author, note, bob)
    assert Notification.objects.filter(person=bob).count() == 1
    notifications.read_all(bob)
    notes.unask(author, note, bob)
    notes.ask(author, note, bob)
    assert Notification.objects.filter(person=bob, read_at=None).count() == 1
    notes.leave(bob, note)
    with pytest.raises(ValidationError, match=r"bob declined.*, which it has once it is submitted"):
        notes.ask(author, note, bob)


def test_so_many_are_asked_in_a_day(monkeypatch, note: Note, author: User) -> None:
    monkeypatch.setattr(notes, "MOST_ASKED", 2)
    for _ in range(2):
        notes.ask(author, note, make_user())
    bob = make_user("bob")
    with pytest.raises(ValidationError, match="2 people were asked within a day: ask bob tomorrow"):
        notes.ask(author, note, bob)
    Authorship.objects.update(added_at=timezone.now() - datetime.timedelta(hours=25))
    notes.ask(author, note, bob)


def test_a_long_text_is_read_before_others_have_to_wait(note: Note, author: User, editor: User) -> None:
    notes.save(author, note, began_from=1, body="[[3b:2]] and [[family:3b/curves]]")
    submit_note(author, note)
    with CaptureQueriesContext(connection) as queries:
        notes.decide(editor, note, version=2, decision="approve")
    asked = [query["sql"] for query in queries]
    waiting = next(at for at, sql in enumerate(asked) if "FOR NO KEY UPDATE" in sql and '"taxonomy_network"' in sql)
    read = [at for at, sql in enumerate(asked) if '"taxonomy_neuron"."standing"' in sql and sql.startswith("SELECT")]
    assert read
    assert max(read) < waiting
    assert not any('"body"' in sql for sql in asked[waiting:])


@pytest.mark.parametrize("person", [{"is_active": False}, {"role": Role.ADMIN}])
def test_who_cannot_be_an_author(note: Note, author: User, person: dict) -> None:
    with pytest.raises(ValidationError, match="cannot be an author"):
        notes.ask(author, note, make_user(**person))


def test_what_a_submission_needs(author: User) -> None:
    note = notes.create(author, make_network(), title="Curves")
    with pytest.raises(ValidationError, match="abstract"):
        submit_note(author, note)
    notes.save(author, note, began_from=1, abstract="In short.")
    with pytest.raises(ValidationError, match="body"):
        submit_note(author, note)


def test_a_correction_says_what_it_corrects(note: Note, author: User, editor: User) -> None:
    submit_note(author, note)
    with pytest.raises(Refused, match="in review already"):
        submit_note(author, note)
    notes.decide(editor, note, version=1, decision="approve")
    with pytest.raises(Refused, match="Nothing was changed"):
        submit_note(author, note)
    notes.save(author, note, began_from=1, body="Another.")
    with pytest.raises(ValidationError, match="what is corrected"):
        submit_note(author, note)
    notes.save(author, note, began_from=2, summary="The angle was wrong.")
    assert again(note).latest.number == 3
    submit_note(author, note)


def test_taken_back_from_review(note: Note, author: User) -> None:
    with pytest.raises(Refused, match="in review"):
        notes.retract(author, note)
    submit_note(author, note)
    notes.retract(author, note)
    assert again(note).state == NoteState.DRAFT


def test_withdrawn_for_good(note: Note, author: User, editor: User) -> None:
    submit_note(author, note)
    with pytest.raises(ValidationError, match="Say why"):
        notes.withdraw(author, note, reason=" ")
    notes.withdraw(author, note, reason="A bug in the sweep.")
    assert (again(note).state, again(note).withdrawn_reason) == (NoteState.WITHDRAWN, "A bug in the sweep.")
    for act in (
        lambda: notes.save(author, note, began_from=1, body="But."),
        lambda: submit_note(author, note),
        lambda: notes.withdraw(author, note, reason="Again."),
        lambda: notes.decide(editor, note, version=1, decision="approve"),
    ):
        with pytest.raises(Refused):
            act()


def test_superseded_by_another_of_the_same_authors(author: User, editor: User) -> None:
    network = make_network()
    old, new, draft = (
        make_published(network, author, editor),
        make_published(network, author, editor),
        make_note(network, author),
    )
    strange = make_published(network, make_user(), editor)
    elsewhere = make_published(make_network("other"), author, editor)
    for by in (old, draft, elsewhere):
        with pytest.raises(ValidationError):
            notes.supersede(author, old, by)
    with pytest.raises(ValidationError, match="not published"):
        notes.supersede(author, draft, new)
    with pytest.raises(Refused):
        notes.supersede(author, old, strange)
    notes.supersede(author, old, new)
    assert (again(old).state, again(old).superseded_by) == (NoteState.SUPERSEDED, new)
    with pytest.raises(Refused, match="superseded"):
        notes.supersede(author, new, old)


def test_a_commentary_is_told_to_those_whose_note_it_is_about(author: User, editor: User) -> None:
    network, critic = make_network(), make_user("cleo")
    about = make_published(network, author, editor)
    commentary = make_published(network, critic, editor, about=about)
    assert (commentary.number, list(about.commentaries.all())) == (2, [commentary])
    told = Notification.objects.get(person=author, event__verb="note.commented")
    assert (told.event.note, told.event.data) == (about, {"commentary": str(commentary.public_id)})
    with pytest.raises(ValidationError, match="thread"):
        notes.create(critic, network, title="On a draft", about=make_note(network, critic))
    with pytest.raises(ValidationError, match="thread"):
        notes.create(critic, make_network("other"), title="From elsewhere", about=about)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"title": "  "}, "Give it a title"),
        ({"title": "a" * 201}, "at most 200"),
        ({"title": "a\u202eb"}, "cannot be seen"),
        ({"body": "\0"}, "Null characters"),
        ({"body": "a" * 100_001}, "at most 100000"),
        ({"abstract": "a" * 3_001}, "at most 3000"),
        ({"motifs": ["union over cases", "magic"]}, "no motif “magic”"),
        ({"subgraph": {"nodes": [{"id": "a", "neuron": "conv1:99"}]}}, "conv1"),
        ({"summary": "a" * 301}, "at most 300"),
    ],
)
def test_what_cannot_be_saved_is_told(note: Note, author: User, content: dict, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        notes.save(author, note, began_from=1, **content)
    assert note.versions.count() == 1


def test_a_draft_is_its_authors_alone(note: Note, author: User, editor: User) -> None:
    for user in (make_user(), editor, make_user(role=Role.ADMIN)):
        assert not can_read_note(user, note)
        assert not Note.objects.readable_by(user).exists()
        assert not Event.objects.visible_to(user).filter(note=note).exists()
    assert Event.objects.visible_to(author).filter(note=note).exists()
    submit_note(author, note)
    assert Event.objects.visible_to(make_user()).filter(note=note).count() == 2


def test_versions_and_decisions_are_never_changed(note: Note, author: User, editor: User) -> None:
    submit_note(author, note)
    review = notes.decide(editor, note, version=1, decision="approve")
    for change in (
        lambda: NoteVersion.objects.update(body="Never said."),
        lambda: NoteVersion.objects.all().delete(),
        lambda: type(review).objects.update(comment="Never said."),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()


def test_what_links_here(note: Note, author: User) -> None:
    curves = make_family(note.network.layers.get(name="mixed3b"), "Curves")
    subgraph = {
        "nodes": [
            {"id": "a", "neuron": "conv1:1", "family": ""},
            {"id": "b", "neuron": "", "family": str(curves.public_id)},
        ],
        "edges": [{"source": "a", "target": "b", "weight": -0.5, "evidence": ""}],
        "threshold": 0.3,
    }
    notes.save(author, note, began_from=1, body="As [[3b:2]] shows.", subgraph=subgraph, motifs=["invariance"])
    assert {str(neuron) for neuron in note.neurons.all()} == {"tinynet/conv1:1", "tinynet/mixed3b:2"}
    assert list(note.families.all()) == [curves]
    latest = note.latest
    assert (latest.motifs, latest.subgraph["edges"][0]["weight"]) == (["invariance"], -0.5)
    notes.save(author, note, began_from=2, body="Nothing.", subgraph={})
    assert not note.neurons.exists()
    assert not note.families.exists()
    assert note.latest.subgraph == {}


def named(note: Note) -> set[str]:
    return {f"{neuron.layer.name}:{neuron.index}" for neuron in note.neurons.all()}


def test_names_are_those_of_what_is_shown(note: Note, author: User, editor: User) -> None:
    notes.save(author, note, began_from=1, body="[[3b:2]]")
    assert named(note) == {"mixed3b:2"}
    submit_note(author, note)
    notes.save(author, note, began_from=2, body="[[3b:3]]")
    assert named(note) == {"mixed3b:2"}, "version 2 is in review, and shown"
    notes.retract(author, note)
    assert named(note) == {"mixed3b:3"}
    submit_note(author, note)
    notes.save(author, note, began_from=3, body="[[3b:4]]")
    notes.decide(editor, note, version=3, decision="request changes", comment="More.")
    assert named(note) == {"mixed3b:4"}
    submit_note(author, note)
    notes.save(author, note, began_from=4, body="[[3b:5]]")
    submit_note(author, note)
    assert named(note) == {"mixed3b:5"}
    notes.decide(editor, note, version=5, decision="approve")
    notes.save(author, note, began_from=5, body="Another: [[3b:6]]", summary="Another.")
    assert named(note) == {"mixed3b:5"}, "what is only saved names nothing to readers"
    submit_note(author, note)
    assert named(note) == {"mixed3b:5"}
    notes.decide(editor, note, version=6, decision="approve")
    assert named(note) == {"mixed3b:6"}


def test_a_withdrawn_note_names_what_its_page_shows(note: Note, author: User) -> None:
    submit_note(author, note)
    notes.save(author, note, began_from=1, body="[[3b:3]]")
    assert named(note) == set()
    notes.withdraw(author, note, reason="Wrong.")
    assert note.shown.number == 2
    assert named(note) == {"mixed3b:3"}


def test_a_doi_is_given_to_what_is_published(note: Note, author: User, editor: User) -> None:
    with pytest.raises(ValidationError, match="names what is published"):
        notes.give_doi(author, note, "10.23915/distill.00024")
    submit_note(author, note)
    notes.decide(editor, note, version=1, decision="approve")
    with pytest.raises(ValidationError, match="looks like"):
        notes.give_doi(author, note, "distill.00024")
    for wrong in ("{", "}", "\\", "%", "\x01", "\x7f"):
        with pytest.raises(ValidationError, match="looks like"):
            notes.give_doi(author, note, f"10.23915/distill{wrong}00024")
    assert notes.give_doi(author, note, " https://doi.org/10.23915/distill.00024").doi == "10.23915/distill.00024"


def test_authors_and_followers_are_told(note: Note, author: User, editor: User) -> None:
    submit_note(author, note)
    notes.decide(editor, note, version=1, decision="request changes", comment="Say which.")
    assert Notification.objects.get(person=author).event.verb == "note.changes_requested"
    assert not Notification.objects.filter(person=editor).exists()


@pytest.mark.parametrize("role", [Role.ADMIN])
def test_admins_write_no_notes(role: str) -> None:
    with pytest.raises(Refused, match="no scientific vote"):
        notes.create(make_user(role=role), make_network(), title="Mine")


@pytest.mark.django_db(transaction=True)
def test_published_at_once_each_gets_a_number_of_its_own(author: User, editor: User) -> None:
    network = make_network()
    found = [make_note(network, author, title=f"Note {index}") for index in range(4)]
    for note in found:
        submit_note(author, note)

    def publish(note: Note) -> None:
        try:
            notes.decide(editor, note, version=1, decision="approve")
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(publish, found))
    assert sorted(Note.objects.values_list("number", flat=True)) == [1, 2, 3, 4]


@pytest.mark.django_db(transaction=True)
def test_saved_at_once_one_is_told(author: User) -> None:
    note = make_note(make_network(), author)
    gate, outcomes = threading.Barrier(2), []

    def save(body: str) -> None:
        try:
            gate.wait(10)
            notes.save(author, note, began_from=1, body=body)
            outcomes.append("saved")
        except notes.Overtaken:
            outcomes.append("told")
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(save, ("One.", "Two.")))
    assert sorted(outcomes) == ["saved", "told"]
    assert note.versions.count() == 2


def test_writing_about_a_neuron_settles_nothing(note: Note, author: User) -> None:
    notes.save(author, note, began_from=1, body="[[3b:2]] is a curve.")
    assert neuron_at("3b:2").standing == Standing.UNLABELLED


def test_who_answered_for_what_is_no_more_stays_its_author(author: User, editor: User) -> None:
    network, bob = make_network(), make_user("bob")
    withdrawn, superseded, by = (make_published(network, author, editor) for _ in range(3))
    for note in (withdrawn, superseded, by):
        notes.ask(author, note, bob)
        notes.agree(bob, note)
    notes.withdraw(author, withdrawn, reason="It does not hold.")
    notes.supersede(author, superseded, by)
    for note, state in ((withdrawn, "withdrawn"), (superseded, "superseded")):
        with pytest.raises(Refused, match=f"This note is {state}: its authors stay who they are."):
            notes.leave(bob, note)
        assert [one.person for one in again(note).authors] == [author, bob]
    notes.leave(bob, by)


def test_a_note_keeps_with_which_version_it_was_opened(note: Note, author: User) -> None:
    notes.save(author, note, began_from=1, body="Other words.")
    assert again(note).opened_with is None
    submit_note(author, note)
    assert again(note).opened_with == 2
    notes.retract(author, note)
    notes.save(author, note, began_from=2, body="Again others.")
    submit_note(author, note)
    assert again(note).opened_with == 2
