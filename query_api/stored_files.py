"""Files of the object store as answers: their type fixed, nothing in them run, kept by caches, in parts if asked."""

from fastapi import Request
from fastapi.responses import FileResponse, Response

from lib.errors import ObjectMissing
from lib.storage.objects import ObjectStore

# What is stored came from strangers: whatever a browser takes it for, it may run nothing.
FILE_HEADERS = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


def stored_file(request: Request, objects: ObjectStore, sha256: str, *, media_type: str, name: str) -> Response:
    """Return an object's bytes, or 304 for who has them. Raises ObjectMissing."""
    headers = {**FILE_HEADERS, "ETag": f'"{sha256}"'}
    if has_it_already(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    path = objects.path(sha256)
    if not path.exists():
        raise ObjectMissing(f"object {sha256} ({name}) is missing")
    return FileResponse(path, media_type=media_type, headers=headers, filename=name, content_disposition_type="inline")


def has_it_already(request: Request, etag: str) -> bool:
    """Return whether ``If-None-Match`` names this version (RFC 9110, 13.1.2: weak comparison)."""
    given = request.headers.get("if-none-match", "")
    return any(tag.strip().removeprefix("W/") in (etag, "*") for tag in given.split(","))
