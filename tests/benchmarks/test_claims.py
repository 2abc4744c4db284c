"""The harness, with so few claims that its figures mean nothing: that it measures, tells and keeps them."""

import json
from pathlib import Path

import pytest

from benchmarks import claims
from tests import planted
from tests.shared import DATA, needs_data
from workers import scan, zoo
from workers.experiment import carry_out


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


def test_screening_names_what_a_prediction_rests_on():
    network = planted.grey_network()
    greys = planted.shown(network, 1.0, 0.9, 0.95, 0.0, 0.5)
    first, second, *_ = claims.screen(network, "grey", greys, most=3, batch=2)
    assert (first.channel, first.changed) == (0, (0, 1, 2))
    assert first.expected == (0, 1, 2)
    assert (second.channel, second.changed) == (1, (3,))
    with pytest.raises(ValueError, match="no head"):
        claims.screen(planted.network(0), "parts", greys)


@pytest.mark.slow
@needs_data
def test_neurons_that_predictions_of_photographs_rest_on_are_found_and_the_claim_is_supported():
    network = zoo.load("squeezenet1_0", DATA / "squeezenet1_0" / "squeezenet1_0.safetensors")
    files = sorted((DATA / "imagenet-samples").glob("*.jpg"))
    pictures = scan.Pictures([file.name for file in files], lambda index: files[index], list(range(len(files))))
    best = claims.screen(network, "fire8", pictures, range(0, 1000, 10))[0]
    assert len(best.changed) >= 3
    # The pictures are those of which gradients say so, before anything was dropped.
    asked = claims.pictured("fire8", [best.channel], best.expected, "prediction", "rises", 0.2)
    found = carry_out(network, asked, images=pictures)
    assert found["ruling"]["verdict"] == "supported"
    assert found["images"]["flipped"] == len(found["images"]["flips"]) > 2
    assert found["ruling"]["low"] > max(found["controls"])
