"""robots.txt: asked once per host and run, read by Protego, obeyed (RFC 9309)."""

import asyncio
from urllib.parse import urlsplit

from protego import Protego

from lib.errors import FetchFailed, FetchRefused
from lib.scraping.download import Fetcher
from lib.scraping.opt_out import product_token
from lib.scraping.urls import host_of

MAX_BYTES = 512 * 1024  # RFC 9309, 2.5: at least 500 KiB are read
EVERYTHING = ""


class RobotsRules:
    """The rules of all hosts met in a run. Crawl delays found in them slow the fetcher down."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self.robot = product_token(fetcher.user_agent)
        self._rules: dict[str, asyncio.Task[Protego]] = {}

    async def allowed(self, url: str) -> bool:
        """Return whether robots.txt lets us ask for the canonical ``url``.

        Raises
        ------
        FetchFailed
            ``robots_unreachable``: the server failed, so nothing may be asked for now (RFC 9309, 2.3.1.4).
        FetchRefused
            ``forbidden_address``: the host itself is out of bounds. ``taken_down``: this URL is, by its owner's wish.
        """
        self._fetcher.require_not_taken_down(url)
        rules = await self._rules_of(url)
        return bool(rules.can_fetch(url, self.robot))

    async def require(self, url: str) -> None:
        """Raise FetchRefused (``robots``) unless :meth:`allowed`, and what that raises."""
        if not await self.allowed(url):
            raise FetchRefused("robots", f"robots.txt forbids {url}")

    async def _rules_of(self, url: str) -> Protego:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._rules:
            self._rules[origin] = asyncio.create_task(self._read(origin))
        # Shielded: one caller that is cancelled must not take the answer from the others who wait for it.
        return await asyncio.shield(self._rules[origin])

    async def _read(self, origin: str) -> Protego:
        rules = Protego.parse(await self._text(origin))
        delay_s = rules.crawl_delay(self.robot)
        if delay_s:
            self._fetcher.pace.slow_down(host_of(origin), float(delay_s))
        return rules

    async def _text(self, origin: str) -> str:
        try:
            answer = await self._fetcher.get(
                f"{origin}/robots.txt", hosts=["*"], max_bytes=MAX_BYTES, truncate=True, paced=False
            )
        except FetchRefused as error:
            if error.reason.startswith("http_4") or error.reason == "too_many_redirects":
                return EVERYTHING  # RFC 9309, 2.3.1.3: where there is no file, nothing is forbidden
            raise
        except FetchFailed as error:
            raise FetchFailed("robots_unreachable", str(error), retry_after_s=error.retry_after_s) from error
        return (answer.body or b"").decode("utf-8-sig", errors="replace")
