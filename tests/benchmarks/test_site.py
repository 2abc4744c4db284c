"""The harness, with a world so small that its figures mean nothing: that every kind of page in it answers."""

import random

import pytest

from benchmarks import site

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


def test_every_kind_of_page_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "NOTES", 4)
    monkeypatch.setattr(site, "CLAIMS", 8)
    monkeypatch.setattr(site, "FAMILIES", 3)
    world = site.fill(neurons=20 * 24, readings=2, people=12)
    rows = list(site.measure(world, rounds=2, only=""))
    assert [row.page for row in rows] == list(site.pages(world, random.Random(0)))
    # Where everything happened at once, as here, what is listed of notes, claims and jobs is read by one query each.
    most = site.MOST_QUERIES + 3
    assert {row.page: row.queries for row in rows if row.queries > most} == {}
