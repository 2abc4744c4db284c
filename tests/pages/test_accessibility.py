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


def check_each(page: Page, name: str) -> list[str]:
    """In each setting, without loading it again; in the end it is as it was."""
    found = []
    for setting, wanted in reversed(SETTINGS.items()):
        page.set_viewport_size({"width": wanted["width"], "height": 800})
        page.emulate_media(color_scheme=wanted["color_scheme"])
        found += check(page, f"{name}, {setting}")
    return found


def test_every_page(visit: Callable[[], Page], world: SimpleNamespace, addresses: dict[str, str]) -> None:
    page, found = visit(), []

    def look(name: str, address: str) -> None:
        page.goto(address)
        found.extend(check_each(page, name))

    for name, address in addresses.items():
        look(name, address)
    for person, own in ((world.contributor, ("neuron", "propose")), (world.reviewer, ("review", "proposal"))):
        sign_in(page, person)
        for name in (*own, "home", "jobs"):
            look(f"{name} for a {person.role}", addresses[name])
        look("me", "/me/")
    sign_in(page, world.editor)
    look("people for an editor", "/people/")
    assert found == []


def sign_in(page: Page, person: User) -> None:
    client = Client()
    client.force_login(person)
    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": client.cookies[settings.SESSION_COOKIE_NAME].value}
    page.context.clear_cookies()
    page.context.add_cookies([{**cookie, "url": page.evaluate("location.origin")}])
