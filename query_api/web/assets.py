"""The gallery's own files: served from memory, compressed once, under names that change with their content."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from lib.errors import NotFound

MEDIA_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Encoding",
}
router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Asset:
    """A file: its bytes, the same compressed, its type, and what its address carries to tell versions apart."""

    data: bytes
    compressed: bytes
    media_type: str
    version: str


@cache
def assets() -> dict[str, Asset]:
    """Return the files by name."""
    return {
        path.name: _asset(path.name, path.read_bytes()) for path in files("query_api.web").joinpath("static").iterdir()
    }


def _asset(name: str, data: bytes) -> Asset:
    version = hashlib.sha256(data).hexdigest()[:12]
    return Asset(data, gzip.compress(data, 9, mtime=0), MEDIA_TYPES[name.rsplit(".", 1)[-1]], version)


def asset_url(name: str) -> str:
    """Return the address of a file, for as long as it stays what it is."""
    return f"/assets/{assets()[name].version}/{name}"


@router.get("/assets/{version}/{name}")
def asset(version: str, name: Annotated[str, Path(max_length=100)], request: Request) -> Response:
    """Return a file of the gallery. One of another version is not kept by caches."""
    found = assets().get(name)
    if found is None:
        raise NotFound("the gallery has no such file")
    headers = dict(HEADERS) if version == found.version else {**HEADERS, "Cache-Control": "no-cache"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.compressed, headers=headers | {"Content-Encoding": "gzip"}, media_type=found.media_type)
    return Response(found.data, headers=headers, media_type=found.media_type)
