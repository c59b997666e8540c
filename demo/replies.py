"""Answers with validators: ETag and Last-Modified, and 304 when the visitor has the body already."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

from aiohttp import web

# One date for everything: file times differ between checkouts, and the ETag is what tells versions apart.
PUBLISHED = datetime(2026, 3, 20, 9, 0, tzinfo=UTC)


def reply(
    request: web.Request, body: bytes, content_type: str, *, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return ``body``, or an empty 304 when the request's validators match it."""
    etag = hashlib.sha256(body).hexdigest()[:32]
    unchanged = is_unchanged(request, etag)
    response = web.Response(status=304 if unchanged else 200, body=None if unchanged else body, headers=headers)
    if not unchanged:
        response.headers["Content-Type"] = content_type
    response.etag = etag
    response.last_modified = PUBLISHED
    response.headers["Cache-Control"] = "no-cache"
    return response


def is_unchanged(request: web.Request, etag: str) -> bool:
    """Say whether the visitor's copy is current. If-None-Match wins over the date (RFC 9110, 13.1.3)."""
    if request.if_none_match is not None:
        return any(tag.value in (etag, "*") for tag in request.if_none_match)
    return request.if_modified_since is not None and request.if_modified_since >= PUBLISHED
