"""Peak memory of a run: this process and the decoder, while our side of the pipeline works at 12 megapixels.

Resident memory of the whole process tree, sampled every 20 ms, pages that processes share counted for each. The models
are those of pipeline.py, CLIP with its whole text tower, and are written by a process of their own, as a download is;
the database server, which lives on its own, does not count. Goal: 2 GB.
"""

import shutil
import tempfile
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

import psutil

from bench.encoder_weights import seeded_clip, seeded_resnet34
from bench.loopback import server
from bench.our_pipeline import OurPipeline
from bench.paired import print_machine, quick
from bench.photographs import write_photographs
from lib.images.background import SubjectMasker
from lib.images.decoding import DecodeLimits, Decoder
from lib.models.registry import U2NETP, ModelSpec
from lib.models.weights import locate
from lib.settings import Settings
from lib.storage.library import open_library

PATIENT = DecodeLimits(cpu_s=300, timeout_s=300)  # a busy machine is no reason to give up a measurement
GOAL_BYTES = 2_000_000_000
EVERY_S = 0.02


class PeakMemory:
    """Watches this process and its children, but for those named in ``ignored``."""

    def __init__(self, ignored: set[int]) -> None:
        self.bytes = 0
        self._ignored = ignored
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._over.wait(EVERY_S):
            family = [me, *(child for child in me.children(recursive=True) if child.pid not in self._ignored)]
            self.bytes = max(self.bytes, sum(_resident(process) for process in family))


def _seeded(home: Path) -> tuple[ModelSpec, ModelSpec]:
    return seeded_resnet34(home)[0], seeded_clip(home, whole=True)[0]


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def main() -> None:
    """Print the peak, step by step."""
    count = 2 if quick() else 16
    print_machine()
    home = Path(tempfile.mkdtemp(prefix="vitrine-bench-"))
    home.chmod(0o755)
    (home / "pictures").mkdir()
    names = [path.name for path in write_photographs(home / "pictures", "12 MP", count)]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as another:
        resnet, clip = another.submit(_seeded, home).result()
    with ExitStack() as stack:
        port = stack.enter_context(server(home / "pictures"))
        library = stack.enter_context(open_library(Settings(home=home)))
        others = {child.pid for child in psutil.Process().children(recursive=True)}
        urls = [f"http://127.0.0.1:{port}/{name}" for name in names]
        masker = SubjectMasker(U2NETP, locate(U2NETP, home))
        ours = OurPipeline(urls, home, library, stack.enter_context(Decoder(PATIENT)), masker, resnet, clip)
        ours.clear()
        peak = 0
        for name, step in ours.steps():
            with PeakMemory(others) as memory:
                step()
            peak = max(peak, memory.bytes)
            print(f"    {name}: {memory.bytes / 1e6:.0f} MB", flush=True)
    print(
        f"peak memory of a run at 12 MP: {peak / 1e6:.0f} MB   goal 2000 MB: {'met' if peak < GOAL_BYTES else 'MISSED'}"
    )
    shutil.rmtree(home)


if __name__ == "__main__":
    main()
