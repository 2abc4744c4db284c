"""Markdown from people, with neurons in it: ``[[3b:379]]``, ``[[inceptionv1/3b:379]]``, ``[[family:3b/curves]]``.

Raw HTML is not let through, and what comes out is sanitised once more before the chips are put in.
"""

import re
from functools import cached_property

import nh3
from django.urls import reverse
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

from taxonomy.models import Family, Layer, Network
from taxonomy.rendering.chips import chip

# References are carried through the sanitiser as a number between two characters that no text of people keeps.
OPEN, CLOSE = "\ue000", "\ue001"
REFERENCE = re.compile(r"\[\[([^\[\]\n]{1,160})\]\]")
NEURON = re.compile(r"(?:(?P<network>[\w.-]{1,60})/)?(?P<layer>[\w.-]{1,60}):(?P<index>\d{1,9})")
FAMILY = re.compile(r"family:(?:(?P<network>[\w.-]{1,60})/)?(?P<layer>[\w.-]{1,60})/(?P<name>.{1,120})")
TAGS = {
    *("p", "br", "em", "strong", "a", "code", "pre", "ul", "ol", "li", "blockquote", "hr", "h3", "h4", "h5", "h6"),
    *("table", "thead", "tbody", "tr", "th", "td", "sub", "sup", "del", "s"),
}


def _reference(state: StateInline, silent: bool) -> bool:
    found = REFERENCE.match(state.src, state.pos)
    if found is None:
        return False
    if not silent:
        references = state.env.setdefault("references", [])
        token = state.push("text", "", 0)
        token.content = f"{OPEN}{len(references)}{CLOSE}"
        references.append(found[1].strip())
    state.pos = found.end()
    return True


_parser = MarkdownIt("commonmark", {"html": False}).enable("table").enable("strikethrough")
_parser.inline.ruler.before("link", "reference", _reference)


class References:
    """What ``[[...]]`` can mean on a page about ``network``: looked up once a page, when first needed."""

    def __init__(self, network: Network | None = None) -> None:
        self.network = network

    @cached_property
    def layers(self) -> dict[tuple[str, str], Layer]:
        """By network and layer name, and by the short form of the layer's name where that is free."""
        found: dict[tuple[str, str], Layer] = {}
        layers = list(Layer.objects.select_related("network", "sprite"))
        for layer in layers:
            found[layer.network.name, layer.name] = layer
        for layer in layers:
            found.setdefault((layer.network.name, layer.short), layer)
        return found

    @cached_property
    def families(self) -> dict[tuple[int, str], tuple[int, str]]:
        """Id and name, by layer and folded name."""
        rows = Family.objects.filter(retired_at=None).order_by().values_list("layer_id", "pk", "name")
        return {(layer, name.casefold()): (pk, name) for layer, pk, name in rows}

    def html(self, text: str) -> SafeString:
        """The reference's chip or link; a reference to nothing stays as it was written, marked as such."""
        family = FAMILY.fullmatch(text)
        neuron = None if family else NEURON.fullmatch(text)
        found = family or neuron
        if found is not None:
            here = self.network.name if self.network else ""
            layer = self.layers.get((found["network"] or here, found["layer"]))
            if layer is not None and family is not None:
                kin = self.families.get((layer.pk, family["name"].strip().casefold()))
                if kin is not None:
                    href = reverse("family", args=[layer.network.name, layer.name, kin[0]])
                    return format_html('<a href="{}">{} <span class="where">({})</span></a>', href, kin[1], layer.name)
            elif layer is not None and neuron is not None and int(neuron["index"]) < layer.channels:
                return chip(layer, int(neuron["index"]), network=bool(found["network"]) and found["network"] != here)
        return format_html('<span class="nowhere" title="There is no such neuron or family here">[[{}]]</span>', text)


def render(text: str, references: References) -> SafeString:
    """Safe HTML of a text from people."""
    environment: dict[str, list[str]] = {}
    html = _parser.render(text.replace(OPEN, "").replace(CLOSE, ""), environment)
    # A page has one h1 and its own h2s: headings in a text start below them.
    html = re.sub(r"<(/?)h([12])>", r"<\1h3>", html)
    html = nh3.clean(
        html,
        tags=TAGS,
        attributes={"a": {"href", "title"}, "ol": {"start"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="nofollow noopener",
    )
    written = environment.get("references", [])

    def put(found: re.Match[str]) -> str:
        # Somebody may have written the marks themselves, as entities (&#xe000;9&#xe001;): they mean nothing.
        number = int(found[1])
        return references.html(written[number]) if number < len(written) else ""

    # Cleaned above, and what is put in is built by format_html.
    return mark_safe(re.sub(f"{OPEN}([0-9]{{1,6}}){CLOSE}", put, html))


def plain(text: str, limit: int = 200) -> str:
    """The beginning of a text, without its marks, for a title or a list."""
    words = re.sub(r"[*_`#>]|\[\[|\]\]", "", text)
    return escape(words if len(words) <= limit else words[: limit - 1].rsplit(" ", 1)[0] + "…")
