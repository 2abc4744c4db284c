"""Small data of every kind of evidence, in the forms that the kinds in ``workers.evidence`` write."""

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from taxonomy import recipes, storage
from taxonomy.models import Evidence, Family, Image, ImageSet, Likeness, Network, Neuron, Photograph, Vector
from tests.factory import add_version, make_evidence, make_family, make_image_set, neuron_at, picture

TURN = [angle / 2 for angle in range(720)]


def example(image: int, value: float, row: int = 1, column: int = 2) -> dict[str, Any]:
    box = [0, 0, 4, 4]
    return {"image": image, "name": f"{image}.png", "value": value, "row": row, "column": column, "box": box} | {
        "clipped": False
    }


def dataset_examples() -> dict[str, Any]:
    edges = [9.0 - 12.0 * step / 18 for step in range(19)]
    return {
        "top": [example(rank % 2, 9.0 - rank) for rank in range(9)],
        "lowest": example(1, -3.0, 0, 0),
        "bins": [
            {"from": low, "to": high, "count": 2, "examples": [example(0, low, 3, 4), example(1, low, 3, 4)]}
            for high, low in itertools.pairwise(edges)
        ],
        "minimum": -3.0,
        "maximum": 9.0,
        "images": 2,
        "map": {"rows": 3, "columns": 4},
    }


def histogram() -> dict[str, Any]:
    edges = [step / 10 for step in range(-20, 41)]
    counts = [max(0, 1000 - 40 * abs(step)) for step in range(-20, 40)]
    return {
        "edges": edges,
        "counts": counts,
        "mean": 0.25,
        "sd": 0.5,
        "share_above_zero": 0.4,
        "quantiles": {"0.01": -1.5, "0.5": 0.1, "0.99": 2.5},
        "minimum": -2.0,
        "maximum": 4.0,
        "samples": sum(counts),
        "images": 2,
    }


def tuning(
    stimulus: str, places: list[float], unit: str, period: float | None, peak: float, **more: Any
) -> dict[str, Any]:
    top = 20.0 if stimulus == "curve" else 8.0

    def responses(over: list[float], scale: float) -> list[float]:
        return [scale * max(-0.1, top - abs(place - peak)) for place in over]

    coarse = places[::10] or places
    return {
        "stimulus": stimulus,
        "unit": "activation",
        "axis": {"name": more.pop("axis", "angle"), "unit": unit, "period": period, "values": places},
        "responses": responses(places, 1.0),
        "peak": peak,
        "width": 34.25,
        "echo": 0.02 if stimulus == "curve" else None,
        "others": [
            {"name": "radius", "unit": "px", "value": 24, "responses": responses(coarse, 0.5), "values": coarse}
        ],
        "at": {"radius": 40},
        **more,
    }


def tunings() -> dict[str, dict[str, Any]]:
    degrees = [float(angle) for angle in range(0, 360, 5)]
    return {
        "curve": tuning("curve", TURN, "degrees", 360, 90.0),
        "line": tuning("line", TURN[:360], "degrees", 180, 45.0),
        "grating": tuning("grating", degrees[:36], "degrees", 180, 45.0, phase_modulation=0.25),
        "high_low": tuning("high_low", degrees, "degrees", 360, 180.0),
        "centre_surround": tuning("centre_surround", [2.0, 4.0, 8.0, 12.0], "pixels", None, 4.0, axis="radius"),
        "hue": tuning("hue", degrees, "degrees", 360, 120.0, axis="hue"),
    }


def weights(layer: str, direction: str, linearised: bool = True) -> dict[str, Any]:
    found = [
        {"neuron": index, "value": value, "linearised": linearised, "kernel": [[0.0, value], [value / 2, 0.0]]}
        for index, value in enumerate((0.9, -0.5, 0.2, 0.0))
    ]
    return {"layer": layer, "direction": direction, "linearised": linearised, "scale": 0.9, "channels": 4} | {
        "strong": 2,
        "strongest": found,
    }


def factors(layer: str) -> dict[str, Any]:
    one = {"share": 0.5, "channels": [[0, 0.8], [1, 0.3]], "spatial": [[0.5, 0.0], [-0.2, 0.1]], "value": 2.0}
    return {"layer": layer, "excitatory": [one, one], "inhibitory": [one], "explained": 0.8}


def decomposed(layer: str) -> dict[str, Any]:
    contributions = [[0, 0.5], [1, -0.25], [2, 0.125]]
    return {"layer": layer, "rows": 2, "columns": 2, "magnitudes": [[1.0, 0.5], [0.2, 0.0]], "strongest": [0, 0]} | {
        "contributions": contributions,
        "cell": 8,
    }


def attribution(layer: str, image: int = 0, row: int = 1, column: int = 2) -> dict[str, Any]:
    place = {"image": image, "row": row, "column": column, "value": 9.0, "layer": layer, "method": "exact"}
    return place | {
        "map": [[0.5, -0.5], [0.0, 1.0]],
        "origin": {"start": 0, "stride": 2, "size": 7},
        "neurons": [[0, 6.0], [1, -1.0]],
        "bias": 0.5,
        "sum": 9.0,
    }


def facets(layer: str) -> dict[str, Any]:
    one = {"share": 0.5, "examples": [example(0, 9.0), example(1, 8.0)], "channels": [[0, 0.8], [3, 0.2]]}
    return {"layer": layer, "facets": [one, one, one]}


def joint_tuning(members: list[int]) -> dict[str, Any]:
    angles = list(range(-180, 180, 15))
    responses = [[max(0.0, 1 - abs(angle) / 60) for angle in angles] for _ in members]
    return {"members": members, "peaks": [90.0 * i for i, _ in enumerate(members)], "angles": angles} | {
        "responses": responses,
        "mean": responses[0],
        "examples": 4,
    }


def family_weights(layer: str, members: list[int], source_layer: str, source: list[int]) -> dict[str, Any]:
    return {
        "layer": layer,
        "members": members,
        "angles": [15.0 * index for index in members],
        "source_layer": source_layer,
        "source": source,
        "source_angles": [None for _ in source],
        "k": 3,
        "scale": 0.5,
        "linearised": False,
        "equivariance": 0.9,
        "strengths": [[0.25 for _ in source] for _ in members],
    }


def make_family_evidence(
    family: Family,
    kind: str,
    data: Any,
    parameters: Mapping[str, Any],
    *,
    other: Family | None = None,
    image_set: ImageSet | None = None,
    pictures: Sequence[str] = (),
    status: str = "done",
    reason: str = "",
) -> Evidence:
    recipe = recipes.KINDS[kind]
    row = Evidence.objects.create(
        key=recipes.digest([kind, family.pk, other.pk if other else None]),
        kind=kind,
        recipe_version=recipe.version,
        network=family.layer.network,
        layer=family.layer,
        family=family,
        other=other,
        image_set=image_set,
        parameters=dict(parameters),
        status="queued" if status == "done" else status,
        reason=reason,
    )
    if status == "done":
        files = [(name, picture(), ".webp") for name in pictures]
        add_version(row, [*files, ("data", json.dumps(data).encode(), ".json")])
    return row


def photographs(images: ImageSet, size: int = 8) -> None:
    """Every picture of the set, as a network sees it."""
    for image in Image.objects.filter(image_set=images):
        sha256 = storage.put(picture(size, (40 * image.index, 90, 120)))
        Photograph.objects.create(image=image, resize=size, size=size, sha256=sha256)


def place(neuron: Neuron, evidence: Evidence, likeness: str, values: Mapping[int, float]) -> Vector:
    """The neuron's vector, of which these entries are not zero."""
    full = [0.0] * Vector.DIMENSIONS
    for at, value in values.items():
        full[at] = value
    return Vector.objects.create(
        evidence=evidence, neuron=neuron, likeness=likeness, image_set=evidence.image_set, values=full
    )


def every_kind(neuron: Neuron, images: ImageSet, before: str = "conv1") -> None:
    """All that can be made of a neuron, with the files that come with it."""
    numbers = {"value": 3.2, "steps": 128, "canvas": 43, "objective": "neuron", "diversity": 1, "dtype": "float32"}
    make_evidence(neuron, data=numbers, pictures=["image", "step_0", "step_4", "step_48"])
    make_evidence(neuron, data=numbers | {"value": -2.0}, pictures=["image"], parameters={"objective": "negative"})
    make_evidence(neuron, "dataset_examples", data=dataset_examples(), pictures=["maps"], image_set=images)
    make_evidence(neuron, "activation_histogram", data=histogram(), image_set=images)
    for stimulus, data in tunings().items():
        make_evidence(neuron, "tuning_curves", data=data, pictures=["peak"], parameters={"stimulus": stimulus})
    make_evidence(neuron, "weights", data=weights(before, "in"), parameters={"direction": "in", "layer": before})
    rows, layer = {}, {"layer": before}
    for likeness in Likeness.values:
        used = images if likeness == "activation" else None
        data = {"by": likeness, "vector": [1.0]}
        rows[likeness] = make_evidence(neuron, "neighbours", data=data, parameters={"by": likeness}, image_set=used)
        place(neuron, rows[likeness], likeness, {0: 1.0, neuron.index + 1: 0.5})
    names = ["excitatory_1", "excitatory_2", "inhibitory_1", "map", "map_inhibitory"]
    make_evidence(neuron, "weight_factors", data=factors(before), pictures=names, parameters=layer | {"factors": 2})
    made = decomposed(before)
    make_evidence(neuron, "decomposed_visualization", data=made, pictures=["grid"], parameters=layer)
    names = ["facet_1", "facet_2", "facet_3"]
    values = layer | {"facets": 3}
    make_evidence(neuron, "facets", data=facets(before), pictures=names, parameters=values, image_set=images)
    values = layer | {"image": 0, "row": 1, "column": 2}
    make_evidence(
        neuron, "attribution", data=attribution(before), pictures=["map"], parameters=values, image_set=images
    )


def every_kind_of_two(*networks: Network) -> None:
    """Of two neurons of each network's mixed3b every kind of evidence."""
    images = make_image_set()
    photographs(images)
    for network in networks:
        for index in (4, 5):
            every_kind(neuron_at(f"3b:{index}", network), images)


def weights_from_edges(network: Network) -> None:
    """The weights of its family of mixed3b from one of conv1."""
    edges = make_family(network.layers.get(name="conv1"), "Edges", units=[0])
    curves = network.layers.get(name="mixed3b").families.get(name="Curves")
    matrix = family_weights("mixed3b", [0, 1], "conv1", [0])
    members = {"members": [0, 1], "source": [0], "source_layer": "conv1"}
    make_family_evidence(curves, "family_weights", matrix, members, other=edges, pictures=["matrix"])


def experiment(plan: Mapping[str, Any], verdict: str = "supported", effect: float = 0.3) -> dict[str, Any]:
    """What ``edit`` writes of a sweep: the curves of the plan's neurons, fallen or risen by the effect."""
    measured = plan["measure"]["of"]["channels"]
    axis = [float(angle) for angle in range(0, 360, 15)]

    def curve(top: float, peak: float) -> list[float]:
        return [top * max(-0.2, 1 - abs((angle - peak + 180) % 360 - 180) / 60) for angle in axis]

    def figure(mean: float) -> dict[str, float]:
        return {"mean": mean, "low": 0.9 * mean, "high": 1.1 * mean}

    variants = [{"radius": 16.0, "stroke": stroke} for stroke in (2.0, 3.0, 4.0)]
    pairs = [
        [1.0 + 0.1 * index, (1.0 + 0.1 * index) * (1 + effect), index, number]
        for index in measured
        for number, _ in enumerate(variants)
    ]
    return {
        "ruling": {"verdict": verdict, "effect": effect, "low": effect - 0.1, "high": effect + 0.1, "n": len(pairs)},
        "reason": "It rises by 30 %, all of it beyond the margin.",
        "unit": "activation",
        "relative": bool(plan["expect"]["relative"]),
        "before": figure(1.0),
        "after": figure(1.0 + effect),
        "pairs": pairs,
        "variants": variants,
        "controls": [0.01 * step - 0.1 for step in range(19)] + [None],
        "control": {"kind": "weights", "size": 4, "changed": 4, "words": "In each control as much is set to zero."},
        "left_out": {"count": 1, "reason": "1 pair has no response before."},
        "changed": {"weights": 4, "neurons": 2},
        "sweep": {
            "stimulus": "curve",
            "axis": axis,
            "period": 360,
            "variant": variants[1],
            "neurons": measured,
            "before": [curve(1.0, 90.0 * index) for index in measured],
            "after": [curve(1.0 + effect, 90.0 * index + 10) for index in measured],
            "control": [curve(0.95, 90.0 * index) for index in measured],
        },
    }


def experiment_on_pictures(plan: Mapping[str, Any], verdict: str = "supported") -> dict[str, Any]:
    """What ``edit`` writes where pictures are shown and predictions measured."""

    def figure(share: float) -> dict[str, float]:
        return {"share": share, "low": share - 0.1, "high": min(1.0, share + 0.1)}

    indices = plan["show"]["indices"]
    flips = [
        {
            "image": index,
            "before": {"class": 0, "probability": 0.9},
            "after": {"class": 1, "probability": 0.6},
            "label": 0,
        }
        for index in indices[:2]
    ]
    accuracy = {"before": figure(0.9), "after": figure(0.5)}
    found = experiment(plan | {"measure": {"of": {"channels": []}}}, verdict, 0.4)
    del found["sweep"], found["variants"]
    return found | {
        "ruling": {"verdict": verdict, "effect": 0.4, "low": 0.2, "high": 0.6, "n": len(indices)},
        "unit": "",
        "before": {"mean": 0.0, "low": 0.0, "high": 0.0},
        "after": {"mean": 0.4, "low": 0.2, "high": 0.6},
        "pairs": [[0.0, float(index % 2), index, 0] for index in indices],
        "left_out": {"count": 0, "reason": ""},
        "images": {"count": len(indices), "top1": accuracy, "top5": None, "flipped": 2, "flips": flips},
    }
