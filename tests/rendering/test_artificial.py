"""A note's circuit built by hand: which file is written for it, and that the file, run by itself, sees as the natural
network does."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taxonomy.models.notes import Subgraph
from taxonomy.rendering.artificial import End, Unbuildable, build, planned, whole_circuit
from tests.workers.test_curve_network import CURVE_UNITS, apart, measured, responses, tuned
from workers import curve_network, zoo
from workers.definition import Definition
from workers.network import Network

EARLY, LINES, CURVES = ("mixed3a", "Early Curves"), ("mixed3a", "Lines"), ("mixed3b", "Curves")


def circuit(*edges: tuple[End, End, float], alone: tuple[End, ...] = ()) -> tuple[Subgraph, dict[str, End]]:
    """A subgraph of families, and what its nodes are."""
    ends = {one for source, target, _ in edges for one in (source, target)} | set(alone)
    names = {end: f"n{number}" for number, end in enumerate(sorted(ends))}
    nodes: list[Any] = [{"id": name, "neuron": "", "family": name, "x": 0.0, "y": 0.0} for name in names.values()]
    drawn: list[Any] = [
        {"source": names[source], "target": names[target], "weight": weight, "evidence": ""}
        for source, target, weight in edges
    ]
    return {"nodes": nodes, "edges": drawn, "threshold": 0.3}, {name: end for end, name in names.items()}


DRAWN = circuit((EARLY, CURVES, 0.05), (EARLY, CURVES, -0.04), (LINES, CURVES, 0.015))


def run(text: str, folder: Path, name: str = "artificial") -> tuple[str, Network]:
    """What the file prints when a Python that sees no other modules of ours runs it, and the network that it makes."""
    file = folder / f"{name}.py"
    file.write_text(text, encoding="utf-8")
    ran = subprocess.run([sys.executable, "-I", str(file)], cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    half = [0.5, 0.5, 0.5]
    seen = {"size": 179, "resize": 179, "mean": half, "std": half}
    definition = Definition.read({"factory": "make", "layers": [], "preprocessing": seen}, file)
    return ran.stdout, zoo.load("artificial", file.with_suffix(".safetensors"), definition=definition)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Network]:
    return run(build("“Curves” by hand\n'''", *DRAWN), tmp_path_factory.mktemp("artificial"))


def test_it_needs_numpy_torch_and_safetensors_alone():
    imported = {
        (one.module if isinstance(one, ast.ImportFrom) else one.names[0].name).partition(".")[0]  # type: ignore[union-attr]
        for one in ast.walk(ast.parse(build("A note", *DRAWN)))
        if isinstance(one, ast.Import | ast.ImportFrom)
    }
    assert imported == {"json", "pathlib", "numpy", "torch", "safetensors"}


def test_what_people_wrote_stays_a_text_in_it():
    hostile = "\"\"\" + __import__('os').system('id') # \u202e \n\\"
    assigned = next(
        one
        for one in ast.parse(build(hostile, *DRAWN)).body
        if isinstance(one, ast.Assign) and one.targets[0].id == "NOTE"  # type: ignore[attr-defined]
    )
    assert ast.literal_eval(assigned.value) == hostile
    assert "\u202e" not in build(hostile, *DRAWN)


def test_it_holds_the_circuit_as_it_is_drawn():
    found, added = planned(*DRAWN)
    assert found["mixed3b"] == {"Curves": {"Early Curves": 1.0, "Lines": 0.3}}
    assert found["mixed3a"] == {"Early Curves": {"Lines": 1.0}, "Lines": {"Lines": 1.0}}
    assert list(found) == ["conv2d0", "conv2d1", "conv2d2", "mixed3a", "mixed3b"]
    assert added == ["Lines (conv2d2)", "Complex Gabor (conv2d1)", "Gabor Filters (conv2d0)"]


def test_a_family_reads_from_what_is_drawn_alone():
    found, _ = planned(*circuit((EARLY, CURVES, 0.05)))
    assert found["mixed3b"] == {"Curves": {"Early Curves": 1.0}}
    assert found["mixed3a"] == {"Early Curves": {"Lines": 1.0}}


def test_a_circuit_that_ends_early_is_built_so_far():
    found, added = planned(*circuit(alone=(("conv2d2", "Lines"),)))
    assert list(found) == ["conv2d0", "conv2d1", "conv2d2"]
    assert added == ["Complex Gabor (conv2d1)", "Gabor Filters (conv2d0)"]


@pytest.mark.parametrize(
    ("drawn", "words"),
    [
        (circuit(), "draws no circuit yet"),
        (circuit(alone=(("mixed3b", "Dogs"),)), "no rule to build Dogs of mixed3b"),
        (circuit(alone=(("mixed4a", "Curves"),)), "no rule to build Curves of mixed4a"),
        (circuit((("conv2d2", "Lines"), CURVES, 1.0)), "goes over several layers"),
        (circuit((EARLY, ("mixed3b", "Lines"), 1.0)), "no rule for weights from Early Curves (mixed3a)"),
    ],
)
def test_what_cannot_be_built_is_refused_in_words(drawn: Any, words: str):
    with pytest.raises(Unbuildable) as refused:
        build("A note", *drawn)
    assert words in str(refused.value)


@pytest.mark.slow
def test_it_prints_how_it_is_tuned_and_how_to_register_it(built: tuple[str, Network]):
    said, network = built
    assert said.startswith("“Curves” by hand")
    assert "mixed3b, Curves: 24 units, by arcs" in said
    assert "register_network artificial --module" in said
    assert [layer.name for layer in network.layers] == list(whole_circuit())


@pytest.mark.slow
def test_its_curves_are_tuned_like_natural_ones(built: tuple[str, Network]):
    _, network = built
    natural = curve_network.build()
    ours, theirs = (tuned(one, "mixed3b", "curve")[:24] for one in (network, natural))
    assert apart(measured(ours, "peak"), curve_network.CURVES, 360).max() <= 5
    widths = measured(ours, "width")
    assert widths.min() >= 28
    assert widths.max() <= 70
    assert np.abs(widths / np.median(widths) - 1).max() <= 0.2
    assert measured(ours, "echo").max() <= 0.03
    likeness = [np.corrcoef(responses(ours)[unit], responses(theirs)[unit])[0, 1] for unit in CURVE_UNITS]
    assert min(likeness) >= 0.95
    lines = responses(tuned(network, "mixed3b", "line"))[:24].max(axis=1) / responses(ours).max(axis=1)
    assert lines.max() < 0.2


@pytest.mark.slow
def test_its_early_curves_echo_as_natural_ones_do(built: tuple[str, Network]):
    early = tuned(built[1], "mixed3a", "curve")[:24]
    assert apart(measured(early, "peak"), curve_network.CURVES, 360).max() <= 5
    assert measured(early, "echo").min() >= 0.04
    assert measured(early, "echo").max() <= 0.9


@pytest.mark.slow
def test_a_number_that_is_turned_changes_what_it_sees(tmp_path: Path):
    text = build("A note", *circuit((EARLY, CURVES, 0.05)))
    assert "\nOPPOSITION = 1.0 " in text
    _, network = run(text.replace("\nOPPOSITION = 1.0 ", "\nOPPOSITION = 0.0 "), tmp_path)
    assert measured(tuned(network, "mixed3b", "curve")[:24], "echo").min() > 0.04
