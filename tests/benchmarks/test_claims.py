"""The harness, with so few claims that its figures mean nothing: that it measures, tells and keeps them."""

import json
from pathlib import Path

import pytest

from benchmarks import claims
from tests.shared import needs_data


def test_every_claim_is_counted_once_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert claims.main(["--only", "nothing", "planted", "--claims", "6", "--json", str(tmp_path / "found.json")]) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert sum(sum(counts.values()) for counts in found["nothing"]["kinds"].values()) == 6
    assert [row["size"] for row in found["planted"]] == list(claims.SIZES)
    told = capsys.readouterr().out
    assert f"of 6 claims of nothing {found['nothing']['supported']:.1%} are supported" in told
    assert told.count("an effect of") == len(claims.SIZES)


@pytest.mark.slow
@needs_data
def test_the_published_echo_and_ours_are_told_on_one_axis():
    found = claims.echo()
    natural, by_hand = (
        {name: found[side][name]["echo"] for name in claims.CONDITIONS} for side in ("natural", "by hand")
    )
    assert max(natural["unedited"]) <= 0.03  # as the article's data says
    assert max(by_hand["unedited"]) <= 0.03
    for echoes in (natural, by_hand):
        assert min(echoes["early_curves_positive_weights"]) > 0.04
    lines = claims.told("echo", found)
    assert sum("as it is" in line for line in lines) == 3 + 1  # echoes, two curves, and what they are shares of
    for side in found.values():
        assert side["unedited"]["curve"][0] == 1
