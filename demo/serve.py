"""Serve the demo's web site on loopback: ``python -m demo.serve --port 8080 [--log served.jsonl]``.

Two host names share one port: ``gallery.localhost`` has the pages, ``cdn.localhost`` the images. Browsers resolve
both to loopback by themselves; other programs connect to 127.0.0.1 and send the name as Host.
"""

import argparse
import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from demo.image_host import create_image_host
from demo.ledger import recording
from demo.page_host import create_page_host

LOOPBACK = "127.0.0.1"
# A visitor of the endless picture would otherwise hold the shutdown for a minute.
SHUTDOWN_LIMIT_S = 0.5


def create_app(log: Path | None = None) -> web.Application:
    """Return the whole site; with ``log``, each answer is appended there as a line of JSON (see ledger.py)."""
    app = web.Application(middlewares=[recording(log)] if log else [])
    app.add_domain("gallery.*", create_page_host())
    app.add_domain("cdn.*", create_image_host())
    return app


def demo_source(port: int) -> dict[str, Any]:
    """Return the site as an entry of ``sources.yaml``."""
    return {
        "name": "demo",
        "start_urls": [f"http://gallery.localhost:{port}/"],
        "page_hosts": ["gallery.localhost"],
        "image_hosts": ["cdn.localhost"],
        "follow": [rf"^http://gallery\.localhost:{port}/"],
        "exclude": [r"/static/", r"/road/feed\.json", r"/attic/more"],
        "min_side_px": 96,
        "max_pages": 100,
        "delay_s": 0.0,
        "concurrency": 4,
        "labelled": True,
    }


@asynccontextmanager
async def running(app: web.Application, port: int = 0) -> AsyncIterator[int]:
    """Serve ``app`` on loopback inside the block and give its port; 0 takes a free one."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_LIMIT_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, port).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@contextmanager
def in_background(log: Path | None = None, port: int = 0) -> Iterator[int]:
    """Serve the site from a thread while the block runs and give its port; for programs that do not use asyncio."""
    bound: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        try:
            async with running(create_app(log), port) as actual_port:
                bound.set_result((actual_port, asyncio.get_running_loop(), stop))
                await stop.wait()
        except OSError as error:
            if bound.done():
                raise
            bound.set_exception(error)  # the port is taken: tell the one who waits for it

    with ThreadPoolExecutor(1, "demo-site") as pool:
        serving = pool.submit(asyncio.run, serve())
        actual_port, loop, stop = bound.result()
        try:
            yield actual_port
        finally:
            loop.call_soon_threadsafe(stop.set)
            serving.result()


async def serve_until_stopped(port: int, log: Path | None) -> None:
    """Serve until SIGINT or SIGTERM; print one line with the address once visitors can come."""
    stop = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    async with running(create_app(log), port) as actual_port:
        print(f"The demo site is at http://gallery.localhost:{actual_port}/", flush=True)
        await stop.wait()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--log", type=Path, help="append a line of JSON here for each answer")
    arguments = parser.parse_args()
    asyncio.run(serve_until_stopped(arguments.port, arguments.log))


if __name__ == "__main__":
    main()
