"""The pages about people in the browser: axe, phone width, single letters switched off."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from allauth.socialaccount.models import SocialAccount
from playwright.sync_api import Page

from taxonomy.actions import people
from taxonomy.models import Role, User
from tests.factory import make_user
from tests.pages.test_accessibility import check_each, sign_in
from tests.pages.test_sign_in import elsewhere  # noqa: F401 - a fixture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def company(world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A candidate, a person with an ORCID iD, one who is blocked, one who left, one who did not accept the terms."""
    monkeypatch.setattr(people, "GOLD_NEURONS", 0)
    monkeypatch.setattr(people, "SETTLED_READINGS", 1)
    candidate = world.readers[0]
    candidate.labels.first().neuron.layer.neurons.filter(index=2).update(standing="accepted")
    people.change_profile(candidate, affiliation="Institute for the Study of Curves")
    SocialAccount.objects.create(user=candidate, provider="orcid", uid="0000-0002-1825-0097")
    people.appoint(world.admin, world.readers[1], Role.REVIEWER, reason="Reads curves well.")
    people.block(world.admin, make_user("spam"), reason="Advertises shoes.")
    return SimpleNamespace(
        **vars(world),
        candidate=candidate,
        former=people.erase(world.admin, make_user("gone"), proof="gone"),
        late=make_user("late", terms_version="2001-01"),
    )


def test_every_page_about_people(
    visit: Callable[[], Page],
    company: SimpleNamespace,
    elsewhere: object,  # noqa: F811
) -> None:
    page = visit()
    candidate = f"/people/{company.candidate.username}/"
    found = []

    def look(person: User | None, *addresses: str) -> None:
        page.goto("/terms/")
        if person is not None:
            sign_in(page, person)
        for address in addresses:
            page.goto(address)
            found.extend(check_each(page, f"{address} for {person}"))

    look(None, "/terms/", "/accounts/login/", "/accounts/signup/", "/people/?q=curves", "/people/?q=nobody", candidate)
    look(None, f"/people/{company.former.username}/", "/accounts/3rdparty/login/cancelled/", "/accounts/orcid/login/")
    look(company.candidate, "/me/", "/me/erase/", "/accounts/3rdparty/", "/terms/")
    look(company.contributor, "/me/")
    look(company.editor, "/people/", "/people/candidates/", candidate)
    look(company.admin, candidate, "/people/spam/", "/people/adam/")
    look(company.late, "/", "/terms/")
    page.context.clear_cookies()
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Sign in with GitHub").click()
    found += check_each(page, "signing up from elsewhere")
    assert found == []


def test_single_letters_can_be_switched_off(visit: Callable[[], Page], company: SimpleNamespace) -> None:
    page = visit()
    page.goto("/people/")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "go"
    people.change_profile(company.contributor, shortcuts=False)
    sign_in(page, company.contributor)
    page.goto("/networks/tinynet/mixed3b/3/")
    assert page.locator("body[data-shortcuts=off]").count() == 1
    page.keyboard.press("/")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.id") != "go"
    assert page.url.endswith("/mixed3b/3/")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**/mixed3b/4/")
