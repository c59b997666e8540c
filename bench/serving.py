"""Eight clients that post pictures at once: our server beside two that one writes first (naive_server.py).

All three run at the same time on the same library and the same encoder; in each round each gets the same pictures from
eight clients, the others being idle. Meanwhile another client asks whether the server lives. Claims: at least twice
the pictures a second of a thread pool that runs the network one by one; and the 99th percentile of the health check at
most a twentieth of what it is where the network runs in the event loop. Ours decodes in its limited child process, too.
"""

import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from time import monotonic, perf_counter, sleep

import httpx2 as httpx
import numpy as np
from PIL import Image

from bench.color_api import running_api
from bench.color_corpus import pictures
from bench.paired import print_machine, quick
from bench.synthetic_library import build
from lib.cli.ports import free_port
from lib.settings import Settings
from lib.storage.library import open_library

CLIENTS, PICTURES, ROUNDS = 8, 96, 5
SIDE_PX = 640
LOOK_EVERY_S = 0.01
THROUGHPUT_GOAL, HEALTH_GOAL = 2.0, 20.0
START_S = 120.0


class Side:
    """One server, what it managed in each round, and how long its health check took."""

    def __init__(self, name: str, base_url: str, path: str) -> None:
        self.name, self.base_url, self.path = name, base_url, path
        self.rates: list[float] = []
        self.health_ms: list[float] = []

    def round(self, files: Sequence[bytes]) -> None:
        """Post every picture from eight clients at once, and watch the health check."""
        stop = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(stop,))
        watcher.start()
        start = perf_counter()
        with ThreadPoolExecutor(CLIENTS) as clients:
            list(clients.map(self.post_all, [files[number::CLIENTS] for number in range(CLIENTS)]))
        self.rates.append(len(files) / (perf_counter() - start))
        stop.set()
        watcher.join()

    def post_all(self, files: Sequence[bytes]) -> None:
        """Post pictures one after the other."""
        with httpx.Client(base_url=self.base_url, timeout=120, headers={"Accept": "application/json"}) as client:
            for data in files:
                reply = client.post(self.path, files={"image": ("q.jpg", data)})
                assert reply.is_success, reply.text

    def _watch(self, stop: threading.Event) -> None:
        with httpx.Client(base_url=self.base_url, timeout=120) as client:
            while not stop.is_set():
                start = perf_counter()
                client.get("/livez").raise_for_status()
                self.health_ms.append(1e3 * (perf_counter() - start))
                sleep(LOOK_EVERY_S)

    @property
    def health_p99_ms(self) -> float:
        """The 99th percentile of the health check, in milliseconds."""
        return float(np.percentile(self.health_ms, 99))


@contextmanager
def naive(kind: str, home: Path, url: str) -> Iterator[str]:
    """Run a naive server and yield its address once it lives."""
    port = free_port()
    arguments = ["--home", str(home), "--url", url, "--port", str(port), "--kind", kind]
    process = subprocess.Popen([sys.executable, "-m", "bench.naive_server", *arguments])
    try:
        base_url = f"http://127.0.0.1:{port}"
        _wait(lambda: httpx.get(f"{base_url}/livez").is_success)
        yield base_url
    finally:
        process.terminate()
        process.wait(30)


def _wait(condition: Callable[[], bool]) -> None:
    deadline = monotonic() + START_S
    while monotonic() < deadline:
        try:
            if condition():
                return
        except httpx.TransportError:
            pass
        sleep(0.2)
    raise TimeoutError(f"a server did not start within {START_S} s")


def uploads(count: int) -> list[bytes]:
    """Return pictures of the demo as JPEG files."""
    files = []
    for rgba in islice(cycle(pictures(side_px=SIDE_PX)), count):
        sink = io.BytesIO()
        Image.fromarray(rgba).convert("RGB").save(sink, "JPEG", quality=90)
        files.append(sink.getvalue())
    return files


def report(ours: Side, pool: Side, inline: Side) -> None:
    """Print the two claims, and the figures behind them."""
    for peer in (pool, inline):
        ratio = statistics.median(mine / theirs for mine, theirs in zip(ours.rates, peer.rates, strict=True))
        goal = (
            f"   goal {THROUGHPUT_GOAL:g}x: {'met' if ratio >= THROUGHPUT_GOAL else 'MISSED'}" if peer is pool else ""
        )
        print(f"pictures a second beside {peer.name}: {ratio:.2f}x{goal}")
    share = inline.health_p99_ms / ours.health_p99_ms
    print(f"health p99 beside inline: {share:.1f} times shorter   goal {HEALTH_GOAL:g}: ", end="")
    print("met" if share >= HEALTH_GOAL else "MISSED")
    for side in (ours, pool, inline):
        rate = statistics.median(side.rates)
        print(f"    {side.name}: {rate:7.2f} pictures/s, health p99 {side.health_p99_ms:8.1f} ms")


def main() -> None:
    """Make a library, start three servers, ask them in turn."""
    count, rounds = (32, 2) if quick() else (PICTURES, ROUNDS)
    print_machine()
    home = Path(tempfile.mkdtemp(prefix="vitrine-bench-"))
    home.chmod(0o755)
    os.environ["VITRINE_PROFILE"] = "packaged"
    files = uploads(count)
    try:
        with open_library(Settings(home=home, profile="packaged")) as library:
            build(library, 2000)
            url = library.urls.library
            with (
                naive("pool", home, url) as pool_url,
                naive("inline", home, url) as inline_url,
                running_api(home, url.replace("+psycopg", ""), home / "api.log") as (client, _process),
            ):
                ours = Side("ours", str(client.base_url), "/v1/search/look?limit=24")
                pool, inline = Side("thread pool", pool_url, "/search"), Side("inline", inline_url, "/search")
                for side in (ours, pool, inline):  # warm
                    side.post_all(files[:8])
                for _ in range(rounds):
                    for side in (ours, pool, inline):
                        side.round(files)
                report(ours, pool, inline)
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
