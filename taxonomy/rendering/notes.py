"""The article of a circuit note: Markdown with neurons, formulas, citations, figures and claims in it."""

from dataclasses import dataclass, field

from django.utils.safestring import SafeString

from taxonomy.models import Family, Network, Neuron
from taxonomy.rendering import markdown
from taxonomy.rendering.markdown import References


@dataclass(frozen=True)
class Problem:
    """What its authors should look at: in which field of the version, in which line of it (0: in none), and what."""

    field: str
    line: int
    sentence: str


@dataclass(frozen=True)
class Heading:
    id: str
    words: str
    level: int  # 3 or 4: the page's own are above


@dataclass(frozen=True)
class Source:
    """An entry of a note's list of references."""

    number: int
    key: str
    html: SafeString


@dataclass
class Body:
    """What a text comes to."""

    html: SafeString
    contents: list[Heading] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass
class Named:
    """What a text names, of the note's network and of others."""

    neurons: list[Neuron] = field(default_factory=list)
    families: list[Family] = field(default_factory=list)


def render(text: str, references: References) -> Body:
    return Body(markdown.render(text, references))


def named(network: Network, *texts: str) -> Named:
    """The neurons and families that these texts name, or show a figure of."""
    return Named()
