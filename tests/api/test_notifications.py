"""What one is told, and what one follows, over the API: one's own, by the rules of the pages."""

import uuid

import pytest
from django.test import Client as Browser

from taxonomy import events
from taxonomy.actions import labels, notifications
from taxonomy.models import Discussion, Neuron, Notification, Subscription, User, Why
from tests.api.conftest import Client
from tests.factory import make_family, make_label, make_network, make_proposal, make_user, neuron_at

pytestmark = pytest.mark.django_db


@pytest.fixture
def neuron() -> Neuron:
    make_network()
    return neuron_at("mixed3b:3")


@pytest.fixture
def ada(neuron: Neuron) -> User:
    return make_user("ada")


def tell(person: User, verb: str = "label.added", why: Why = Why.SUBSCRIBED, /, **subjects) -> Notification:
    event = events.record(make_user("olga" + uuid.uuid4().hex[:6]), verb, **subjects)
    notifications.tell(event, {person.pk: why})
    return Notification.objects.get(event=event, person=person)


def test_the_list_says_what_where_and_why(api: Client, ada: User, neuron: Neuron) -> None:
    told = tell(ada, "label.added", Why.LABELLED, neuron=neuron)
    tell(ada, "person.joined", Why.ROLE)
    found = api.as_(ada).read("notifications/").json()
    assert found["count"] == 2
    about_oneself, row = found["results"]
    assert about_oneself["about"] is None
    assert (row["id"], row["verb"], row["why"]) == (told.pk, "label.added", "labelled")
    assert row["because"] == "you labelled the neuron"
    assert row["what"] == f"{told.event.actor} read mixed3b:3"
    assert row["url"] == "http://127.0.0.1:8000/networks/tinynet/mixed3b/3/"
    assert row["about"]["neuron"] == row["about"]["title"] == "tinynet/mixed3b:3"
    assert row["about"]["family"] is None


def test_reading_one_all_and_the_filter(api: Client, ada: User, neuron: Neuron) -> None:
    first, second, third = (tell(ada, neuron=neuron) for _ in range(3))
    client = api.as_(ada)
    assert client.send(f"notifications/{first.pk}/read/").json()["read_at"] is not None
    assert client.read("notifications/", unread="true").json()["count"] == 2
    assert client.read("notifications/", unread="false").json()["count"] == 1
    assert client.send("notifications/read/", until=second.pk).json() == {"read": 1}
    assert [row["id"] for row in client.read("notifications/", unread="true").json()["results"]] == [third.pk]
    assert client.send("notifications/read/").json() == {"read": 1}
    assert "no field 'before'" in client.send("notifications/read/", before=3).json()["detail"]


def test_everything_is_ones_own(api: Client, ada: User, neuron: Neuron) -> None:
    told = tell(make_user(), neuron=neuron)
    client = api.as_(ada)
    assert client.read("notifications/").json()["count"] == 0
    assert client.send(f"notifications/{told.pk}/read/").status_code == 404
    client.send("notifications/read/")
    told.refresh_from_db()
    assert told.read_at is None
    notifications.mute(make_user(), Discussion.objects.of(neuron))
    assert client.read("subscriptions/").json()["count"] == 0


@pytest.mark.parametrize("path", ["notifications/", "subscriptions/", "notifications/digest/"])
def test_visitors_and_blocked_people_have_none(api: Client, neuron: Neuron, path: str) -> None:
    response = api.read(path)
    assert response.status_code == 401
    assert response.json()["detail"].startswith("Sign in to follow discussions")
    assert api.as_(make_user(is_active=False)).read(path).status_code == 401
    assert api.send("notifications/read/").status_code == 401


def test_what_waits_is_not_listed_nor_read(api: Client, ada: User, neuron: Neuron) -> None:
    told = tell(ada, "comment.added", Why.MENTIONED, neuron=neuron)
    client = api.as_(ada)
    assert client.read("notifications/").json()["count"] == 0
    assert client.send(f"notifications/{told.pk}/read/").status_code == 404
    assert client.send("notifications/read/").json() == {"read": 0}
    make_label(neuron, ada, make_family(neuron.layer))
    labels.reveal(ada, neuron)
    assert client.read("notifications/").json()["count"] == 1


def test_following_and_muting(api: Client, ada: User, neuron: Neuron) -> None:
    client, family, proposal = api.as_(ada), make_family(neuron.layer), make_proposal(neuron.layer)
    for body, title in (
        ({"network": "tinynet", "neuron": "3b:3"}, "tinynet/mixed3b:3"),
        ({"family": family.pk}, "Curves, family of tinynet/mixed3b"),
        ({"proposal": str(proposal.public_id)}, "Boundaries, proposed for tinynet/mixed3b"),
    ):
        response = client.send("subscriptions/", **body)
        assert response.status_code == 201
        assert response.json()["about"]["title"] == title
    made = client.read("subscriptions/").json()["results"][0]["id"]
    assert client.send(f"subscriptions/{made}/mute/").json()["muted"] is True
    assert client.send("subscriptions/", proposal=str(proposal.public_id)).json()["muted"] is True
    assert client.delete(f"/api/v1/subscriptions/{made}/").status_code == 204
    assert Subscription.objects.filter(muted=True).exists()
    assert client.send(f"subscriptions/{made}/unmute/").json()["muted"] is False
    client.delete(f"/api/v1/subscriptions/{made}/")
    assert client.read("subscriptions/").json()["count"] == 2


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({}, 400, "Say what it is about"),
        ({"family": 1, "proposal": str(uuid.uuid4())}, 400, "one of them"),
        ({"family": 999999}, 404, "There is no such family here."),
        ({"network": "tinynet", "neuron": "3b:99"}, 404, "numbered 0 to 7"),
        ({"person": "ada"}, 400, "There is no field 'person'"),
    ],
)
def test_what_cannot_be_followed(api: Client, ada: User, body: dict, status: int, sentence: str) -> None:
    response = api.as_(ada).send("subscriptions/", **body)
    assert response.status_code == status
    assert sentence in str(response.json())
    assert api.as_(ada).send(f"subscriptions/{uuid.uuid4()}/mute/").status_code == 404


def test_mail_and_feed(api: Client, ada: User) -> None:
    client = api.as_(ada)
    assert client.read("notifications/digest/").json() == {"digest": "daily"}
    response = client.put("/api/v1/notifications/digest/", {"digest": "weekly"}, format="json")
    assert response.json() == {"digest": "weekly"}
    wrong = client.put("/api/v1/notifications/digest/", {"digest": "hourly"}, format="json")
    assert "Choose one of: off, daily, weekly." in str(wrong.json())
    address = client.send("notifications/feed/").json()["url"]
    assert Browser().get(address.removeprefix("http://127.0.0.1:8000")).status_code == 200


def test_the_list_takes_the_same_queries_however_long(
    api: Client, ada: User, neuron: Neuron, django_assert_max_num_queries
) -> None:
    for index in range(8):
        tell(ada, neuron=neuron_at(f"mixed3b:{index}"))
        tell(ada, "proposal.made", proposal=make_proposal(neuron.layer, name=f"Arcs {index}"))
    client = api.as_(ada)
    with django_assert_max_num_queries(8):
        assert client.read("notifications/").json()["count"] == 16
