"""What changed from one text to another, and from one version of a note to another."""

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from taxonomy.models import Family, Network, NoteVersion
from taxonomy.rendering.chips import chip
from taxonomy.rendering.markdown import NEURON, References, tidy

# So many pieces of one place are compared, and so many pairs of equal ones of all places together: beyond that it takes
# longer than to read both.
MOST_PIECES = 3_000
MOST_PAIRS = 5_000
FIELDS = {
    "title": "Title",
    "abstract": "Abstract",
    "body": "Body",
    "selection": "How its neurons were chosen",
    "bibliography": "Bibliography",
}
AROUND = 2  # paragraphs that are shown around one that changed


@dataclass(frozen=True)
class Change:
    """A field that is not the same in both versions, with what was taken out and put in."""

    field: str
    title: str
    html: SafeString


class _Budget:
    """How many pairs of equal pieces may still be compared. What would take more is replaced as a whole."""

    def __init__(self) -> None:
        self.pairs = MOST_PAIRS

    def affords(self, pairs: int) -> bool:
        """Whether there are so many left; then they are spent."""
        if pairs > self.pairs:
            return False
        self.pairs -= pairs
        return True


def words(before: str, after: str) -> SafeString:
    """The later text with what was taken out and put in, word by word."""
    return _joined(_words(tidy(before), tidy(after), _Budget()))


def changes(before: NoteVersion, after: NoteVersion) -> list[Change]:
    """What ``after`` changed of ``before``, field by field; fields that are the same are left out."""
    budget = _Budget()
    found = [
        Change(field, title, _lines(getattr(before, field), getattr(after, field), budget))
        for field, title in FIELDS.items()
        if getattr(before, field) != getattr(after, field)
    ]
    if before.motifs != after.motifs:
        found.append(Change("motifs", "Motifs", words(", ".join(before.motifs), ", ".join(after.motifs))))
    if before.subgraph != after.subgraph:
        found.append(Change("subgraph", "Circuit", _circuit(after.note.network, before.subgraph, after.subgraph)))
    return found


def _lines(before: str, after: str, budget: _Budget) -> SafeString:
    """A long text: its lines that changed, word by word, with some of those around them; "…" for the others."""
    old, new = (re.findall(r"[^\n]+\n*|\n+", tidy(text)) for text in (before, after))
    parts: list[SafeString] = []
    steps = _steps(old, new, budget)
    for place, (what, i1, i2, j1, j2) in enumerate(steps):
        if what != "equal":
            parts += _words("".join(old[i1:i2]), "".join(new[j1:j2]), budget)
            continue
        head = 0 if place == 0 else AROUND
        tail = 0 if place == len(steps) - 1 else AROUND
        if j2 - j1 <= head + tail + 1:
            parts.append(format_html("{}", "".join(new[j1:j2])))
        else:
            parts.append(format_html("{}", "".join(new[j1 : j1 + head])))
            parts.append(
                format_html('<span class="skipped">… {} lines that are the same …</span>\n', j2 - j1 - head - tail)
            )
            parts.append(format_html("{}", "".join(new[j2 - tail : j2]) if tail else ""))
    return _joined(parts)


def _words(before: str, after: str, budget: _Budget) -> list[SafeString]:
    old, new = (re.findall(r"\S+\s*|\s+", text) for text in (before, after))
    # A word is the same whatever space stands behind it, but not at the end of a line.
    was, now = ([word.strip() + "\n" * word.count("\n") for word in side] for side in (old, new))
    parts: list[SafeString] = []
    for what, i1, i2, j1, j2 in _steps(was, now, budget):
        if what == "equal":
            parts.append(format_html("{}", "".join(new[j1:j2])))
            continue
        gone, come = "".join(old[i1:i2]), "".join(new[j1:j2])
        behind = come[len(come.rstrip()) :] if come and gone else ""  # the space behind both is in neither
        parts.append(format_html("<del>{}</del>", gone.rstrip() if behind else gone) if gone else SafeString(""))
        parts.append(format_html("<ins>{}</ins>", come.rstrip() if behind else come) if come else SafeString(""))
        parts.append(format_html("{}", behind))
    return parts


def _steps(old: Sequence[str], new: Sequence[str], budget: _Budget) -> list[tuple[str, int, int, int, int]]:
    """As ``SequenceMatcher.get_opcodes``, but what would take too long to compare is replaced as a whole.

    What is the same at both ends is cut off first.
    """
    start, most = 0, min(len(old), len(new))
    while start < most and old[start] == new[start]:
        start += 1
    end = 0
    while end < most - start and old[-1 - end] == new[-1 - end]:
        end += 1
    here, there = old[start : len(old) - end], new[start : len(new) - end]
    counts = Counter(there)
    pairs = sum(counts[piece] for piece in here)
    steps: list[tuple[str, int, int, int, int]] = []
    if start:
        steps.append(("equal", 0, start, 0, start))
    if len(here) + len(there) > MOST_PIECES or not budget.affords(pairs):
        steps.append(("replace", start, start + len(here), start, start + len(there)))
    else:
        for what, i1, i2, j1, j2 in difflib.SequenceMatcher(None, here, there, autojunk=False).get_opcodes():
            steps.append((what, start + i1, start + i2, start + j1, start + j2))
    if end:
        steps.append(("equal", len(old) - end, len(old), len(new) - end, len(new)))
    return steps


def _joined(parts: Iterable[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((part,) for part in parts))


class _Circuit:
    """A subgraph by what its nodes are: a neuron's address, or a family's public id."""

    def __init__(self, subgraph: Mapping[str, Any]) -> None:
        self.ends = {node["id"]: node["neuron"] or node["family"] for node in subgraph.get("nodes", [])}
        self.families = {node["family"] for node in subgraph.get("nodes", []) if node["family"]}
        self.edges: dict[tuple[str, str], float] = {
            (self.ends[edge["source"]], self.ends[edge["target"]]): edge["weight"] for edge in subgraph.get("edges", [])
        }
        self.threshold: float | None = subgraph.get("threshold")


def _circuit(network: Network, before: Mapping[str, Any], after: Mapping[str, Any]) -> SafeString:
    """Which neurons, families and edges came and went, and which edges have another weight; not where they lie.

    At most two queries.
    """
    was, now = _Circuit(before), _Circuit(after)
    references = References(network)
    ids = was.families | now.families
    named = Family.objects.filter(public_id__in=ids).values_list("public_id", "name") if ids else ()
    families = {str(public_id): name for public_id, name in named}

    def shown(end: str) -> SafeString:
        found = NEURON.fullmatch(end)
        layer = references.layer(network.name, found["layer"]) if found else None
        if found and layer is not None and int(found["index"]) < layer.channels:
            return chip(layer, int(found["index"]))
        return format_html("<span>{}</span>", families.get(end, end))

    def edge(ends: tuple[str, str], weights: SafeString | str) -> SafeString:
        return format_html('{} → {} <span class="facts">{}</span>', shown(ends[0]), shown(ends[1]), weights)

    gone = [shown(end) for end in was.ends.values() if end not in now.ends.values()]
    gone += [edge(ends, _weight(value)) for ends, value in was.edges.items() if ends not in now.edges]
    come = [shown(end) for end in now.ends.values() if end not in was.ends.values()]
    come += [edge(ends, _weight(value)) for ends, value in now.edges.items() if ends not in was.edges]
    rows = [format_html("<del>{}</del>", one) for one in gone] + [format_html("<ins>{}</ins>", one) for one in come]
    for ends, value in now.edges.items():
        if ends in was.edges and was.edges[ends] != value:
            rows.append(edge(ends, words(_weight(was.edges[ends]), _weight(value))))
    if was.threshold is not None and now.threshold is not None and was.threshold != now.threshold:
        rows.append(format_html("Threshold {}", words(f"{was.threshold:.0%}", f"{now.threshold:.0%}")))
    return format_html('<ul class="plain-list">{}</ul>', format_html_join("", "<li>{}</li>", ((row,) for row in rows)))


def _weight(value: float) -> str:
    return f"{value:+.3g}".replace("-", "−")
