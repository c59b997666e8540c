"""Files that the server sends: into memory, or piece by piece into a file. Nothing is fetched before that."""

import io
from collections.abc import AsyncIterator, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import httpx2

from .failures import unreachable
from .requests import Request

if TYPE_CHECKING:  # the connections make the downloads; Pillow is for those who want images
    from PIL.Image import Image

    from .async_connection import AsyncConnection
    from .connection import Connection


class Download:
    """A file of the server."""

    def __init__(self, connection: "Connection", request: Request[bytes]) -> None:
        self._connection = connection
        self._request = request

    def read(self) -> bytes:
        """Return the file. Raises VitrineError."""
        return self._connection.send(self._request)

    def chunks(self) -> Iterator[bytes]:
        """Yield the file piece by piece. Raises VitrineError."""
        reply = self._connection.exchange(self._request, whole=False)
        try:
            yield from reply.iter_bytes()
        except httpx2.RequestError as broken:
            raise unreachable(broken, self._request) from broken
        finally:
            reply.close()

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the file, and return its path; it appears there when it is whole. Raises VitrineError, OSError."""
        whole, partial = Path(path), _partial(path)
        try:
            with partial.open("wb") as file:
                for chunk in self.chunks():
                    file.write(chunk)
            return partial.replace(whole)
        finally:
            partial.unlink(missing_ok=True)

    def image(self) -> "Image":
        """Return the picture as an image of Pillow."""
        return _image(self.read())


class AsyncDownload:
    """A file of the server."""

    def __init__(self, connection: "AsyncConnection", request: Request[bytes]) -> None:
        self._connection = connection
        self._request = request

    async def read(self) -> bytes:
        """Return the file. Raises VitrineError."""
        return await self._connection.send(self._request)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the file piece by piece. Raises VitrineError."""
        reply = await self._connection.exchange(self._request, whole=False)
        try:
            async for chunk in reply.aiter_bytes():
                yield chunk
        except httpx2.RequestError as broken:
            raise unreachable(broken, self._request) from broken
        finally:
            await reply.aclose()

    async def save(self, path: str | PathLike[str]) -> Path:
        """Write the file, and return its path; it appears there when it is whole. Raises VitrineError, OSError."""
        whole, partial = Path(path), _partial(path)
        try:
            async with await anyio.open_file(partial, "wb") as file:
                async for chunk in self.chunks():
                    await file.write(chunk)
            return partial.replace(whole)
        finally:
            partial.unlink(missing_ok=True)

    async def image(self) -> "Image":
        """Return the picture as an image of Pillow."""
        return _image(await self.read())


def _partial(path: str | PathLike[str]) -> Path:
    """Return where a file grows until it is whole."""
    return Path(path).with_name(f".{Path(path).name}.part")


def _image(content: bytes) -> "Image":
    from PIL import Image  # only whoever asks for images needs Pillow

    return Image.open(io.BytesIO(content))
