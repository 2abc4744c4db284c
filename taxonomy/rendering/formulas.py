"""Formulas: TeX from people as MathML, which browsers draw by themselves.

latex2mathml builds the tree. Here it is written out anew, from the elements and attributes that formulas need: whatever
else a formula asks for (addresses, styles, spaces that reach over the page) is left out, and every text is escaped.
"""

import html
import re
from xml.etree.ElementTree import Element

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from latex2mathml.converter import Converter
from latex2mathml.exceptions import (
    DenominatorNotFoundError,
    DoubleSubscriptsError,
    DoubleSuperscriptsError,
    ExtraLeftOrMissingRightError,
    InvalidAlignmentError,
    InvalidStyleForGenfracError,
    InvalidWidthError,
    LimitsMustFollowMathOperatorError,
    MissingEndError,
    MissingSuperScriptOrSubscriptError,
    NoAvailableTokensError,
    NumeratorNotFoundError,
)

LONGEST = 2_000  # characters of a formula
DEEPEST = 40  # of braces in braces
ELEMENTS = {
    *("math", "mrow", "mi", "mn", "mo", "mtext", "ms", "mspace", "mfrac", "msqrt", "mroot", "mstyle", "mpadded"),
    *("msub", "msup", "msubsup", "munder", "mover", "munderover", "mmultiscripts", "mprescripts", "none"),
    *("mtable", "mtr", "mlabeledtr", "mtd", "menclose", "mphantom", "merror"),
}
LENGTH = r"\d(\.\d{1,5})?(em|ex|pt|px|mu)?"  # none that is negative: many of them would reach over what stands before
WORDS = r"[a-z -]{1,80}"
SWITCH = r"true|false"
ATTRIBUTES = {
    "accent": SWITCH,
    "accentunder": SWITCH,
    "columnalign": WORDS,
    "columnlines": WORDS,
    "columnspacing": rf"({LENGTH})( ({LENGTH})){{0,30}}",
    "displaystyle": SWITCH,
    "fence": SWITCH,
    "form": WORDS,
    "linethickness": LENGTH,
    "lspace": LENGTH,
    "mathvariant": r"normal|bold|italic|bold-italic",
    "maxsize": LENGTH,
    "minsize": LENGTH,
    "movablelimits": SWITCH,
    "notation": WORDS,
    "rowlines": WORDS,
    "rowspacing": rf"({LENGTH})( ({LENGTH})){{0,30}}",
    "rspace": LENGTH,
    "scriptlevel": r"[+-]?[0-3]",
    "separator": SWITCH,
    "stretchy": SWITCH,
    "width": LENGTH,
}
# A macro that calls itself twice would be written out for ever.
MACROS = re.compile(r"\\(def|newcommand|renewcommand|providecommand|let|gdef|edef|xdef)(?![a-zA-Z])")
ARG = re.compile(r"\\arg(?![a-zA-Z])")

SENTENCES: dict[type[Exception], str] = {
    DenominatorNotFoundError: "a fraction has no denominator",
    NumeratorNotFoundError: "a fraction has no numerator",
    DoubleSubscriptsError: "there are two subscripts on one letter: put braces around the inner one",
    DoubleSuperscriptsError: "there are two superscripts on one letter: put braces around the inner one",
    ExtraLeftOrMissingRightError: r"each \left needs its \right",
    InvalidAlignmentError: "a table aligns its columns by the letters l, c and r",
    InvalidStyleForGenfracError: r"the style of \genfrac is a number from 0 to 3",
    InvalidWidthError: "a space has a width with a unit, such as 1em",
    LimitsMustFollowMathOperatorError: r"\limits stands behind an operator such as \sum",
    MissingEndError: r"each \begin needs its \end",
    MissingSuperScriptOrSubscriptError: "there is nothing behind ^ or _",
    NoAvailableTokensError: "it ends before it is complete",
}


class FormulaError(Exception):
    """A formula that cannot be drawn; the message says why, as the second half of a sentence."""


def mathml(tex: str, *, block: bool = False) -> SafeString:
    """The formula as MathML, with its TeX as what it is called for programs that cannot read it.

    Raises:
        FormulaError: when it is no formula, or one that is too much.
    """
    _check(tex)
    try:
        spelt = ARG.sub(r"\\operatorname{arg}", tex)  # the one function that the converter does not know
        tree = Converter(display="block" if block else "inline").convert_to_element(spelt)
        unknown = next((one.text for one in tree.iter("mi") if re.match(r"\\[a-zA-Z]", one.text or "")), None)
        if unknown is not None:
            raise FormulaError(f"{unknown} is no command that is known here")
        written = "".join(_inside(tree))
    except tuple(SENTENCES) as error:
        raise FormulaError(SENTENCES[type(error)]) from error
    except RecursionError as error:
        raise FormulaError("it is nested too deeply") from error
    # The reader of formulas stumbles over what it does not expect in these ways; it is handed nothing but the text.
    except (LookupError, ValueError, TypeError, AttributeError, StopIteration, RuntimeError) as error:
        raise FormulaError("it cannot be read: look for a brace or an argument that is missing") from error
    display = "block" if block else "inline"
    # Escaped piece by piece, of elements and attributes that are listed above.
    return mark_safe(f'<math display="{display}" alttext="{escape(tex)}">{written}</math>')


def _check(tex: str) -> None:
    if not tex.strip():
        raise FormulaError("it is empty")
    if len(tex) > LONGEST:
        raise FormulaError(f"it has {len(tex):,} characters, and at most {LONGEST:,} can be drawn")
    if MACROS.search(tex):
        raise FormulaError("commands cannot be defined here: write out what they stand for")
    depth = deepest = 0
    for brace in re.findall(r"\\.|[{}]", tex, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(brace, 0)
        deepest = max(deepest, depth)
        if depth < 0:
            raise FormulaError("a closing brace has no opening one")
    if depth:
        raise FormulaError("an opening brace has no closing one")
    if deepest > DEEPEST:
        raise FormulaError("it is nested too deeply")


def _inside(element: Element) -> list[str]:
    """What an element holds, as pieces of safe markup."""
    found = [_text(element.text)]
    for child in element:
        inner = _inside(child)
        if child.tag in ELEMENTS:
            found += [f"<{child.tag}{_attributes(child)}>", *inner, f"</{child.tag}>"]
        else:  # what it is made of stays, in a row: the places of a fraction or a root are counted
            found += ["<mrow>", *inner, "</mrow>"]
        found.append(_text(child.tail))
    return found


def _text(text: str | None) -> str:
    """The converter gives signs as entities."""
    return escape(html.unescape(text)) if text else ""


def _attributes(element: Element) -> str:
    kept = [
        f' {name}="{escape(value)}"'
        for name, value in element.attrib.items()
        if name in ATTRIBUTES and re.fullmatch(ATTRIBUTES[name], str(value))
    ]
    return "".join(kept)
