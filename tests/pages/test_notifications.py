"""What a person is told on the site: reading, muting, following, and the links of mails."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from taxonomy import events
from taxonomy.actions import discussions, labels, notifications
from taxonomy.models import Discussion, Notification, Standing, Subscription, User, Why
from taxonomy.permissions import notifications_of
from tests.factory import make_label, make_user, neuron_at
from tests.pages.test_accessibility import check_each, sign_in


@pytest.fixture
def ada(world, client: Client) -> User:
    client.force_login(world.contributor)
    return world.contributor


def tell(person: User, verb: str = "test.done", why: Why = Why.SUBSCRIBED, /, **subjects) -> Notification:
    event = events.record(make_user(), verb, **subjects)
    notifications.tell(event, {person.pk: why})
    return Notification.objects.get(event=event, person=person)


def test_each_says_what_when_and_why(client, world, ada):
    tell(ada, "proposal.made", Why.LABELLED, proposal=world.proposal)
    tell(ada, "review.accepted", Why.MENTIONED, neuron=neuron_at("3b:0"), family=world.curves)
    html = client.get("/notifications/").content.decode()
    assert "You are told because you labelled the neuron." in html
    assert "You are told because you were mentioned." in html
    assert "proposed the family" in html
    assert html.count('aria-label="Mute ') == 2
    assert "<time" in html
    assert '<span class="unread">2<' in html


def test_unread_come_first_and_are_grouped_by_what_they_are_about(client, world, ada):
    old = tell(ada, "test.old", neuron=neuron_at("3b:0"))
    for verb in ("test.one", "test.two"):
        tell(ada, verb, proposal=world.proposal)
    tell(ada, "test.new", neuron=neuron_at("3b:0"))
    client.post("/notifications/", {"read": Notification.objects.get(event__verb="test.new").pk})
    html = client.get("/notifications/").content.decode()
    places = [
        html.index(word) for word in ("Unread</h2>", "test.two", "test.one", "test.old", "Read before</h2>", "test.new")
    ]
    assert places == sorted(places)
    assert html.count("<h3>") == 3
    assert old.read_at is None


def test_reading_one_and_all(client, world, ada):
    first, second = (tell(ada, proposal=world.proposal) for _ in range(2))
    client.post("/notifications/", {"read": first.pk})
    assert [told.pk for told in notifications_of(ada).filter(read_at=None)] == [second.pk]
    later = tell(ada, proposal=world.proposal)
    client.post("/notifications/", {"until": second.pk})
    assert [told.pk for told in notifications_of(ada).filter(read_at=None)] == [later.pk]
    response = client.post("/notifications/", {"read": "x\0"}, follow=True)
    assert "Marked 1 as read." in response.content.decode()


def test_what_was_said_is_quoted_unless_it_is_hidden(client, world, ada):
    notifications.subscribe(ada, Discussion.objects.of(world.curves))
    said = discussions.add(world.reviewer, world.curves, "Are **these** <b>bent</b> & thin?")
    html = client.get("/notifications/").content.decode()
    assert "Are these &lt;bbent&lt;/b &amp; thin?" in html
    assert "commented on it" in html
    discussions.hide(world.admin, said, "Spam.")
    assert "bent" not in client.get("/notifications/").content.decode()


def test_nobody_reads_what_others_are_told(client, world, ada):
    other = tell(world.reviewer, "test.secret", proposal=world.proposal)
    assert "test.secret" not in client.get("/notifications/").content.decode()
    assert client.post("/notifications/", {"read": other.pk}).status_code == 404
    other.refresh_from_db()
    assert other.read_at is None


def test_visitors_are_asked_to_sign_in(client, world):
    for address in ("/notifications/", "/notifications/following/"):
        assert client.get(address).url == f"/accounts/login/?next={address}"
    response = client.post("/notifications/follow/", {"do": "mute", "subject": f"family:{world.curves.pk}"})
    assert response.status_code == 403
    assert "Sign in to follow" in response.content.decode()


def test_muting_is_one_click_and_unmuting_another(client, world, ada):
    tell(ada, proposal=world.proposal)
    said = {"subject": f"proposal:{world.proposal.public_id}", "next": "/notifications/?page=1"}
    response = client.post("/notifications/follow/", said | {"do": "mute"})
    assert response.url == "/notifications/?page=1"
    html = client.get("/notifications/").content.decode()
    assert "you hear no more of Boundaries" in html
    assert "Unmute</button>" in html
    assert '<span class="unread">' not in html
    client.post("/notifications/follow/", said | {"do": "unmute"})
    assert not Subscription.objects.get().muted


@pytest.mark.parametrize("subject", ["neuron", "family", "proposal"])
def test_subscribing_makes_the_discussion(client, world, ada, subject):
    row = {"neuron": world.read, "family": world.curves, "proposal": world.proposal}[subject]
    key = f"{subject}:{row.pk if subject == 'family' else row.public_id}"
    client.post("/notifications/follow/", {"do": "subscribe", "subject": key})
    assert Discussion.objects.get().subject == row
    html = client.get("/notifications/following/").content.decode()
    assert row.get_absolute_url() in html
    assert "you subscribed to it" in html
    client.post("/notifications/follow/", {"do": "unsubscribe", "subject": key})
    assert "You follow nothing yet" in client.get("/notifications/following/").content.decode()


@pytest.mark.parametrize("next_", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", ""])
def test_the_way_back_leads_nowhere_else(client, world, ada, next_):
    said = {"do": "mute", "subject": f"family:{world.curves.pk}", "next": next_}
    assert client.post("/notifications/follow/", said).url == "/notifications/following/"


@pytest.mark.parametrize(
    "subject", ["", "family:x", "family:9999999", "neuron:1", "user:1", "proposal:\0", f"family:{'9' * 36}"]
)
def test_forged_subjects_are_refused(client, world, ada, subject):
    assert client.post("/notifications/follow/", {"do": "mute", "subject": subject}).status_code == 404
    assert not Subscription.objects.exists()


def test_what_waits_is_neither_shown_nor_counted_nor_read(client, world, ada):
    tell(ada, "comment.added", Why.MENTIONED, neuron=world.agreed)
    for address in ("/notifications/", "/"):
        html = client.get(address).content.decode()
        assert "comment.added" not in html
        assert '<span class="unread">' not in html
    client.post("/notifications/", {"until": 10**9})
    assert Notification.objects.get().read_at is None
    make_label(world.agreed, ada, world.lines)
    labels.reveal(ada, world.agreed)
    assert '<span class="unread">1<' in client.get("/").content.decode()


def test_a_settled_answer_that_is_told_is_recorded_as_shown(client, world, ada):
    told = tell(ada, "review.accepted", neuron=neuron_at("3b:0"), family=world.curves)
    client.get("/notifications/")
    assert told.event.neuron.reveals.filter(person=ada).exists()


def test_the_list_takes_as_many_queries_for_many_as_for_few(client, world, ada, django_assert_max_num_queries):
    for number in range(40):
        tell(ada, neuron=neuron_at(f"3b:{number % 8}"), family=world.curves)
        tell(ada, "person.appointed", Why.ROLE, person=ada)
        tell(ada, proposal=world.proposal)
        tell(ada, job=world.job)
    with django_assert_max_num_queries(15):
        client.get("/notifications/?page=2")


def test_the_button_beside_a_discussion_costs_no_query(client, world, ada):
    page, key = world.curves.get_absolute_url(), f"family:{world.curves.pk}"
    assert 'value="subscribe"' in client.get(page).content.decode()
    for verb, offered in (("subscribe", "unsubscribe"), ("mute", "unmute"), ("unmute", "mute")):
        response = client.post("/notifications/follow/", {"do": verb, "subject": key, "next": page})
        assert response.url == page
        client.get("/notifications/following/")  # takes the message
        for _ in range(2):
            tell(ada, "family.linked", Why.MENTIONED, family=world.curves)
        with CaptureQueriesContext(connection) as now:
            html = client.get(page).content.decode()
        assert f'value="{offered}"' in html
        assert [query["sql"] for query in now if "taxonomy_subscription" in query["sql"]] == [
            query["sql"] for query in now if "taxonomy_notification" in query["sql"]
        ]
        assert len([query for query in now if "taxonomy_subscription" in query["sql"]]) == 1
    assert "subscribe" not in Client().get(page).content.decode()


class TestLinks:
    def test_a_mails_link_mutes_without_signing_in(self, world):
        told = tell(world.contributor, proposal=world.proposal)
        visitor, address = Client(enforce_csrf_checks=True), f"/notifications/mute/{notifications.mute_token(told)}/"
        assert "Mute Boundaries" in visitor.get(address).content.decode()
        assert not Subscription.objects.exists()
        assert "Muted" in visitor.post(address).content.decode()
        assert Subscription.objects.get().muted

    def test_a_mail_program_stops_the_digest_by_itself(self, world):
        address = f"/notifications/stop/{notifications.stop_token(world.contributor)}/"
        assert "Stop the digest?" in Client().get(address).content.decode()
        response = Client(enforce_csrf_checks=True).post(address, {"List-Unsubscribe": "One-Click"})
        assert response.status_code == 200
        assert User.objects.get(pk=world.contributor.pk).digest == "off"

    @pytest.mark.parametrize("way", ["mute", "stop"])
    def test_forged_cut_and_old_ones_get_a_sentence(self, world, settings, way, monkeypatch):
        told = tell(world.contributor, proposal=world.proposal)
        tokens = {"mute": notifications.mute_token(told), "stop": notifications.stop_token(world.contributor)}
        token = tokens.pop(way)
        for bad in (token[:-3], "x", *tokens.values()):
            response = Client().post(f"/notifications/{way}/{bad}/")
            assert response.status_code == 403
            assert "not whole, or not ours" in response.content.decode()
        monkeypatch.setattr("django.core.signing.time.time", lambda: told.at.timestamp() + 91 * 86400)
        response = Client().post(f"/notifications/{way}/{token}/")
        assert response.status_code == 403
        assert "older than 90 days" in response.content.decode()
        assert not Subscription.objects.exists()

    def test_what_is_about_oneself_is_not_muted(self, world):
        told = tell(world.contributor, "person.appointed", Why.ROLE, person=world.contributor)
        address = f"/notifications/mute/{notifications.mute_token(told)}/"
        assert "Nothing to mute" in Client().get(address).content.decode()
        assert Client().post(address).status_code == 422


def test_settings_of_mail_and_feed(client, world, ada):
    client.post("/notifications/settings/", {"digest": "weekly"})
    ada.refresh_from_db()
    assert ada.digest == "weekly"
    response = client.post("/notifications/settings/", {"digest": "hourly"}, follow=True)
    assert "choose one of these" in response.content.decode()
    client.post("/notifications/settings/", {"feed": "new"})
    ada.refresh_from_db()
    assert ada.feed_key is not None


def test_what_is_settled_is_told_to_everybody(client, world, ada):
    tell(ada, "comment.added", Why.MENTIONED, neuron=neuron_at("3b:0"))
    assert neuron_at("3b:0").standing == Standing.ACCEPTED
    assert notifications_of(ada).count() == 1


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_every_page_of_it_can_be_used_by_everybody(visit, world):
    ada, page = world.contributor, visit()
    notifications.subscribe(ada, Discussion.objects.of(world.curves))
    discussions.add(world.reviewer, world.curves, "As [[3b:1]]?")
    tell(ada, "review.accepted", Why.LABELLED, neuron=neuron_at("3b:0"), family=world.curves)
    tell(ada, "person.joined", Why.ROLE)
    read = tell(ada, "proposal.made", proposal=world.proposal)
    notifications.read(ada, read)
    notifications.mute(ada, Discussion.objects.of(world.read))
    page.goto("/")
    sign_in(page, ada)
    addresses = {
        "list": "/notifications/",
        "following": "/notifications/following/",
        "settings": "/me/",
        "button": world.curves.get_absolute_url(),
        "mute": f"/notifications/mute/{notifications.mute_token(read)}/",
        "stop": f"/notifications/stop/{notifications.stop_token(ada)}/",
    }
    found = []
    for name, address in addresses.items():
        page.goto(address)
        found += check_each(page, name)
    sign_in(page, world.editor)
    page.goto("/notifications/")
    found += check_each(page, "nothing to read")
    assert found == []


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_click_mutes_and_keys_alone_read(visit, world):
    ada, page = world.contributor, visit()
    tell(ada, "proposal.made", proposal=world.proposal)
    tell(ada, "person.joined", Why.ROLE)
    page.goto("/")
    sign_in(page, ada)
    page.goto("/notifications/")
    page.get_by_role("button", name="Mute Boundaries").click()
    assert page.get_by_role("link", name="Notifications 1 unread").is_visible()
    page.get_by_role("button", name="Mark all as read").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Marked 1 as read.").wait_for()
    assert Subscription.objects.get().muted
    assert not notifications_of(ada).filter(read_at=None).exists()
