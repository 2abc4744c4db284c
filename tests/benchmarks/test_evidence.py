"""The harness, with settings so small that its figures mean nothing: that it measures, tells and keeps them."""

import json

import pytest
import torch

from benchmarks import evidence, peers, quality, speed
from tests import tiny
from tests.shared import needs_data
from workers import zoo

pytest.importorskip("lucent", reason="the peers are not installed (./run setup --dev)")


@pytest.fixture
def one_step(monkeypatch) -> speed.Setting:
    monkeypatch.setattr(speed, "at_once", lambda size, device: 1)
    return speed.squeezenet(steps=1, repeats=1)


def test_the_peer_makes_a_picture_of_the_unit_asked_for():
    network = tiny.two_conv()
    assert list(dict(peers.plain_model(network, "second").named_children())) == ["first", "second"]
    model = peers.plain_model(network, "first")
    pictures = peers.neurons(model, "first", [0, 1], 16, 7, steps=40, transforms=peers.cropped(16))
    assert pictures.shape == (2, 3, 16, 16)
    upright, lying = network.between(pictures, None, "first")[:, :, 7, 7]
    assert upright[0] > 0.5 > abs(upright[1])
    assert lying[1] > 0.5 > abs(lying[0])


def test_what_the_peer_padded_is_cropped():
    pictures = torch.rand(1, 3, 44, 44)
    shift = peers.MEAN_SHIFT
    assert torch.equal(peers.cropped(20)[-1](pictures), pictures[..., 12 + shift : 32 + shift, 12 + shift : 32 + shift])


def test_speeds_are_ratios_over_the_peer_as_shipped(one_step):
    found = speed.measure(one_step)
    shipped = found["seconds"]["torch-lucent"]
    assert all(ratio == shipped / found["seconds"][name] for name, ratio in found["ratios"].items())
    assert {"144 float32", "144 bfloat16", "224 float32", "64 float32", "64 bfloat16"} <= found["ratios"].keys()
    assert found["views"]["64"]["size"] <= 64


def test_a_whole_network_counts_every_neuron(one_step):
    found = speed.whole_network(one_step, "float32")
    assert found["neurons"] == sum(layer.channels for layer in one_step.network.layers)
    assert found["ratio"] == found["torch-lucent"] / found["ours"]


def test_in_turn_takes_the_median_and_leaves_out_the_first():
    values = iter([100.0, 3.0, 1.0, 2.0])
    assert speed.in_turn({"one": lambda: next(values)}, 3) == {"one": 2.0}


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (evidence.Figure("a", 7.0, least=6.0), "reached"),
        (evidence.Figure("a", 4.5, least=6.0), "missed by 25%"),
        (evidence.Figure("a", 0.1, most=0.15), "reached"),
        (evidence.Figure("a", 0.3, most=0.15), "missed by 100%"),
        (evidence.Figure("a", 0.3), ""),
        (evidence.Figure("a", float("nan"), least=1.0), "missed by nan%"),
    ],
)
def test_a_figure_says_whether_it_is_reached(figure, verdict):
    assert figure.verdict == verdict


def test_quality_by_arithmetic():
    network = tiny.one_conv()
    seen = quality.Responses(torch.tensor([0.5, 99.0, 0.5, 0.0]), torch.zeros(4), torch.ones(4))
    edge, beaten = quality.ours(network, "conv", [0, 1], seen, steps=64, dtype="float32")
    assert (edge.channel, edge.beats, edge.rank) == (0, True, 0)
    assert not beaten.beats
    (dead,) = quality.ours(network, "conv", [3], seen, steps=4, dtype="float32")
    assert not dead.beats
    assert dead.rank == 4


@needs_data
def test_the_table_and_the_file(tmp_path, capsys):
    file = tmp_path / "found.json"
    threads = torch.get_num_threads()
    try:
        assert evidence.main(["--only", "linear", "--steps", "1", "--repeats", "1", "--json", str(file)]) == 0
    finally:
        torch.set_num_threads(threads)
    kept = json.loads(file.read_text())
    assert kept["processor"] in capsys.readouterr().out
    assert kept["figures"][0]["verdict"]
    assert kept["measured"]["linear"]["growth"] == kept["figures"][0]["value"]
    assert zoo.ARCHITECTURES.keys() >= {"googlenet", "squeezenet1_0"}


@pytest.mark.slow
@needs_data
def test_pictures_are_as_good_as_they_must_be():
    figures, found = evidence.pictures_quality(every=256, steps=512)
    assert found.keys() == {"fire5", "fire8"}
    assert [figure.what for figure in figures if figure.verdict != "reached"] == []
