"""Atom feeds: valid, stable, cheap, and telling no more than the reader may know."""

import datetime
import uuid
from xml.etree import ElementTree

import pytest
from django.test import Client

from taxonomy import events, feeds
from taxonomy.actions import discussions, labels, notifications
from taxonomy.models import Event, Family, Notification, Subscription, User, Why
from tests.factory import make_label, make_user, neuron_at
from tests.pages.conftest import world  # noqa: F401

ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture
def addresses(world) -> dict[str, str]:  # noqa: F811
    base = "/networks/tinynet/"
    return {
        "activity": "/activity/feed.atom",
        "network": f"{base}feed.atom",
        "layer": f"{base}mixed3b/feed.atom",
        "neuron": f"{base}mixed3b/2/feed.atom",
        "family": f"{base}mixed3b/families/{world.curves.pk}/feed.atom",
        "proposal": f"/proposals/{world.proposal.public_id}/feed.atom",
        "neuron's discussion": f"{base}mixed3b/2/discussion/feed.atom",
        "family's discussion": f"{base}mixed3b/families/{world.curves.pk}/discussion/feed.atom",
        "proposal's discussion": f"/proposals/{world.proposal.public_id}/discussion/feed.atom",
    }


def parsed(response) -> ElementTree.Element:
    assert response.status_code == 200
    assert response["Content-Type"] == "application/atom+xml; charset=utf-8"
    return ElementTree.fromstring(response.content)


def said(element: ElementTree.Element, name: str) -> str:
    found = element.find(ATOM + name)
    assert found is not None, name
    assert found.text, name
    return found.text


def titles(response) -> list[str]:
    return [said(entry, "title") for entry in parsed(response).iter(f"{ATOM}entry")]


def record(verb: str, **subjects) -> Event:
    return events.record(make_user(), verb, **subjects)


def everything(world) -> None:  # noqa: F811
    record("review.accepted", neuron=neuron_at("3b:0"), family=world.curves)
    record("proposal.made", proposal=world.proposal)
    record("person.joined")
    discussions.add(world.reviewer, world.curves, "Are [[3b:1]] & <b>this</b> one?")
    discussions.add(world.reviewer, world.proposal, "Perhaps.")


def check(root: ElementTree.Element, address: str) -> None:
    """What RFC 4287 asks of a feed and its entries."""
    assert root.tag == f"{ATOM}feed"
    assert said(root, "id").startswith("tag:127.0.0.1,2026")
    assert said(root, "title").endswith(" · Neurotaxa")
    links = {link.get("rel"): link.get("href") for link in root.findall(f"{ATOM}link")}
    assert links["self"] == f"http://127.0.0.1:8000{address}"
    assert links["alternate"].startswith("http://127.0.0.1:8000/")
    names = [said(entry, "id") for entry in root.iter(f"{ATOM}entry")]
    assert len(names) == len(set(names))
    times = []
    for entry in root.iter(f"{ATOM}entry"):
        assert said(entry, "id").startswith("tag:127.0.0.1,")
        assert "<" not in said(entry, "title")
        assert entry.find(f"{ATOM}author/{ATOM}name").text
        assert entry.find(f"{ATOM}link").get("href").startswith("http://127.0.0.1:8000/")
        summary = entry.find(f"{ATOM}summary")
        assert summary.get("type") == "html"
        assert '="/' not in summary.text
        assert "<svg" not in summary.text
        times.append(datetime.datetime.fromisoformat(said(entry, "updated")))
    assert times == sorted(times, reverse=True)
    assert datetime.datetime.fromisoformat(said(root, "updated")) == (times[0] if times else feeds.NEVER)


def test_every_feed_is_valid_and_cheap(client, world, addresses, django_assert_max_num_queries):  # noqa: F811
    everything(world)
    for name, address in addresses.items():
        with django_assert_max_num_queries(9, info=name):
            response = client.get(address)
        root = parsed(response)
        check(root, address)
        assert "public" in response["Cache-Control"], name
        if name != "neuron's discussion":
            assert root.find(f"{ATOM}entry") is not None, name


def test_each_tells_of_what_it_is_about(client, world, addresses):  # noqa: F811
    everything(world)
    assert "joined" in " ".join(titles(client.get(addresses["activity"])))
    assert "joined" not in " ".join(titles(client.get(addresses["network"])))
    assert len(titles(client.get(addresses["family"]))) == 2
    assert titles(client.get(addresses["family's discussion"])) == ["rita commented on the family Curves"]
    assert "Are 3b:1 &amp;" in client.get(addresses["family's discussion"]).content.decode().replace(
        "&amp;amp;", "&amp;"
    )
    assert len(titles(client.get(addresses["proposal"]))) == 2
    assert len(titles(client.get(addresses["proposal's discussion"]))) == 1
    assert all("read mixed3b:2" in title for title in titles(client.get(addresses["neuron"])))


def test_feeds_tell_nobody_how_an_unsettled_neuron_is_read(client, world, addresses):  # noqa: F811
    for verb in ("comment.added", "review.objected", "gold.marked"):
        record(verb, neuron=world.agreed)
    Family.objects.filter(pk=world.lines.pk).update(name="Zebra")
    for person in (None, world.readers[0], world.editor):  # whoever asks, a public feed is that of a visitor
        if person:
            client.force_login(person)
        for name, address in addresses.items():
            text = client.get(address).content.decode()
            for word in ("to agreement", "commented", "objected", "gold.marked", "Straight, like", "Zebra"):
                assert word not in text, f"{name} tells {word}"


def test_names_stay_and_what_did_not_change_is_not_sent_again(client, world, addresses):  # noqa: F811
    everything(world)
    for name, address in addresses.items():
        first = client.get(address)
        again = client.get(address, headers={"If-None-Match": first["ETag"]})
        assert again.status_code == 304, name
        assert again.content == b""
        assert client.get(address, headers={"If-Modified-Since": first["Last-Modified"]}).status_code == 304, name
    before = {said(entry, "id") for entry in parsed(client.get(addresses["family"])).iter(f"{ATOM}entry")}
    stale = client.get(addresses["family"])["ETag"]
    record("family.linked", family=world.curves)
    response = client.get(addresses["family"], headers={"If-None-Match": stale})
    after = {said(entry, "id") for entry in parsed(response).iter(f"{ATOM}entry")}
    assert before < after


def test_names_from_people_are_text(client, world, addresses):  # noqa: F811
    Family.objects.filter(pk=world.curves.pk).update(name="<script>a & b")
    record("family.linked", family=world.curves)
    response = client.get(addresses["family"])
    assert "linked <script>a & b of mixed3b" in titles(response)[0]
    summary = parsed(response).find(f"{ATOM}entry/{ATOM}summary").text
    assert "&lt;script&gt;a &amp; b" in summary
    assert "<script>" not in summary


@pytest.mark.parametrize(
    "address",
    [
        "/networks/nowhere/feed.atom",
        "/networks/tinynet/nowhere/feed.atom",
        "/networks/tinynet/mixed3b/8/feed.atom",
        "/networks/tinynet/mixed3b/999999999/feed.atom",
        "/networks/tinynet/conv1/families/{curves}/feed.atom",
        "/proposals/00000000-0000-0000-0000-000000000000/feed.atom",
        "/notifications/00000000-0000-0000-0000-000000000000/feed.atom",
    ],
)
def test_there_is_no_other_feed(client, world, address):  # noqa: F811
    response = client.get(address.format(curves=world.curves.pk))
    assert response.status_code == 404
    assert "There is no feed at this address." in response.content.decode()
    assert client.post("/activity/feed.atom").status_code == 405


def test_pages_name_their_feeds(client, world):  # noqa: F811
    for page in (
        *("/activity/", "/networks/tinynet/", "/networks/tinynet/mixed3b/", "/networks/tinynet/mixed3b/2/"),
        f"/networks/tinynet/mixed3b/families/{world.curves.pk}/",
        f"/proposals/{world.proposal.public_id}/",
    ):
        html = client.get(page).content.decode()
        assert f'type="application/atom+xml" title="What happens here" href="{page}feed.atom"' in html
        assert f'<a href="{page}feed.atom">Feed of this page</a>' in html
        assert client.get(f"{page}feed.atom").status_code == 200
    assert 'href="/activity/feed.atom">Feed</a>' in client.get("/people/").content.decode()


class TestOnesOwn:
    @pytest.fixture
    def ada(self, world) -> User:  # noqa: F811
        return world.contributor

    @pytest.fixture
    def address(self, ada: User) -> str:
        return f"/notifications/{notifications.renew_feed_key(ada)}/feed.atom"

    def tell(self, person: User, event: Event, why: Why = Why.SUBSCRIBED) -> Notification:
        notifications.tell(event, {person.pk: why})
        return Notification.objects.get(event=event, person=person)

    def test_it_says_why_and_mutes(self, client, world, ada, address):  # noqa: F811
        self.tell(ada, record("proposal.made", proposal=world.proposal), Why.LABELLED)
        self.tell(ada, record("person.joined"), Why.ROLE)
        response = client.get(address)
        root = parsed(response)
        check(root, address)
        about_oneself, about_proposal = (each.text for each in root.iter(f"{ATOM}summary"))
        assert "You are told because you labelled the neuron." in about_proposal
        assert "Mute" not in about_oneself
        mute = about_proposal.split('<a href="http://127.0.0.1:8000')[-1].split('"')[0]
        assert Client().post(mute).status_code == 200
        assert Subscription.objects.get().muted
        assert "private" in response["Cache-Control"]

    def test_what_waits_comes_when_it_may(self, client, world, ada, address):  # noqa: F811
        self.tell(ada, record("comment.added", neuron=world.agreed), Why.MENTIONED)
        first = client.get(address)
        assert titles(first) == []
        make_label(world.agreed, ada, world.lines)
        labels.reveal(ada, world.agreed)
        second = client.get(address, headers={"If-None-Match": first["ETag"]})
        assert len(titles(second)) == 1
        assert client.get(address, headers={"If-None-Match": second["ETag"]}).status_code == 304

    def test_nobody_elses_are_in_it(self, client, world, address):  # noqa: F811
        self.tell(world.reviewer, record("proposal.made", proposal=world.proposal))
        assert titles(client.get(address)) == []

    def test_a_replaced_address_and_a_blocked_person_s_are_closed(self, client, ada, address):
        notifications.renew_feed_key(ada)
        assert client.get(address).status_code == 404
        ada.refresh_from_db()
        address = f"/notifications/{ada.feed_key}/feed.atom"
        assert client.get(address).status_code == 200
        User.objects.filter(pk=ada.pk).update(is_active=False)
        assert client.get(address).status_code == 404
        assert client.get(f"/notifications/{uuid.uuid4()}/feed.atom").status_code == 404

    def test_it_takes_few_queries(self, client, world, ada, address, django_assert_max_num_queries):  # noqa: F811
        for index in range(8):
            self.tell(ada, record("label.added", neuron=neuron_at(f"3b:{index}")))
            self.tell(ada, record("proposal.made", proposal=world.proposal))
        with django_assert_max_num_queries(6):
            assert len(titles(client.get(address))) == 16
