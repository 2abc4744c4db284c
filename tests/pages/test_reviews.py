import re

import pytest

from taxonomy.actions import labels, reviews
from taxonomy.models import Membership, Neuron, Reveal, Standing, User
from tests.factory import make_agreed, make_label, neuron_at
from tests.pages.test_accessibility import sign_in


def test_reviewers_see_what_is_agreed_and_accept_it(client, world):
    client.force_login(world.reviewer)
    html = client.get("/review/").content.decode()
    assert "tinynet/mixed3b:2" in html
    assert Reveal.objects.filter(person=world.reviewer, neuron=world.agreed).exists()
    response = client.post(
        f"{world.agreed.get_absolute_url()}accept/", {"comment": "Clear.", "back": "review"}, follow=True
    )
    assert "mixed3b:2 is accepted into Curves." in response.content.decode()
    assert Neuron.objects.get(pk=world.agreed.pk).standing == Standing.ACCEPTED
    assert Membership.objects.get(neuron=world.agreed).review.comment == "Clear."


def test_others_are_told_who_reviews(client, world):
    for user, sentence in ((None, "Sign in to review."), (world.contributor, "Only reviewers and editors accept")):
        if user:
            client.force_login(user)
        html = client.get("/review/").content.decode()
        assert sentence in html
        assert "mixed3b:2" not in html
        response = client.post(f"{world.agreed.get_absolute_url()}accept/")
        assert response.status_code == 403
        assert sentence in response.content.decode()


def test_ones_own_deciding_reading_disables_the_button_with_the_reason(client, world):
    reader = world.readers[0]
    reader.role = "reviewer"
    reader.save()
    client.force_login(reader)
    html = client.get("/review/").content.decode()
    assert "Your own reading decides this one" in html
    assert "disabled" in html.split("Your own reading decides this one")[0].rsplit("<button", 1)[1]
    response = client.post(f"{world.agreed.get_absolute_url()}accept/")
    assert response.status_code == 403
    assert "Your own reading decides this one" in response.content.decode()


def test_bad_comments_change_nothing(client, world):
    client.force_login(world.reviewer)
    for comment in ("a\0b", "x" * 5001):
        client.post(f"{world.agreed.get_absolute_url()}accept/", {"comment": comment})
    assert Neuron.objects.get(pk=world.agreed.pk).standing == Standing.AGREED


def test_the_queue_keeps_its_order_and_drops_what_is_no_longer_agreed(client, world):
    client.force_login(world.reviewer)
    make_label(world.agreed, world.contributor, world.lines)
    make_label(world.agreed, world.editor, world.lines)
    assert "No neuron waits for a reviewer." in client.get("/review/").content.decode()


def test_what_waits_is_sorted_into_tabs_the_longest_first(client, world):
    make_agreed(neuron_at("3b:5"), world.lines)
    make_agreed(neuron_at("3b:6"), world.curves)
    for _ in range(2):
        make_label(neuron_at("3b:7"), verdict="cannot tell", missing_evidence="tuning_curves")
    client.force_login(world.reviewer)
    html = client.get("/review/").content.decode()
    assert html.index("tinynet/mixed3b:2") < html.index("tinynet/mixed3b:5") < html.index("tinynet/mixed3b:6")
    assert "tinynet/mixed3b:7" not in html
    only = client.get("/review/?layer=mixed3b&family=Secret Lines").content.decode()
    assert "tinynet/mixed3b:5" in only
    assert "tinynet/mixed3b:2" not in only
    assert "Waits for tuning curve" in client.get("/review/?tab=evidence").content.decode()
    for bad in ("?tab=%00", "?layer=%00&page=x", "?page=99999", "?family=nobody", "?network=nowhere"):
        assert client.get(f"/review/{bad}").status_code == 200, bad


def test_what_somebody_else_looks_at_comes_last(client, world):
    make_agreed(neuron_at("3b:5"), world.lines)
    labels.reveal(world.editor, world.agreed)
    client.force_login(world.reviewer)
    html = client.get("/review/").content.decode()
    assert html.index("tinynet/mixed3b:5") < html.index("tinynet/mixed3b:2")
    assert "<b>edith</b> is looking at it" in html


def test_many_are_accepted_and_every_one_answered(client, world):
    own = neuron_at("3b:5")
    make_agreed(own, world.curves, people=2)
    make_label(own, world.reviewer, world.curves)
    client.force_login(world.reviewer)
    shown = re.findall(r'name="neurons" value="(\d+\|[^"]+)"', client.get("/review/").content.decode())
    assert len(shown) == 2
    html = client.post("/review/accept/", {"neurons": shown, "comment": "A sheet."}).content.decode()
    assert "1 of 2 accepted" in html
    assert "Your own reading decides this one" in html
    assert Membership.objects.get(neuron=world.agreed).review.comment == "A sheet."
    assert Neuron.objects.get(pk=own.pk).standing == Standing.AGREED


def test_many_of_which_one_has_changed_since(client, world):
    client.force_login(world.reviewer)
    (shown,) = re.findall(r'name="neurons" value="(\d+\|[^"]+)"', client.get("/review/").content.decode())
    reviews.object_to(world.editor, world.agreed, comment="Wait.")
    html = client.post("/review/accept/", {"neurons": [shown]}).content.decode()
    assert "0 of 1 accepted" in html
    assert "has changed since you opened the page" in html


def test_nothing_or_nonsense_chosen(client, world):
    client.force_login(world.reviewer)
    for chosen in ([], ["x"], ["99999999"], ["-1|agreed"]):
        response = client.post("/review/accept/", {"neurons": chosen}, follow=True)
        assert "Nothing was chosen" in response.content.decode()
    sent = {"neurons": [str(world.agreed.pk)], "comment": "x" * 5001}
    assert "at most 5000" in client.post("/review/accept/", sent, follow=True).content.decode()
    assert Neuron.objects.get(pk=world.agreed.pk).standing == Standing.AGREED
    client.force_login(world.contributor)
    assert client.post("/review/accept/", {"neurons": [str(world.agreed.pk)]}).status_code == 403


def test_a_sheet_of_one_family_beside_its_members(client, world):
    make_agreed(neuron_at("3b:5"), world.lines)
    make_agreed(neuron_at("3b:6"), world.curves)
    client.force_login(world.reviewer)
    html = client.get(f"/review/sheet/?family={world.curves.pk}").content.decode()
    assert html.count("data-select") == 2
    assert "mixed3b:5" not in html
    assert len(re.findall(r"data-select[^>]* checked", html)) == 2
    assert Reveal.objects.filter(person=world.reviewer, neuron=world.agreed).exists()
    for bad in ("", "?family=x", "?family=77777", "?family=%00"):
        assert client.get(f"/review/sheet/{bad}").status_code == 404, bad
    client.force_login(world.contributor)
    assert "Only reviewers" in client.get(f"/review/sheet/?family={world.curves.pk}").content.decode()


def test_an_objection_without_its_reason_comes_back_with_what_was_typed(client, world):
    client.force_login(world.reviewer)
    at = f"{world.agreed.get_absolute_url()}decide/"
    response = client.post(at, {"decision": "object", "comment": " "})
    assert response.status_code == 422
    assert "Say why" in response.content.decode()
    response = client.post(at, {"decision": "need evidence", "comment": "Is it tuned?", "kind": "x-rays"})
    assert response.status_code == 422
    assert "Is it tuned?" in response.content.decode()
    assert client.post(at, {"decision": "burn"}, follow=True).status_code == 200
    client.post(at, {"decision": "object", "comment": "It echoes."})
    html = client.get(f"{world.agreed.get_absolute_url()}?readings").content.decode()
    assert "rita objects" in html
    assert "If it is not withdrawn within 7" in html
    assert 'value="withdraw"' in html


def test_a_decision_on_a_page_that_has_aged(client, world):
    client.force_login(world.reviewer)
    html = client.get("/review/").content.decode()
    state = re.search(r'name="state" value="([^"]+)"', html)[1]
    make_label(world.agreed, world.editor, world.curves)
    make_label(world.agreed, world.contributor, world.lines)
    make_label(world.agreed, family=world.lines)
    response = client.post(f"{world.agreed.get_absolute_url()}decide/", {"decision": "accept", "state": state})
    assert response.status_code == 403
    assert "has changed since you opened the page" in response.content.decode()


def test_an_editor_settles_with_a_rationale_and_what_it_cites(client, world):
    for _ in range(3):
        make_label(world.read, family=world.curves)
    client.force_login(world.editor)
    page = world.read.get_absolute_url()
    html = client.get("/review/?tab=disputed").content.decode()
    assert "3 of 5 put it on Curves (60 %)" in html
    version = world.read.evidence.filter(kind="tuning_curves").first().current
    other = world.agreed.evidence.first().current
    sent = {"decision": "settle", "family": world.curves.pk, "comment": "It bends.", "cites": [str(version.public_id)]}
    for wrong, sentence in (
        ({"cites": []}, "Cite evidence of this neuron"),
        ({"cites": [str(other.public_id)]}, "That is no evidence of this neuron"),
        ({"cites": ["x"]}, "That is no evidence of this neuron"),
        ({"family": "77777"}, "That is no family of this layer"),
        ({"family": ""}, "Name the family"),
    ):
        response = client.post(f"{page}decide/", sent | wrong)
        assert response.status_code == 422, wrong
        assert sentence in response.content.decode(), wrong
    client.post(f"{page}decide/", sent)
    client.logout()
    html = client.get(page).content.decode()
    assert "edith" in html
    assert "It bends." in html
    assert version.get_absolute_url() in html


def test_a_decision_is_undone_from_the_history(client, world):
    reviews.accept(world.editor, world.agreed)
    client.force_login(world.reviewer)
    page = world.agreed.get_absolute_url()
    html = client.get(page).content.decode()
    assert '<a href="#undo">undo</a>' in html
    assert 'id="undo"' in html
    client.post(f"{page}decide/", {"decision": "undo", "comment": "Too soon."})
    assert Neuron.objects.get(pk=world.agreed.pk).standing == Standing.AGREED
    client.force_login(world.contributor)
    assert "#undo" not in client.get(page).content.decode()


@pytest.mark.django_db(transaction=True)
def test_by_keyboard(visit, world):
    make_agreed(neuron_at("3b:5"), world.lines)
    page = visit()
    page.goto("/accounts/login/")
    sign_in(page, world.reviewer)
    page.goto("/review/")
    page.keyboard.press("?")
    assert page.locator("[data-dialog]").is_visible()
    page.keyboard.press("Escape")
    for key in ("j", "Space", "j"):
        page.keyboard.press(key)
    assert page.locator("[data-many]").inner_text() == "Accept 1 selected"
    assert "mixed3b:5" in page.evaluate("document.activeElement.textContent")
    page.keyboard.press("o")
    page.keyboard.type("It echoes, as j and k would.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator(".messages").wait_for()
    assert "Your objection to mixed3b:5 stands" in page.locator(".messages").inner_text()
    User.objects.filter(pk=world.reviewer.pk).update(shortcuts=False)
    page.goto("/review/")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement === document.body")
