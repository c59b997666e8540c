"""A contact sheet: one HTML file that shows what was found, thumbnails included, and opens without a server."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

STYLE = """\
:root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
ol { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: 1rem;
  list-style: none; padding: 0; }
img { width: 100%; height: 11rem; object-fit: contain; background: #8882; border-radius: 4px; }
p { margin: .25rem 0; overflow-wrap: anywhere; }
small { opacity: .7; }"""


@dataclass(frozen=True)
class SheetItem:
    """One picture of a contact sheet; ``thumbnail`` is WebP."""

    caption: str
    note: str
    thumbnail: bytes


def contact_sheet(title: str, items: Sequence[SheetItem]) -> str:
    """Return the sheet as HTML, with nothing in it that would have to be fetched.

    >>> "&lt;b&gt;" in contact_sheet("<b>", [])
    True
    """
    shown = "\n".join(_item(item) for item in items)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}\n</style>\n"
        f"<h1>{escape(title)}</h1>\n<ol>\n{shown}\n</ol>\n</html>\n"
    )


def _item(item: SheetItem) -> str:
    picture = base64.b64encode(item.thumbnail).decode()
    return (
        f'<li><img alt="{escape(item.caption)}" src="data:image/webp;base64,{picture}">'
        f"<p>{escape(item.caption)}<br><small>{escape(item.note)}</small></p></li>"
    )
