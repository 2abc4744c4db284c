"""What each kind of evidence shows, from its data: one function a kind, named in ``PANELS``.

The forms of the data are those that the kinds in ``workers.evidence`` write. A file that is gone from the store, or
that does not read as its kind's data, leaves an exhibit without a panel, and its page says so.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from taxonomy import plans
from taxonomy.actions import circuits
from taxonomy.models import Family, Layer
from taxonomy.pages.exhibits import STIMULUS_TITLES, Exhibit
from taxonomy.rendering import curves, experiments, plots
from taxonomy.rendering.chips import face

logger = logging.getLogger(__name__)

STRONG = 0.3  # of the largest magnitude: the rule of the Circuits articles for what belongs in a diagram
Panel = dict[str, Any]


def fill(exhibits: Iterable[Exhibit]) -> None:
    """Give each exhibit that has a version its panel. What their panels look up is looked up together."""
    shown = [exhibit for exhibit in exhibits if exhibit.version is not None]
    for exhibit in shown:
        _guarded(exhibit, WANTS.get(exhibit.kind.name, _nothing))
    for exhibit in shown:
        exhibit.panel = _guarded(exhibit, PANELS[exhibit.kind.name])


def _guarded(exhibit: Exhibit, function: Callable[[Exhibit], Any]) -> Any:
    try:
        return function(exhibit)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError):
        logger.warning("Version %s does not read as %s.", exhibit.version, exhibit.kind.name, exc_info=True)
        return None


def _nothing(exhibit: Exhibit) -> None:
    """Looks nothing up."""


@dataclass
class Example:
    """A place in a picture of an image set: what the neuron saw of it, and the whole picture with that part marked."""

    rank: int
    at: tuple[int, int, int]  # the picture's index in its set, and the row and column of the neuron's map
    key: str
    image: str
    value: float
    clipped: bool
    crop: SafeString
    place: SafeString
    photograph: str


@dataclass
class Bin:
    """Examples of one part of a neuron's range, or several parts on end without any."""

    start: float
    end: float
    count: int
    examples: list[Example]
    zero: bool  # zero lies in it
    parts: int = 1


@dataclass
class Channel:
    """A neuron of another layer with a number: a weight, a share, what it adds."""

    layer: Layer
    index: int
    value: float
    kernel: Any = None
    strong: bool = False
    linearised: bool = False

    @property
    def excites(self) -> bool:
        return self.value > 0


def example(exhibit: Exhibit, row: Mapping[str, Any], rank: int = 0, overlay: SafeString | str = "") -> Example:
    address, name = exhibit.shelf.photographs.find(exhibit.image_set, row["image"])
    name = str(row.get("name") or name or f"picture {row['image']}")
    size = exhibit.shelf.photographs.size
    box = [float(side) for side in row["box"]]
    at = int(row["image"]), int(row["row"]), int(row["column"])
    return Example(
        rank=rank,
        key="-".join(map(str, at)),
        at=at,
        image=name,
        value=float(row["value"]),
        clipped=bool(row.get("clipped")),
        crop=plots.crop(address, size, box, f"What the neuron sees of {name}"),
        place=plots.place(address, size, box, overlay),
        photograph=address,
    )


def _kernels(exhibit: Exhibit) -> Panel:
    return {"image": exhibit.pictures["kernel"], "scale": (exhibit.data or {}).get("scale")}


def _imported_picture(exhibit: Exhibit) -> Panel:
    assert exhibit.version is not None
    return {"image": exhibit.pictures["image"], "source": exhibit.version.evidence.parameters.get("source")}


def _feature_visualization(exhibit: Exhibit) -> Panel:
    pictures = exhibit.pictures
    steps = sorted((int(name.removeprefix("step_")), name) for name in pictures if name.startswith("step_"))
    data = exhibit.data or {}
    return {
        "image": pictures["image"],
        "more": [pictures[name] for name in sorted(pictures) if name.startswith("image_")],
        "snapshots": [{"step": step, "image": pictures[name]} for step, name in steps],
        "numbers": data,
        "sds": data["value"] / exhibit.shelf.sd if data and exhibit.shelf.sd else None,
    }


def _examples_wanted(exhibit: Exhibit) -> None:
    rows = [*exhibit.data["top"], *filter(None, [exhibit.data.get("lowest")])]
    exhibit.shelf.photographs.want(exhibit.image_set, [row["image"] for row in rows])


def _dataset_examples(exhibit: Exhibit) -> Panel:
    data = exhibit.data
    cells = data.get("map") or {}
    strip, found = exhibit.pictures.get("maps", ""), []
    for number, row in enumerate(data["top"]):
        overlay: SafeString | str = ""
        if strip and cells and exhibit.neuron is not None:
            shape = (len(data["top"]), int(cells["rows"]), int(cells["columns"]))
            overlay = plots.map_over(strip, number, shape, _cells(exhibit))
        found.append(example(exhibit, row, number + 1, overlay))
    return {
        "top": found,
        "lowest": example(exhibit, data["lowest"]) if data.get("lowest") else None,
        "minimum": data.get("minimum"),
        "maximum": data.get("maximum"),
        "images": data.get("images"),
        "bins": len(data.get("bins") or []),
    }


def _cells(exhibit: Exhibit) -> tuple[float, float]:
    """Where the first cell of the neuron's map begins in the picture, and how wide a cell is, in pixels."""
    assert exhibit.neuron is not None
    before = 0
    fields = exhibit.neuron.layer.fields
    for found in fields:
        before += int(found["channels"])
        if exhibit.neuron.index < before:
            break
    # A cell stands for the middle of what it sees, and covers the way to the next one.
    return float(found["start"]) + (float(found["size"]) - float(found["stride"])) / 2, float(found["stride"])


def quilt(exhibit: Exhibit) -> list[Bin]:
    """Examples over the whole range, the highest first; empty where there are none."""

    def build(exhibit: Exhibit) -> list[Bin]:
        bins = exhibit.data["bins"]
        rows = [row for one in bins for row in one["examples"]]
        exhibit.shelf.photographs.want(exhibit.image_set, [row["image"] for row in rows])
        found: list[Bin] = []
        for one in bins:
            high, low = float(one["to"]), float(one["from"])
            zero = low < 0 <= high
            if found and not one["count"] and not found[-1].count and not zero and not found[-1].zero:
                found[-1].start, found[-1].parts = low, found[-1].parts + 1
                continue
            found.append(Bin(low, high, int(one["count"]), [example(exhibit, row) for row in one["examples"]], zero))
        return found

    return _guarded(exhibit, build) or []


def find_example(exhibit: Exhibit, image: int, row: int, column: int) -> Example | None:
    """The place among the examples, wherever in the range it lies."""

    def build(exhibit: Exhibit) -> Example | None:
        data = exhibit.data
        rows = [*data["top"], *(row for one in data.get("bins") or [] for row in one["examples"])]
        rows += [data["lowest"]] if data.get("lowest") else []
        for found in rows:
            if (found["image"], found["row"], found["column"]) == (image, row, column):
                return example(exhibit, found)
        return None

    found: Example | None = _guarded(exhibit, build)
    return found


def _activation_histogram(exhibit: Exhibit) -> Panel:
    data = exhibit.data
    edges, counts = data["edges"], data["counts"]
    if len(edges) != len(counts) + 1:
        raise ValueError("edges and counts do not go together")
    total = sum(counts) or 1
    rows = [
        {"start": start, "end": end, "share": count / total, "adds": (start + end) / 2 * count / total}
        for start, end, count in zip(edges, edges[1:], counts, strict=False)
        if count
    ]
    return {
        "plot": curves.histogram(exhibit.subject, edges, counts, data["mean"]),
        "rows": rows,
        "quantiles": [(f"{float(share) * 100:g} %", value) for share, value in (data.get("quantiles") or {}).items()],
        **{name: data[name] for name in ("mean", "sd", "share_above_zero", "minimum", "maximum", "samples", "images")},
    }


def safe_curve(exhibit: Exhibit) -> curves.Curve | None:
    """``curve_of``, or None where its files are spoilt."""
    found: curves.Curve | None = _guarded(exhibit, curve_of)
    return found


def curve_of(exhibit: Exhibit) -> curves.Curve:
    """The tuning curve in units of the neuron's sd, where the page knows it."""
    return curves.read(exhibit.data, exhibit.shelf.sd)


def _tuning_curves(exhibit: Exhibit) -> Panel:
    data, shelf = exhibit.data, exhibit.shelf
    curve = curve_of(exhibit)
    unit = "sd" if shelf.sd else str(data.get("unit") or "")
    step = max(1, len(curve.places) // 72)
    others = data.get("others") or []
    return {
        "heading": STIMULUS_TITLES.get(curve.stimulus, curve.stimulus),
        "plot": curves.tuning(
            curve,
            exhibit.subject,
            face=shelf.face or exhibit.pictures.get("peak", ""),
            full=shelf.full,
            unit=unit,
        ),
        "round": curves.drawn_round(curve),
        "axis": data["axis"],
        "degrees": curve.unit.startswith(("deg", "°")),
        "first": curve.places[0],
        "last": curve.places[-1],
        "peak": data.get("peak"),
        "width": data.get("width"),
        "echo": data.get("echo"),
        "strongest": max(curve.responses),
        "unit": unit,
        "at": ", ".join(f"{_named(name)} {_value(value)}" for name, value in (data.get("at") or {}).items()),
        "others": _others(others),
        "modulation": data.get("phase_modulation"),
        "picture": exhibit.pictures.get("peak", ""),
        "rows": list(zip(curve.places, curve.responses, strict=True))[::step],
        "count": len(curve.places),
    }


def _others(others: Sequence[Mapping[str, Any]]) -> str:
    """What the faint curves are of: "radius 24, 32, 60 px"."""
    found: dict[tuple[str, str], list[str]] = {}
    for other in others:
        found.setdefault((other["name"], str(other.get("unit") or "")), []).append(_value(other.get("value")))
    return "; ".join(
        f"{_named(name)} {', '.join(values)}{'' if unit == '°' else ' '}{unit}".rstrip()
        for (name, unit), values in found.items()
    )


def _named(name: str) -> str:
    return name.replace("_", " ")


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def full_of(exhibits: Iterable[Exhibit]) -> float:
    """The largest response of any of these tuning curves, in the unit of the page."""

    found = (safe_curve(exhibit) for exhibit in exhibits)
    return max((curve.strongest for curve in found if curve is not None), default=0.0)


def _weights(exhibit: Exhibit) -> Panel:
    data = exhibit.data
    scale = float(data["scale"])
    layer = exhibit.shelf.layers[data["layer"]]
    rows = []
    for row in data["strongest"]:
        value = float(row["value"])
        if value:
            strong = abs(value) >= STRONG * scale
            linearised = bool(row.get("linearised"))
            rows.append(Channel(layer, int(row["neuron"]), value, row["kernel"], strong, linearised))
    return {
        "strong": [row for row in rows if row.strong],
        "rest": [row for row in rows if not row.strong],
        "scale": scale,
        "layer": layer,
        "strong_count": data["strong"],
        "channels": data["channels"],
        "linearised": data["linearised"],
    }


def _weight_factors(exhibit: Exhibit) -> Panel:
    data = exhibit.data
    layer = exhibit.shelf.layers[data["layer"]]
    scale = max(
        (abs(plots.largest(one["spatial"])) for sign in SIGNS for one in data[sign]),
        default=0.0,
    )
    sides = []
    for sign, name in SIGNS.items():
        factors = [
            {
                "number": number,
                "share": float(one["share"]),
                "image": exhibit.pictures.get(f"{sign}_{number}", ""),
                "channels": [Channel(layer, int(index), float(weight)) for index, weight in one["channels"]],
                # As the neuron meets it: what makes an inhibitory theme stronger inhibits more.
                "spatial": [[weight * (1 if sign == "excitatory" else -1) for weight in row] for row in one["spatial"]],
            }
            for number, one in enumerate(data[sign], start=1)
        ]
        if factors:
            map_ = exhibit.pictures.get("map" if sign == "excitatory" else f"map_{sign}", "")
            sides.append({"sign": sign, "name": name, "factors": factors, "map": map_})
    return {"sides": sides, "layer": layer, "explained": data.get("explained"), "scale": scale}


SIGNS = {"excitatory": "What excites it", "inhibitory": "What inhibits it"}


def _decomposed_wanted(exhibit: Exhibit) -> None:
    data = exhibit.data
    exhibit.shelf.kin.want(exhibit.shelf.layers[data["layer"]], [index for index, _ in data["contributions"]])


def _decomposed_visualization(exhibit: Exhibit) -> Panel:
    data = exhibit.data
    layer = exhibit.shelf.layers[data["layer"]]
    channels = [Channel(layer, int(index), float(share)) for index, share in data["contributions"]]
    families: dict[int, Family] = {}
    excites: Counter[int] = Counter()
    inhibits: Counter[int] = Counter()
    members: dict[int, list[Channel]] = {}
    for channel in channels:
        family = exhibit.shelf.kin.family(layer, channel.index)
        key = family.pk if family is not None else 0
        if family is not None:
            families[key] = family
        (excites if channel.excites else inhibits)[key] += abs(channel.value)  # type: ignore[assignment]
        members.setdefault(key, []).append(channel)
    keys = sorted(members, key=lambda key: (key == 0, -(excites[key] + inhibits[key])))
    rows, columns = int(data["rows"]), int(data["columns"])
    row, column = data["strongest"]
    return {
        "grid": exhibit.pictures["grid"],
        "mark": plots.grid_mark(rows, columns, row, column),
        "rows": rows,
        "columns": columns,
        "row": row + 1,
        "column": column + 1,
        "layer": layer,
        "families": [
            {
                "family": families.get(key),
                "excites": excites[key],
                "inhibits": inhibits[key],
                "bar": plots.signed_bar(excites[key], inhibits[key]),
                "channels": members[key],
            }
            for key in keys
        ],
        "rest": max(0.0, 1 - sum(abs(channel.value) for channel in channels)),
        "channels": channels,
    }


def _neighbours(exhibit: Exhibit) -> Panel:
    near = exhibit.shelf.near.get(exhibit.variant, ([], []))
    return {"here": near[0], "elsewhere": near[1], "by": exhibit.variant}


def _attribution_wanted(exhibit: Exhibit) -> None:
    exhibit.shelf.photographs.want(exhibit.image_set, [exhibit.data["image"]])


def _attribution(exhibit: Exhibit) -> Panel:
    data = exhibit.data
    layer = exhibit.shelf.layers[data["layer"]]
    neurons = [Channel(layer, int(index), float(value)) for index, value in data["neurons"]]
    scale = max((abs(channel.value) for channel in neurons), default=0.0)
    for channel in neurons:
        channel.strong = abs(channel.value) >= STRONG * scale > 0
    photograph, name = exhibit.shelf.photographs.find(exhibit.image_set, data["image"])
    return {
        "map": exhibit.pictures["map"],
        "photograph": photograph,
        "name": name,
        "layer": layer,
        "strong": [channel for channel in neurons if channel.strong],
        "rest": [channel for channel in neurons if channel.value and not channel.strong],
        "method": data["method"],
        "exact": data["method"] == "exact",
        "value": data["value"],
        "row": data["row"],
        "column": data["column"],
        "bias": data.get("bias"),
        "sum": data.get("sum"),
    }


def _facets_wanted(exhibit: Exhibit) -> None:
    rows = [row["image"] for facet in exhibit.data["facets"] for row in facet["examples"]]
    exhibit.shelf.photographs.want(exhibit.image_set, rows)


def _facets(exhibit: Exhibit) -> Panel:
    data = exhibit.data
    layer = exhibit.shelf.layers[data["layer"]]
    return {
        "layer": layer,
        "facets": [
            {
                "number": number,
                "share": float(facet["share"]),
                "image": exhibit.pictures.get(f"facet_{number}", ""),
                "examples": [example(exhibit, row, rank) for rank, row in enumerate(facet["examples"], start=1)],
                "channels": [Channel(layer, int(index), float(weight)) for index, weight in facet["channels"]],
            }
            for number, facet in enumerate(data["facets"], start=1)
        ],
    }


def _joint_tuning(exhibit: Exhibit) -> Panel:
    data = exhibit.data
    assert exhibit.family is not None
    order = sorted(range(len(data["members"])), key=lambda i: (data["peaks"][i] is None, data["peaks"][i] or 0.0))
    rows = [
        {
            "layer": exhibit.family.layer,
            "index": int(data["members"][i]),
            "peak": data["peaks"][i],
            "responses": data["responses"][i],
        }
        for i in order
    ]
    return {
        "plot": curves.turned(
            exhibit.subject, data["angles"], [(r["peak"], r["responses"]) for r in rows], data["mean"]
        ),
        "rows": rows,
        "angles": data["angles"],
        "mean": list(zip(data["angles"], data["mean"], strict=True)),
        "examples": data["examples"],
    }


def _family_weights(exhibit: Exhibit) -> Panel:
    data = exhibit.data
    layers = exhibit.shelf.layers
    rows = _ends(layers[data["layer"]], data["members"], data.get("angles"))
    columns = _ends(layers[data["source_layer"]], data["source"], data.get("source_angles"))
    strengths = data["strengths"]
    if len(strengths) != len(rows) or any(len(row) != len(columns) for row in strengths):
        raise ValueError("strengths are not members by source")
    return {
        "matrix": exhibit.pictures["matrix"],
        "rows": [{**end, "strengths": line} for end, line in zip(rows, strengths, strict=True)],
        "columns": columns,
        "layer": layers[data["layer"]],
        "source_layer": layers[data["source_layer"]],
        "ordered": any(end["angle"] is not None for end in rows),
        "k": data["k"],
        "scale": data["scale"],
        "linearised": data["linearised"],
        "equivariance": data.get("equivariance"),
        "rotate": circuits.both_rotate(data),
        "plot": plots.matrix(exhibit.pictures["matrix"], _faces(rows), _faces(columns), exhibit.title),
    }


def _layer_weights(exhibit: Exhibit) -> Panel:
    data, layers = exhibit.data, exhibit.shelf.layers
    assert exhibit.layer is not None
    return {
        "layer": exhibit.layer,
        "source_layer": layers[data["layer"]],
        "rows": [(int(row), int(column), float(value)) for row, column, value in data["strongest"][:50]],
        "linearised": sum(data["linearised"]),
        **{name: data[name] for name in ("k", "size", "kept", "scale", "error")},
        "all": data["rows"],
        "columns": data["columns"],
    }


def _ends(layer: Layer, indices: Sequence[int], angles: Sequence[float | None] | None) -> list[dict[str, Any]]:
    angles = angles or [None] * len(indices)
    return [{"layer": layer, "index": int(i), "angle": angle} for i, angle in zip(indices, angles, strict=True)]


def _faces(ends: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, SafeString]]:
    return [
        (
            f"{end['layer'].get_absolute_url()}{end['index']}/",
            f"{end['layer'].name}:{end['index']}" + (f", {end['angle']:g}°" if end["angle"] is not None else ""),
            face(end["layer"], end["index"]),
        )
        for end in ends
    ]


@dataclass
class Flip:
    """A picture whose most probable class changed most, as the network saw it."""

    photograph: str
    name: str
    before: tuple[str, float]
    after: tuple[str, float]
    label: str

    @property
    def changed(self) -> bool:
        return self.before[0] != self.after[0]


def _edit_wanted(exhibit: Exhibit) -> None:
    flips = (exhibit.data.get("images") or {}).get("flips") or []
    exhibit.shelf.photographs.want(exhibit.image_set, [flip["image"] for flip in flips])


MOST_PAIRS = 200  # rows of the table


def _edit(exhibit: Exhibit) -> Panel:
    data, plan = exhibit.data, exhibit.values["plan"]
    ruling, expect = data["ruling"], plan["expect"]
    controls = [one for one in data["controls"] if one is not None]
    table = data["pairs"][:MOST_PAIRS]
    measure = plans.MEASURES[plan["measure"]["what"]]
    relative = bool(expect.get("relative"))
    found: Panel = {
        "ruling": ruling,
        "reason": data["reason"],
        "relative": relative,
        "unit": measure.unit,
        "measure": measure.title,
        "margin": plans.margin_in_words(plan["measure"], expect),
        "before": data["before"],
        "after": data["after"],
        "controls": controls,
        "lost": len(data["controls"]) - len(controls),
        "control": data["control"],
        "left_out": data.get("left_out") or {},
        "sweep": _swept(exhibit, data["sweep"]) if data.get("sweep") else None,
        "images": _pictured(exhibit, data["images"]) if data.get("images") else None,
        "rows": [(before, after, which, _variant(data, where)) for before, after, which, *where in table],
        "count": ruling["n"],
        "neuronal": plan["show"]["kind"] == "sweep",
    }
    if ruling["effect"] is not None and ruling["low"] is not None:
        found["effect"] = experiments.effect(
            *(ruling["effect"], ruling["low"], ruling["high"], controls),
            change=expect["change"],
            margin=expect["margin"],
            percent=relative,
            unit="of what it was" if relative else measure.unit,
        )
        if not (found["images"] and plan["measure"]["what"] in ("top1", "top5")):  # beside whose accuracy it stands
            sides = [_side(name, data[name], "mean") for name in ("before", "after")]
            found["ranges"] = experiments.ranges(sides, f"{measure.title}, on average")
    points = [(before, after) for before, after, *_ in data["pairs"]]
    if (measure.of_neurons or measure.of_class) and len({before for before, _ in points}) > 1:
        found["pairs"] = experiments.pairs(points, measure.unit)
    return found


def _side(name: str, figure: Mapping[str, Any], of: str) -> tuple[str, float, float, float]:
    """What was measured before or after, with its interval."""
    return name, float(figure[of]), float(figure["low"]), float(figure["high"])


def _variant(data: Mapping[str, Any], where: Sequence[int]) -> str:
    """The sizes of a sweep's stimuli: "radius 40 px, stroke 3 px"."""
    variants = data.get("variants") or []
    sizes = variants[where[0]] if where and where[0] < len(variants) else {}
    return ", ".join(f"{name} {_value(value)} px" for name, value in sizes.items() if value is not None)


def _swept(exhibit: Exhibit, sweep: Mapping[str, Any]) -> Panel:
    """The tuning curves of each neuron, all to one scale."""
    layer = exhibit.shelf.layers[exhibit.values["plan"]["measure"]["of"]["layer"]]
    neurons = [
        experiments.Tuned(f"{layer.name}:{index}", before, after, control)
        for index, before, after, control in zip(
            sweep["neurons"], sweep["before"], sweep["after"], sweep["control"], strict=True
        )
    ]
    full = max((neuron.strongest for neuron in neurons), default=0.0) or 1.0
    period = float(sweep["period"])
    return {
        "stimulus": sweep["stimulus"],
        "variant": sweep["variant"],
        "period": period,
        "opposite": period / 2,
        "full": full,
        "layer": layer,
        "neurons": [
            (int(index), experiments.tuned(neuron, sweep["axis"], period, full))
            for index, neuron in zip(sweep["neurons"], neurons, strict=True)
        ],
    }


def _pictured(exhibit: Exhibit, images: Mapping[str, Any]) -> Panel:
    """The pictures that changed most, and how often the network was right before and after."""
    names = exhibit.shelf.network.class_names

    def called(index: int | None) -> str:
        if index is None:
            return ""
        return str(names[index]) if index < len(names) else f"class {index}"

    flips = []
    for flip in images["flips"]:
        address, name = exhibit.shelf.photographs.find(exhibit.image_set, flip["image"])
        sides = [(called(flip[side]["class"]), float(flip[side]["probability"])) for side in ("before", "after")]
        flips.append(Flip(address, name or f"picture {flip['image']}", sides[0], sides[1], called(flip.get("label"))))
    accuracy = []
    for name, title in (("top1", "Top-1"), ("top5", "Top-5")):
        both = images.get(name)
        if both:
            shares = [_side(side, both[side], "share") for side in ("before", "after")]
            plot = experiments.ranges(shares, f"{title} accuracy", percent=True)
            accuracy.append({"title": title, "plot": plot, "sides": shares})
    return {"count": images["count"], "flipped": images["flipped"], "flips": flips, "accuracy": accuracy}


PANELS: dict[str, Callable[[Exhibit], Panel]] = {
    "kernels": _kernels,
    "imported_picture": _imported_picture,
    "feature_visualization": _feature_visualization,
    "dataset_examples": _dataset_examples,
    "activation_histogram": _activation_histogram,
    "tuning_curves": _tuning_curves,
    "weights": _weights,
    "weight_factors": _weight_factors,
    "decomposed_visualization": _decomposed_visualization,
    "neighbours": _neighbours,
    "attribution": _attribution,
    "facets": _facets,
    "joint_tuning": _joint_tuning,
    "family_weights": _family_weights,
    "layer_weights": _layer_weights,
    "edit": _edit,
}
# What a panel looks up beside its own files, told beforehand, so that all panels of a page ask once.
WANTS: dict[str, Callable[[Exhibit], None]] = {
    "dataset_examples": _examples_wanted,
    "decomposed_visualization": _decomposed_wanted,
    "attribution": _attribution_wanted,
    "facets": _facets_wanted,
    "edit": _edit_wanted,
}
