"""Circuit notes on pages: the thread, reading, writing, deciding, versions, authors, citing; for whom what stands."""

import json
import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from taxonomy.actions import discussions, gold, labels, notes
from taxonomy.models import (
    Event,
    Membership,
    Neuron,
    Note,
    NoteState,
    NoteVersion,
    Notification,
    Reveal,
    Standing,
    User,
)
from taxonomy.pages import notes as pages
from tests.factory import (
    make_claim,
    make_evidence,
    make_label,
    make_network,
    make_note,
    make_plan,
    make_user,
    neuron_at,
    submit_note,
)

GOOD = {"title": "Curves from lines", "abstract": "In short.", "body": "As [[3b:2]] shows.", "motifs": ["invariance"]}


@pytest.fixture
def author(world) -> User:
    return make_user("ada")


@pytest.fixture
def draft(world, author) -> Note:
    return notes.create(
        author, world.network, title="Curves from lines", abstract="In short.", body="As [[3b:2]] shows."
    )


@pytest.fixture
def published(draft, author, world) -> Note:
    submit_note(author, draft)
    notes.decide(world.editor, draft, version=1, decision="approve")
    draft.refresh_from_db()
    return draft


def page(client: Client, address: str, user: User | None = None, status: int = 200) -> str:
    client.logout()
    if user is not None:
        client.force_login(user)
    response = client.get(address)
    assert response.status_code == status, response.content.decode()[:2000]
    return response.content.decode()


def send(client: Client, address: str, user: User, status: int = 302, **values: object) -> str:
    client.force_login(user)
    response = client.post(address, values)
    assert response.status_code == status, response.content.decode()[:3000]
    return response.content.decode()


def at(note: Note, rest: str = "") -> str:
    return f"/notes/{note.public_id}/{rest}"


def test_written_reviewed_published_corrected(client: Client, world: SimpleNamespace, author: User) -> None:
    send(client, "/networks/tinynet/notes/new/", author, **GOOD)
    note = Note.objects.get()
    assert (note.title, note.latest.motifs, note.state) == ("Curves from lines", ["invariance"], NoteState.DRAFT)
    send(client, at(note, "edit/"), author, **GOOD | {"body": "Otherwise."}, began_from=1)
    assert note.latest.body == "Otherwise."
    assert "ada saved version 2 meanwhile" in send(client, at(note, "submit/"), author, 403, version=1)
    assert '<input type="hidden" name="version" value="2">' in page(client, at(note), author)
    send(client, at(note, "submit/"), author, version=2)
    assert "Curves from lines" in page(client, "/review/?tab=notes", world.editor)
    html = page(client, at(note), world.editor)
    assert "Approve and publish" in html
    told = send(client, at(note, "decide/"), world.editor, 422, version=2, decision="request changes", comment=" ")
    assert "Say what is to be changed" in told
    send(client, at(note, "decide/"), world.editor, version=2, decision="approve", comment="Good.")
    assert "Circuit note 1 of the" in page(client, at(note))
    send(client, at(note, "edit/"), author, **GOOD | {"body": "As [[3b:2]] says."}, began_from=2)
    assert "Say in a line what is corrected" in send(client, at(note, "submit/"), author, 422, version=3)
    send(client, at(note, "edit/"), author, **GOOD | {"body": "Better."}, began_from=3, summary="A wrong sign.")
    send(client, at(note, "submit/"), author, version=4)
    send(client, at(note, "decide/"), world.editor, version=4, decision="approve")
    html = page(client, at(note))
    assert "A wrong sign." in html
    assert "Better." in html
    assert "corrected" in html


def test_a_draft_is_refused_in_words(client: Client, world: SimpleNamespace, draft: Note, author: User) -> None:
    for rest in ("", "edit/", "versions/", "versions/1/", "versions/1/diff/", "authors/", "discussion/", "cite.bib"):
        html = page(client, at(draft, rest), world.editor, 403)
        assert "This note is a draft: only its authors read it" in html, rest
    assert "In short." in page(client, at(draft), author)
    thread = "/networks/tinynet/thread/"
    assert "Your drafts" in page(client, thread, author)
    assert "Curves from lines" not in page(client, thread, world.editor)
    for feed in (at(draft, "feed.atom"), at(draft, "discussion/feed.atom")):
        assert client.get(feed).status_code == 404
    assert "Curves from lines" not in page(client, "/activity/", world.editor)


def test_nothing_is_lost_where_somebody_else_saved(client, world, draft: Note, author: User) -> None:
    bob = make_user("bob")
    notes.ask(author, draft, bob)
    notes.agree(bob, draft)
    notes.save(bob, draft, began_from=1, body="What Bob found.")
    html = send(client, at(draft, "edit/"), author, 409, **GOOD | {"body": "What Ada found."}, began_from=1)
    assert "bob saved version 2 while you were writing" in html
    text = re.search(r'<textarea name="body"[^>]*>([^<]*)</textarea>', html)
    assert text
    assert text[1].strip() == "What Ada found."
    assert "Bob" in html.split("What they changed")[1]
    began = re.search(r'name="began_from" value="(\d+)"', html)
    assert began
    assert began[1] == "2"
    assert draft.versions.count() == 2
    send(client, at(draft, "edit/"), author, **GOOD | {"body": "What Ada found."}, began_from=began[1])
    assert draft.latest.body == "What Ada found."


def test_what_cannot_be_saved_stays_in_the_form(client, world, draft: Note, author: User) -> None:
    html = send(client, at(draft, "edit/"), author, 422, **GOOD | {"title": " ", "body": "My words."}, began_from=1)
    assert "Give it a title." in html
    assert "My words." in html
    assert "Select a valid choice" in send(client, at(draft, "edit/"), author, 422, **GOOD | {"motifs": "x"})
    html = send(client, "/networks/tinynet/notes/new/", author, 422, title="x" * 300, body="My words.")
    assert "at most 200 characters" in html
    assert Note.objects.count() == 1


def test_a_preview_saves_nothing(client: Client, world: SimpleNamespace, draft: Note, author: User) -> None:
    html = send(client, at(draft, "preview/"), author, 200, **GOOD | {"body": "A *new* thought."})
    assert "<em>new</em>" in html
    assert "Save it" in html
    client.force_login(author)
    part = client.post(at(draft, "preview/"), GOOD, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    html = send(client, "/networks/tinynet/notes/new/", author, 200, **GOOD, do="preview")
    assert 'class="chip"' in html
    assert (draft.versions.count(), Note.objects.count()) == (1, 1)


def test_who_may_not_write_reads_why(client: Client, world: SimpleNamespace, published: Note) -> None:
    assert "Sign in to write circuit notes." in page(client, "/networks/tinynet/thread/")
    assert "Sign in to write circuit notes." in page(client, "/networks/tinynet/notes/new/")
    assert "no scientific vote" in page(client, "/networks/tinynet/notes/new/", world.admin)
    assert "Only its authors change a note" in page(client, at(published, "edit/"), world.contributor, 403)
    send(client, at(published, "submit/"), world.contributor, 403)
    send(client, at(published, "decide/"), world.editor, 403, version=1, decision="approve")


def test_authors(client: Client, world: SimpleNamespace, draft: Note, author: User) -> None:
    bob = make_user("bob")
    here = at(draft, "authors/")
    for wrong, sentence in (("nobody", "Nobody is called"), ("", "Name somebody"), ("adam", "cannot be an author")):
        assert sentence in send(client, here, author, 422, do="ask", person=wrong)
    send(client, here, author, do="ask", person="@Bob", contribution="Drew.")
    assert "You are asked to be an author" in page(client, at(draft), bob)
    assert "bob" not in page(client, at(draft), bob).split('class="byline"')[1].split("</dl>")[0]
    send(client, here, bob, do="agree", contribution="Drew and measured.")
    html = page(client, at(draft), author)
    assert "Drew and measured." in html
    send(client, here, author, do="up", person="bob")
    assert list(draft.authorships.named().values_list("person__username", flat=True)) == ["bob", "ada"]
    send(client, here, author, do="contribute", contribution="Wrote.")
    told = page(client, here, author).split('id="history-h"')[1]
    assert re.search(r">ada</a>\s*put <a [^>]*>bob</a> 1st among the authors of it", told)
    assert re.search(r">ada</a>\s*changed what they contributed to it", told)
    client.force_login(bob)
    left = client.post(here, {"do": "leave"})
    assert left.headers["Location"] == "/networks/tinynet/thread/", "they cannot read the draft any more"
    assert "You are its only author" in page(client, here, author)
    send(client, here, author, 403, do="leave")
    assert "Press one of the buttons" in send(client, here, author, 422, do="x")


def test_withdrawn_and_superseded(client: Client, world: SimpleNamespace, published: Note, author: User) -> None:
    other = make_note(world.network, author, title="A better one", published=True)
    assert "by its number" in send(client, at(published, "supersede/"), author, 422, by="77")
    send(client, at(published, "supersede/"), author, by="#2")
    html = page(client, at(published))
    assert "Superseded" in html
    assert "A better one" in html
    assert "Say why" in send(client, at(other, "withdraw/"), author, 422, reason=" ")
    send(client, at(other, "withdraw/"), author, reason="A bug in [[3b:2]].")
    assert "Withdrawn by its authors" in page(client, at(other))
    assert "withdrawn" in page(client, "/networks/tinynet/thread/")
    assert "This note is withdrawn" in page(client, at(other, "edit/"), author, 403)


def test_versions_and_their_differences(client: Client, world: SimpleNamespace, published: Note, author: User) -> None:
    notes.save(author, published, began_from=1, body="As nothing shows.", summary="No.")
    assert "Changes asked for" not in page(client, at(published, "versions/"))
    html = page(client, at(published, "versions/2/diff/"))
    assert "<del>" in html
    assert "<ins>" in html
    assert "What changed from version 1 to 2" in page(client, at(published, "versions/1/diff/?with=2"))
    assert "This is version 2" in page(client, at(published, "versions/2/"))
    assert "As nothing shows." not in page(client, at(published))
    assert "This note has no version 9." in page(client, at(published, "versions/9/"), status=404)
    assert "This note has no version 7." in page(client, at(published, "versions/2/diff/?with=7"), status=404)
    for strange in ("x", "-1", "%00", "9" * 30):
        assert "What changed from version 1 to 2" in page(client, at(published, f"versions/2/diff/?with={strange}"))
    client.logout()
    assert client.get(at(published, "latest/")).headers["Location"].endswith("/versions/2/")


def test_cited(client: Client, world: SimpleNamespace, published: Note, author: User) -> None:
    client.logout()
    bib = client.get(at(published, "cite.bib"))
    assert bib.headers["Content-Type"].startswith("application/x-bibtex")
    assert "Curves from lines" in bib.content.decode()
    assert json.loads(client.get(at(published, "cite.json")).content)["title"] == "Curves from lines"
    assert "Curves from lines" in client.get(at(published, "cite.txt?version=1")).content.decode()
    assert "cited as .bib, .json, .txt" in page(client, at(published, "cite.doc"), status=404)
    assert "has no version 5" in page(client, at(published, "cite.bib?version=5"), status=404)


def test_a_doi(client: Client, world: SimpleNamespace, published: Note, author: User) -> None:
    assert "A DOI looks like" in send(client, at(published, "doi/"), author, 422, doi="x")
    send(client, at(published, "doi/"), author, doi="10.5281/zenodo.17")
    assert "https://doi.org/10.5281/zenodo.17" in page(client, at(published))


def test_reading_is_a_look(client: Client, world: SimpleNamespace, published: Note) -> None:
    reader, other = make_user(), make_user()
    page(client, at(published), reader)
    assert Reveal.objects.filter(neuron=neuron_at("3b:2"), person=reader).exists()
    assert not make_label(neuron_at("3b:2"), reader, world.curves).blind
    page(client, "/networks/tinynet/thread/", other)
    assert make_label(neuron_at("3b:2"), other, world.curves).blind, "the abstract names no neuron"


def test_every_text_of_a_note_that_names_a_neuron_is_a_look(client: Client, world: SimpleNamespace, author) -> None:
    figure = make_evidence(neuron_at("3b:6")).current
    circuit = {
        "nodes": [{"id": "a", "neuron": "mixed3b:4", "family": ""}],
        "edges": [],
        "threshold": 0.3,
    }
    said = {"abstract": f"![So](/Evidence/{figure.public_id}/)", "selection": "[[3b:5]] alone.", "subgraph": circuit}
    note = notes.create(author, world.network, title="Curves", body="Words.", **said)
    submit_note(author, note)
    notes.decide(world.editor, note, version=1, decision="request changes", comment="And [[3b:7]]?")

    def seen(*addresses: str) -> set[str]:
        reader = make_user()
        for address in addresses:
            page(client, address, reader)
        return {one.neuron.address for one in Reveal.objects.filter(person=reader).select_related("neuron__layer")}

    assert seen(at(note, "versions/")) == {"mixed3b:7"}
    assert seen(at(note, "cite.json")) == seen(f"/api/v1{at(note, 'cite/')}") == {"mixed3b:6"}
    assert seen(at(note, "cite.bib"), at(note, "cite.txt")) == set()
    assert seen(f"/api/v1{at(note, 'versions/')}") == {"mixed3b:7"}
    assert seen(at(note, "versions/1/diff/")) == {"mixed3b:4", "mixed3b:5", "mixed3b:6"}
    submit_note(author, note)
    assert seen("/networks/tinynet/thread/") == {"mixed3b:6"}


def test_a_claim_that_a_note_cites_is_its_sentence(client, world, draft: Note, author: User) -> None:
    claim = make_claim(draft, author, "Without them nothing echoes.")
    notes.save(author, draft, began_from=1, body=f"We think so: [[claim:{claim.public_id}]]")
    told = page(client, at(draft), author)
    assert f'<a class="claimed" href="/claims/{claim.public_id}/">Without them nothing echoes.</a>' in told


def test_an_abstract_in_a_list_is_a_look_too(client: Client, world: SimpleNamespace, author: User) -> None:
    note = notes.create(author, world.network, title="C", abstract="[[3b:2]] is a curve.", body="Yes.")
    submit_note(author, note)
    for address, reader in (("/networks/tinynet/thread/", make_user()), ("/review/?tab=notes", world.editor)):
        page(client, address, reader)
        assert Reveal.objects.filter(neuron=neuron_at("3b:2"), person=reader).exists(), address


def test_an_old_version_is_a_look_at_what_it_names(client, world, published: Note, author: User) -> None:
    notes.save(author, published, began_from=1, body="Of [[3b:5]] now.")
    reader = make_user()
    page(client, at(published, "versions/1/"), reader)
    assert set(Reveal.objects.filter(person=reader).values_list("neuron__index", flat=True)) == {2}
    page(client, at(published), reader)
    assert set(Reveal.objects.filter(person=reader).values_list("neuron__index", flat=True)) == {2}
    page(client, at(published, "versions/2/"), reader)
    assert set(Reveal.objects.filter(person=reader).values_list("neuron__index", flat=True)) == {2, 5}
    reader = make_user()
    page(client, at(published, "versions/2/diff/"), reader)
    assert set(Reveal.objects.filter(person=reader).values_list("neuron__index", flat=True)) == {2, 5}


def test_what_links_here_is_shown_as_readings_are(client, world, published: Note, author: User) -> None:
    """3b:2 is agreed and not settled: who has not read it is not led to what is written of it."""
    neuron, named = "/networks/tinynet/mixed3b/2/", "In circuit notes"
    for user in (None, world.contributor, world.reviewer):
        assert named not in page(client, neuron, user)
    labels.reveal(world.readers[0], world.agreed)  # they gave their reading, and asked to see the others'
    assert named in page(client, neuron, world.readers[0])
    assert named in page(client, f"{neuron}?readings", world.reviewer)
    notes.save(author, published, began_from=1, body="All of [[3b:0]] and [[family:3b/curves]].", summary="More.")
    assert named not in page(client, "/networks/tinynet/mixed3b/0/")
    submit_note(author, published)
    notes.decide(world.editor, published, version=2, decision="approve")
    assert named in page(client, "/networks/tinynet/mixed3b/0/")
    assert named in page(client, f"/networks/tinynet/mixed3b/families/{world.curves.pk}/")
    notes.withdraw(author, published, reason="Wrong.")
    assert named not in page(client, "/networks/tinynet/mixed3b/0/")


def test_a_draft_leads_nobody_to_itself(client: Client, world: SimpleNamespace, draft: Note, author: User) -> None:
    notes.save(author, draft, began_from=1, body="[[3b:0]] and [[family:3b/curves]].")
    for address in ("/networks/tinynet/mixed3b/0/", f"/networks/tinynet/mixed3b/families/{world.curves.pk}/"):
        assert "In circuit notes" not in page(client, address, world.contributor)
        assert "In circuit notes" in page(client, address, author)


def test_commentaries_and_notes_that_lead_to_a_note(client, world, published: Note, author: User) -> None:
    cleo = make_user("cleo")
    html = page(client, f"/networks/tinynet/notes/new/?about={published.public_id}", cleo)
    assert "Write a commentary" in html
    send(client, f"/networks/tinynet/notes/new/?about={published.public_id}", cleo, **GOOD | {"title": "On echoes"})
    commentary = Note.objects.get(about=published)
    submit_note(cleo, commentary)
    notes.decide(world.editor, commentary, version=1, decision="approve")
    body = f"See [it](/notes/{published.public_id}/)."
    make_note(world.network, cleo, title="A third", published=True, body=body)
    html = page(client, at(published))
    assert "On echoes" in html.split("Commentaries</h2>")[1].split("</section>")[0]
    assert "A third" in html.split("What links here</h2>")[1].split("</section>")[0]
    assert "Commentary 2 of the" in page(client, at(commentary))
    assert Notification.objects.filter(person=author, event__verb="note.commented").exists()
    for strange in ("x", "%00", "00000000-0000-0000-0000-000000000000"):
        assert "Write a circuit note" in page(client, f"/networks/tinynet/notes/new/?about={strange}", cleo)


def test_talked_about_and_followed(client: Client, world: SimpleNamespace, published: Note, author: User) -> None:
    said = discussions.add(world.contributor, published, "Is [[3b:2]] an echo?")
    assert "Is " in page(client, at(published))
    assert "Curves from lines" in page(client, at(published, "discussion/"), author)
    assert client.get(f"/comments/{said.public_id}/").headers["Location"].startswith(at(published))
    assert Notification.objects.filter(person=author, event__comment=said).exists()
    assert "Curves from lines" in page(client, "/notifications/", author)
    assert "the note" in page(client, "/discussions/?network=tinynet")
    send(client, "/notifications/follow/", world.reviewer, do="subscribe", subject=f"note:{published.public_id}")
    assert "Curves from lines" in page(client, "/notifications/following/", world.reviewer)
    send(client, f"/comments/{said.public_id}/resolve/", author)
    said.refresh_from_db()
    assert said.resolved_by == author, "its authors resolve what is asked"


def test_nobody_follows_a_draft_of_others(client: Client, world: SimpleNamespace, draft: Note) -> None:
    body = {"do": "subscribe", "subject": f"note:{draft.public_id}"}
    assert "only its authors read it" in send(client, "/notifications/follow/", world.reviewer, 403, **body)


def test_the_feed_of_a_thread(client: Client, world: SimpleNamespace, published: Note, author: User) -> None:
    client.logout()
    feed = client.get("/networks/tinynet/thread/feed.atom").content.decode()
    assert "Curves from lines" in feed
    assert "began" not in feed
    assert client.get(at(published, "feed.atom")).status_code == 200
    assert client.get("/networks/nowhere/thread/feed.atom").status_code == 404
    assert "/networks/tinynet/thread/feed.atom" in page(client, "/networks/tinynet/thread/")


def test_every_event_has_its_sentence(client: Client, world: SimpleNamespace, published: Note, author: User) -> None:
    bob = make_user("bob")
    notes.save(author, published, began_from=1, body="Other.", summary="Other.")
    submit_note(author, published)
    notes.retract(author, published)
    submit_note(author, published)
    notes.decide(world.editor, published, version=2, decision="request changes", comment="No.")
    submit_note(author, published)
    notes.decide(world.editor, published, version=2, decision="approve")
    notes.ask(author, published, bob)
    notes.leave(bob, published)
    discussions.add(bob, published, "Name me after all.")
    notes.ask(author, published, bob)
    notes.agree(bob, published)
    notes.arrange(bob, published, [bob])
    notes.contribute(bob, published, "Measured.")
    cleo = make_user("cleo")
    notes.ask(author, published, cleo)
    notes.unask(author, published, cleo)
    notes.give_doi(author, published, "10.1234/a")
    commentary = notes.create(cleo, world.network, about=published, title="C", abstract="A.", body="B.")
    submit_note(cleo, commentary)
    notes.decide(world.editor, commentary, version=1, decision="approve")
    notes.supersede(author, published, make_note(world.network, author, published=True))
    notes.withdraw(cleo, commentary, reason="No.")
    html = page(client, "/activity/", author)
    verbs = set(Event.objects.filter(note__isnull=False).values_list("verb", flat=True))
    assert len(verbs) == 18
    for verb in verbs:
        assert verb not in html, f"{verb} has no sentence"


@pytest.mark.parametrize("role", [None, "contributor", "reviewer", "editor", "author"])
def test_queries_do_not_grow(client, world, author, published: Note, role: str | None, django_assert_max_num_queries):
    nodes = [{"id": f"n{index}", "neuron": f"mixed3b:{index}", "family": ""} for index in range(8)]
    nodes.append({"id": "f", "neuron": "", "family": str(world.curves.public_id)})
    nodes.append({"id": "c", "neuron": "conv1:1", "family": ""})
    edges = [{"source": "c", "target": f"n{index}", "weight": 0.5, "evidence": ""} for index in range(8)]
    subgraph = {"nodes": nodes, "edges": edges, "threshold": 0.3}
    body = "As [[3b:2]], [[family:3b/curves]] and @ada show.\n\n" * 20
    notes.save(author, published, began_from=1, body=body, subgraph=subgraph, summary="More.")
    submit_note(author, published)
    notes.decide(world.editor, published, version=2, decision="approve")
    for number in range(2, 12):
        about = make_note(world.network, make_user(), make_user(), about=published, abstract="[[3b:2]]", published=True)
        discussions.add(world.readers[0], published, f"What of [[3b:{number % 8}]]?")
        notes.save(about.created_by, about, began_from=1, body=f"See /notes/{published.public_id}/", summary="A link.")
        submit_note(about.created_by, about)
    user = {"author": author}.get(role or "") or (getattr(world, role) if role else None)
    page(client, "/", user)
    for address in (
        *(at(published, rest) for rest in ("", "versions/", "versions/1/", "versions/2/diff/", "authors/")),
        *("/networks/tinynet/thread/", "/review/?tab=notes", "/networks/tinynet/", "/"),
    ):
        with django_assert_max_num_queries(15, info=address):
            assert client.get(address).status_code == 200


@pytest.fixture
def read(client: Client) -> Callable[..., list[str]]:
    """Opens a page, and returns what it asked of the database."""

    def read(address: str, user: User | None = None, **headers: str) -> list[str]:
        client.logout()
        if user is not None:
            client.force_login(user)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(address, headers=headers).status_code == 200
        return [query["sql"] for query in queries]

    return read


def test_lists_leave_long_texts_in_the_database(read, world, published: Note, author: User) -> None:
    """A body and a bibliography are up to 100 kB each: where a title or an abstract is shown, nobody asks for them."""
    cleo = make_user("cleo")
    commentary = notes.create(cleo, world.network, about=published, title="C", abstract="A.", body="B.")
    submit_note(cleo, commentary)
    notes.supersede(author, published, make_note(world.network, author, published=True))
    notes.save(cleo, commentary, began_from=1, body="C.")
    make_note(world.network, author, title="Another")
    api = f"/api/v1/notes/{published.public_id}/"
    for address in (
        *("/networks/tinynet/thread/", "/review/?tab=notes", "/networks/tinynet/", "/", "/activity/"),
        *("/api/v1/notes/", api, f"{api}versions/"),
    ):
        for user in (author, world.editor):
            asked = read(address, user)
            for name in notes.LONG:
                assert not [sql for sql in asked if f'."{name}"' in sql], (address, name)
    for address, of in ((at(commentary), "about"), (at(published), "superseded_by"), (at(published, "versions/"), "")):
        bodies = [sql.count('."body"') for sql in read(address, author) if '."body"' in sql]
        assert bodies == [2], f"of what is published and what is submitted; not of {of or 'each version'}"


def test_what_locks_a_note_does_not_bring_its_texts(world, published: Note, author: User) -> None:
    with CaptureQueriesContext(connection) as queries:
        notes.ask(author, published, make_user())
    locked = [query["sql"] for query in queries if "FOR NO KEY UPDATE" in query["sql"]]
    assert locked
    assert not [sql for sql in locked if '"body"' in sql or '"abstract"' in sql]


def test_long_lists_have_pages(client: Client, world, monkeypatch, author: User) -> None:
    monkeypatch.setattr(pages, "PAGE", 2)
    for number in range(5):
        make_note(world.network, author, title=f"Draft {number}")
        submit_note(author, make_note(world.network, author, title=f"Waiting {number}"))
    thread = "/networks/tinynet/thread/"
    html = page(client, thread, author)
    assert 'In review <span class="share">5</span>' in html
    assert [f"Waiting {number}" in html for number in range(5)] == [True, True, False, False, False]
    assert [f"Draft {number}" in html for number in range(5)] == [False, False, False, True, True]
    html = page(client, f"{thread}?waiting=3&drafts=2", author)
    assert [f"Waiting {number}" in html for number in range(5)] == [False, False, False, False, True]
    assert [f"Draft {number}" in html for number in range(5)] == [False, True, True, False, False]
    assert "?waiting=2&amp;drafts=2" in html, "each has its own pages"
    assert "?waiting=3&amp;drafts=1" in html
    review = "/review/?tab=notes"
    assert 'in review <span class="share">5</span>' in page(client, review, world.editor)
    assert "?tab=notes&amp;page=2" in page(client, review, world.editor)
    assert "Waiting 4" in page(client, f"{review}&page=3", world.editor)


def test_of_many_versions_a_page_tells_the_latest_corrections(client: Client, world, published: Note, author) -> None:
    rows = [
        NoteVersion(
            note=published, number=number, title="T", body="B", saved_by=author, summary=f"Correction {number}."
        )
        for number in range(2, 302)
    ]
    Note.objects.filter(pk=published.pk).update(published=NoteVersion.objects.bulk_create(rows)[-2])
    html = page(client, at(published))
    told = re.findall(r"Correction (\d+)\.", html)
    assert told == [str(number) for number in range(300, 280, -1)], "301 is saved and not published"
    assert "Earlier ones stand among" in html
    form = page(client, at(published, "versions/200/diff/"), author)
    assert len(form) < 10_000
    assert 'name="with"' in form
    assert "version 3</a>" in page(client, at(published, "versions/200/diff/?with=3"), author)
    answer = client.get(f"/api/v1/notes/{published.public_id}/versions/?page=2&page_size=100").json()
    assert (answer["count"], [answer["results"][end]["number"] for end in (0, -1)]) == (301, [101, 200])
    wrong = client.get(f"/api/v1/notes/{published.public_id}/versions/?number=2")
    assert (wrong.status_code, "There are: page, page_size" in wrong.content.decode()) == (400, True)


def test_hidden_golds_cost_no_queries(read, world, circuit) -> None:
    """A contributor is not told the answer of several neurons that the note, its figures and its claims name."""
    reader, note = world.contributor, circuit.note
    for index in (4, 5, 6, 7):
        neuron = neuron_at(f"3b:{index}")
        Membership.objects.create(family=world.curves, neuron=neuron, made_by=world.editor)
        Neuron.objects.filter(pk=neuron.pk).update(standing=Standing.ACCEPTED)
    nodes = [{"id": f"n{index}", "neuron": f"mixed3b:{index}", "family": ""} for index in range(8)]
    nodes += [{"id": "c", "neuron": "conv1:1", "family": ""}]
    nodes += [{"id": "f", "neuron": "", "family": str(world.curves.public_id)}]
    edges = [
        {"source": "c", "target": node["id"], "weight": 0.5, "evidence": ""} for node in nodes if node["id"] != "c"
    ]
    tuned = world.read.evidence.filter(kind="tuning")
    figures = [row.current for row in (world.curves.evidence.get(kind="joint_tuning"), *tuned)]
    run = circuit.run.evidence.current
    body = "\n\n".join(
        [
            note.latest.body,
            "[[3b:4]], [[3b:5]], [[3b:6]], [[conv1:0]], [[family:3b/curves]], @wanda",
            *(f"![It.](/evidence/{version.public_id}/)" for version in (*figures, run)),
        ]
    )
    subgraph = {"nodes": nodes, "edges": edges, "threshold": 0.3}
    notes.save(circuit.author, note, began_from=2, body=body, subgraph=subgraph, summary="More.")
    for index in range(4, 8):
        make_claim(note, circuit.author, f"Of {index}.", plan=make_plan([index]))
    submit_note(circuit.author, note)
    notes.decide(world.editor, note, version=3, decision="approve")
    discussions.add(world.readers[0], Note.objects.get(pk=note.pk), "Is [[3b:4]] one, @yusuf?")
    read("/")
    for marked in ((), (0, 1, 4, 5), (6,)):
        for index in marked:
            gold.mark(world.editor, neuron_at(f"3b:{index}"), "As clear as it gets.")
        for user in (None, reader, world.reviewer, circuit.author):
            asked = read(note.get_absolute_url(), user)
            assert len(asked) <= 15, (user, marked, asked)


def test_a_note_of_another_network_that_leads_to_a_note(client: Client, published: Note) -> None:
    elsewhere = make_network("elsewhere")
    make_note(elsewhere, title="From afar", published=True, body=f"See [it](/notes/{published.public_id}/).")
    make_note(elsewhere, title="A draft from afar", body=f"See [it](/notes/{published.public_id}/).")
    html = page(client, at(published)).split("What links here</h2>")[1].split("</section>")[0]
    assert "From afar" in html
    assert "A draft from afar" not in html


def test_bad_addresses_are_sentences(client: Client, world: SimpleNamespace) -> None:
    for address, sentence in {
        "/networks/nowhere/thread/": "There is no network “nowhere” here.",
        "/networks/nowhere/notes/new/": "There is no network “nowhere” here.",
        "/notes/00000000-0000-0000-0000-000000000000/": "There is no such note here.",
    }.items():
        assert sentence in page(client, address, status=404)
    assert page(client, "/networks/tinynet/thread/?page=99")
    assert "No note waits" in page(client, "/review/?tab=notes", world.reviewer)


def test_what_was_saved_before_the_first_submission_stays_its_authors(client, world, author, draft) -> None:
    graph = {"nodes": [{"id": "a", "neuron": "mixed3b:3", "family": "", "x": 0, "y": 0}], "edges": [], "threshold": 0.3}
    notes.save(author, draft, began_from=1, body="Private words.", subgraph=graph)
    notes.save(author, draft, began_from=2, body="Public words.", summary="Took out what nobody should read.")
    submit_note(author, draft)
    notes.decide(world.editor, draft, version=3, decision="approve")
    here = draft.get_absolute_url()
    doors = ("versions/2/", "versions/2/diff/", "versions/3/diff/?with=2", "versions/1/")
    doors += ("cite.txt?version=2", "cite.json?version=1", "circuit.svg?version=2", "artificial.py?version=2")
    for user in (None, world.contributor, world.editor):
        for door in doors:
            told = page(client, here + door, user, status=403)
            assert "was saved before this note was first submitted: only its authors read it." in told
        for door in ("", "versions/", "versions/3/", "versions/3/diff/", "cite.txt?version=3"):
            assert "Private" not in page(client, here + door, user)
        assert "Updates and corrections" not in page(client, here, user)
        found = page(client, f"{here}versions/", user)
        assert ("Version 3" in found, "Version 2" in found, "versions/3/diff/" in found) == (True, False, False)
        assert "Those before version 3, with which the note was first submitted, are its authors’ alone." in found
    notes.ask(author, draft, asked := make_user())
    for user in (author, asked):
        assert "Private words" in page(client, f"{here}versions/2/", user)
        assert "Private" in page(client, f"{here}versions/3/diff/", user)
        assert "Version 1" in page(client, f"{here}versions/", user)
    notes.save(author, draft, began_from=3, body="A correction that nobody approved.", summary="Said better.")
    assert "A correction that nobody approved." in page(client, f"{here}versions/4/")
    assert "Public words" in page(client, f"{here}versions/4/diff/")
    assert "everybody can read every version that you save from now on, a correction too" in page(
        client, f"{here}edit/", author
    )


def test_what_a_note_says_of_another_is_kept_with_what_is_published(client, world, author, published) -> None:
    address = published.get_absolute_url()
    by = make_note(world.network, title="It goes on", body="As one sees.")
    writer = by.created_by
    assert (list(by.notes.all()), "It goes on" in page(client, address, author)) == ([], False)
    notes.save(writer, by, began_from=1, body=f"As [there]({address}versions/1/) and [here]({by.get_absolute_url()}).")
    assert list(by.notes.all()) == [published]
    submit_note(writer, by)
    assert "It goes on" not in page(client, address, author)
    notes.decide(world.editor, by, version=2, decision="approve")
    assert "It goes on" in page(client, address)
    assert "It goes on" not in page(client, by.get_absolute_url()).split("<h2")[-1]
    notes.save(writer, by, began_from=2, body="No longer.", summary="It does not.")
    assert "It goes on" in page(client, address)
    submit_note(writer, by)
    notes.decide(world.editor, by, version=3, decision="approve")
    assert (list(by.notes.all()), "It goes on" in page(client, address)) == ([], False)
