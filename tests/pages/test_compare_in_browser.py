"""Networks laid beside each other in the browser: axe finds nothing, and nothing scrolls sideways."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from taxonomy.models import Network, Role
from tests.factory import make_family, make_image_set, make_user, neuron_at
from tests.pages.material import every_kind, family_weights, make_family_evidence, photographs
from tests.pages.test_accessibility import check_each, sign_in
from tests.pages.test_compare import artificial as artificial
from tests.pages.test_compare import natural as natural

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

PAGES = {
    "nothing": "/compare/",
    "neurons": "/compare/?with=natural/mixed3b:5&with=artificial/mixed3b:5&with=natural/mixed3b:0",
    "families": "/compare/?with=natural/mixed3b/Curves&with=artificial/mixed3b/Curves",
    "universality": "/universality/?first=natural&second=artificial",
}


def test_side_by_side(visit: Callable[[], Page], natural: Network, artificial: Network) -> None:
    images = make_image_set()
    photographs(images)
    for network in (natural, artificial):
        every_kind(neuron_at("3b:5", network), images)
        layer = network.layers.get(name="mixed3b")
        edges = make_family(network.layers.get(name="conv1"), "Edges", units=[0])
        matrix = family_weights("mixed3b", [0, 1], "conv1", [0])
        curves = layer.families.get(name="Curves")
        make_family_evidence(curves, "family_weights", matrix, {}, other=edges, pictures=["matrix"])
    page, found = visit(), []
    page.goto("/")
    sign_in(page, make_user(role=Role.REVIEWER))
    for name, address in PAGES.items():
        page.goto(address)
        found += check_each(page, name)
    assert found == []
    page.goto(PAGES["universality"])
    page.get_by_role("button", name="Link Curves of mixed3b with Curves of mixed3b as analogues").press("Enter")
    page.get_by_text("Curves and Curves are linked as analogues.").wait_for()
    page.get_by_role("link", name="Curves of mixed3b side by side with Curves of mixed3b").press("Enter")
    page.get_by_role("heading", name="How their members are tuned").wait_for()
