"""Whether the API's memory stays flat while twice as many ask as it serves at once.

Every kind of request goes on at random, good ones and bad ones; the first third of the time is for what is loaded and
cached once. Resident memory is that of the API's process and its children.
"""

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx2 as httpx
import psutil

from query_api.app import MOST_REQUESTS
from tests.prove.table import Results
from tests.query_api.conftest import PICTURES, plain
from tests.query_api.contract import served_library

MINUTES_A_TRY = 3
CROWD = 2 * MOST_REQUESTS
SAMPLE_S = 2.0
GROWTH = 1.05
PAUSE_S = 0.05  # of somebody who was told that the server is busy
KEPT_ALIVE_S = 2.0
JSON = {"Accept": "application/json"}
Say = Callable[[str], None]


def flat_memory(results: Results, tries: int, seed: int, say: Say) -> None:
    """Ask for three minutes a try, in one go, and compare the last third with the second."""
    with served_library() as (client, log):
        ids = [item["id"] for item in client.get("/v1/images").json()["items"]]
        api = _listener(client.base_url.port)
        load = _Load(str(client.base_url), ids, random.Random(seed))
        asyncio.run(load.go_on(60.0 * MINUTES_A_TRY * tries, api))
    third = len(load.resident_bytes) // 3
    early, late = (
        statistics.median(part) for part in (load.resident_bytes[third:-third], load.resident_bytes[-third:])
    )
    say(f"{sum(load.answers.values()):,} answers: {dict(sorted(load.answers.items()))}; the server's log: {log}")
    say(f"resident: {early / 1e6:.0f} MB, then {late / 1e6:.0f} MB ({late / early - 1:+.1%})")
    tenth = max(1, len(load.resident_bytes) // 10)
    steps = [load.resident_bytes[start : start + tenth] for start in range(0, len(load.resident_bytes), tenth)]
    say(f"by tenths of the time, in MB: {', '.join(f'{statistics.median(step) / 1e6:.0f}' for step in steps)}")
    results.count(f"memory is flat for {MINUTES_A_TRY * tries} min at twice the capacity", failed=late > GROWTH * early)
    for status, count in load.answers.items():
        results.count("under that load no answer is a fault", count, failed=status == "500" or "lost" in status)


def _listener(port: int | None) -> psutil.Process:
    (pid,) = {one.pid for one in psutil.net_connections("tcp") if one.status == "LISTEN" and one.laddr.port == port}
    return psutil.Process(pid)


def _resident(process: psutil.Process) -> int:
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


@dataclass
class _Load:
    """A crowd that asks, what it was answered, and how large the server was meanwhile."""

    url: str
    ids: Sequence[int]
    choice: random.Random
    answers: Counter[str] = field(default_factory=Counter)
    resident_bytes: list[int] = field(default_factory=list)

    async def go_on(self, seconds: float, api: psutil.Process) -> None:
        """Ask and measure for so long."""
        deadline = time.monotonic() + seconds
        # Given up before the server does so: else a request may meet its closing.
        limits = httpx.Limits(max_connections=CROWD, keepalive_expiry=KEPT_ALIVE_S)
        async with httpx.AsyncClient(base_url=self.url, limits=limits, timeout=120) as client:
            crowd = [asyncio.create_task(self._ask_until(deadline, client)) for _ in range(CROWD)]
            while time.monotonic() < deadline:
                self.resident_bytes.append(await asyncio.to_thread(_resident, api))
                await asyncio.sleep(SAMPLE_S)
            await asyncio.gather(*crowd)

    async def _ask_until(self, deadline: float, client: httpx.AsyncClient) -> None:
        while time.monotonic() < deadline:
            try:
                status = (await self._ask(client)).status_code
            except httpx.TransportError as error:
                self.answers[f"lost: {type(error).__name__}"] += 1
                continue
            self.answers[str(status)] += 1
            if status == 503:
                await asyncio.sleep(PAUSE_S)

    async def _ask(self, client: httpx.AsyncClient) -> httpx.Response:
        image, color = self.choice.choice(self.ids), f"#{self.choice.randrange(1 << 24):06x}"
        words = f"a dog number {self.choice.randrange(1_000_000)}"
        match self.choice.randrange(12):
            case 0:
                return await client.get("/", params={"text": words}, headers={"Accept": "text/html"})
            case 1:
                return await client.get(f"/images/{image}", headers={"Accept": "text/html"})
            case 2:
                return await client.post("/v1/search/words", json={"text_query": words}, headers=JSON)
            case 3:
                return await client.post("/v1/search", json={"text": words, "colors": [{"hex": color}]}, headers=JSON)
            case 4:
                file = {"image": ("query.png", (PICTURES / "dog.png").read_bytes())}
                return await client.post("/find_all_similar_by_lab", files=file)
            case 5:
                return await client.post("/get_top_24_resnet_similar", files={"image": ("query.png", plain(color))})
            case 6:
                merge = {"image_id_1": image, "image_id_2": self.choice.choice(self.ids)}
                return await client.post("/v1/merges", json=merge)
            case 7:
                return await client.get(f"/v1/images/{image}/thumbnail", params={"w": self.choice.randrange(32, 1024)})
            case 8:
                return await client.get(f"/v1/images/{image}/file", headers={"Range": "bytes=0-99"})
            case 9:
                return await client.get(f"/v1/images/{image}/similar")
            case 10:
                return await client.post("/find_all_similar_by_lab", files={"image": ("x.png", b"no picture at all")})
            case _:
                return await client.get(f"/v1/nothing/{words}")
