"""Pictures as a person has them: a path, bytes, or an image of Pillow."""

import io
from os import PathLike
from pathlib import Path
from typing import Any, Protocol, TypeAlias


class Savable(Protocol):
    """An image of Pillow, as far as it matters here: the client does without Pillow."""

    def save(self, fp: Any, format: str | None = None) -> None:  # noqa: A002  Pillow's name
        """Write the image into a file."""


Picture: TypeAlias = str | PathLike[str] | bytes | Savable
Part: TypeAlias = tuple[str, bytes]  # name of the file, what is in it


def part(picture: Picture) -> Part:
    """Return a picture as a part of a form; an image of Pillow becomes a PNG. Raises OSError."""
    if isinstance(picture, bytes):
        return "picture", picture
    if isinstance(picture, str | PathLike):
        path = Path(picture)
        return path.name, path.read_bytes()
    sink = io.BytesIO()
    picture.save(sink, "PNG")
    return "picture.png", sink.getvalue()
