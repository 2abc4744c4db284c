"""A broker that does not answer: said at once, and not waited for again and again."""

import time

import pytest
from kombu.exceptions import OperationalError

from taxonomy import dispatch


def test_one_bell_in_vain_is_enough_for_a_while(monkeypatch) -> None:
    tried = []

    def no_answer(name: str, **options: object) -> None:
        tried.append(name)
        raise OperationalError("Connection refused")

    monkeypatch.setattr(dispatch, "_silent_until", 0.0)
    monkeypatch.setattr(dispatch.app, "send_task", no_answer)
    for shard in range(3):
        dispatch._send("evidence.compute", (shard,))
    assert len(tried) == 1
    after = dispatch._silent_until
    monkeypatch.setattr(time, "monotonic", lambda: after)
    dispatch._send("evidence.compute", (3,))
    assert len(tried) == 2


@pytest.mark.parametrize("url", ["redis+socket:///nowhere/redis.sock", "redis://127.0.0.1:1/0"])
def test_waiting_says_that_nobody_answers(monkeypatch, url: str) -> None:
    monkeypatch.setattr(dispatch.app.conf, "broker_url", url)
    assert dispatch.waiting("evidence") is None
