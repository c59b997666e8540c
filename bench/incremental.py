"""What a run costs when there is little or nothing to do: ``python -m bench.incremental [--quick]``.

Compared, on synthetic libraries of 10,000 and 100,000 images (``--quick``: 300 and 600): a run of everything with
nothing new; with one new image; with a new CLIP model; with a new background remover whose masks are equal. Printed
for each: the seconds spent inside the assets and inside the checks, the CPU seconds of this process and the database
server (which a busy machine changes little, and which include what Dagster does around the assets), the images given to
a model, rows written (by ``xmin``, the server's own mark on a row version) and files made. The ratio at the end is how
the first one grows with the library.

The goal: nothing new costs 2 seconds at most inside the assets at 10,000 images.
"""

import argparse
import logging
import os
import platform
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import psutil
import sqlalchemy as sa

from bench.synthetic_library import add_picture, build, disc
from lib.arrays import Mask
from lib.embedding.clip import ClipEncoder
from lib.images.background import decode_mask_png
from lib.models.registry import CLIP_LAION2B, ISNET, ModelSpec
from lib.settings import Settings
from lib.storage import ledger, models
from lib.storage.features import active_cutouts
from lib.storage.library import Library, open_library
from orchestration.assets.color_features import COLORS
from orchestration.assets.cutouts import CutoutWorker
from orchestration.assets.embeddings import EmbeddingWorker
from orchestration.definitions import defs
from orchestration.partitions import ALL_BUCKETS_TAGS, BUCKET_COUNT
from orchestration.stage import Picture, Stage, run_stage

SIZES, QUICK_SIZES = (10_000, 100_000), (300, 600)
GOAL_S, GOAL_AT = 2.0, 10_000
REPEATS = 3
EVERYTHING = range(BUCKET_COUNT)
TABLES = (
    *("images", "image_urls", "sightings", "pages", "cutouts", "color_features"),
    *("resnet_embeddings", "clip_embeddings", "stage_results", "models"),
)
SMALL_VISION = {"image_size": 224, "layers": 1, "width": 64, "patch_size": 32}
SMALL_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 1, "layers": 1}


@dataclass
class Cost:
    """What a run cost. ``images_computed`` counts, by stage, the images that were given to a worker and stored."""

    cpu_seconds: float = 0.0
    seconds: Counter[str] = field(default_factory=Counter)
    check_seconds: Counter[str] = field(default_factory=Counter)
    images_computed: Counter[str] = field(default_factory=Counter)
    rows_written: Counter[str] = field(default_factory=Counter)
    files_made: int = 0

    def asset_seconds(self) -> float:
        """Return the seconds inside the assets."""
        return sum(self.seconds.values())

    def line(self) -> str:
        """Return it all in words."""
        parts = (
            f"{self.asset_seconds():.2f} s in assets",
            f"{sum(self.check_seconds.values()):.2f} s in checks",
            f"{self.cpu_seconds:.2f} CPU·s in all",
        )
        counts = (f"computed {_words(self.images_computed)}", f"rows {_words(self.rows_written)}")
        return "; ".join((*parts, *counts, f"files {self.files_made}"))


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.items() if number) or "none"


@contextmanager
def synthetic_library(count: int) -> Iterator[Library]:
    """Yield a library of ``count`` images in a folder of its own; the folder is gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="vitrine-bench-"))
    home.chmod(0o755)  # the embedded server may run as a user of its own
    before = os.environ.get("VITRINE_HOME")
    os.environ["VITRINE_HOME"] = str(home)  # runs open the library by themselves, from the environment
    try:
        with open_library(Settings(home=home, profile="packaged")) as library:
            build(library, count)
            yield library
    finally:
        os.environ.pop("VITRINE_HOME")
        if before is not None:
            os.environ["VITRINE_HOME"] = before
        shutil.rmtree(home)


@contextmanager
def counting_rows_and_files(library: Library) -> Iterator[Cost]:
    """Yield an empty cost, and fill in what the block wrote."""
    cost, files = Cost(), sum(1 for _ in library.objects.hashes())
    with library.database.session() as session:
        first = session.scalar(sa.text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint & 4294967295"))
    before = cpu_seconds(library)
    yield cost
    cost.cpu_seconds = cpu_seconds(library) - before
    cost.files_made = sum(1 for _ in library.objects.hashes()) - files
    with library.database.session() as session:
        for table in TABLES:
            newer = sa.text(f"SELECT count(*) FROM {table} WHERE xmin::text::bigint >= :first")
            cost.rows_written[table] = session.scalar(newer, {"first": first}) or 0


def cpu_seconds(library: Library) -> float:
    """Return the CPU time of this process and of the database server so far: what a busy machine does not change."""
    pid = int((library.settings.home_path / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    postmaster = psutil.Process(pid)
    total = time.process_time()
    for process in (postmaster, *postmaster.children()):
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:2])
    ended = postmaster.cpu_times()
    return total + ended.children_user + ended.children_system


def refresh(library: Library, instance: dg.DagsterInstance) -> Cost:
    """Run the job that does everything, sources aside (the synthetic one is switched off), as Dagster runs it."""
    job = defs.resolve_job_def("refresh_all")
    with counting_rows_and_files(library) as cost:
        result = job.execute_in_process(instance=instance, tags=dict(ALL_BUCKETS_TAGS))
    checks = {event.step_key for event in result.all_events if event.event_type_value == "ASSET_CHECK_EVALUATION"}
    for step, seconds in _step_seconds(instance, result.run_id).items():
        (cost.check_seconds if step in checks else cost.seconds)[step] = seconds
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        processed = materialization.metadata.get("processed")
        if processed is not None:  # a range of partitions reports one step many times
            cost.images_computed[materialization.asset_key.to_user_string()] = int(str(processed.value))
    return cost


def _step_seconds(instance: dg.DagsterInstance, run_id: str) -> dict[str, float]:
    """Return what each step took from its start to its first output: our code, without Dagster's writing of events."""
    begun: dict[str, float] = {}
    ended: dict[str, float] = {}
    for entry in instance.all_logs(run_id, of_type={dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_OUTPUT}):
        kind = begun if entry.get_dagster_event().is_step_start else ended
        kind.setdefault(str(entry.step_key), entry.timestamp)
    return {step: ended[step] - begun[step] for step in ended}


def run_beside(library: Library, stage: Stage[Any]) -> Cost:
    """Run one stage over all buckets, alive as a Dagster run is."""
    started = time.perf_counter()
    with counting_rows_and_files(library) as cost, ledger.running(library.database, "bench"):
        report = run_stage(library, stage, run_id="bench", buckets=EVERYTHING, force=False)
    cost.seconds[stage.name] = time.perf_counter() - started
    cost.images_computed[stage.name] = report.processed
    return cost


def register(library: Library, spec: ModelSpec) -> None:
    """Let a model fill in beside the active one."""
    with library.database.session() as session:
        models.add_model(session, spec)
        session.commit()


def new_clip_model(library: Library) -> Cost:
    """Fill in a second CLIP: open_clip's own network, small, with seeded weights."""
    import open_clip
    import torch

    register(library, CLIP_LAION2B)
    torch.manual_seed(0)
    network = open_clip.CLIP(embed_dim=512, vision_cfg=SMALL_VISION, text_cfg=SMALL_TEXT).eval()
    encoder = ClipEncoder(CLIP_LAION2B, network, None, torch.device("cpu"))
    return run_beside(library, Stage("clip", 64, lambda _library, spec: EmbeddingWorker("clip", spec, encoder)))


class AgreeingRemover(CutoutWorker):
    """A remover that finds the very masks that the active one has found; what it stores is stored as any other's."""

    def __init__(self, library: Library, spec: ModelSpec) -> None:
        self._library, self._objects, self._spec = library, library.objects, spec

    def compute(self, pictures: Sequence[Picture]) -> list[tuple[str, Mask]]:
        """Return (origin, mask) of each picture."""
        with self._library.database.session() as session:
            known = active_cutouts(session, [picture.claim.image_id for picture in pictures])
        return [
            ("model", decode_mask_png(self._objects.read(known[picture.claim.image_id].mask_sha256)))
            for picture in pictures
        ]


def new_agreeing_remover(library: Library) -> tuple[Cost, Cost]:
    """Fill in and promote a remover that makes equal masks; return its own cost and that of the colours after it."""
    register(library, ISNET)
    own = run_beside(library, Stage("matting", 64, AgreeingRemover))
    with library.database.session() as session:
        models.activate(session, ISNET.spec_id)
        session.commit()
    return own, run_beside(library, COLORS)


def one_new_image(library: Library, instance: dg.DagsterInstance, number: int) -> Cost:
    """Put one picture in, as a scrape would, and refresh."""
    with library.database.session() as session:
        rgba = disc(np.random.default_rng(number), number)
        add_picture(library, session, rgba, name=f"new-{number}", derived=False)
        session.commit()
    return refresh(library, instance)


def measured(library: Library) -> list[tuple[str, Cost]]:
    """Return what each change costs, on a library that has been measured once."""
    with dg.DagsterInstance.ephemeral() as instance:
        refresh(library, instance)
        nothing = [refresh(library, instance) for _ in range(REPEATS)]
        costs = [("nothing new", sorted(nothing, key=Cost.asset_seconds)[REPEATS // 2])]
        costs.append(("one new image", one_new_image(library, instance, number=7)))
    costs.append(("a new CLIP model", new_clip_model(library)))
    remover, colors = new_agreeing_remover(library)
    return [*costs, ("a new remover, equal masks", remover), ("  its colours", colors)]


def main() -> int:
    """Print the table, and return 1 where the goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.incremental", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="300 and 600 images instead of 10,000 and 100,000")
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of images")
    parser.add_argument(
        "--steps", action="store_true", help="print each asset's and check's part of a run with nothing new"
    )
    wanted = parser.parse_args()
    quiet_dagster()
    print(f"{cpu_name()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; embedded PostgreSQL, packaged models")
    nothing: dict[int, Cost] = {}
    for size in wanted.sizes or (QUICK_SIZES if wanted.quick else SIZES):
        with synthetic_library(size) as library:
            for name, cost in measured(library):
                print(f"{size:>7,}  {name:<27} {cost.line()}", flush=True)
                nothing.setdefault(size, cost)
        if wanted.steps:
            print_steps(nothing[size])
    return verdict({size: cost.asset_seconds() for size, cost in nothing.items()})


def print_steps(cost: Cost) -> None:
    """Print what each step of a run took, the longest first."""
    for step, seconds in (cost.seconds | cost.check_seconds).most_common():
        print(f"{'':9}{seconds:8.3f} s  {step}")


def verdict(seconds_at: dict[int, float]) -> int:
    """Print the growth from the smallest library to the largest, and whether the goal was met; return 1 if not."""
    small, large = min(seconds_at), max(seconds_at)
    print(f"{large / small:.0f} times the images: {seconds_at[large] / seconds_at[small]:.1f} times the time")
    if GOAL_AT not in seconds_at:
        return 0
    met = seconds_at[GOAL_AT] <= GOAL_S
    print(f"goal at {GOAL_AT:,}: {seconds_at[GOAL_AT]:.2f} s of {GOAL_S:.0f} s: {'met' if met else 'MISSED'}")
    return 0 if met else 1


def quiet_dagster() -> None:
    """Keep the table readable: warnings of Dagster's about its own preview features, and its log of each event."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)


def cpu_name() -> str:
    """Return the processor's name."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    sys.exit(main())
