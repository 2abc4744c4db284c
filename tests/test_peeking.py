"""Ways round the first reading of one's own that were once open: each is tried, and each is closed."""

import datetime

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client
from django.utils import timezone

from taxonomy.actions import discussions, gold, labels, leases, reviews
from taxonomy.interchange.person import everything_of
from taxonomy.models import Family, Label, Lease, Neuron, Notification, Reveal, Role, User
from taxonomy.permissions import Refused, labels_visible_to, notifications_of
from tests.factory import make_agreed, make_family, make_label, make_network, make_user, neuron_at

pytestmark = pytest.mark.django_db


@pytest.fixture
def neuron() -> Neuron:
    make_network()
    return neuron_at("mixed3b:3")


@pytest.fixture
def family(neuron: Neuron) -> Family:
    return make_family(neuron.layer, "Curves")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def minutes_pass() -> None:
    """Every label is five minutes older."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE taxonomy_label SET created_at = created_at - interval '5 minutes'")
        cursor.execute("SET LOCAL session_replication_role = origin")


def looks(user: User) -> int:
    return Reveal.objects.filter(person=user).count()


def test_an_aged_form_tells_a_contributor_nothing(neuron: Neuron, family: Family) -> None:
    make_agreed(neuron, family)
    user = make_user()
    with pytest.raises((Refused, PermissionDenied)) as refused:
        reviews.withdraw(user, neuron, state="x")
    assert "agreed" not in str(refused.value)
    answer = signed_in(user).post(f"{neuron.get_absolute_url()}decide/", {"decision": "withdraw", "state": "x"})
    assert answer.status_code == 403
    assert "it is agreed" not in answer.content.decode()


def test_what_the_activity_page_tells_is_a_look(neuron: Neuron, family: Family) -> None:
    user = make_user()
    make_label(neuron, user, make_family(neuron.layer, "Lines"))
    make_agreed(neuron, family, people=4)
    minutes_pass()
    assert "to agreement" in signed_in(user).get("/activity/").content.decode()
    assert looks(user) == 1
    assert not make_label(neuron_at("mixed3b:3"), user, family).blind


def test_who_proposes_with_others_looks_at_them(neuron: Neuron, family: Family) -> None:
    for _ in range(2):
        make_label(neuron, verdict="none of these", suggested_name="Wobbles")
    reviewer = make_user(role=Role.REVIEWER)
    page = signed_in(reviewer).get(f"{neuron.layer.get_absolute_url()}propose/", {"neuron": neuron.index})
    assert "2 people find no family" in page.content.decode()
    assert looks(reviewer) == 1


def test_marking_as_gold_tells_no_standing(neuron: Neuron, family: Family) -> None:
    make_agreed(neuron, family)
    with pytest.raises(Refused, match=r"^Only accepted neurons are marked as gold\.$"):
        gold.mark(make_user(role=Role.EDITOR), neuron, "Clear.")


def test_a_gold_neuron_looks_like_any_other(neuron: Neuron, family: Family) -> None:
    accepted = make_family(neuron.layer, "Edges", units=[5])
    golden = neuron_at("mixed3b:5")
    gold.mark(make_user(role=Role.EDITOR), golden, "Clear.")
    make_label(neuron, family=family)
    user = make_user()
    told = "Others' readings are shown after you have given yours"
    for one in (golden, neuron):
        page = signed_in(user).get(one.get_absolute_url()).content.decode().replace("&#x27;", "'")
        assert told in page
        assert f">{accepted.name}</a>" not in page.split('id="label"')[0]


def test_a_gold_reading_after_its_answer_was_shown_does_not_count(neuron: Neuron) -> None:
    family = make_family(neuron.layer, "Edges", units=[5])
    golden, editor, user = neuron_at("mixed3b:5"), make_user(role=Role.EDITOR), make_user()
    gold.mark(editor, golden, "Clear.")
    lease = leases.lend(user, golden, gold=True)
    Lease.objects.filter(pk=lease.pk).update(expires_at=timezone.now() - datetime.timedelta(minutes=1))
    gold.unmark(editor, golden)
    signed_in(user).get(golden.get_absolute_url())
    assert looks(user) == 1
    label = make_label(golden, user, family, lease=lease.token)
    assert not label.gold
    assert gold.record_of(user)[0] == 0


def test_what_waits_unseen_is_in_no_file_and_cannot_be_read_away(neuron: Neuron, family: Family) -> None:
    author, user = make_user(), make_user("bobby")
    make_label(neuron, author, family)
    minutes_pass()
    discussions.add(author, neuron, "Look @bobby, this is no curve.")
    waiting = Notification.objects.get(person=user)
    assert not notifications_of(user).exists()
    assert everything_of(user)["notifications"] == []
    assert signed_in(user).post("/notifications/", {"read": waiting.pk}).status_code == 404
    waiting.refresh_from_db()
    assert waiting.read_at is None


def test_asking_to_see_others_ends_the_minute_whatever_was_seen_before(neuron: Neuron, family: Family) -> None:
    user = make_user()
    labels.reveal(user, neuron)  # when it was settled, once
    make_label(neuron, family=family)
    label = make_label(neuron, user, family)
    labels.show_others(user, neuron)
    assert labels_visible_to(user, Label.objects.filter(neuron=neuron)).count() == 2
    with pytest.raises(Refused, match="shown how others read"):
        labels.undo(user, label)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", "0001-01-01"])
def test_a_time_at_the_end_of_the_calendar(neuron: Neuron, family: Family, at: str) -> None:
    for one in (neuron, family):
        assert Client().get(one.get_absolute_url(), {"at": at}).status_code in (200, 422)
