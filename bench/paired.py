"""A peer and us, in turn, in one process: medians of paired ratios.

Other programs of a busy machine disturb both sides of a pair alike, so the ratio of a pair is steadier than either
figure. Processor time counts every thread of this process, and the processes that are named (a decoder, a server).
"""

import argparse
import contextlib
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Cost:
    """What one run took, in seconds: on the clock, and of processors."""

    wall_s: float
    cpu_s: float

    def times(self, factor: float) -> "Cost":
        """Return what so many times as much would cost."""
        return Cost(factor * self.wall_s, factor * self.cpu_s)


@dataclass(frozen=True)
class Comparison:
    """What one thing cost the peer and us, round by round."""

    name: str
    items: int
    peer: Sequence[Cost]
    ours: Sequence[Cost]

    @property
    def cpu_ratio(self) -> float:
        """Median of the peer's processor time over ours; above 1, ours is cheaper."""
        return statistics.median(peer.cpu_s / ours.cpu_s for peer, ours in zip(self.peer, self.ours, strict=True))

    @property
    def wall_ratio(self) -> float:
        """Median of the peer's time on the clock over ours."""
        return statistics.median(peer.wall_s / ours.wall_s for peer, ours in zip(self.peer, self.ours, strict=True))

    def report(self, goal: float | None = None) -> None:
        """Print the ratios and the figures behind them; ``goal`` is for processor time."""
        print(f"{self.name}: {self.cpu_ratio:.2f}x less processor time, {self.wall_ratio:.2f}x faster", end="")
        print("" if goal is None else f"   goal {goal:g}x: {'met' if self.cpu_ratio >= goal else 'MISSED'}")
        for who, costs in (("peer", self.peer), ("ours", self.ours)):
            cpu_s = statistics.median(cost.cpu_s for cost in costs) / self.items
            wall_s = statistics.median(cost.wall_s for cost in costs) / self.items
            print(f"    {who}: {cpu_s * 1000:9.2f} ms CPU an item, {1 / wall_s:9.2f} items/s")


def measured(action: Callable[[], object], others: Callable[[], Sequence[int]] = tuple) -> Cost:
    """Run once; ``others`` returns the ids of further processes whose time counts, some of them perhaps new."""
    before, cpu_before, wall = _cpu_of(others()), time.process_time(), time.perf_counter()
    action()
    wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu_before
    return Cost(wall_s, cpu_s + sum(spent - before.get(pid, 0.0) for pid, spent in _cpu_of(others()).items()))


def compare(
    name: str,
    peer: Callable[[], object],
    ours: Callable[[], object],
    *,
    items: int,
    rounds: int,
    others: Callable[[], Sequence[int]] = tuple,
    peer_items: int | None = None,
) -> Comparison:
    """Run each once to warm up, then both in turn, changing who goes first.

    A slow peer may be given fewer items; its costs count as if it had done all. Processor time of other processes comes
    in hundredths of a second: ours should take many of them.
    """
    peer(), ours()
    costs: dict[str, list[Cost]] = {"peer": [], "ours": []}
    for index in range(rounds):
        sides = [("peer", peer), ("ours", ours)]
        for side, action in sides if index % 2 else reversed(sides):
            cost = measured(action, others)
            costs[side].append(cost.times(items / peer_items) if side == "peer" and peer_items else cost)
    return Comparison(name, items, costs["peer"], costs["ours"])


def quick() -> bool:
    """Return whether the command line asks for the short form."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller sets")
    return bool(parser.parse_args().quick)


def print_machine() -> None:
    """Say what this was measured on, and how busy it was."""
    load = os.getloadavg()[0]
    print(f"# {_processor()}, {psutil.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}")


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor() or platform.machine()
    lines = cpuinfo.read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "CPU")
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    return f"{model} ({', '.join(flag for flag in ('avx2', 'avx512f', 'avx512_bf16', 'amx_bf16') if flag in flags)})"


def _cpu_of(pids: Sequence[int]) -> dict[int, float]:
    spent = {}
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            spent[pid] = times.user + times.system
    return spent
