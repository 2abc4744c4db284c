"""Every page in the browser, in both themes and at phone width: axe finds nothing, nothing scrolls sideways."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from playwright.sync_api import Page

from taxonomy.models import User

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

SETTINGS = {
    "light": {"color_scheme": "light", "width": 1280},
    "dark": {"color_scheme": "dark", "width": 1280},
    "phone": {"color_scheme": "light", "width": 360},
}


def check(page: Page, name: str) -> list[str]:
    page.evaluate("for (const one of document.querySelectorAll('main details:not(.ask)')) one.open = true")
    found = [
        f"{name}: {violation['id']}: {violation['nodes'][0]['html'][:120]}"
        for violation in Axe().run(page).response["violations"]
    ]
    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        found.append(f"{name} scrolls sideways")
    return found


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_page(visit: Callable[[], Page], world: SimpleNamespace, addresses: dict[str, str], setting: str) -> None:
    page = visit()
    width = SETTINGS[setting]["width"]
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=SETTINGS[setting]["color_scheme"])
    found = []
    for name, address in addresses.items():
        page.goto(address)
        found += check(page, name)
    for person, own in ((world.contributor, ("neuron", "propose")), (world.reviewer, ("review", "proposal"))):
        sign_in(page, person)
        for name in (*own, "home", "jobs"):
            page.goto(addresses[name])
            found += check(page, f"{name} for a {person.role}")
        page.goto("/me/")
        found += check(page, "me")
    sign_in(page, world.editor)
    page.goto("/people/")
    found += check(page, "people for an editor")
    assert found == []


def sign_in(page: Page, person: User) -> None:
    client = Client()
    client.force_login(person)
    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": client.cookies[settings.SESSION_COOKIE_NAME].value}
    page.context.clear_cookies()
    page.context.add_cookies([{**cookie, "url": page.evaluate("location.origin")}])
