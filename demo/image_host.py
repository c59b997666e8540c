"""The museum's image host, ``cdn.localhost``: pictures in full and resized, icons, and the odd URLs.

Each odd handler misbehaves in exactly one way; the table of them is in oddities.py.
"""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from functools import lru_cache

from aiohttp import web
from PIL import Image, ImageOps

from demo import catalog
from demo.catalog import Picture, picture_named
from demo.ledger import STREAMED_BYTES
from demo.oddities import COPIES, SMALL_IMAGES, small_image
from demo.replies import reply

ROBOTS = b"User-agent: *\nDisallow: /private/\n"
WIDTHS = (240, 480, 800)
CHUNK_BYTES = 64 * 1024
SLOW_CHUNKS = 8
SLOW_PAUSE_S = 0.25
STALL_S = 600.0
JPEG_TABLES_BYTES = 200  # ends inside the quantisation tables, where a decoder forgives no noise
BUSY_SERVED = web.AppKey("busy_served", list[bool])


def create_image_host() -> web.Application:
    """Return the application behind ``cdn.localhost``."""
    app = web.Application()
    app[BUSY_SERVED] = []
    app.add_routes(
        [
            web.get("/robots.txt", robots),
            web.get("/full/{file}", full_size),
            web.get("/private/{file}", full_size),
            web.get("/w{width:\\d+}/{name}.webp", resized),
            web.get("/icons/{name}", icon),
            web.get("/copies/{name}", copy),
            web.get("/odd/corrupt.jpg", corrupt),
            web.get("/odd/truncated.jpg", truncated, allow_head=False),
            web.get("/odd/page.jpg", web_page_as_jpeg),
            web.get("/odd/endless.jpg", endless, allow_head=False),
            web.get("/odd/broken-server.jpg", broken_server),
            web.get("/odd/slow.jpg", slow, allow_head=False),
            web.get("/odd/stalled.jpg", stalled, allow_head=False),
            web.get("/odd/busy.jpg", busy),
            web.get("/odd/moved.jpg", moved),
            web.get("/odd/inside.jpg", redirect_to_loopback),
            web.get("/odd/metadata.jpg", redirect_to_metadata_service),
        ]
    )
    return app


async def robots(request: web.Request) -> web.Response:
    """Forbid the private corner."""
    return reply(request, ROBOTS, "text/plain; charset=utf-8")


async def full_size(request: web.Request) -> web.Response:
    """Serve a picture as it was made; each only under the folder that it belongs to."""
    picture = _found(request.match_info["file"].rpartition(".")[0])
    in_private = request.path.startswith("/private/")
    if picture.file != request.match_info["file"] or in_private != (picture.place == "private_file"):
        raise web.HTTPNotFound
    return reply(request, picture.data, picture.content_type, headers=_opt_out(picture))


async def resized(request: web.Request) -> web.Response:
    """Serve a picture as WebP of one of the widths that the pages use."""
    picture, width = _found(request.match_info["name"]), int(request.match_info["width"])
    if width not in WIDTHS:
        raise web.HTTPNotFound
    data = await asyncio.to_thread(resize, picture, width)
    return reply(request, data, "image/webp", headers=_opt_out(picture))


@lru_cache(maxsize=512)
def resize(picture: Picture, width_px: int) -> bytes:
    """Return a WebP of the picture, upright, at most ``width_px`` wide."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(picture.data)))
    image = image.convert("RGBA" if picture.ground == "transparent" else "RGB")
    height_px = round(image.height * width_px / image.width)
    buffer = io.BytesIO()
    image.resize((width_px, height_px), Image.Resampling.LANCZOS).save(buffer, "WEBP", quality=80)
    return buffer.getvalue()


async def icon(request: web.Request) -> web.Response:
    """Serve one of the images that are too small for a collection."""
    name = request.match_info["name"]
    if name not in SMALL_IMAGES:
        raise web.HTTPNotFound
    return reply(request, small_image(name), f"image/{name.rpartition('.')[2]}")


async def copy(request: web.Request) -> web.Response:
    """Serve a picture under its second URL."""
    for known in COPIES:
        if known.path == request.path:
            return reply(request, known.data, "image/jpeg")
    raise web.HTTPNotFound


async def corrupt(request: web.Request) -> web.Response:
    """Serve the beginning of a JPEG followed by noise."""
    noise = b"".join(hashlib.sha256(bytes([n])).digest() for n in range(256))
    return reply(request, _jpeg()[:JPEG_TABLES_BYTES] + noise, "image/jpeg")


async def truncated(request: web.Request) -> web.StreamResponse:
    """Promise a whole picture, send half of it, and hang up."""
    response = web.StreamResponse(headers={"Content-Type": "image/jpeg"})
    response.content_length = len(_jpeg())
    response.force_close()
    return await _stream(request, response, _pieces(_jpeg()[: len(_jpeg()) // 2], CHUNK_BYTES))


async def web_page_as_jpeg(request: web.Request) -> web.Response:
    """Serve a web page that says it is a JPEG."""
    return reply(request, b"<!doctype html><title>Plate</title><p>This plate is on loan.\n", "image/jpeg")


async def endless(request: web.Request) -> web.StreamResponse:
    """Send a JPEG's beginning and then noise until the visitor hangs up; no length is announced."""
    return await _stream(request, web.StreamResponse(headers={"Content-Type": "image/jpeg"}), _noise_without_end())


async def broken_server(_request: web.Request) -> web.Response:
    """Fail."""
    raise web.HTTPInternalServerError(text="The key does not turn.")


async def slow(request: web.Request) -> web.StreamResponse:
    """Serve a good picture piece by piece over about two seconds."""
    picture = picture_named("lark")
    data, whole = picture.data, reply(request, picture.data, picture.content_type)
    if whole.status == 304:
        return whole
    response = web.StreamResponse(headers=whole.headers)
    response.content_length = len(data)
    return await _stream(request, response, _pieces(data, -(-len(data) // SLOW_CHUNKS), pause_s=SLOW_PAUSE_S))


async def stalled(request: web.Request) -> web.StreamResponse:
    """Send a kilobyte and then nothing for ten minutes; no page shows it, tests of time limits do."""
    response = web.StreamResponse(headers={"Content-Type": "image/jpeg"})
    response.content_length = len(_jpeg())
    await _stream(request, response, _pieces(_jpeg()[:1024], 1024))
    await asyncio.sleep(STALL_S)
    return response


async def busy(request: web.Request) -> web.Response:
    """Ask the first visitor to come back in a second; serve from then on."""
    served = request.app[BUSY_SERVED]
    if not served and request.if_none_match is None:
        served.append(True)
        raise web.HTTPTooManyRequests(headers={"Retry-After": "1"})
    return reply(request, picture_named("goat").data, "image/jpeg")


async def moved(_request: web.Request) -> web.Response:
    """Redirect to a picture that no page names."""
    raise web.HTTPMovedPermanently(f"/full/{picture_named('pig').file}")


async def redirect_to_loopback(_request: web.Request) -> web.Response:
    """Redirect to a port of the visitor's own machine."""
    raise web.HTTPFound("http://127.0.0.1:1/inside.jpg")


async def redirect_to_metadata_service(_request: web.Request) -> web.Response:
    """Redirect to where clouds keep their machines' secrets."""
    raise web.HTTPFound("http://169.254.169.254/latest/meta-data/")


async def _stream(
    request: web.Request, response: web.StreamResponse, pieces: AsyncIterator[bytes]
) -> web.StreamResponse:
    """Send pieces until they end or the visitor hangs up; either way the ledger hears how much was sent."""
    request[STREAMED_BYTES] = 0
    await response.prepare(request)
    try:
        async for piece in pieces:
            await response.write(piece)
            request[STREAMED_BYTES] += len(piece)
    except ConnectionError:
        response.force_close()
    return response


async def _pieces(data: bytes, piece_bytes: int, *, pause_s: float = 0.0) -> AsyncIterator[bytes]:
    for start in range(0, len(data), piece_bytes):
        await asyncio.sleep(pause_s)
        yield data[start : start + piece_bytes]


async def _noise_without_end() -> AsyncIterator[bytes]:
    yield _jpeg()[:JPEG_TABLES_BYTES]
    noise = hashlib.sha256(b"endless").digest() * (CHUNK_BYTES // hashlib.sha256().digest_size)
    while True:
        yield noise


def _jpeg() -> bytes:
    return picture_named("owl").data


def _found(name: str) -> Picture:
    known = catalog.by_name(catalog.all_pictures())
    if name not in known:
        raise web.HTTPNotFound
    return known[name]


def _opt_out(picture: Picture) -> dict[str, str]:
    return {"X-Robots-Tag": "noai, noimageai"} if picture.place == "opted_out_header" else {}
