"""A circuit built by hand: an artificial artificial network.

Every weight below is written by a simple rule with a few named numbers, and none is learned. If the circuit that the
note describes is what makes the natural network see, this one must see alike. Turn a number, run it again, and look at
what becomes of the tuning curves.

It needs numpy, torch and safetensors, and nothing else:

    python FILE.py

builds the network, draws curves or lines in front of each neuron, prints how the neurons are tuned, writes the weights
and the families beside this file, and says how to register it all as a network of its own.

Angles are in degrees. A curve's angle is the direction its arc bulges to, clockwise from +x with y pointing down: 0 is
`)` and 90 is `U`. A line's angle is clockwise from vertical. Lengths are in pixels of the picture.
"""

import json
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import nn

# What is built, as the note draws it: layer -> family -> {family of the layer below: strength}. A strength is the
# largest weight that is drawn between the two, over the largest that is drawn into the family. What `ADDED` names is
# not in the note: it stands below what is drawn, so that a picture gets there.
NOTE = "The whole chain, from pixels to curves"
ADDED = []
CIRCUIT = {
    "conv2d0": {"Gabor Filters": {}},
    "conv2d1": {"Complex Gabor": {"Gabor Filters": 1.0}},
    "conv2d2": {"Lines": {"Complex Gabor": 1.0}},
    "mixed3a": {"Early Curves": {"Lines": 1.0}, "Lines": {"Lines": 1.0}},
    "mixed3b": {"Curves": {"Early Curves": 1.0, "Lines": 0.3}, "Lines": {"Lines": 1.0}},
}

# What a reader can turn.
ORIENTATIONS = 36  # of the filters, complex filters and first lines, over 180 degrees
CURVES = 24  # over 360 degrees
LINES = 18  # from mixed3a on, over 180 degrees
PHASES = 4  # of the filters, over 360 degrees
RADIUS = 40.0  # of the arcs that it looks for
WAVELENGTH, ENVELOPE = 3.5, 2.5  # of the filters
FOCUS = 10.0  # degrees about the tangent within which lines excite
SURROUND = 25.0  # degrees about the tangent beyond which they inhibit
INHIBITION = 0.3  # how much, beside how much they excite
OPPOSITION = 1.0  # how much a curve that faces the other way inhibits: what removes the echo. 0 brings it back
SHARPNESS = 3  # early curves count by the cosine of how far they are turned away, to this power. An odd number
RIDGE = 0.6  # breadth of the path along which inputs count, over the distance of two cells
THRESHOLD = {"conv2d0": 0.1, "mixed3a": 0.05, "mixed3b": 0.02}  # what a unit's inputs must reach together

# The layers of the natural network, which this one copies so that both can be laid side by side: kernel (cells a side),
# stride, padding, whether a max pool stands before it, and how many pixels lie between two of its inputs.
LAYERS = {
    "conv2d0": (7, 2, 0, False, 1),
    "conv2d1": (1, 1, 0, False, 2),
    "conv2d2": (3, 1, 1, True, 4),
    "mixed3a": (3, 1, 1, True, 8),
    "mixed3b": (5, 1, 2, False, 8),
}
SIZE = 179  # with these strides a unit of every layer lies exactly in the middle


def units(layer, family):
    """The angle of each unit of a family, and after how many degrees angles come round again."""
    if family == "Gabor Filters":
        return np.arange(0, 180, 180 / ORIENTATIONS).repeat(PHASES), 180.0
    if "Curves" in family:
        return np.arange(0, 360, 360 / CURVES), 360.0
    return np.arange(0, 180, 180 / (ORIENTATIONS if layer in ("conv2d1", "conv2d2") else LINES)), 180.0


# The rules. Weights are (out, in, rows, columns).


def filters(layer):
    """Gabor filters: a wave under a bell, blind to even brightness, the same for the three colours."""
    kernel, pitch = LAYERS[layer][0], LAYERS[layer][4]
    angles, _ = units(layer, "Gabor Filters")
    x, y = cells(kernel, pitch)
    turned = np.deg2rad(angles)[:, None, None]
    phase = np.tile(np.arange(PHASES) * 2 * np.pi / PHASES, ORIENTATIONS)[:, None, None]
    across = x * np.cos(turned) + y * np.sin(turned)
    weights = np.cos(2 * np.pi / WAVELENGTH * across + phase) * bell(np.hypot(x, y), ENVELOPE)
    weights -= weights.mean(axis=(1, 2), keepdims=True)
    weights /= np.linalg.norm(weights, axis=(1, 2), keepdims=True)
    return np.repeat(weights[:, None], 3, axis=1) / 3


def over_phases(*_):
    """Complex cells: the sum over the phases of one orientation."""
    return np.kron(np.eye(ORIENTATIONS), np.full(PHASES, 2 / PHASES))[:, :, None, None]


def along_a_line(layer, family, below, of_below):
    """Lines tiled along a straight path: those of the same orientation excite, others inhibit."""
    return tiled(layer, units(layer, family)[0], *units(below, of_below), np.inf, tangent_rule)


def lines_along_an_arc(layer, family, below, of_below):
    """Lines tiled along an arc: those along its tangent excite, others inhibit."""
    return tiled(layer, units(layer, family)[0], *units(below, of_below), RADIUS, tangent_rule)


def curves_along_an_arc(layer, family, below, of_below):
    """Curves tiled along an arc: those that face as it does excite, those that face the other way inhibit."""
    return tiled(layer, units(layer, family)[0], *units(below, of_below), RADIUS, facing_rule)


def tangent_rule(apart):
    """By how many degrees a line is turned away from the path."""
    return bell(apart, FOCUS) - INHIBITION * (1 - bell(apart, SURROUND))


def facing_rule(apart):
    """By how many degrees a curve is turned away from the path."""
    facing = np.cos(np.deg2rad(apart)) ** SHARPNESS
    return np.where(facing > 0, facing, OPPOSITION * facing)


# The rule for what a family (first) reads from a family of the layer below (second).
RULES = {
    ("Complex Gabor", "Gabor Filters"): over_phases,
    ("Lines", "Complex Gabor"): along_a_line,
    ("Lines", "Lines"): along_a_line,
    ("Early Curves", "Lines"): lines_along_an_arc,
    ("Curves", "Lines"): lines_along_an_arc,
    ("Curves", "Early Curves"): curves_along_an_arc,
}


def tiled(layer, outs, ins, period, radius, rule):
    """Inputs laid along an arc (or a line, where the radius is infinite), each weighed against the path's direction."""
    kernel, pitch = LAYERS[layer][0], LAYERS[layer][4]
    x, y = cells(kernel, pitch)
    angle = np.deg2rad(outs)[:, None, None]
    if np.isinf(radius):
        off, direction = x * np.cos(angle) + y * np.sin(angle), np.rad2deg(angle) + 0 * x
    else:
        from_x, from_y = x + radius * np.cos(angle), y + radius * np.sin(angle)
        off, direction = np.hypot(from_x, from_y) - radius, np.rad2deg(np.arctan2(from_y, from_x))
    apart = np.abs((ins[None, :, None, None] - direction[:, None] + period / 2) % period - period / 2)
    return rule(apart) * bell(off, RIDGE * pitch)[:, None]


def cells(kernel, pitch):
    """x and y of each cell of a kernel from its middle."""
    return np.meshgrid(*[(np.arange(kernel) - kernel // 2) * pitch] * 2)


def bell(distance, deviation):
    return np.exp(-((distance / deviation) ** 2) / 2)


def weights_of(layer):
    """All weights of a layer: families by families, and each unit's positive weights add up to 1."""
    if layer == "conv2d0":
        return filters(layer)
    below = list(CIRCUIT)[list(CIRCUIT).index(layer) - 1]
    rows = []
    for family, inputs in CIRCUIT[layer].items():
        blocks = []
        for of_below in CIRCUIT[below]:
            shape = (len(units(layer, family)[0]), len(units(below, of_below)[0]), *[LAYERS[layer][0]] * 2)
            strength = inputs.get(of_below, 0.0)
            rule = RULES[family, of_below] if strength else lambda *_, shape=shape: np.zeros(shape)
            blocks.append(strength * rule(layer, family, below, of_below))
        row = np.concatenate(blocks, axis=1)
        total = np.maximum(row, 0).sum(axis=(1, 2, 3), keepdims=True)
        rows.append(row / np.where(total > 0, total, 1) if layer != "conv2d1" else row)
    return np.concatenate(rows)


class Artificial(nn.Module):
    """The circuit as a network: 3 x SIZE x SIZE in, the values of its last layer out."""

    def __init__(self):
        super().__init__()
        inputs = 3
        for layer in CIRCUIT:
            kernel, stride, padding, _, _ = LAYERS[layer]
            outputs = sum(len(units(layer, family)[0]) for family in CIRCUIT[layer])
            self.add_module(layer, nn.Conv2d(inputs, outputs, kernel, stride, padding))
            inputs = outputs
        self.pool = nn.MaxPool2d(3, stride=2)
        self.relu = nn.ReLU()

    def forward(self, x):
        for layer in CIRCUIT:
            if layer != "conv2d0":
                x = self.relu(x)
            if LAYERS[layer][3]:
                x = self.pool(x)
            x = self.get_submodule(layer)(x)
        return x


def make():
    """The network with its weights written."""
    module = Artificial()
    with torch.no_grad():
        for layer in CIRCUIT:
            convolution = module.get_submodule(layer)
            convolution.weight.copy_(torch.from_numpy(weights_of(layer).round(6)))
            convolution.bias.fill_(-THRESHOLD.get(layer, 0.0))
    return module.eval().requires_grad_(False)


# How it is tuned.


def drawn(family, angles, half_span=60.0, stroke=3.0):
    """White arcs of RADIUS, or endless lines, on black, their middle in the middle of the picture."""
    middle = np.arange(SIZE) - (SIZE - 1) / 2
    x, y = np.meshgrid(middle, middle)
    turned = np.deg2rad(np.asarray(angles))[:, None, None]
    out, along = x * np.cos(turned) + y * np.sin(turned), y * np.cos(turned) - x * np.sin(turned)
    if "Curves" not in family:
        distance = np.abs(out)
    else:
        out, along, reach = out + RADIUS, np.abs(along), np.deg2rad(half_span)
        to_end = np.hypot(out - RADIUS * np.cos(reach), along - RADIUS * np.sin(reach))
        distance = np.where(np.arctan2(along, out) <= reach, np.abs(np.hypot(out, along) - RADIUS), to_end)
    cover = np.clip(0.5 + stroke / 2 - distance, 0, 1)
    return torch.from_numpy(2 * cover - 1).float()[:, None].expand(-1, 3, -1, -1)


def tuning(module, layer, family, step=5.0):
    """The responses of a family's units to its stimulus at every angle, as (units, angles), and the angles."""
    angles = np.arange(0, units(layer, family)[1], step)
    found = []
    kept = module.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: found.append(output))
    with torch.no_grad():
        for some in np.array_split(angles, max(1, len(angles) // 8)):
            module(drawn(family, some))
    kept.remove()
    values = torch.cat(found)
    middle = values.shape[-1] // 2
    first = sum(len(units(layer, other)[0]) for other in list(CIRCUIT[layer])[: list(CIRCUIT[layer]).index(family)])
    count = len(units(layer, family)[0])
    return np.maximum(values[:, first : first + count, middle, middle].numpy().T.astype(float), 0), angles


def measured(responses, angles):
    """Peak, width at half the maximum, and echo (the strongest near the opposite, over the maximum) of one curve."""
    turn = 360 if angles[-1] >= 180 else 180
    best, step = int(responses.argmax()), angles[1] - angles[0]
    if responses[best] <= 0:
        return None
    shares = np.roll(responses, -best) / responses[best]
    width = len(angles) * step
    if (shares < 0.5).any():
        width = 0.0
        for side in (shares, np.roll(shares[::-1], 1)):
            below = int((side < 0.5).argmax())
            width += step * (below - 1 + (side[below - 1] - 0.5) / (side[below - 1] - side[below]))
    opposite = np.abs((angles - angles[best]) % 360 - 180) <= 30
    echo = float(shares[np.roll(opposite, -best)].max()) if turn == 360 else None
    return float(angles[best]), float(width), echo


def tell(module):
    """Print how each family is tuned."""
    print(NOTE)
    if ADDED:
        print("Not drawn there, and added below it:", "; ".join(ADDED))
    for layer in CIRCUIT:
        for family in CIRCUIT[layer]:
            asked, period = units(layer, family)
            responses, angles = tuning(module, layer, family)
            print(f"\n{layer}, {family}: {len(asked)} units, by {'arcs' if 'Curves' in family else 'lines'}")
            print("  unit   built for     peak    width    echo")
            for unit, angle in enumerate(asked):
                found = measured(responses[unit], angles)
                said = "  it does not respond to any"
                if found is not None:
                    echo = "-" if found[2] is None else f"{found[2]:.3f}"
                    said = f"{found[0]:8.1f} {found[1]:8.1f} {echo:>7}"
                print(f"  {unit:4} {angle:8.1f} of {period:3.0f} {said}")


def families(layer):
    """A layer's families and the angles of their units, in the form in which the Circuits thread publishes them."""
    found, first = [], 0
    for family in CIRCUIT[layer]:
        angles, period = units(layer, family)
        numbered = range(first, first + len(angles))
        found.append(
            {
                "name": family,
                "units": list(numbered),
                "comment": f"Built by hand, one for each angle, over {period:.0f} degrees.",
                "symmetry": "rotation",
                "parameters": dict(zip(map(str, numbered), angles.tolist(), strict=True)),
            }
        )
        first += len(angles)
    return {"layer": layer, "source": f"Built by hand after: {NOTE}"[:500], "families": found}


def main():
    here = Path(__file__).resolve()
    weights = here.with_suffix(".safetensors")
    module = make()
    tell(module)
    safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in module.state_dict().items()}, weights)
    files = [here.with_name(f"{here.stem}_{layer}.json") for layer in CIRCUIT]
    for layer, file in zip(CIRCUIT, files, strict=True):
        file.write_text(json.dumps(families(layer), indent=1) + "\n", encoding="utf-8")
    print(f"\nWrote {weights.name} and {', '.join(file.name for file in files)}.")
    print("To register it as a network of its own, where Neurotaxa runs, and to lay it beside the natural one:\n")
    print(f"  ./run manage register_network artificial --module {here}:make --weights {weights} \\")
    print(f"      --input-size {SIZE} --mean 0.5 0.5 0.5 --std 0.5 0.5 0.5")
    print(f"  ./run manage import_taxonomy artificial {here.with_suffix('')}_*.json --as EDITOR")


if __name__ == "__main__":
    main()
