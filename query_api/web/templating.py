"""Pages as answers: templates filled in, compressed, with headers that let a page load nothing but our own.

Belongs here: the environment of the templates and what they may call. What a page shows is gathered in pages/.
"""

import gzip
from datetime import UTC, datetime
from functools import cache
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from lib.plain_words import in_plain_words, state_in_words
from query_api.web.assets import asset_url

COMPRESSION_LEVEL = 5
PAGE_HEADERS = {
    "Cache-Control": "private, no-cache",
    # Places and colours of pictures are attributes of style; everything else is in our own two files.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; "
    "style-src-attr 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Encoding, HX-Request",
}
UNITS = ("B", "kB", "MB", "GB", "TB")


def page(
    request: Request, template: str, *, status: int = 200, refresh_s: int | None = None, **shown: Any
) -> HTMLResponse:
    """Return a page, filled in with ``shown``; ``refresh_s`` has the browser ask again."""
    text = environment().get_template(template).render(request=request, refresh_s=refresh_s, **shown)
    body, headers = text.encode(), dict(PAGE_HEADERS)
    if "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = gzip.compress(body, COMPRESSION_LEVEL, mtime=0), "gzip"
    return HTMLResponse(body, status, headers)


def is_fragment(request: Request) -> bool:
    """Return whether htmx asks for what changes of a page, and not a browser for all of it."""
    return request.headers.get("hx-request") == "true"


def as_sentence(text: str) -> str:
    """Return ``text`` as a headline begins.

    >>> as_sentence("there is no image 7")
    'There is no image 7'
    """
    return text[:1].upper() + text[1:]


@cache
def environment() -> Environment:
    """Return the environment of our templates: everything is escaped, and a name that is missing is an error."""
    made = Environment(
        loader=PackageLoader("query_api.web"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals.update(asset=asset_url)
    made.filters.update(bytes=in_bytes, number=in_number, percent=in_percent, moment=in_moment)
    made.filters.update(sentence=as_sentence, plain=in_plain_words, state=state_in_words)
    return made


def warm_up() -> None:
    """Compile every template, before somebody waits for it."""
    for name in environment().list_templates():
        environment().get_template(name)


def in_bytes(count: int) -> str:
    """Return a size for people.

    >>> in_bytes(999), in_bytes(1_234_567), in_bytes(0)
    ('999 B', '1.2 MB', '0 B')
    """
    size = float(count)
    for unit in UNITS:
        if size < 1000 or unit == UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError


def in_number(count: int) -> str:
    """Return a number with thin spaces between thousands.

    >>> in_number(1234567)
    '1\\u2009234\\u2009567'
    """
    return f"{count:,}".replace(",", "\u2009")


def in_percent(share: float) -> str:
    """Return a share in [0, 1] for people; what is not all never reads as all.

    >>> in_percent(0.5), in_percent(0.9996), in_percent(1.0)
    ('50 %', '99.9 %', '100 %')
    """
    digits = 1 if 0.985 <= share < 1 else 0
    return f"{min(share, 0.999) if digits else share:.{digits}%}".replace("%", " %")


def in_moment(moment: datetime | str) -> str:
    """Return a time in UTC, to the minute.

    >>> in_moment("2026-11-24T09:30:15+00:00")
    '2026-11-24 09:30 UTC'
    """
    when = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
