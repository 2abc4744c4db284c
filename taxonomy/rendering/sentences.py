"""What happened, for readers outside of the site: the sentence of its pages, with addresses that work anywhere."""

import html
import re

from django.conf import settings
from django.template.loader import render_to_string
from django.utils.html import strip_tags
from django.utils.safestring import SafeString, mark_safe

from taxonomy.models import Event
from taxonomy.rendering import markdown

SAYING = ("comment.added", "comment.edited")
QUOTED = 300  # characters


def url(path: str) -> str:
    """A path of this site as a whole address."""
    return settings.SITE_URL.rstrip("/") + path


def sentence(event: Event) -> SafeString:
    """Who did what, as HTML, with neurons as pictures that are files of their own."""
    told = render_to_string("events/_event.html", {"event": event, "outside": True})
    # The template escaped what is from people, and what is put in is our own address.
    return mark_safe(re.sub(r'\b(href|src)="(?=/)', lambda found: f"{found[0]}{html.escape(url(''))}", squeezed(told)))


def quoted(event: Event) -> SafeString | str:
    """The beginning of what was said, as HTML; "" where nothing was said, it is hidden, or it tells too much."""
    if event.verb not in SAYING or event.comment is None or event.comment.hidden_at is not None:
        return ""
    if event.claim is not None and event.claim.withheld:
        return ""
    return markdown.plain(squeezed(event.comment.text), QUOTED)


def plain(told: str) -> str:
    """HTML as text: no tags, no entities, in one line."""
    return squeezed(html.unescape(strip_tags(told)))


def squeezed(text: str) -> str:
    return " ".join(text.split())
