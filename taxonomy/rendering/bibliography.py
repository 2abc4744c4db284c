"""A note's bibliography: BibTeX from people, read entry by entry: one with a mistake does not spoil the others."""

import re
from dataclasses import dataclass, field
from itertools import pairwise

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from pybtex.database import Person
from pybtex.database.input.bibtex import LowLevelParser, month_names, split_name_list
from pybtex.exceptions import PybtexError
from pybtex.richtext import Text
from pybtex.utils import CaseInsensitiveDict

from taxonomy.rendering.markdown import tidy

LONGEST = 6_000  # characters of an entry, or of several on one line: what the parser does takes their square
LONGEST_MACRO = 200  # of a @string: one made of others, again and again, would double each time
MOST = 500
LONGEST_FIELD = 2_000
MOST_PROBLEMS = 50
MOST_AUTHORS = 6  # that are named; the others are "et al."
OTHERS = "others"
BEGIN = re.compile(r"^[ \t]*@", re.MULTILINE)
DOI = re.compile(r"(?:https?://(?:dx\.)?doi\.org/)?(10\.\d{4,9}/\S{1,200})", re.IGNORECASE)
ARXIV = re.compile(r"(?:arxiv:)?(\d{4}\.\d{4,5}(?:v\d{1,2})?|[a-z-]{2,20}(?:\.[A-Z]{2})?/\d{7})", re.IGNORECASE)
ADDRESS = re.compile(r"https?://[^\s<>\"'\\^`{}|]{1,500}")


@dataclass(frozen=True)
class Entry:
    """What is told of a source, as plain text."""

    key: str
    line: int
    authors: tuple[str, ...]  # "Olah, C."
    families: tuple[str, ...]  # "Olah"
    year: str
    title: str
    place: str  # where it appeared
    doi: str
    url: str

    @property
    def href(self) -> str:
        return f"https://doi.org/{self.doi}" if self.doi else self.url

    @property
    def short(self) -> str:
        """For the margin: "Olah et al., 2020. Zoom In"."""
        by = " and ".join(self.families[:2]) if len(self.families) < 3 and OTHERS not in self.families else ""
        by = by or " ".join([*self.families[:1], "et al."] if self.families else [])
        title = self.title if len(self.title) <= 90 else self.title[:89].rsplit(" ", 1)[0] + "…"
        return " ".join(filter(None, [_stopped(", ".join(filter(None, [by, self.year]))), title]))

    def html(self) -> SafeString:
        """For the list of references."""
        named = [one for one in self.authors if one != OTHERS]
        if len(named) > MOST_AUTHORS or len(named) < len(self.authors):
            by = ", ".join(named[:MOST_AUTHORS]) + " et al."
        else:
            by = " and ".join(filter(None, [", ".join(named[:-1]), *named[-1:]]))
        title = format_html("<cite>{}</cite>.", self.title)
        if self.href:
            title = format_html('<a href="{}" rel="nofollow noopener"><cite>{}</cite></a>.', self.href, self.title)
        pieces = [
            _stopped(f"{by} ({self.year})" if by and self.year else by),
            title,
            _stopped(", ".join(filter(None, [self.place, "" if by else self.year]))),
            f"doi:{self.doi}" if self.doi else "",
        ]
        return format_html_join(" ", "{}", ((piece,) for piece in pieces if piece))


def _stopped(words: str) -> str:
    return words if not words or words.endswith((".", "?", "!")) else f"{words}."


@dataclass
class Bibliography:
    """The entries in their order, and what is wrong: a line and a sentence each."""

    entries: dict[str, Entry] = field(default_factory=dict)  # by folded key
    problems: list[tuple[int, str]] = field(default_factory=list)

    def get(self, key: str) -> Entry | None:
        return self.entries.get(key.casefold())


class _Macros(CaseInsensitiveDict):
    """What @string defines."""

    def __setitem__(self, name: str, value: str) -> None:
        super().__setitem__(name, value[:LONGEST_MACRO])


def read(bibtex: str) -> Bibliography:
    """The sources of a bibliography; what cannot be read is a problem, and the rest is there all the same."""
    found = Bibliography()
    text, macros = tidy(bibtex), _Macros(month_names)
    starts = [match.start() for match in BEGIN.finditer(text)]
    if text.strip() and not starts:
        found.problems.append((1, "This is no BibTeX: an entry begins with @article{key, or the like."))
    line, at = 1, 0
    for start, end in pairwise([*starts, len(text)]):
        line, at = line + text.count("\n", at, start), start
        if len(found.entries) >= MOST:
            found.problems.append((line, f"A note cites at most {MOST} sources: those from here on are left out."))
            break
        _read_entries(text[start:end], line, macros, found)
        if len(found.problems) >= MOST_PROBLEMS:
            break
    return found


def _read_entries(text: str, line: int, macros: _Macros, found: Bibliography) -> None:
    if len(text) > LONGEST:
        found.problems.append((line, f"An entry has at most {LONGEST:,} characters; this one has {len(text):,}."))
        return

    wrong: list[Exception] = []

    def note(error: Exception) -> None:
        wrong.append(error)
        number = getattr(error, "lineno", None) or 1
        found.problems.append((line + number - 1, f"{_sentence(error)}."))

    for parsed in LowLevelParser(text, macros=macros, handle_error=note):
        if parsed[0].lower() in ("string", "preamble"):
            continue
        key, fields = parsed[1]
        if key is None:
            continue
        if len(key) > 80 or not re.fullmatch(r"[\w:./+-]+", key):
            sentence = "has a key that cannot be cited: write letters, figures and : . / + - alone"
            found.problems.append((line, f"“{key[:80]}” {sentence}."))
        elif found.get(key) is not None:
            found.problems.append((line, f"There are two entries “{key}”: the first is shown."))
        else:
            entry = _entry(key, line, fields)
            found.entries[key.casefold()] = entry
            if not entry.title and not wrong:
                found.problems.append((line, f"“{key}” has no title."))


def _sentence(error: Exception) -> str:
    """What the parser says, without where."""
    said = re.sub(r"^[\w ]*?in line \d+:? ?", "", str(error))[:200]
    if said.startswith("premature end"):
        return "An entry is not closed: a brace or a quotation mark is missing"
    if str(error).startswith("undefined string"):
        return f"“{said}” is a word without braces or quotation marks, and no @string defines it"
    return f"This cannot be read: {said}"


def _entry(key: str, line: int, parts: list[tuple[str, list[str]]]) -> Entry:
    fields: dict[str, str] = {}
    for name, values in parts:
        fields.setdefault(name.lower(), " ".join("".join(values)[:LONGEST_FIELD].split()))
    people = [_person(one) for one in _names(fields.get("author") or fields.get("editor") or "")]
    told = {name: _plain(value) for name, value in fields.items()}
    doi = DOI.fullmatch(told.get("doi", ""))
    url = ADDRESS.fullmatch(fields.get("url", "").replace(r"\_", "_").replace(r"\%", "%"))
    eprint = ARXIV.fullmatch(told.get("eprint", "") or "")
    address = url[0] if url else f"https://arxiv.org/abs/{eprint[1]}" if eprint else ""
    return Entry(
        key=key,
        line=line,
        authors=tuple(whole for whole, _ in people),
        families=tuple(family for _, family in people),
        year=told.get("year", "")[:20] or told.get("date", "")[:4],
        title=told.get("title", "").rstrip("."),
        place=_place(told, eprint[1] if eprint else ""),
        doi=doi[1] if doi else "",
        url=address,
    )


def _place(told: dict[str, str], eprint: str) -> str:
    """Journal or book, volume and number, pages; or who published it."""
    names = ("journal", "journaltitle", "booktitle", "howpublished", "school", "institution", "publisher")
    name = next((told[one] for one in names if told.get(one)), f"arXiv:{eprint}" if eprint else "")
    if ADDRESS.fullmatch(name):
        return ""
    volume = told.get("volume", "") + (f"({told['number']})" if told.get("number") else "")
    pages = told.get("pages", "").replace("--", "–")
    return ", ".join(filter(None, [f"{name} {volume}".strip(), pages]))


def _names(value: str) -> list[str]:
    try:
        return [name for name in split_name_list(value) if name][:100]
    except (PybtexError, RecursionError, ValueError, IndexError):
        return [value]


def _person(name: str) -> tuple[str, str]:
    """ "Olah, C." and "Olah"; a name in braces is that of a group, and stays whole."""
    if name.casefold() == OTHERS:
        return OTHERS, OTHERS
    if name.startswith("{") or name.count(",") > 2 or len(name) > 200:
        whole = _plain(name)
        return whole, whole
    try:
        person = Person(name)
    except (PybtexError, RecursionError, ValueError, IndexError):
        whole = _plain(name)
        return whole, whole
    family = _plain(" ".join([*person.prelast_names, *person.last_names]))
    given = " ".join(f"{plain[0]}." for one in [*person.first_names, *person.middle_names] if (plain := _plain(one)))
    return (f"{family}, {given}" if given else family), family


def _plain(value: str) -> str:
    """TeX as plain text: accents become letters, braces go."""
    try:
        told = str(Text.from_latex(value))
    except (PybtexError, RecursionError, ValueError, IndexError):
        told = value.replace("{", "").replace("}", "")
    return tidy(" ".join(told.replace("\xa0", " ").split()))
