"""Pictures that somebody brought along to search by: kept for a while, so that the search has an address.

They are named by the SHA-256 of their working copies and lie apart from the library: nothing is derived from them,
nothing lists them, and those longest unused make room for new ones.
"""

import os
from contextlib import suppress
from pathlib import Path

from lib.arrays import RGBAImage
from lib.errors import NotFound, ObjectMissing
from lib.images.working_copy import encode_working_copy, read_working_copy
from lib.storage.objects import ObjectStore

FOLDER = "query-pictures"
MOST_KEPT = 200


class QueryPictures:
    """The pictures that are kept, a store of its own in the library's home."""

    def __init__(self, home: Path, *, most: int = MOST_KEPT) -> None:
        self._objects = ObjectStore(home / FOLDER)
        self._most = most

    def keep(self, picture: RGBAImage) -> str:
        """Keep a picture, uint8 (H, W, 4), and return the name by which ``read`` knows it."""
        digest = self._objects.put(encode_working_copy(picture))
        for name in self._longest_unused():
            self._objects.delete(name)
        return digest

    def read(self, digest: str) -> RGBAImage:
        """Return a kept picture. Raises NotFound when it had to make room, or never was here."""
        try:
            data = self._objects.read(digest)
        except ObjectMissing as error:
            raise NotFound("this picture is no longer kept: bring it along again") from error
        with suppress(FileNotFoundError):
            os.utime(self._objects.path(digest))
        return read_working_copy(data)

    def _longest_unused(self) -> list[str]:
        used: dict[str, float] = {}
        for name in self._objects.hashes():
            with suppress(FileNotFoundError):  # another request made room at the same moment
                used[name] = self._objects.path(name).stat().st_mtime
        return sorted(used, key=used.__getitem__, reverse=True)[self._most :]
