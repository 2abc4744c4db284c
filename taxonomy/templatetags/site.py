"""What templates need beyond Django's own: chips, plots, prose, times and shares in words."""

import datetime
import html
from collections.abc import Mapping
from typing import Any

from django import template
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.db.models import Case, QuerySet, Value, When
from django.template import Context
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from taxonomy import recipes
from taxonomy.actions import circuits
from taxonomy.models import Discussion, Layer, Neuron, Subgraph, Subscription, User
from taxonomy.models.discussions import Subject
from taxonomy.permissions import notifications_of
from taxonomy.rendering import chips, markdown, notices, plots, side_by_side

register = template.Library()
register.filter(side_by_side.swatch)


MOST_COUNTED = 99


@register.simple_tag(takes_context=True)
def unread(context: Context) -> int:
    """How many notifications whoever looks has not read; beyond 99 they are not counted. One query.

    The same query brings how they follow what the page's discussion is about, for ``following``.
    """
    request = context["request"]
    found = notifications_of(request.user).filter(read_at=None).order_by().annotate(of=Value("told"))
    rows = found.values_list("pk", "of")[: MOST_COUNTED + 1]
    subject = context["talk"].subject if "talk" in context else None
    if subject is not None:
        rows = rows.union(_subscription(request.user, subject).values_list("pk", "of"), all=True)
    states = [state for _, state in rows]
    request.follows = subject, next((state for state in states if state != "told"), "")
    return states.count("told")


@register.simple_tag(takes_context=True)
def following(context: Context, subject: Subject) -> str:
    """How whoever looks follows this subject: "follows", "muted" or "". At most one query."""
    known, state = getattr(context["request"], "follows", (None, ""))
    if known != subject:
        state = _subscription(context["request"].user, subject).values_list("of", flat=True).first() or ""
    return str(state)


def _subscription(user: User, subject: Subject) -> QuerySet[Any]:
    of = Case(When(muted=True, then=Value("muted")), default=Value("follows"))
    own = Subscription.objects.filter(person=user, discussion__in=Discussion.objects.about(subject))
    return own.order_by().annotate(of=of)


# Pages that have a feed of their own, at ``feed.atom`` below them.
FED = {
    *("activity", "network", "thread", "layer", "neuron", "family", "proposal", "note", "claim"),
    *(f"{kind}_discussion" for kind in ("neuron", "family", "proposal", "note", "claim")),
}


@register.simple_tag(takes_context=True)
def feed(context: Context) -> str:
    """The address of the page's own feed; "" when it has none."""
    match = getattr(context.get("request"), "resolver_match", None)  # some refusals are told without the request
    if match is None or match.view_name not in FED:
        return ""
    return reverse(f"{match.view_name}_feed", kwargs=match.kwargs)


@register.filter
def unescaped(text: str) -> str:
    """For texts that are no HTML."""
    return html.unescape(text)


@register.filter
def key(subject: Subject) -> str:
    return notices.key_of(subject)


@register.simple_tag(takes_context=True)
def chip(context: Context, neuron: Neuron, network: bool = False) -> SafeString:
    """The neuron's chip; ``outside`` in the context asks for one that mails and feeds can show."""
    return (chips.picture_of if context.get("outside") else chips.chip_of)(neuron, network=network)


@register.simple_tag
def tile(neuron: Neuron, title: str = "") -> SafeString:
    return chips.tile_of(neuron, title=title)


@register.simple_tag
def tile_at(layer: Layer, index: int) -> SafeString:
    return chips.tile(layer, index)


@register.simple_tag
def face(layer: Layer, index: int) -> SafeString:
    return chips.face(layer, index)


@register.simple_tag
def prose(text: str, references: markdown.References) -> SafeString:
    return markdown.render(text, references)


@register.filter
def plain(text: str, limit: int = 200) -> str:
    return markdown.plain(text, limit)


@register.simple_tag
def kernel(values: Any, scale: float) -> SafeString:
    return plots.kernel_grid(values, scale)


@register.simple_tag
def chip_at(layer: Layer, index: int) -> SafeString:
    return chips.chip(layer, index)


@register.simple_tag
def wired(row: Any, scale: float, step: str = "") -> SafeString:
    """A neuron with the kernel that joins it to another, and the strongest weight of it.

    It leads to the neuron's page, or along a walk: ``step`` is the walk's address up to the neuron's.
    """
    on = f"{step}{row.layer.name}:{row.index}#walk" if step else f"{chips.sheet(row.layer).url}{row.index}/"
    return format_html(
        '<a href="{}">{}{}<span class="addr">{}:{}</span><span class="value {}">{}</span></a>',
        *(on, chips.face(row.layer, row.index)),
        *(plots.kernel_grid(row.kernel, scale), row.layer.name, row.index),
        *("excites" if row.value > 0 else "inhibits", signed(row.value, 2)),
    )


@register.filter
def selection(subgraph: Subgraph) -> str:
    """How a circuit's neurons were chosen, in words."""
    return circuits.selection(subgraph)


@register.filter
def kind_title(name: str) -> str:
    return recipes.KINDS[name].title.lower() if name in recipes.KINDS else name


@register.simple_tag
def bar(states: Mapping[str, int]) -> SafeString:
    return plots.coverage_bar(states)


@register.simple_tag
def state_cell(state: str) -> SafeString:
    return plots.state_cell(state)


@register.filter
def when(moment: datetime.datetime | None) -> SafeString | str:
    """The time in words, the exact one on hover."""
    if moment is None:
        return ""
    exact = f"{moment:%-d %B %Y, %H:%M:%S} UTC"
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exact, naturaltime(moment))


@register.filter
def duration(seconds: float | None) -> str:
    """A length of time in words: 8 seconds, 3 min 20 s, 2 h 5 min."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 1:
        return "under a second"
    if whole < 90:
        return f"{whole} second{'s' if whole != 1 else ''}"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@register.filter
def number(value: object, digits: int = 3) -> str:
    """A measurement with so many significant digits and a true minus sign; whole where it has as many before the
    point, and from a thousand up."""
    if not isinstance(value, (int, float)):
        return ""
    told = f"{value:.{digits}g}"
    whole = 1 <= abs(value) < 1e9 and (abs(value) >= 1000 or "e" in told)
    return (f"{value:,.0f}" if whole else told).replace("-", "\u2212")


@register.filter
def signed(value: object, digits: int = 2) -> str:
    """As ``number``, with its sign."""
    told = number(value, digits)
    return f"+{told}" if isinstance(value, (int, float)) and value > 0 else told


@register.filter
def fixed(value: object, decimals: int = 2) -> str:
    """A figure with so many decimals and a true minus sign."""
    return f"{value:.{decimals}f}".replace("-", "\u2212") if isinstance(value, (int, float)) else ""


@register.filter
def percent(value: object, digits: int = 2) -> str:
    """A share as percent, with so many significant digits."""
    return f"{number(100 * value, digits)} %" if isinstance(value, (int, float)) else ""


@register.filter
def signed_percent(value: object) -> str:
    return f"{'+' if value > 0 else ''}{percent(value)}" if isinstance(value, (int, float)) else ""


@register.filter
def named(name: object) -> str:
    """A name from a program, in words."""
    return str(name).replace("_", " ")


@register.filter
def share(part: int, whole: int) -> str:
    """Percent, rounded half up to whole ones; one decimal, cut, under 0.6 % (docs/vocabulary.md, "share")."""
    if not whole:
        return "0 %"
    if part * 1000 < whole * 6:
        return f"{part * 1000 // whole / 10:g} %"
    return f"{(part * 200 + whole) // (2 * whole)} %"


@register.filter
def get(mapping: Mapping[Any, Any], key: Any) -> Any:
    return mapping.get(key)
