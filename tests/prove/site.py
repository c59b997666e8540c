"""A small web site to be scraped again and again: ``python -m tests.prove.site --port 8080 --log served.jsonl``.

Three rooms of the demo's pictures on pages of their own, served by the demo's image host; all that is served is written
down. There is one of each thing that goes its own way: a copy, a picture with transparency, one that is lost, one that
is broken, one that opted out, and a private page.
"""

import argparse
import asyncio
import hashlib
from pathlib import Path
from typing import Any

from aiohttp import web

from demo.catalog import Picture, picture_named
from demo.expected import path_of
from demo.image_host import create_image_host
from demo.ledger import recording
from demo.oddities import COPIES
from demo.page_host import srcset
from demo.replies import reply
from demo.serve import running

ROOMS: dict[str, tuple[str, ...]] = {
    "north": ("strawberry2", "traffic-cone", "daffodil-c"),
    "east": ("mandarine", "dolphin-c", "daffodil"),
    "south": ("yellow-flower", "whitestar-petunia", "crow", "owl"),
}
COPY = next(copy for copy in COPIES if copy.of == "owl" and not copy.reencoded)
OPTED_OUT = "squirrel-c"
BROKEN = {"/odd/lost.jpg": "http_404", "/odd/corrupt.jpg": "truncated"}
ROBOTS = b"User-agent: *\nDisallow: /private/\n"


def create_app(log: Path) -> web.Application:
    """Return the site; each answer becomes a line of ``log``."""
    app = web.Application(middlewares=[recording(log)])
    pages = web.Application()
    pages.add_routes(
        [web.get("/", home), web.get("/robots.txt", robots), web.get("/attic/", attic), web.get("/{room}/", room)]
    )
    app.add_domain("gallery.*", pages)
    app.add_domain("cdn.*", create_image_host())
    return app


def source(port: int) -> dict[str, Any]:
    """Return the site as an entry of ``sources.yaml``."""
    return {
        "name": "small",
        "start_urls": [f"http://gallery.localhost:{port}/"],
        "page_hosts": ["gallery.localhost"],
        "image_hosts": ["cdn.localhost"],
        "follow": [rf"^http://gallery\.localhost:{port}/"],
        "min_side_px": 96,
        "max_pages": 20,
        "delay_s": 0.0,
        "concurrency": 2,
    }


def offered(port: int) -> dict[str, str]:
    """Return the URL of every picture that a scrape should take, with the SHA-256 of its bytes."""
    base = f"http://cdn.localhost:{port}"
    pictures = [picture_named(name) for names in ROOMS.values() for name in names]
    taken = {base + path_of(picture): picture.sha256 for picture in pictures}
    return taken | {base + COPY.path: hashlib.sha256(COPY.data).hexdigest()}


def withheld(port: int) -> dict[str, str]:
    """Return the URL of every picture that a scrape sees and does not get, with the reason."""
    base = f"http://cdn.localhost:{port}"
    return {base + path: reason for path, reason in BROKEN.items()} | {base + path_of(picture_named(OPTED_OUT)): "noai"}


async def robots(request: web.Request) -> web.Response:
    """Forbid the private page."""
    return reply(request, ROBOTS, "text/plain")


async def home(request: web.Request) -> web.Response:
    """Lead to the rooms."""
    links = "".join(f'<a href="/{name}/">{name}</a> ' for name in (*ROOMS, "attic", "private"))
    return _page(request, "Home", links)


async def room(request: web.Request) -> web.Response:
    """Show a room's pictures, each in several sizes."""
    names = ROOMS.get(request.match_info["room"])
    if names is None:
        raise web.HTTPNotFound
    return _page(request, request.match_info["room"], "".join(_image(request, picture_named(name)) for name in names))


async def attic(request: web.Request) -> web.Response:
    """Show what goes its own way."""
    shown = [COPY.path, *BROKEN, path_of(picture_named(OPTED_OUT))]
    return _page(request, "Attic", "".join(f'<img src="{_cdn(request)}{path}" alt="{path}">' for path in shown))


def _image(request: web.Request, picture: Picture) -> str:
    sizes = srcset(picture, _cdn(request))
    return f'<img src="{_cdn(request)}{path_of(picture)}" srcset="{sizes}" alt="{picture.caption}">'


def _page(request: web.Request, title: str, body: str) -> web.Response:
    html = f'<!doctype html><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>{body}'
    return reply(request, html.encode(), "text/html; charset=utf-8")


def _cdn(request: web.Request) -> str:
    return f"http://cdn.localhost:{request.url.port}"


async def serve(port: int, log: Path) -> None:
    """Serve until the process is ended."""
    async with running(create_app(log), port):
        await asyncio.Event().wait()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, arguments.log))


if __name__ == "__main__":
    main()
