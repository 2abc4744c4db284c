"""A neuron and a family as they were: on pages and in the API, and no more of it than may be seen now."""

import datetime

import pytest
from django.test import Client
from django.utils import timezone

from taxonomy import history
from taxonomy.actions import labels, reviews
from taxonomy.models import Agreement, Family, Neuron, Role, User
from tests.factory import make_agreed, make_evidence, make_family, make_label, make_network, make_user, neuron_at

pytestmark = pytest.mark.django_db
Moment = datetime.datetime


@pytest.fixture
def neuron() -> Neuron:
    make_network()
    return neuron_at("mixed3b:3")


@pytest.fixture
def curves(neuron: Neuron) -> Family:
    return make_family(neuron.layer, "Curves")


@pytest.fixture
def reviewer() -> User:
    return make_user("rita", role=Role.REVIEWER)


def past(neuron: Neuron, moment: Moment) -> history.State:
    tree = dict(neuron.layer.families.values_list("pk", "parent_id"))
    return history.record_of(neuron).at(tree, moment)


@pytest.fixture
def story(neuron, curves, reviewer) -> dict[str, Moment]:
    """Read by three, accepted, undone, read anew by one: the moment after each step."""
    seen = make_evidence(neuron).current
    moments = {"before": timezone.now()}
    first = make_user("ada")
    make_label(neuron, first, curves, seen=[seen])
    moments["one"] = timezone.now()
    make_agreed(neuron, curves, people=2)
    moments["agreed"] = timezone.now()
    reviews.accept(reviewer, neuron, comment="As the curves say.")
    moments["accepted"] = timezone.now()
    reviews.undo(reviewer, neuron, comment="It is straight.")
    moments["undone"] = timezone.now()
    make_label(neuron, first, verdict="none of these", suggested_name="Eyes")
    moments["changed"] = timezone.now()
    return moments


def test_any_moment_is_replayed(neuron, curves, story) -> None:
    told = {name: past(neuron, moment) for name, moment in story.items()}
    assert {name: state.standing for name, state in told.items()} == {
        "before": "unlabelled",
        "one": "single",
        "agreed": "agreed",
        "accepted": "accepted",
        "undone": "agreed",
        "changed": "open",
    }
    assert [len(state.labels) for state in told.values()] == [0, 1, 3, 3, 3, 3]
    assert [[m.family for m in state.members] for state in told.values()] == [[], [], [], [curves], [], []]
    assert [review.decision for review in told["undone"].reviews] == ["accept", "undo"]
    assert told["agreed"].family == curves.pk
    assert told["changed"].labels[-1].verdict == "none of these"
    neuron.refresh_from_db()
    assert past(neuron, timezone.now()).standing == neuron.standing


def test_an_undone_label_counted_until_it_was_undone(neuron, curves) -> None:
    user = make_user()
    make_label(neuron, user, curves)
    label = make_label(neuron, user, verdict="none of these")
    between = timezone.now()
    labels.undo(user, label)
    assert [one.verdict for one in past(neuron, between).labels] == ["none of these"]
    assert [one.family for one in past(neuron, timezone.now()).labels] == [curves]


def test_an_objection_disputes_after_72_hours(neuron, curves, reviewer) -> None:
    make_agreed(neuron, curves)
    review = reviews.object_to(reviewer, neuron, comment="No.")
    soon, late = review.at + datetime.timedelta(hours=71), review.at + datetime.timedelta(hours=72)
    assert [past(neuron, moment).standing for moment in (soon, late)] == ["agreed", "disputed"]


def test_a_demand_for_evidence_stands_until_it_is_withdrawn(neuron, curves, reviewer) -> None:
    make_agreed(neuron, curves)
    reviews.need_evidence(reviewer, neuron, kind="feature_visualization", comment="Show it.")
    between = timezone.now()
    reviews.withdraw(reviewer, neuron)
    assert past(neuron, between).standing == "needs evidence"
    assert past(neuron, timezone.now()).standing == "agreed"


def at(moment: Moment) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def page_of(client: Client, address: str, moment: Moment | str) -> str:
    response = client.get(address, {"at": moment if isinstance(moment, str) else at(moment)})
    assert response.status_code == 200
    return response.content.decode()


def test_the_page_of_a_neuron_then(client, neuron, curves, reviewer, story) -> None:
    reviews.accept(reviewer, neuron_with_more(neuron, curves))
    html = page_of(client, neuron.get_absolute_url(), story["accepted"])
    assert "This is how it was on" in html
    assert "<b>Accepted</b>" in html
    assert "As the curves say." in html
    assert "It is straight." not in html
    assert "saw" in html
    assert "/evidence/" in html
    assert "3 readings counted" in html
    earlier = page_of(client, neuron.get_absolute_url(), story["one"])
    assert "<b>Single</b>" in earlier
    assert "Nothing had been decided" in earlier


def neuron_with_more(neuron: Neuron, family: Family) -> Neuron:
    make_agreed(neuron, family)
    return neuron


def test_what_is_unsettled_now_is_told_then_to_those_who_may_know_now(client, neuron, curves, reviewer, story) -> None:
    newcomer = make_user()
    for user in (None, newcomer, make_user(role=Role.REVIEWER)):
        if user:
            client.force_login(user)
        html = page_of(client, neuron.get_absolute_url(), story["accepted"])
        assert "<b>3 readings</b>" in html
        for secret in ("Accepted", "Curves", "ada", "As the curves say"):
            assert secret not in html.split("<main")[1].split("</main>")[0], secret
        family = page_of(client, curves.get_absolute_url(), story["accepted"])
        assert "And 1 that is being read anew" in family
        assert "mixed3b/3/" not in family
    labels.reveal(reviewer, neuron)
    client.force_login(reviewer)
    assert "<b>Accepted</b>" in page_of(client, neuron.get_absolute_url(), story["accepted"])


def test_the_page_of_a_family_then(client, neuron, curves, reviewer, story) -> None:
    reviews.accept(reviewer, neuron_with_more(neuron, curves))
    html = page_of(client, curves.get_absolute_url(), story["accepted"])
    assert "accepted by <a" in html
    assert "mixed3b/3/" in html
    assert "It had no member." in page_of(client, curves.get_absolute_url(), story["undone"])
    assert "The family was not here yet." in page_of(client, curves.get_absolute_url(), "2020-01-01")
    today = timezone.now().date().isoformat()
    assert "mixed3b/3/" in page_of(client, curves.get_absolute_url(), today)


def test_a_family_that_was_flagged_then(client, neuron, curves) -> None:
    figure = {"value": 0.4, "low": 0.2, "high": 0.6}
    counts = {"neurons": 12, "people": 3, "readings": 36, "needed": 10, "same": 0.7, "tree": None}
    more = {"nominal": figure, "confusions": [], "kappas": [], "splits": [neuron.pk]}
    Agreement.objects.create(
        network=neuron.layer.network,
        layer=neuron.layer,
        family=curves,
        rule_version=1,
        inputs={},
        figures=counts | more,
        flagged=True,
    )
    html = page_of(client, curves.get_absolute_url(), timezone.now().date().isoformat())
    assert "not clear enough" in html
    assert "<b>0.40</b>" in html
    assert "Neurons that split" not in html


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("yesterday", "“yesterday” is no date."),
        ("2026-02-31", "“2026-02-31” is no date."),
        ("", "“” is no date."),
        ("\0", "“” is no date."),
        ("2999-01-01", "1 January 2999 has not come yet."),
        ("2999-01-01T10:00Z", "has not come yet."),
        ("<script>", "is no date."),
    ],
)
def test_bad_dates_get_a_sentence(client, neuron, curves, asked, sentence) -> None:
    for address in (neuron.get_absolute_url(), curves.get_absolute_url()):
        response = client.get(address, {"at": asked})
        assert response.status_code == 422
        html = response.content.decode()
        assert sentence in html
        assert "<script>" not in html
        assert 'type="date"' in html
    response = client.get("/api/v1/neurons/tinynet/mixed3b:3/history/", {"at": asked})
    assert response.status_code == 400
    assert sentence in str(response.json())


def test_the_api_tells_the_same(client, neuron, curves, reviewer, story) -> None:
    address = "/api/v1/neurons/tinynet/3b:3/history/"
    found = client.get(address, {"at": at(story["accepted"])}).json()
    assert (found["readings"], found["standing"], found["labels"], found["members"]) == (3, None, None, None)
    family = client.get(f"/api/v1/families/{curves.pk}/history/", {"at": at(story["accepted"])}).json()
    assert (family["members"], family["untold"]) == ([], 1)
    reviews.accept(reviewer, neuron_with_more(neuron, curves))
    found = client.get(address, {"at": at(story["accepted"])}).json()
    assert (found["standing"], [one["decision"] for one in found["decisions"]]) == ("accepted", ["accept"])
    assert found["labels"][0]["author"] == "ada"
    assert len(found["labels"][0]["evidence_versions"]) == 1
    assert [one["family"] for one in found["members"]] == [curves.pk]
    assert client.get(address).json()["standing"] == "accepted"
    family = client.get(f"/api/v1/families/{curves.pk}/history/", {"at": at(story["accepted"])}).json()
    assert [one["neuron"] for one in family["members"]] == ["mixed3b:3"]
    assert client.get("/api/v1/families/999/history/").status_code == 404
    assert "query parameter" in str(client.get(address, {"when": "x"}).json())


def test_few_queries(client, neuron, curves, reviewer, story, django_assert_max_num_queries) -> None:
    reviews.accept(reviewer, neuron_with_more(neuron, curves))
    client.force_login(reviewer)
    for address in (neuron.get_absolute_url(), curves.get_absolute_url()):
        with django_assert_max_num_queries(15, info=address):
            client.get(address, {"at": at(story["accepted"])})
