"""The Chromium process: started without a network, renewed before it grows old and after it crashes.

It gets a proxy that does not exist and a resolver that knows no name, so that nothing it does by itself, and no trick
of a page, reaches a socket. What its pages ask for is answered by whoever opens them.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import structlog

from lib.errors import ConfigurationError

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, CDPSession, Page, Playwright, Route

PAGES_PER_BROWSER = 50  # a browser that lives longer grows
CLOSE_LIMIT_S = 5.0
STARTS = 3
KILLED = "signal=SIGKILL"  # in Playwright's log of a launch that failed
NETWORK = "network.mojom.NetworkService"  # as DevTools names the process through which the requests of pages go
VIEWPORT = {"width": 1280, "height": 1600}
DEAD_PROXY = "http://127.0.0.1:9"
FLAGS = (
    f"--proxy-server={DEAD_PROXY}",
    "--proxy-bypass-list=<-loopback>",  # loopback too goes to the dead proxy
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=WebTransport,OptimizationHints,MediaRouter,Translate",
    "--no-first-run",
    "--no-pings",
    "--dns-prefetch-disable",
    "--mute-audio",
)
# Ways out that are no requests, so that route() does not see them. The flags close them too.
CLOSE_SIDE_DOORS = """
for (const name of ["RTCPeerConnection", "webkitRTCPeerConnection", "WebTransport", "SharedWorker"]) {
  delete globalThis[name];
}
"""

log = structlog.get_logger(__name__)


class Chromium:
    """One browser process at a time. Not for concurrent use: whoever owns it takes turns."""

    def __init__(self, program: Path, user_agent: str) -> None:
        self._program = program
        self._user_agent = user_agent
        self._stack: AsyncExitStack | None = None
        self._browser: Browser | None = None
        self._devtools: CDPSession | None = None
        self._network: int | None = None
        self._pages_left = 0

    @asynccontextmanager
    async def page(self, answer: "Callable[[Route], Awaitable[None]]") -> "AsyncIterator[Page]":
        """Open a page in a context of its own, so that pages share neither cookies nor storage.

        ``answer`` gets every request that the page makes. Playwright's errors pass through.

        Raises
        ------
        ConfigurationError
            If the browser cannot be started.
        """
        browser = await self._running()
        context = await browser.new_context(
            user_agent=self._user_agent,
            viewport=VIEWPORT,  # type: ignore[arg-type]  # a TypedDict there, a constant here
            service_workers="block",
            accept_downloads=False,
            bypass_csp=True,  # a page's policy against foreign scripts would stop collect.js too
        )
        try:
            await context.add_init_script(CLOSE_SIDE_DOORS)
            await context.route("**/*", answer)
            await context.route_web_socket("**/*", lambda socket: socket.close())
            page = await context.new_page()
            self._network = await self._network_process()
            yield page
        finally:
            await _close(context)

    @property
    def is_alive(self) -> bool:
        """Whether there is a process that still answers."""
        return self._browser is not None and self._browser.is_connected()

    async def has_lost_requests(self) -> bool:
        """Return whether the process that requests go through died since the page was opened.

        Chromium starts another by itself, and tells pages that what they had asked for has failed.
        """
        return bool(self._network) and await self._network_process() not in (None, self._network)

    async def _network_process(self) -> int | None:
        """Return its id, 0 while there is none, None where that cannot be told."""
        from playwright.async_api import Error

        with suppress(Error, TimeoutError):
            async with asyncio.timeout(CLOSE_LIMIT_S):
                if self._devtools is not None:
                    told = await self._devtools.send("SystemInfo.getProcessInfo")
                    return next((one["id"] for one in told["processInfo"] if one["type"] == NETWORK), 0)
        return None

    async def _running(self) -> "Browser":
        if self._browser is None or not self.is_alive or self._pages_left <= 0:
            await self.stop()
            self._browser = await self._start()
            self._pages_left = PAGES_PER_BROWSER
        self._pages_left -= 1
        return self._browser

    async def _start(self) -> "Browser":
        from playwright.async_api import async_playwright  # heavy, and only needed where a browser is driven

        is_root = hasattr(os, "geteuid") and os.geteuid() == 0
        if is_root:
            log.warning("the browser runs without its sandbox, which root cannot use")
        async with AsyncExitStack() as stack:
            # What the browser and its driver leave behind when they are killed, or slow to die.
            folder = stack.enter_context(TemporaryDirectory(prefix="vitrine-", ignore_cleanup_errors=True))
            with _children_use(folder):
                playwright = await stack.enter_async_context(async_playwright())
            browser = await self._launch(playwright, with_sandbox=not is_root)
            stack.push_async_callback(browser.close)
            self._devtools = await browser.new_browser_cdp_session()
            self._stack = stack.pop_all()
        return browser

    async def _launch(self, playwright: "Playwright", *, with_sandbox: bool) -> "Browser":
        from playwright.async_api import Error

        starts_left = STARTS
        while True:
            starts_left -= 1
            try:
                return await playwright.chromium.launch(
                    executable_path=self._program,
                    args=FLAGS,
                    chromium_sandbox=with_sandbox,
                )
            except Error as error:
                if starts_left and KILLED in error.message:
                    continue  # by whom or for what, it says nothing about the program
                reason = str(error.message).split("\n")[0]
                raise ConfigurationError(f"the browser {self._program} does not start: {reason}") from error

    async def stop(self) -> None:
        """End the process, if there is one; the next page starts another."""
        from playwright.async_api import Error

        stack, self._stack, self._browser, self._devtools = self._stack, None, None, None
        if stack is not None:
            # A browser that is dead or stuck cannot be asked to close; its driver ends it.
            with suppress(Error, TimeoutError):
                async with asyncio.timeout(CLOSE_LIMIT_S):
                    await stack.aclose()


@contextmanager
def _children_use(folder: str) -> Iterator[None]:
    """Have the processes that start now keep their temporary files in ``folder``: so alone the driver can be told.

    On Linux only: on macOS temporary folders are too deep for one more, since sockets have short paths.
    """
    if sys.platform != "linux":
        yield
        return
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


async def _close(context: "BrowserContext") -> None:
    from playwright.async_api import Error

    # A page whose script never yields keeps its context from closing; what stops the browser ends that, too.
    with suppress(Error, TimeoutError):
        async with asyncio.timeout(CLOSE_LIMIT_S):
            await context.unroute_all(behavior="ignoreErrors")
            await context.close()
