"""Eight clients that post pictures at once: our server beside those that one writes first (naive_server.py).

All run at the same time on the same library and the same weights; in each round each gets the same pictures from eight
clients, the others being idle. No picture comes twice: the encoder remembers those that it has seen. Meanwhile another
client asks whether the server lives. Claims: at least twice the pictures a second of a thread pool that runs our
encoder one by one; and the 99th percentile of the health check at most a twentieth of what it is where the network runs
in the event loop. A pool that runs the network as PyTorch does unasked is printed beside them. Ours decodes in its
limited child process, too, and describes each image that it found.

Printed besides: the processor time that a picture takes in each server and its decoder, and what the network alone does
in this process, one by one and as many at once as suit the machine: no server here can be faster than that.
"""

import io
import itertools
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
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from time import monotonic, perf_counter, sleep

import httpx2 as httpx
import numpy as np
import psutil
from PIL import Image

from bench.color_api import running_api
from bench.color_corpus import pictures
from bench.paired import print_machine, quick
from bench.synthetic_library import build
from lib.arrays import RGBAImage
from lib.cli.ports import free_port
from lib.embedding.loading import load_image_encoder
from lib.models.registry import model_spec
from lib.settings import Settings
from lib.storage.library import open_library

CLIENTS, PICTURES, ROUNDS = 8, 96, 5
SIDE_PX = 640
LOOK_EVERY_S = 0.01
THROUGHPUT_GOAL, HEALTH_GOAL = 2.0, 20.0
START_S = 120.0


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    base_url: str
    pid: int


class Side:
    """One server, what it managed in each round, and how long its health check took."""

    def __init__(self, name: str, server: "Server", path: str) -> None:
        self.name, self.base_url, self.path = name, server.base_url, path
        self._process = psutil.Process(server.pid)
        self.rates: list[float] = []
        self.cpu_ms: list[float] = []
        self.health_ms: list[float] = []

    def round(self, files: Sequence[bytes]) -> None:
        """Post every picture from eight clients at once, and watch the health check."""
        stop = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(stop,))
        watcher.start()
        start, cpu_s = perf_counter(), self._cpu_s()
        with ThreadPoolExecutor(CLIENTS) as clients:
            list(clients.map(self.post_all, [files[number::CLIENTS] for number in range(CLIENTS)]))
        self.rates.append(len(files) / (perf_counter() - start))
        self.cpu_ms.append(1e3 * (self._cpu_s() - cpu_s) / len(files))
        stop.set()
        watcher.join()

    def post_all(self, files: Sequence[bytes]) -> None:
        """Post pictures one after the other."""
        with httpx.Client(base_url=self.base_url, timeout=120, headers={"Accept": "application/json"}) as client:
            for data in files:
                reply = client.post(self.path, files={"image": ("q.jpg", data)})
                assert reply.is_success, reply.text

    def _cpu_s(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in (self._process, *self._process.children(recursive=True)))

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
def naive(kind: str, home: Path, url: str) -> Iterator[Server]:
    """Run a naive server and yield it once it lives."""
    port = free_port()
    arguments = ["--home", str(home), "--url", url, "--port", str(port), "--kind", kind]
    process = subprocess.Popen([sys.executable, "-m", "bench.naive_server", *arguments])
    try:
        base_url = f"http://127.0.0.1:{port}"
        _wait(lambda: httpx.get(f"{base_url}/livez").is_success)
        yield Server(base_url, process.pid)
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


def uploads(sources: Sequence[RGBAImage], count: int) -> Iterator[list[bytes]]:
    """Yield sets of pictures as JPEG files: of the sources, each time cut a little smaller."""
    cut_px = (number // len(sources) for number in itertools.count(1))
    files = (_jpeg(rgba[cut:, cut:]) for rgba, cut in zip(cycle(sources), cut_px, strict=False))
    while True:
        yield list(islice(files, count))


def _jpeg(rgba: RGBAImage) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(rgba).convert("RGB").save(sink, "JPEG", quality=90)
    return sink.getvalue()


def network_rates(home: Path, count: int) -> tuple[float, float]:
    """Return how many pictures a second the network alone manages here, one by one and several at once."""
    encoder = load_image_encoder(model_spec("resnet", "packaged"), home, "cpu")
    noise = np.random.default_rng(0)

    def rate(at_once: int) -> float:
        batches = [list(noise.integers(0, 256, (at_once, 260, 260, 4), np.uint8)) for _ in range(count // at_once)]
        encoder.encode_images(batches[0])
        start = perf_counter()
        for batch in batches[1:]:
            encoder.encode_images(batch)
        return at_once * (len(batches) - 1) / (perf_counter() - start)

    return rate(1), rate(encoder.pictures_at_once)


def report(ours: Side, pool: Side, plain: Side, inline: Side) -> None:
    """Print the two claims, and the figures behind them."""
    for peer in (pool, plain, inline):
        ratio = statistics.median(mine / theirs for mine, theirs in zip(ours.rates, peer.rates, strict=True))
        goal = (
            f"   goal {THROUGHPUT_GOAL:g}x: {'met' if ratio >= THROUGHPUT_GOAL else 'MISSED'}" if peer is pool else ""
        )
        print(f"pictures a second beside {peer.name}: {ratio:.2f}x{goal}")
    share = inline.health_p99_ms / ours.health_p99_ms
    print(f"health p99 beside inline: {share:.1f} times shorter   goal {HEALTH_GOAL:g}: ", end="")
    print("met" if share >= HEALTH_GOAL else "MISSED")
    for side in (ours, pool, plain, inline):
        rate = statistics.median(side.rates)
        cpu_ms = statistics.median(side.cpu_ms)
        print(
            f"    {side.name}: {rate:7.2f} pictures/s, {cpu_ms:5.1f} ms CPU a picture, "
            f"health p99 {side.health_p99_ms:8.1f} ms"
        )


def main() -> None:
    """Make a library, start three servers, ask them in turn."""
    count, rounds = (32, 2) if quick() else (PICTURES, ROUNDS)
    print_machine()
    home = Path(tempfile.mkdtemp(prefix="vitrine-bench-"))
    home.chmod(0o755)
    os.environ["VITRINE_PROFILE"] = "packaged"
    sets = uploads(pictures(side_px=SIDE_PX), count)
    try:
        with open_library(Settings(home=home, profile="packaged")) as library:
            build(library, 2000)
            url = library.urls.library
            with (
                naive("pool", home, url) as pool_server,
                naive("plain", home, url) as plain_server,
                naive("inline", home, url) as inline_server,
                running_api(home, url.replace("+psycopg", ""), home / "api.log") as (client, process),
            ):
                ours = Side("ours", Server(str(client.base_url), process.pid), "/v1/search/look?limit=24")
                pool, plain = Side("thread pool", pool_server, "/search"), Side("plain pool", plain_server, "/search")
                inline = Side("inline", inline_server, "/search")
                first = next(sets)
                for side in (ours, pool, plain, inline):  # warm
                    side.post_all(first[:8])
                for files in islice(sets, rounds):
                    for side in (ours, pool, plain, inline):
                        side.round(files)
                report(ours, pool, plain, inline)
            one_by_one, at_once = network_rates(home, count)
            print(f"    the network alone: {one_by_one:.2f} pictures/s one by one, {at_once:.2f} several at once")
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
