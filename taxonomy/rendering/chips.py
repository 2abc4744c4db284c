"""The neuron chip: a neuron's picture with its address, which is the word for that neuron everywhere.

The picture is a window on the layer's sprite, so that a page of 500 chips asks for one file. The window is an inline
SVG: its ``viewBox`` does the cutting, and a strict Content-Security-Policy stays without inline style.
"""

import math
from dataclasses import dataclass

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from taxonomy.models import Layer, Neuron, Sprite

# A hair is cut off each side, so that scaling does not let the neighbouring cell shine in.
INSET = 0.4
EMPTY = SafeString(
    '<svg class="face empty" viewBox="0 0 72 72" aria-hidden="true" focusable="false">'
    '<circle cx="36" cy="36" r="20"/><circle cx="36" cy="36" r="11"/>'
    '<circle cx="36" cy="36" r="2.5" class="dot"/></svg>'
)


@dataclass(frozen=True)
class Sheet:
    """What is needed to draw any neuron of a layer."""

    url: str
    href: str
    cell: int
    columns: int
    width: int
    height: int
    shown: frozenset[int]


def sheet(layer: Layer) -> Sheet:
    """The layer's sheet, made once for each ``layer`` in memory. Select ``sprite`` along with the layer."""
    known: Sheet | None = layer.__dict__.get("_sheet")
    if known is None:
        try:
            sprite: Sprite | None = layer.sprite
        except Sprite.DoesNotExist:
            sprite = None
        url = layer.get_absolute_url()
        if sprite is None:
            known = Sheet(url, "", 1, 1, 0, 0, frozenset())
        else:
            rows = math.ceil(layer.channels / sprite.columns)
            known = Sheet(
                url,
                reverse("artifact", args=[sprite.sha256, ".webp"]),
                sprite.cell,
                sprite.columns,
                sprite.columns * sprite.cell,
                rows * sprite.cell,
                frozenset(sprite.shown),
            )
        layer.__dict__["_sheet"] = known
    return known


def face(layer: Layer, index: int) -> SafeString:
    """The neuron's picture; a placeholder of rings where there is none yet. Decorative: the address stands beside."""
    found = sheet(layer)
    if index not in found.shown:
        return EMPTY
    x, y = index % found.columns * found.cell + INSET, index // found.columns * found.cell + INSET
    side = found.cell - 2 * INSET
    return format_html(
        '<svg class="face" viewBox="{} {} {} {}" aria-hidden="true" focusable="false">'
        '<image href="{}" width="{}" height="{}"/></svg>',
        *(x, y, side, side),
        *(found.href, found.width, found.height),
    )


def chip(layer: Layer, index: int, *, network: bool = False) -> SafeString:
    """Picture and whole address, to stand in a line of text; with the network's name where that is not clear."""
    name = f"{layer.network.name}/{layer.name}" if network else layer.name
    return format_html(
        '<a class="chip" href="{}{}/">{}<span>{}:{}</span></a>',
        *(sheet(layer).url, index, face(layer, index), name, index),
    )


def tile(layer: Layer, index: int, *, title: str = "") -> SafeString:
    """Picture above the neuron's number, to stand in a grid of one layer's neurons."""
    return format_html(
        '<a class="tile" href="{}{}/" title="{}">{}<span><span class="sr">{}:</span>{}</span></a>',
        *(sheet(layer).url, index, title or f"{layer.name}:{index}", face(layer, index), layer.name, index),
    )


def chip_of(neuron: Neuron, *, network: bool = False) -> SafeString:
    return chip(neuron.layer, neuron.index, network=network)


def picture_of(neuron: Neuron, *, network: bool = False) -> SafeString:
    """The chip for mails and feeds, which show no SVG: its picture is a file of its own."""
    found, address = sheet(neuron.layer), f"{neuron.layer.name}:{neuron.index}"
    return format_html(
        '<a href="{0}{1}/">{2}{3}</a>',
        *(found.url, neuron.index),
        format_html('<img src="{}{}/face.png" width="28" height="28" alt=""> ', found.url, neuron.index)
        if neuron.index in found.shown
        else "",
        f"{neuron.layer.network.name}/{address}" if network else address,
    )


def tile_of(neuron: Neuron, *, title: str = "") -> SafeString:
    return tile(neuron.layer, neuron.index, title=title)
