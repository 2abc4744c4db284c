"""A broker that does not answer: said at once, and not waited for again and again."""

import time

import pytest

from taxonomy import dispatch


@pytest.fixture
def no_broker(monkeypatch) -> None:
    monkeypatch.setattr(dispatch.app.conf, "broker_url", "redis+socket:///nowhere/redis.sock")
    monkeypatch.setattr(dispatch, "_silent_until", 0.0)


@pytest.mark.usefixtures("no_broker")
def test_one_bell_in_vain_is_enough_for_a_while(monkeypatch, caplog) -> None:
    for shard in range(3):
        dispatch._send("evidence.compute", (shard,))
    assert caplog.text.count("was not rung") == 1
    monkeypatch.setattr(time, "monotonic", lambda: dispatch._silent_until)
    dispatch._send("evidence.compute", (3,))
    assert caplog.text.count("was not rung") == 2


@pytest.mark.usefixtures("no_broker")
def test_waiting_says_that_nobody_answers() -> None:
    assert dispatch.waiting("evidence") is None


def test_waiting_counts() -> None:
    before = dispatch.waiting("evidence") or 0
    dispatch._send("evidence.compute", (1,))
    assert dispatch.waiting("evidence") == before + 1
    assert dispatch.waiting("nobody rang here") == 0
