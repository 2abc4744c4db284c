"""Hiding notes and claims on pages: what an admin does, what everybody else finds then, and what is left out where."""

import pytest
from django.test import Client

from taxonomy.actions import discussions, labels, moderation, reviews
from taxonomy.models import Claim, Neuron, Note, Reveal, User
from tests.factory import (
    make_claim,
    make_evidence,
    make_note,
    make_plan,
    make_run,
    make_user,
    neuron_at,
    submit_note,
)
from tests.pages.test_discussions import as_, reveal_all, text_of


@pytest.fixture
def author(world) -> User:
    return make_user("ada")


@pytest.fixture
def note(world, author) -> Note:
    said = {"title": "Cheap pills", "abstract": "Pills at half the price.", "body": "Pills: [[3b:0]]."}
    return make_note(world.network, author, published=True, **said)


@pytest.fixture
def claim(world, author) -> Claim:
    return make_claim(world.curves, author, "Pills make curves.")


def test_an_admin_hides_a_note_and_shows_it_again(world, note, author):
    admin, here = as_(world.admin), f"/notes/{note.public_id}/"
    assert "Hide this note" in text_of(admin, here)
    assert "Cheap pills" in text_of(admin, "/moderation/notes/?show=all")
    assert "Cheap pills" not in text_of(admin, "/moderation/notes/")
    missing = admin.post(f"{here}hide/", {"reason": " "})
    assert (missing.status_code, "Say why" in missing.content.decode()) == (422, True)
    assert admin.post(f"{here}hide/", {"reason": "advertising"}).url == "/moderation/notes/"
    listed = text_of(admin, "/moderation/notes/")
    assert "Cheap pills" in listed
    assert "Hidden by <bdi>adam</bdi>" in listed
    for client in (Client(), as_(world.contributor), as_(world.editor)):
        for page in ("", "versions/1/", "versions/", "discussion/", "cite.bib", "circuit.svg"):
            told = text_of(client, f"{here}{page}", 404)
            assert "This note was hidden by a moderator on" in told, page
            assert "“advertising”" in told
            assert "ills" not in told
    for client in (admin, as_(author)):
        told = text_of(client, here)
        assert "Hidden by a moderator" in told
        assert "noindex" in told
        assert "Pills at half the price" in told
    assert "write to an admin" in as_(author).get(f"{here}edit/").content.decode().lower()
    assert admin.post(f"{here}unhide/").url == "/moderation/notes/"
    assert "Cheap pills" in text_of(Client(), here)


def test_an_admin_hides_a_claim_and_shows_it_again(world, claim, author):
    admin, here = as_(world.admin), f"/claims/{claim.public_id}/"
    assert "Hide this claim" in text_of(admin, here)
    assert "Pills make" in text_of(admin, "/moderation/claims/?show=all")
    assert "Say why" in admin.post(f"{here}hide/", {"reason": " "}).content.decode()
    assert admin.post(f"{here}hide/", {"reason": "advertising"}).url == "/moderation/claims/"
    assert "Pills make" in text_of(admin, "/moderation/claims/")
    for client in (Client(), as_(world.contributor), as_(world.editor)):
        for page in ("", "discussion/"):
            told = text_of(client, f"{here}{page}", 404)
            assert "This claim was hidden by a moderator on" in told
            assert "Pills" not in told
    for client in (admin, as_(author)):
        told = text_of(client, here)
        assert "Hidden by a moderator" in told
        assert "Pills make curves" in told
    assert admin.post(f"{here}unhide/").url == "/moderation/claims/"
    assert "Pills make" in text_of(Client(), here)


def test_it_is_left_out_wherever_it_was_told(world, note, claim, author):
    discussions.add(world.readers[0], note, "Buy Pills.")
    citing = f"See [[claim:{claim.public_id}]], and so on."
    answer = make_note(world.network, make_user(), published=True, about=note, title="An answer", body=citing)
    network = f"/networks/{world.network.name}/"
    places = [
        *("/", network, f"{network}thread/", f"{network}thread/feed.atom", f"{network}feed.atom", f"{network}claims/"),
        *("/activity/", "/activity/feed.atom", "/discussions/", f"/people/{author.username}/"),
        *(f"{network}mixed3b/0/", f"{network}mixed3b/families/{world.curves.pk}/", f"{network}mixed3b/feed.atom"),
        *(f"/complete/?network={world.network.name}&q=claim:pill", f"/notes/{answer.public_id}/"),
    ]
    told = [place for place in places if "ills" in text_of(Client(), place)]
    assert len(told) > 9, told
    for one in (note, claim):
        moderation.hide(world.admin, one, "spam")
    for client in (Client(), as_(world.contributor), as_(world.admin), as_(author)):
        for place in places:
            assert "ills" not in text_of(client, place), place
    cited = text_of(Client(), f"/notes/{answer.public_id}/")
    assert "a claim that a moderator hid" in cited
    assert "a note that a moderator hid" in cited
    for feed in (f"/notes/{note.public_id}/feed.atom", f"/claims/{claim.public_id}/discussion/feed.atom"):
        assert Client().get(feed).status_code == 404
    for one in (note, claim):
        moderation.unhide(world.admin, one)
    assert [place for place in places if "ills" in text_of(Client(), place)] == told


def test_a_hidden_claims_experiment_is_not_shown(world, claim):
    version = make_run(claim, "supported", data=None).evidence.current
    moderation.hide(world.admin, claim, "spam")
    assert "hidden by a moderator" in text_of(Client(), version.get_absolute_url(), 404)


def test_an_editor_is_told_that_what_disputes_a_neuron_was_hidden(world, author):
    neuron = neuron_at("3b:0")
    claim = make_claim(neuron, author, "Pills make curves.", kind="purity", plan=make_plan([neuron.index]))
    make_run(claim, "refuted")
    reviews.tend()
    editor, here = as_(world.editor), neuron.get_absolute_url()
    places = "/review/?tab=disputed", f"{here}?readings", "/activity/", f"{here}discussion/"
    for place in places[:2]:
        assert "Run 1 refuted a claim about what it is: <a" in text_of(editor, place)
        assert "moderator" not in text_of(editor, place)
    moderation.hide(world.admin, claim, "spam")
    for place in places:
        assert "ills" not in text_of(editor, place), place
    for place in places[:2]:
        assert f'<a href="{claim.get_absolute_url()}">a claim that a moderator hid</a>' in text_of(editor, place)
    assert "a claim about what it is</a>, which a moderator hid, was refuted" in text_of(editor, f"{here}?readings")
    assert "“spam”" in text_of(editor, claim.get_absolute_url(), 404)
    cites = [make_evidence(neuron, data={"value": 1.0}).current]
    reviews.settle(world.editor, neuron, family=world.curves, comment="It is one.", cites=cites)
    assert "that a moderator hid" not in text_of(editor, "/review/?tab=disputed")
    moderation.unhide(world.admin, claim)
    assert reviews.tend() == 0


@pytest.mark.parametrize("on", ["note", "claim", "claim on a note"])
def test_who_commented_on_what_is_hidden_reads_that_and_nobody_elses(world, note, claim, author, on):
    subject = {"note": note, "claim": claim, "claim on a note": make_claim(note, author, "Pills work.")}[on]
    ada, bela = world.readers[:2]
    for person in (ada, bela):
        labels.reveal(person, *Neuron.objects.all())
    said = discussions.add(ada, subject, "Really?")
    discussions.add(bela, subject, "Surely not.", parent=said)
    discussions.edit(ada, said, "Really so?")
    looks = Reveal.objects.count()
    moderation.hide(world.admin, note if on != "claim" else claim, "spam")
    address = f"/comments/{said.public_id}/"
    told = text_of(as_(ada), "/discussions/")
    assert ("Really so?" in told, "Surely" in told, "ills" in told) == (True, False, False)
    assert f"a {'note' if on == 'note' else 'claim'} that a moderator hid" in told
    assert as_(ada).get(address).headers["Location"] == f"{address}wordings/"
    told = text_of(as_(ada), f"{address}wordings/")
    assert "was hidden by a moderator on" in told
    assert ("Really" in told, "ills" in told, "To the comment" in told) == (True, False, False)
    assert Reveal.objects.count() == looks
    assert "was hidden by" in text_of(as_(ada), f"{address}edit/", 404)
    for other in (as_(bela), as_(world.editor), Client()):
        assert "Really" not in text_of(other, "/discussions/")
        for page in ("", "wordings/"):
            assert "Really" not in text_of(other, f"{address}{page}", 404)
    assert "Really" in as_(world.admin).get(address, follow=True).content.decode()


def test_a_note_in_review_leaves_the_editors_list(world, author):
    note = make_note(world.network, author, title="Cheap pills")
    submit_note(author, note)
    editor = as_(world.editor)
    assert "Cheap pills" in text_of(editor, "/review/?tab=notes")
    moderation.hide(world.admin, note, "spam")
    assert "Cheap pills" not in text_of(editor, "/review/?tab=notes")
    assert editor.post(f"/notes/{note.public_id}/decide/", {"version": 1, "decision": "approve"}).status_code == 404
    moderation.unhide(world.admin, note)
    assert "Cheap pills" in text_of(editor, "/review/?tab=notes")


@pytest.mark.parametrize("who", ["visitor", "contributor", "reviewer", "editor", "author"])
def test_only_admins_keep_house(world, note, claim, author, who):
    people = {"visitor": None, "author": author}
    person = people.get(who, getattr(world, who, None))
    client = as_(person) if person else Client()
    for address in ("/moderation/notes/", "/moderation/claims/"):
        assert client.get(address).status_code == 403
    for one in (note, claim):
        for verb in ("hide", "unhide"):
            assert client.post(f"{one.get_absolute_url()}{verb}/", {"reason": "x"}).status_code == 403
        assert "Hide this" not in client.get(one.get_absolute_url()).content.decode()


def test_an_admin_looks_at_a_claim_on_an_unsettled_neuron_only_when_asked(world):
    reveal_all(world)
    stated = make_claim(world.read, world.readers[0], "It is a boomerang.")
    client = as_(world.admin)
    assert "boomerang" not in text_of(client, "/moderation/claims/?show=all")
    assert not Reveal.objects.filter(person=world.admin, neuron=world.read).exists()
    assert "boomerang" in text_of(client, f"/moderation/claims/?show=all&look={stated.public_id}")
    assert Reveal.objects.filter(person=world.admin, neuron=world.read).exists()


def test_what_is_said_on_a_hidden_note_is_still_an_admins_to_judge(world, note, author):
    discussions.add(author, note, "Buy more.")
    moderation.hide(world.admin, note, "spam")
    assert "Buy more" in text_of(as_(world.admin), "/moderation/?show=all")


def test_hardly_any_queries_however_many_there_are(world, note, claim, author, django_assert_max_num_queries):
    client = as_(world.admin)
    for one in (note, claim):
        moderation.hide(world.admin, one, "spam")
    for number in range(12):
        more = make_note(world.network, author, title=f"Note {number}")
        submit_note(author, more)
        moderation.hide(world.admin, make_claim(world.curves, author, f"Claim {number}."), "spam")
        make_claim(more, author, f"On it {number}.")
    for address in ("/moderation/notes/", "/moderation/claims/"):
        for chosen in ("", "?show=all"):
            client.get(f"{address}{chosen}")
            with django_assert_max_num_queries(15):
                assert client.get(f"{address}{chosen}").status_code == 200
    with django_assert_max_num_queries(15):
        assert client.get(note.get_absolute_url()).status_code == 200
