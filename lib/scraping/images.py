"""Downloading one picture: refused by its headers or its first bytes before the rest is taken."""

from collections.abc import Awaitable, Callable, Sequence

from lib.errors import FetchRefused
from lib.scraping.download import MAX_BYTES, TIMEOUT_S, Fetcher, Headers, Response, Validators
from lib.scraping.formats import SNIFFED_BYTES, require_decodable
from lib.scraping.opt_out import forbids_indexing, product_token

ACCEPT = "image/avif,image/webp,image/png,image/jpeg,image/*;q=0.8"


async def download_image(
    fetcher: Fetcher,
    url: str,
    *,
    hosts: Sequence[str],
    sink: Callable[[bytes], object],
    referer: str | None = None,
    validators: Validators | None = None,
    max_bytes: int = MAX_BYTES,
    timeout_s: float = TIMEOUT_S,
    permit: Callable[[str], Awaitable[None]] | None = None,
) -> Response:
    """Write the picture at ``url`` to ``sink``; the answer has no body and may be "not modified".

    ``Content-Type`` does not count. The first 512 bytes reach the sink only when they are a picture's.

    Raises
    ------
    FetchRefused
        Beside those of :meth:`Fetcher.get`: ``noai``, ``noindex`` and the like by ``X-Robots-Tag``, ``not_an_image``
        (a web page that calls itself a JPEG), ``unsupported_format`` (SVG, PDF and the like).
    FetchFailed
        As :meth:`Fetcher.get`.
    """

    def require_permission(headers: Headers) -> None:
        directive = forbids_indexing(headers.getall("X-Robots-Tag", []), product_token(fetcher.user_agent))
        if directive:
            raise FetchRefused(directive, "X-Robots-Tag of the picture")

    gate = _PictureGate(sink)
    answer = await fetcher.get(
        url,
        hosts=hosts,
        referer=referer,
        validators=validators,
        headers={"Accept": ACCEPT},
        max_bytes=max_bytes,
        timeout_s=timeout_s,
        permit=permit,
        check=require_permission,
        sink=gate.take,
    )
    if not answer.not_modified:
        gate.finish()
    return answer


class _PictureGate:
    """Holds the first bytes back until they are known to be a picture's."""

    def __init__(self, sink: Callable[[bytes], object]) -> None:
        self._sink = sink
        self._held = bytearray()
        self._is_open = False

    def take(self, chunk: bytes) -> None:
        if self._is_open:
            self._sink(chunk)
            return
        self._held.extend(chunk)
        if len(self._held) >= SNIFFED_BYTES:
            self._pass_on()

    def finish(self) -> None:
        if not self._is_open:
            self._pass_on()

    def _pass_on(self) -> None:
        require_decodable(bytes(self._held[:SNIFFED_BYTES]))
        self._is_open = True
        self._sink(bytes(self._held))
