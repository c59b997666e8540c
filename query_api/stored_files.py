"""Files of the object store as answers: their type fixed, nothing in them run, kept by caches, in parts if asked."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path

import anyio
from fastapi import Request
from fastapi.responses import FileResponse, Response

from lib.errors import ObjectMissing
from lib.images.private_metadata.patches import Patch, open_patched
from lib.images.private_metadata.removal import REMOVAL_VERSION, removal
from lib.storage.objects import ObjectStore

# What is stored came from strangers: whatever a browser takes it for, it may run nothing.
FILE_HEADERS = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
_KEPT_REMOVALS = 64  # a download in parts asks for the same file again and again; of most files some 10 KB


def stored_file(request: Request, objects: ObjectStore, sha256: str, *, media_type: str, name: str) -> Response:
    """Return an object's bytes, or 304 for who has them. Raises ObjectMissing."""
    return _answer(request, objects, sha256, media_type=media_type, name=name)


def scraped_file(
    request: Request, objects: ObjectStore, sha256: str, *, format_: str, media_type: str, name: str
) -> Response:
    """Return a picture as it was found but for places and devices in its metadata, or 304. Raises ObjectMissing.

    The bytes differ from the object's, so their ETag does; where nothing had to go, it is the object's hash.
    """
    try:
        patches = _removal(objects.path(sha256), format_)
    except FileNotFoundError as error:
        raise ObjectMissing(f"object {sha256} ({name}) is missing") from error
    return _answer(request, objects, sha256, media_type=media_type, name=name, patches=patches)


@lru_cache(_KEPT_REMOVALS)
def _removal(path: Path, format_: str) -> tuple[Patch, ...]:
    with path.open("rb") as file:
        return removal(file, format_)


def _answer(
    request: Request,
    objects: ObjectStore,
    sha256: str,
    *,
    media_type: str,
    name: str,
    patches: Sequence[Patch] = (),
) -> Response:
    headers = {**FILE_HEADERS, "ETag": f'"{sha256}-p{REMOVAL_VERSION}"' if patches else f'"{sha256}"'}
    if has_it_already(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    path = objects.path(sha256)
    if not path.exists():
        raise ObjectMissing(f"object {sha256} ({name}) is missing")
    if patches:
        return _PatchedFileResponse(path, patches, media_type=media_type, headers=headers, filename=name)
    return FileResponse(path, media_type=media_type, headers=headers, filename=name, content_disposition_type="inline")


class _PatchedFileResponse(FileResponse):
    """A file with patches over it, in parts as `FileResponse` answers them.

    Starlette is not told where the file lies: should it ever open it by itself, or have the server send it, there is no
    answer rather than one that tells a place.
    """

    def __init__(
        self, path: Path, patches: Sequence[Patch], *, media_type: str, headers: Mapping[str, str], filename: str
    ) -> None:
        super().__init__(
            "",
            media_type=media_type,
            headers=headers,
            filename=filename,
            stat_result=path.stat(),
            content_disposition_type="inline",
        )
        self._object = path
        self._patches = patches

    @asynccontextmanager
    async def _open_file(self) -> AsyncIterator[anyio.AsyncFile[bytes]]:
        file = anyio.wrap_file(await anyio.to_thread.run_sync(open_patched, self._object, self._patches))
        try:
            yield file
        finally:
            with anyio.CancelScope(shield=True):
                await file.aclose()


def has_it_already(request: Request, etag: str) -> bool:
    """Return whether ``If-None-Match`` names this version (RFC 9110, 13.1.2: weak comparison)."""
    given = request.headers.get("if-none-match", "")
    return any(tag.strip().removeprefix("W/") in (etag, "*") for tag in given.split(","))
