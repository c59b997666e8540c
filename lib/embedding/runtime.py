"""Where networks run, in which number format, and on how many threads.

Belongs here: everything that makes a forward pass fast and changes its result by rounding alone. What changes the
result is the spec's.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from lib.errors import ConfigurationError
from lib.settings import Precision

Item = TypeVar("Item")
Rows: TypeAlias = NDArray[np.float32]  # (N, D)

# What PyTorch calls the instructions that multiply bfloat16; without one of them it is emulated, many times slower.
BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")

# How threads that share a forward pass wait for each other after every layer. Unasked they spin: on cores that others
# want, too, a pass then takes ten times the processor time. Read when PyTorch is imported.
WAIT_POLICY = ("OMP_WAIT_POLICY", "PASSIVE")


@dataclass(frozen=True)
class Runtime:
    """A torch device, a number format and a number of threads, and how networks are placed and run there.

    With ``bf16``, matrix products and convolutions take bfloat16 inputs, everything between them stays float32.
    """

    device: Any
    bf16: bool = False
    threads: int = 1

    @classmethod
    def choose(cls, device: str = "auto", precision: Precision = "auto") -> "Runtime":
        """Return what these settings mean on this machine; raises ConfigurationError for a device it lacks."""
        os.environ.setdefault(*WAIT_POLICY)
        import torch

        name = chosen_device(device, cuda=torch.cuda.is_available(), mps=torch.backends.mps.is_available())
        target = torch.device(name)
        return cls(target, chooses_bf16(precision, target.type, torch.cpu.get_capabilities()), cores())

    def place(self, network: Any) -> Any:
        """Return the network ready for inference on the device."""
        import torch

        # Channels last is how a CPU's (and a GPU's) fastest convolutions read pictures.
        network = network.eval().to(self.device, memory_format=torch.channels_last)
        if self.bf16:
            self._cast_products(network)
        return network

    def _cast_products(self, network: Any) -> None:
        """Keep the weights of products as bfloat16, so that no forward pass has to convert them."""
        import torch

        products = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.MultiheadAttention)
        for module in network.modules():
            if isinstance(module, products):
                module.to(torch.bfloat16)

    @property
    def side_by_side(self) -> int:
        """How many parts are worked on at once."""
        return self.threads if self.device.type == "cpu" else 1

    def pictures(self, batch: NDArray[np.float32]) -> Any:
        """Return (N, 3, H, W) values as a tensor on the device, in the layout that ``place`` chose."""
        import torch

        return torch.from_numpy(batch).to(self.device, memory_format=torch.channels_last)

    def run(self, forward: Callable[[Sequence[Item]], Any], items: Sequence[Item], size: int) -> Rows:
        """Return ``forward`` over ``items``, at most ``size`` at a time, as float32 rows, shape (len(items), D).

        On a CPU parts run side by side, each on one thread: threads that share one pass wait for each other after
        every layer, which on a busy machine takes most of the time.
        """
        parts = [items[first:last] for first, last in part_bounds(len(items), size, self.side_by_side)]
        if len(parts) == 1 or self.side_by_side == 1:
            return np.concatenate([self._rows(forward, part, self.threads) for part in parts])
        return np.concatenate(list(_pool(self.threads).map(lambda part: self._rows(forward, part, 1), parts)))

    def _rows(self, forward: Callable[[Sequence[Item]], Any], part: Sequence[Item], threads: int) -> Rows:
        import torch

        if torch.get_num_threads() != threads:  # each thread of ours has a number of its own
            torch.set_num_threads(threads)
        with self._inference():
            rows: Rows = forward(part).float().cpu().numpy()
        return rows

    @contextmanager
    def _inference(self) -> Iterator[None]:
        import torch

        products: Any = torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()
        with torch.inference_mode(), products:
            yield


def part_bounds(count: int, size: int, threads: int) -> list[tuple[int, int]]:
    """Return where to cut ``count`` items for threads that take a part of at most ``size`` at a time.

    Every thread has as many parts, as near to equal as can be, while there are items enough.

    >>> part_bounds(5, 4, 2), part_bounds(1, 4, 2), part_bounds(10, 4, 1)
    ([(0, 3), (3, 5)], [(0, 1)], [(0, 4), (4, 7), (7, 10)])
    """
    rounds = -(-count // (size * threads))
    parts = min(count, rounds * threads)
    cuts = [-(-count * part // parts) for part in range(parts + 1)] if parts else []
    return list(pairwise(cuts))


def chosen_device(setting: str, *, cuda: bool, mps: bool) -> str:
    """Return the torch device that a setting means; ``auto`` takes the fastest that is there.

    Raises ConfigurationError for a device that is not there.

    >>> chosen_device("auto", cuda=False, mps=True), chosen_device("cpu", cuda=True, mps=False)
    ('mps', 'cpu')
    """
    there = {"cuda": cuda, "mps": mps, "cpu": True}
    if setting == "auto":
        return next(name for name, present in there.items() if present)
    if not there.get(setting.partition(":")[0], False):
        present = ", ".join(name for name in there if there[name])
        raise ConfigurationError(f"VITRINE_DEVICE={setting}: PyTorch finds none here; it can be auto, {present}")
    return setting


def chooses_bf16(precision: Precision, device_type: str, cpu: Mapping[str, Any]) -> bool:
    """Say whether networks run in bfloat16, given what the CPU can do (``torch.cpu.get_capabilities()``).

    >>> chooses_bf16("auto", "cpu", {"avx512_bf16": True}), chooses_bf16("auto", "cpu", {"avx2": True})
    (True, False)
    """
    if precision != "auto":
        return precision == "bf16"
    return device_type == "cpu" and any(cpu.get(name, False) for name in BF16_INSTRUCTIONS)


def cores() -> int:
    """Return how many threads inference may use: ``OMP_NUM_THREADS``, else the cores that this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if asked.isdigit() and int(asked):
        return int(asked)
    # macOS has no affinity.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="inference")
