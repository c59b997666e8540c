"""Cursors: where the next page begins, as text that clients pass on unread.

A cursor holds the sort key of the last row shown, so a page stays right while rows come and go before it.
"""

import base64
import binascii
import json

from lib.errors import VitrineError

MAX_CURSOR = 200
MAX_ID = 2**53 - 1  # what every reader of JSON can tell from its neighbours (RFC 8259, 6)


class InvalidCursor(VitrineError):
    """The text is no cursor that this server made."""


def cursor_after(*key: float) -> str:
    """Return the cursor behind the row with this sort key.

    >>> read_cursor(cursor_after(0.25, 7), 2)
    [0.25, 7]
    """
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def read_cursor(cursor: str, length: int) -> list[float]:
    """Return the sort key, ``length`` numbers with an id at the end, behind a cursor. Raises InvalidCursor."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        key = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise InvalidCursor("this cursor was not made by this server") from error
    if not (isinstance(key, list) and len(key) == length and all(type(part) in (int, float) for part in key)):
        raise InvalidCursor("this cursor was not made by this server")
    if not (type(key[-1]) is int and 0 <= key[-1] <= MAX_ID):
        raise InvalidCursor("this cursor was not made by this server")
    return key
