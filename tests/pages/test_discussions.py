"""Discussions on pages: what is said, by whom, for whom; and that nothing typed is lost."""

import uuid

import pytest
from django.test import Client

from taxonomy.actions import discussions, labels
from taxonomy.models import Comment, Neuron, Reveal, Standing
from taxonomy.pages.talk import EXCHANGES
from tests.factory import make_label, make_user, neuron_at


@pytest.fixture(autouse=True)
def _many_a_minute(settings):
    settings.COMMENTS_A_MINUTE = 1000


@pytest.fixture
def addresses(world) -> dict[str, str]:
    layer = world.layer.get_absolute_url()
    return {
        "neuron": f"{layer}3/",
        "settled neuron": f"{layer}0/",
        "family": f"{layer}families/{world.curves.pk}/",
        "proposal": f"/proposals/{world.proposal.public_id}/",
    }


@pytest.fixture
def family(addresses) -> str:
    return addresses["family"]


@pytest.fixture
def settled(world) -> Neuron:
    return neuron_at("3b:0")


def as_(person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def text_of(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status, address
    return response.content.decode()


def send(client: Client, address: str, text: str, **rest):
    return client.post(f"{address}discussion/", {"text": text, "submission": str(uuid.uuid4()), **rest})


@pytest.mark.parametrize("name", ["settled neuron", "family", "proposal"])
def test_say_something_and_find_it_there(world, addresses, name):
    client = as_(world.contributor)
    response = send(client, addresses[name], "Bent, as [[3b:1]] is; @rita?")
    comment = Comment.objects.get()
    assert response.url == f"/comments/{comment.public_id}/"
    place = client.get(response.url).url
    assert place == f"{addresses[name]}#comment-{comment.public_id}"
    html = text_of(client, place)
    assert f'id="comment-{comment.public_id}"' in html
    assert 'href="/people/rita/">@rita</a>' in html
    assert 'href="/networks/tinynet/mixed3b/1/"' in html.split('id="discussion"')[1]
    assert "Bent, as" in text_of(Client(), addresses[name])
    assert "Bent, as" in text_of(client, f"{addresses[name]}discussion/")


def test_the_first_comment_is_invited(world, family):
    assert "What do you see in it" in text_of(as_(world.contributor), family)
    visitor = text_of(Client(), family)
    assert "Nobody has said anything yet." in visitor
    assert "Sign in to comment." in visitor
    assert "<textarea" not in visitor.split('id="discussion"')[1]
    assert "Admins keep house" in text_of(as_(world.admin), family)


def test_replies_stand_under_what_they_answer(world, family):
    first = discussions.add(world.contributor, world.curves, "Curves?")
    send(as_(world.reviewer), family, "Curves.", parent=str(first.public_id))
    html = text_of(Client(), family)
    replies = html.split('class="replies"')[1].split("</ol>")[0]
    assert "Curves." in replies
    assert "rita" in replies


@pytest.mark.parametrize(
    ("sent", "status", "sentence"),
    [
        ({"text": "  \n"}, 422, "There is nothing to say yet"),
        ({"text": "<b>" + "x" * 20_000}, 422, "at most 20,000 characters; this one has 20,003."),
        ({"text": "keep me <b>", "parent": str(uuid.uuid4())}, 422, "is not there"),
        ({"text": "keep me <b>", "parent": "x"}, 422, "Enter a valid UUID"),
        ({"text": "keep me <b>", "submission": "x"}, 422, "Enter a valid UUID"),
    ],
)
def test_what_cannot_be_taken_is_not_lost(world, family, sent, status, sentence):
    response = as_(world.contributor).post(f"{family}discussion/", sent)
    assert response.status_code == status
    html = response.content.decode()
    assert sentence in html
    if sent["text"].strip() and "parent" not in sent:
        assert "&lt;b&gt;" in html.split("<textarea")[1]
    assert not Comment.objects.exists()


def test_a_refusal_keeps_the_text_too(world, family, settings):
    settings.COMMENTS_A_MINUTE = 1
    client = as_(world.contributor)
    send(client, family, "One")
    response = send(client, family, "Two & more")
    assert response.status_code == 403
    html = response.content.decode()
    assert "You wrote 1 times within a minute" in html
    assert "Two &amp; more</textarea>" in html


def test_a_megabyte_is_refused_before_it_is_read(world, family):
    assert send(as_(world.contributor), family, "x" * 1_000_000).status_code == 413


@pytest.mark.parametrize("who", ["visitor", "admin", "blocked"])
def test_who_may_not_comment(world, family, who):
    client = Client() if who == "visitor" else as_(world.admin if who == "admin" else world.contributor)
    if who == "blocked":
        world.contributor.is_active = False
        world.contributor.save()
    assert send(client, family, "Hello").status_code == 403
    assert not Comment.objects.exists()


def test_a_preview_is_not_sent(world, family):
    client = as_(world.contributor)
    sent = {"text": "Is it **bent**?", "do": "preview"}
    fragment = client.post(f"{family}discussion/", sent, headers={"HX-Request": "true"}).content.decode()
    assert "<strong>bent</strong>" in fragment
    assert "<html" not in fragment
    page = client.post(f"{family}discussion/", sent).content.decode()
    assert "<strong>bent</strong>" in page
    assert "Is it **bent**?</textarea>" in page
    long = client.post(f"{family}discussion/", {**sent, "text": "x" * 20_001}, headers={"HX-Request": "true"})
    assert "at most 20,000 characters" in long.content.decode()
    assert not Comment.objects.exists()


# Independence


def test_nothing_is_said_to_who_has_not_read_the_neuron(world, addresses):
    said = discussions.add(world.readers[0], world.read, "It is a boomerang") if reveal_all(world) else None
    assert said is not None
    for client in (Client(), *(as_(one) for one in (world.contributor, world.reviewer, world.editor, world.admin))):
        for address in (
            *(addresses["neuron"], f"{addresses['neuron']}discussion/", "/discussions/", "/activity/"),
            "/discussions/?network=tinynet&layer=mixed3b&state=open",
        ):
            html = text_of(client, address)
            assert "boomerang" not in html, address
            assert str(said.public_id) not in html, address
        assert "after you have given your own reading" in text_of(client, addresses["neuron"])
        for part in ("", "wordings/", "edit/"):
            assert client.get(f"/comments/{said.public_id}/{part}").status_code == 403
        for verb in ("resolve", "reopen"):
            assert client.post(f"/comments/{said.public_id}/{verb}/").status_code == 403
        assert send(client, addresses["neuron"], "Me too").status_code == 403
    assert Comment.objects.count() == 1
    assert not Reveal.objects.filter(neuron=world.read).exclude(person__in=world.readers).exists()


def reveal_all(world) -> bool:
    for reader in world.readers:
        labels.reveal(reader, world.read, world.agreed)
    return True


def test_who_has_read_it_takes_part(world, addresses):
    reveal_all(world)
    discussions.add(world.readers[0], world.read, "It is a boomerang")
    reader = as_(world.readers[1])
    assert "boomerang" in text_of(reader, addresses["neuron"])
    assert "boomerang" in text_of(reader, "/discussions/")
    assert send(reader, addresses["neuron"], "So it is").status_code == 302


def test_a_reviewer_who_looked_comments_and_comes_back_to_it(world, addresses):
    client = as_(world.reviewer)
    text_of(client, f"{addresses['neuron']}?readings")
    response = send(client, addresses["neuron"], "Blurred")
    place = client.get(response.url).url
    assert place.startswith(f"{addresses['neuron']}?readings#comment-")
    assert "Blurred" in text_of(client, place)


def test_reading_the_talk_is_a_reveal(world, addresses):
    reader = make_user()
    label = make_label(world.read, reader, world.lines)
    assert label.blind
    Neuron.objects.filter(pk=world.read.pk).update(standing=Standing.CONTESTED)
    text_of(as_(reader), f"{addresses['neuron']}discussion/")
    assert Reveal.objects.filter(person=reader, neuron=world.read).exists()


# Editing


def test_edit_and_see_every_wording(world, family):
    comment = discussions.add(world.contributor, world.curves, "Curves are bent")
    client = as_(world.contributor)
    address = f"/comments/{comment.public_id}/edit/"
    assert "Curves are bent</textarea>" in text_of(client, address)
    fragment = client.get(address, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in fragment
    assert client.post(address, {"text": " "}).status_code == 422
    assert client.post(address, {"text": "Curves are <i>round</i>"}).status_code == 302
    assert f"/comments/{comment.public_id}/wordings/" in text_of(Client(), family)
    html = text_of(Client(), f"/comments/{comment.public_id}/wordings/")
    assert "<del>bent</del><ins>&lt;i&gt;round&lt;/i&gt;</ins>" in html
    assert html.index("Wording 2") < html.index("First wording")
    for other in (Client(), as_(world.reviewer), as_(world.admin)):
        assert other.get(address).status_code == 403
        assert other.post(address, {"text": "Mine"}).status_code == 403


# Resolving


def test_resolved_exchanges_fold(world, family):
    comment = discussions.add(world.contributor, world.curves, "Is this done?")
    assert "Resolve" not in text_of(as_(world.readers[0]), family).split('id="discussion"')[1]
    client = as_(world.reviewer)
    assert client.post(f"/comments/{comment.public_id}/resolve/").status_code == 302
    html = text_of(Client(), family)
    assert '<details class="exchange resolved">' in html
    assert client.post(f"/comments/{comment.public_id}/resolve/").status_code == 403
    assert client.post(f"/comments/{comment.public_id}/reopen/").status_code == 302
    assert '<details class="exchange resolved">' not in text_of(Client(), family)
    assert client.get(f"/comments/{comment.public_id}/resolve/").status_code == 405


# Hiding


def test_what_is_hidden_keeps_its_place(world, family):
    comment = discussions.add(world.contributor, world.curves, "Buy pills now")
    discussions.edit(world.contributor, comment, "Buy more pills now")
    admin = as_(world.admin)
    assert "Say why" in admin.post(f"/comments/{comment.public_id}/hide/", {"reason": " "}).content.decode()
    assert admin.post(f"/comments/{comment.public_id}/hide/", {"reason": "spam"}).url == "/moderation/"
    for client in (Client(), as_(world.contributor), as_(world.editor)):
        for address in (family, f"{family}discussion/", "/discussions/", "/activity/"):
            assert "pills" not in text_of(client, address), address
        assert "Hidden by <bdi>adam</bdi>: <bdi>spam</bdi>" in text_of(client, family)
        assert client.get(f"/comments/{comment.public_id}/wordings/").status_code == 403
    assert "Buy more pills" in text_of(admin, "/moderation/")
    assert "Buy more pills" in text_of(admin, family)
    assert "Buy pills" not in text_of(admin, family)
    admin.post(f"/comments/{comment.public_id}/unhide/")
    assert "Buy more pills" in text_of(Client(), family)


@pytest.mark.parametrize("who", ["visitor", "contributor", "reviewer", "editor"])
def test_only_admins_keep_house(world, who):
    comment = discussions.add(world.contributor, world.curves, "Hello")
    client = Client() if who == "visitor" else as_(getattr(world, who))
    assert client.get("/moderation/").status_code == 403
    for verb in ("hide", "unhide"):
        assert client.post(f"/comments/{comment.public_id}/{verb}/", {"reason": "x"}).status_code == 403


def test_an_admin_looks_at_what_tells_of_an_unsettled_neuron_only_when_asked(world):
    reveal_all(world)
    said = discussions.add(world.readers[0], world.read, "It is a boomerang")
    client = as_(world.admin)
    assert "boomerang" not in text_of(client, "/moderation/?show=all")
    assert not Reveal.objects.filter(person=world.admin).exists()
    assert "boomerang" in text_of(client, f"/moderation/?show=all&look={said.public_id}")
    assert Reveal.objects.filter(person=world.admin, neuron=world.read).exists()


# Many


def test_long_discussions_are_cut_and_permalinks_lead_to_their_place(world, family, django_assert_max_num_queries):
    every = [discussions.add(world.contributor, world.curves, f"Number {n}.") for n in range(2 * EXCHANGES + 3)]
    discussions.add(world.reviewer, world.curves, "To the first.", parent=every[0])
    html = text_of(Client(), family)
    assert "Number 42." in html
    assert "Number 22." not in html
    assert "Earlier comments" in html
    for comment in (every[0], every[2], every[3], every[22], every[23], every[42], Comment.objects.last()):
        place = Client().get(f"/comments/{comment.public_id}/").url
        page = text_of(Client(), place)
        assert f'id="comment-{comment.public_id}"' in page, comment
    with django_assert_max_num_queries(15):
        text_of(Client(), family)


def test_the_newest_talk_filtered_and_paged(world, django_assert_max_num_queries):
    for number in range(45):
        discussions.add(world.contributor, world.curves, f"Number {number}. [[3b:1]]")
    discussions.add(world.contributor, world.proposal, "On the proposal")
    first = Comment.objects.order_by("pk")[0]
    discussions.resolve(world.reviewer, first)
    client = as_(world.readers[0])
    with django_assert_max_num_queries(15):
        html = text_of(client, "/discussions/")
    assert "On the proposal" in html
    assert "Number 0." not in html
    older = html.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    assert "Number 0." in text_of(client, f"/discussions/{older}")
    resolved = text_of(client, "/discussions/?state=resolved")
    assert "Number 0." in resolved
    assert "Number 1." not in resolved
    assert "Number" not in text_of(client, "/discussions/?network=tinynet&layer=conv1")
    for address in (
        "?before=x",
        "?network=%00",
        "?layer=nowhere&network=tinynet",
        "?state=eaten",
        f"?before={'9' * 30}",
    ):
        assert client.get(f"/discussions/{address}").status_code == 200


def test_bad_addresses_are_sentences(world, family):
    for address in (f"/comments/{uuid.uuid4()}/", f"{family}discussion/x/", "/comments/x/"):
        assert Client().get(address).status_code == 404
    assert "has no such family" in text_of(Client(), "/networks/tinynet/mixed3b/families/77777/discussion/", 404)
    assert Client().get(f"{family}discussion/?before=x").status_code == 200
