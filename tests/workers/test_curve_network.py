"""What must hold of the network whose every neuron's job is known: evidence that disagrees with it is wrong.

Stimuli as in the articles: arcs of radius 40 px and 60 degrees to either side, strokes of 3 px, every 0.5 degrees.
"""

import copy
import json

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.shared import DATA, needs_data
from workers import curve_network, stimuli, zoo
from workers.curve_network import CURVES, LINES
from workers.evidence import Finding
from workers.evidence.tuning_curves import tuning_curves
from workers.network import Network

CURVE_UNITS, LINE_UNITS = range(24), range(24, 42)


@pytest.fixture(scope="module")
def network() -> Network:
    return curve_network.build()


@pytest.fixture(scope="module")
def curves(network: Network) -> dict[str, list[Finding]]:
    """Tuning to curves of every unit of the last two layers."""
    return {layer: tuned(network, layer, "curve") for layer in ("mixed3a", "mixed3b")}


@pytest.fixture(scope="module")
def lines(network: Network) -> dict[str, list[Finding]]:
    return {layer: tuned(network, layer, "line") for layer in ("conv2d2", "mixed3a", "mixed3b")}


def tuned(network: Network, layer: str, stimulus: str, **more: float) -> list[Finding]:
    targets = [(layer, channel) for channel in range(network.layer(layer).channels)]
    outcomes = list(tuning_curves(network, targets, stimulus=stimulus, **more))
    assert [(outcome.layer, outcome.channel) for outcome in outcomes] == targets
    return [outcome for outcome in outcomes if isinstance(outcome, Finding)]


def responses(findings: list[Finding]) -> NDArray[np.float64]:
    """Rectified: (units, angles)."""
    return np.maximum([finding.data["responses"] for finding in findings], 0)


def measured(findings: list[Finding], name: str) -> NDArray[np.float64]:
    return np.array([finding.data[name] for finding in findings], dtype=float)


def apart(a: NDArray[np.float64], b: NDArray[np.float64], period: float) -> NDArray[np.float64]:
    return np.abs((a - b + period / 2) % period - period / 2)


def test_curve_units_peak_at_their_angle(curves: dict[str, list[Finding]]):
    for layer in ("mixed3a", "mixed3b"):
        assert apart(measured(curves[layer][:24], "peak"), CURVES, 360).max() <= 5


def test_curve_units_are_as_narrow_as_natural_ones(curves: dict[str, list[Finding]]):
    widths = measured(curves["mixed3b"][:24], "width")
    assert widths.min() >= 28
    assert widths.max() <= 70
    assert np.abs(widths / np.median(widths) - 1).max() <= 0.2


def test_straight_lines_hardly_drive_curve_units(curves: dict[str, list[Finding]], lines: dict[str, list[Finding]]):
    best = responses(curves["mixed3b"])[:24].max(axis=1)
    assert (responses(lines["mixed3b"])[:24].max(axis=1) / best).max() < 0.2


def test_the_echo_of_early_curves_vanishes(curves: dict[str, list[Finding]]):
    early, late = (measured(curves[layer][:24], "echo") for layer in ("mixed3a", "mixed3b"))
    assert early.min() >= 0.04
    assert early.max() <= 0.9
    assert late.max() <= 0.03


def test_negative_weights_are_what_removes_the_echo(network: Network):
    positive = copy.deepcopy(network)
    positive.stages["mixed3b"][1].weight.clamp_(min=0)
    assert measured(tuned(positive, "mixed3b", "curve")[:24], "echo").min() > 0.04


def test_turning_the_stimulus_turns_the_response(curves: dict[str, list[Finding]]):
    steps = round(15 / 0.5)
    for layer in ("mixed3a", "mixed3b"):
        found = responses(curves[layer])[:24]
        for unit in CURVE_UNITS:
            turned = np.roll(found[unit], steps)
            assert np.corrcoef(turned, found[(unit + 1) % 24])[0, 1] > 0.95


def test_line_units_peak_at_their_angle(lines: dict[str, list[Finding]]):
    for layer in ("mixed3a", "mixed3b"):
        assert apart(measured(lines[layer][24:], "peak"), LINES, 180).max() <= 5
    assert apart(measured(lines["conv2d2"], "peak"), curve_network.FINE, 180).max() <= 5


def test_curves_of_about_their_radius_drive_curve_units_most(curves: dict[str, list[Finding]]):
    for finding in curves["mixed3b"][:24]:
        best = {other["value"]: max(other["responses"]) for other in finding.data["others"]}
        best[40.0] = max(finding.data["responses"])
        assert sorted(best) == [24, 32, 40, 60, 80]
        assert max(best, key=best.__getitem__) in (32, 40)
        assert best[24] < best[32]
        assert best[40] > best[60] > best[80]
        assert best[80] < 0.7 * max(best.values())  # nearly straight
        for other in finding.data["others"]:
            peak = other["values"][int(np.argmax(other["responses"]))]
            assert abs((peak - finding.data["peak"] + 180) % 360 - 180) <= 7.5


def test_gratings_drive_gabors_at_their_orientation_and_wavelength(network: Network):
    gabors = tuned(network, "conv2d0", "grating")
    angles = curve_network.FINE.repeat(len(curve_network.PHASES))
    assert apart(measured(gabors, "peak"), angles, 180).max() <= 5
    for finding in gabors:
        assert finding.data["at"]["period"] == pytest.approx(curve_network.WAVELENGTH, rel=0.05)
        by_period = [max(other["responses"]) for other in finding.data["others"]]
        assert by_period[1] > 1.2 * max(by_period[0], by_period[2])  # 3.54 against 2.5 and 5 pixels,
        assert by_period[1] > 3 * max(by_period[3:])  # and against 7.07 and more
        assert finding.data["phase_modulation"] == 1  # each has a phase of its own,
    assert measured(tuned(network, "conv2d1", "grating"), "phase_modulation").max() < 0.05  # and their sum none
    for layer, first, truth in (("conv2d2", 0, curve_network.FINE), ("mixed3a", 24, LINES)):
        assert apart(measured(tuned(network, layer, "grating")[first:], "peak"), truth, 180).max() <= 5


def test_no_hue_drives_a_network_that_sees_grey(network: Network):
    for layer in network.layers:
        for finding in tuned(network, layer.name, "hue", step=15):
            assert finding.data["peak"] is finding.data["width"] is finding.data["echo"] is None
            for other in finding.data["others"]:
                assert np.ptp(other["responses"]) < 1e-5


def test_the_centre_unit_is_centred_exactly(network: Network):
    middle = (curve_network.SIZE - 1) / 2
    values = network.activations(torch.zeros(1, 3, curve_network.SIZE, curve_network.SIZE), ["conv2d0", "mixed3b"])
    for layer, found in values.items():
        field = network.layer(layer).fields[0]
        assert found.shape[2] % 2 == 1
        assert field.start + field.stride * (found.shape[2] // 2) + (field.size - 1) / 2 == middle
    assert network.layer("mixed3a").fields[0].stride == 8


def test_colour_is_ignored(network: Network):
    weights = network.stages["conv2d0"].weight
    assert torch.equal(weights[:, 0], weights[:, 1])
    assert torch.equal(weights[:, 0], weights[:, 2])
    assert weights.sum(dim=(2, 3)).abs().max() < 1e-4  # and even brightness


def test_complex_gabors_do_not_mind_small_shifts(network: Network):
    """Against the Gabors that they are made of: a line moved pixel by pixel."""
    moved = np.concatenate([stimuli.lines([0.0], 27, middle=(13 + shift, 13)) for shift in np.arange(-0.9, 0.91, 0.3)])
    values = network.activations(torch.from_numpy(moved)[:, None].expand(-1, 3, -1, -1), ["conv2d0", "conv2d1"])
    gabors, complex_gabor = values["conv2d0"][:, :4, 5, 5].relu(), values["conv2d1"][:, 0, 5, 5]
    assert float(complex_gabor.min() / complex_gabor.max()) > 0.6
    assert (gabors.min(0).values <= 0.4 * gabors.max(0).values).all()


def test_kernels_have_the_published_shape(network: Network):
    weights = network.stages["mixed3b"][1].weight.numpy()
    assert not weights[24:, :24].any()  # nothing from early curves to lines
    by_difference = weights[0, :13, 2, 2] / weights[0, 0, 2, 2]
    published = [1, 0.75, 0.4, 0.13, 0, 0, 0, 0, -0.03, -0.125, -0.4, -0.9, -1]
    np.testing.assert_allclose(by_difference, published, atol=0.01)
    # At the ends of the arc the neighbouring orientation has the largest weight: weights follow the local tangent.
    for row, neighbour in ((0, 23), (4, 1)):
        end = weights[0, :24, row, 2]
        assert end.argmax() == neighbour
    # Off the arc, a little inhibition.
    assert -0.15 < weights[0, 0, 2, 0] / weights[0, 0, 2, 2] < -0.02
    # A quarter turn of both numbers turns the kernel.
    np.testing.assert_allclose(weights[6:24, 6:24], np.rot90(weights[:18, :18], -1, axes=(2, 3)), atol=1e-5)


@needs_data
def test_kernels_resemble_the_published_network(network: Network):
    published = json.loads((DATA / "curve-detectors" / "aann-weights.json").read_text())
    theirs = np.array(published["weights"]).transpose(1, 0, 2, 3)  # published as [from][to]
    ours = network.stages["mixed3b"][1].weight.numpy()
    for to, source, least in (
        (CURVE_UNITS, CURVE_UNITS, 0.95),
        (CURVE_UNITS, LINE_UNITS, 0.7),
        (LINE_UNITS, LINE_UNITS, 0.7),
    ):
        pair = np.ix_(to, source)
        assert np.corrcoef(ours[pair].ravel(), theirs[pair].ravel())[0, 1] > least


def test_the_read_out_tells_which_way_a_curve_faces(network: Network):
    def classes(drawn: NDArray[np.float32]) -> list[int]:
        with torch.inference_mode():
            return network.logits(torch.from_numpy(drawn)[:, None].expand(-1, 3, -1, -1)).argmax(1).tolist()

    size = curve_network.SIZE
    assert classes(stimuli.arcs(CURVES, size)) == list(CURVE_UNITS)
    assert set(classes(stimuli.lines(LINES, size))) == {24}
    assert classes(np.zeros((1, size, size), dtype=np.float32)) == [24]
    assert len(network.class_names) == 25
    assert network.class_names[6] == "largest curve faces 90°"
    assert network.class_names[24] == "no curve"


def test_the_read_out_holds_on_the_generated_pictures(network: Network):
    right: dict[str, list[bool]] = {"curve": [], "line": [], "corner": [], "texture": []}
    for index in range(210):
        label, parameters = stimuli.describe(index)
        if label not in right:
            continue
        picture = torch.from_numpy(stimuli.draw(label, parameters)).float().expand(1, 3, -1, -1) / 255
        with torch.inference_mode():
            found = int(network.logits(picture).argmax())
        if label == "curve":
            right[label].append(found < 24 and abs((15 * found - parameters["angle"] + 180) % 360 - 180) <= 22.5)
        else:
            right[label].append(found == 24)
    assert {label: np.mean(found) >= 0.9 for label, found in right.items()} == dict.fromkeys(right, True)


def test_families_sort_every_unit_once(network: Network):
    taxonomy = zoo.describe("curve_network")["families"]
    assert json.loads(json.dumps(taxonomy)) == taxonomy
    assert list(taxonomy) == [layer.name for layer in network.layers]
    for layer in network.layers:
        units = sorted(unit for family in taxonomy[layer.name] for unit in family["units"])
        assert units == list(range(layer.channels))
        for family in taxonomy[layer.name]:
            assert list(family["parameters"]) == [str(unit) for unit in family["units"]]
    assert [len(family["units"]) for family in taxonomy["mixed3b"]] == [24, 18]
    assert taxonomy["mixed3b"][0]["parameters"]["6"] == 90
    assert taxonomy["mixed3b"][1]["parameters"]["33"] == 90
    assert taxonomy["conv2d0"][0]["parameters"]["7"] == 5


def test_the_same_weights_every_time():
    before = torch.get_rng_state()
    first, second = (zoo.digest(curve_network.build().state_dict()) for _ in range(2))
    assert first == second == zoo.describe("curve_network")["weights_digest"]
    assert torch.equal(torch.get_rng_state(), before)
