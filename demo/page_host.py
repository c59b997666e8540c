"""The museum's pages, ``gallery.localhost``: rooms, journal, feeds, stylesheet and scripts.

Pages are Jinja templates in site/templates; a handler picks pictures and names a template.
"""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from aiohttp import web

from demo import catalog
from demo.catalog import Picture, Place, picture_named, pictures_in
from demo.expected import path_of
from demo.image_host import WIDTHS
from demo.oddities import COPIES, ODDITIES, small_image
from demo.replies import reply

SITE = Path(__file__).parent / "site"
ROBOTS = b"User-agent: *\nDisallow: /private/\n"
STATIC_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
MENAGERIE_PAGE = 12
FEED_PAGE = 6
ATTIC_PAGE = 5
HIGHLIGHTS = (
    *("firetruck", "owl", "strawberry2-b", "violin", "balloon360-c", "zebra-b"),
    *("fairytale-castle", "marigold", "dolphin-b"),
)
# Rooms that are one page and one template, which says how they show their pictures.
SIMPLE_ROOMS: dict[str, Place] = {
    "garden": "garden",
    "town": "town",
    "workshop": "workshop",
    "darkroom": "darkroom",
    "studio": "opted_out_page",
    "private": "private_page",
}


def create_page_host() -> web.Application:
    """Return the application behind ``gallery.localhost``."""
    app = web.Application()
    app.add_routes(
        [
            web.get("/robots.txt", robots),
            web.get("/favicon.ico", favicon),
            web.get("/static/{file}", static),
            web.get("/", home),
            web.get("/menagerie/", menagerie),
            web.get("/menagerie/page/{page:\\d+}", menagerie),
            web.get("/road/", road),
            web.get("/road/feed.json", road_feed),
            web.get("/attic/", attic),
            web.get("/attic/more", attic_more),
            web.get("/journal/", journal),
            web.get("/journal/the-junk", story),
            web.get("/journal/the-tower", chronicle),
            web.get("/conservation/", conservation),
            web.get(f"/{{room:{'|'.join(SIMPLE_ROOMS)}}}/", simple_room),
        ]
    )
    return app


async def robots(request: web.Request) -> web.Response:
    """Forbid the private corner."""
    return reply(request, ROBOTS, "text/plain; charset=utf-8")


async def favicon(request: web.Request) -> web.Response:
    """Serve the icon that browsers ask for unasked."""
    return reply(request, small_image("favicon.png"), "image/png")


async def static(request: web.Request) -> web.Response:
    """Serve a stylesheet or script."""
    path = SITE / "static" / request.match_info["file"]
    if path.parent != SITE / "static" or not path.is_file():
        raise web.HTTPNotFound
    return reply(request, path.read_bytes(), STATIC_TYPES[path.suffix])


async def home(request: web.Request) -> web.Response:
    """Show the front page."""
    highlights = [picture_named(name) for name in HIGHLIGHTS]
    counts = {place: len(pictures_in(place)) for place in ("menagerie", "garden", "town", "road", "workshop", "attic")}
    return page(request, "home.html", pictures=highlights, hero=highlights[0], counts=counts)


async def menagerie(request: web.Request) -> web.Response:
    """Show one numbered page of the animals."""
    number = int(request.match_info.get("page", "1"))
    pages = batches(pictures_in("menagerie"), MENAGERIE_PAGE)
    if not 1 <= number <= len(pages):
        raise web.HTTPNotFound
    urls = ["/menagerie/", *(f"/menagerie/page/{later}" for later in range(2, len(pages) + 1))]
    return page(request, "menagerie.html", pictures=pages[number - 1], number=number, urls=urls)


async def road(request: web.Request) -> web.Response:
    """Show the first of the vehicles; a script fetches the others while the visitor scrolls."""
    return page(request, "road.html", pictures=batches(pictures_in("road"), FEED_PAGE)[0])


async def road_feed(request: web.Request) -> web.Response:
    """Give one page of the vehicles as JSON."""
    batch, following = _numbered(request, batches(pictures_in("road"), FEED_PAGE))
    items = [
        {
            "src": _cdn(request) + path_of(picture),
            "thumbnail": f"{_cdn(request)}/w{WIDTHS[1]}/{picture.name}.webp",
            "caption": picture.caption,
            "width": picture.width,
            "height": picture.height,
            "cutOut": picture.ground == "transparent",
        }
        for picture in batch
    ]
    body = json.dumps({"items": items, "next": following}, ensure_ascii=False)
    return reply(request, body.encode(), "application/json; charset=utf-8")


async def attic(request: web.Request) -> web.Response:
    """Show the first of the attic; a button fetches the others."""
    return page(request, "attic.html", pictures=batches(pictures_in("attic"), ATTIC_PAGE)[0])


async def attic_more(request: web.Request) -> web.Response:
    """Give one page of the attic as a piece of HTML."""
    batch, following = _numbered(request, batches(pictures_in("attic"), ATTIC_PAGE))
    return page(request, "attic_more.html", pictures=batch, following=following)


async def journal(request: web.Request) -> web.Response:
    """List the journal's articles."""
    return page(request, "journal.html")


async def story(request: web.Request) -> web.Response:
    """Show the article whose picture only Open Graph names."""
    return page(request, "story.html", picture=pictures_in("story")[0])


async def chronicle(request: web.Request) -> web.Response:
    """Show the article whose picture only JSON-LD names."""
    return page(request, "chronicle.html", picture=pictures_in("chronicle")[0])


async def conservation(request: web.Request) -> web.Response:
    """Show everything that is broken, odd or a copy."""
    closed = pictures_in("opted_out_header") + pictures_in("private_file")
    port = request.url.port or 80
    odd = [(oddity, oddity.url.format(cdn=_cdn(request), port=port)) for oddity in ODDITIES]
    copies = [(copy, picture_named(copy.of)) for copy in COPIES]
    return page(request, "conservation.html", oddities=odd, copies=copies, closed=closed)


async def simple_room(request: web.Request) -> web.Response:
    """Show a room that is one page."""
    room = request.match_info["room"]
    return page(request, f"{room}.html", pictures=pictures_in(SIMPLE_ROOMS[room]))


def page(request: web.Request, template: str, **context: Any) -> web.Response:
    """Render a template; links to the image host carry the port that this request came in by."""
    here = str(request.url.origin())
    html = _templates().get_template(template).render(cdn=_cdn(request), here=here, path=request.path, **context)
    return reply(request, html.encode(), "text/html; charset=utf-8")


def batches(pictures: Sequence[Picture], size: int) -> list[Sequence[Picture]]:
    """Cut a room's pictures into pages."""
    return [pictures[start : start + size] for start in range(0, len(pictures), size)]


def title_of(picture: Picture) -> str:
    """Return a caption as a label: the first sentence without its full stop.

    >>> title_of(picture_named("dreydl"))
    'A dreidel'
    """
    return picture.caption.split(". ")[0].rstrip(".!")


def inventory_number(picture: Picture) -> str:
    """Return the number on a picture's label: its place in the manifest."""
    return f"AH {catalog.all_pictures().index(picture) + 1:03d}"


def srcset(picture: Picture, cdn: str) -> str:
    """Return the sizes of a picture, the original last and largest."""
    smaller = [f"{cdn}/w{width}/{picture.name}.webp {width}w" for width in WIDTHS if width < picture.width]
    return ", ".join([*smaller, f"{cdn}{path_of(picture)} {picture.width}w"])


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(SITE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(title_of=title_of, inventory_number=inventory_number, path_of=path_of)
    environment.globals["srcset"] = srcset
    return environment


def _cdn(request: web.Request) -> str:
    port = request.url.port or 80
    return f"http://cdn.localhost:{port}"


def _numbered(request: web.Request, pages: list[Sequence[Picture]]) -> tuple[Sequence[Picture], int | None]:
    """Return the page that ``?page=`` asks for and the number of the next one, if there is one."""
    wanted = request.query.get("page", "1")
    if not wanted.isdecimal() or not 1 <= int(wanted) <= len(pages):
        raise web.HTTPNotFound
    return pages[int(wanted) - 1], int(wanted) + 1 if int(wanted) < len(pages) else None
