"""What a run costs when there is little or nothing to do: ``python -m bench.incremental [--quick]``.

Compared, on synthetic libraries of 10,000 and 100,000 images (``--quick``: 300): a run of everything with nothing new;
with one new image; with a new CLIP model; with a new background remover whose masks are equal. Printed for each: the
seconds spent inside the assets and inside the checks, the images given to a model, rows written (by ``xmin``, the
server's own mark on a row version) and files made. The ratio at the end is how the first of them grows with the library.

The goal: nothing new costs 2 seconds at most inside the assets at 10,000 images.
"""

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa

from bench.synthetic_library import build, square_mask
from lib.arrays import Mask
from lib.embedding.clip import ClipEncoder
from lib.models.registry import CLIP_LAION2B, ISNET, ModelSpec
from lib.settings import Settings
from lib.storage import ledger, models
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

    seconds: Counter[str] = field(default_factory=Counter)
    check_seconds: Counter[str] = field(default_factory=Counter)
    images_computed: Counter[str] = field(default_factory=Counter)
    rows_written: Counter[str] = field(default_factory=Counter)
    files_made: int = 0

    def line(self) -> str:
        """Return it all in words."""
        parts = (f"{sum(self.seconds.values()):.2f} s in assets", f"{sum(self.check_seconds.values()):.2f} s in checks")
        counts = (f"computed {_words(self.images_computed)}", f"rows {_words(self.rows_written)}")
        return "; ".join((*parts, *counts, f"files {self.files_made}"))


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.items() if number) or "none"


@contextmanager
def synthetic_library(count: int) -> Iterator[Library]:
    """Yield a library of ``count`` images in a folder of its own; the folder is gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="vitrine-bench-"))
    home.chmod(0o755)  # the embedded server may run as a user of its own
    os.environ["VITRINE_HOME"] = str(home)
    try:
        with open_library(Settings(home=home, profile="packaged")) as library:
            build(library, count)
            yield library
    finally:
        shutil.rmtree(home)


@contextmanager
def counting_rows_and_files(library: Library) -> Iterator[Cost]:
    """Yield an empty cost, and fill in what the block wrote."""
    cost, files = Cost(), sum(1 for _ in library.objects.hashes())
    with library.database.session() as session:
        first = session.scalar(sa.text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint & 4294967295"))
    yield cost
    cost.files_made = sum(1 for _ in library.objects.hashes()) - files
    with library.database.session() as session:
        for table in TABLES:
            newer = sa.text(f"SELECT count(*) FROM {table} WHERE xmin::text::bigint >= :first")
            cost.rows_written[table] = session.scalar(newer, {"first": first}) or 0


def refresh(library: Library, instance: dg.DagsterInstance) -> Cost:
    """Run the job that does everything, sources aside (the synthetic one is switched off), as Dagster runs it."""
    job = defs.resolve_job_def("refresh_all")
    with counting_rows_and_files(library) as cost:
        result = job.execute_in_process(instance=instance, tags=dict(ALL_BUCKETS_TAGS))
    checks = {event.step_key for event in result.all_events if event.event_type_value == "ASSET_CHECK_EVALUATION"}
    for event in result.all_events:
        if event.is_step_success and event.step_key:
            kind = cost.check_seconds if event.step_key in checks else cost.seconds
            kind[event.step_key] += event.step_success_data.duration_ms / 1000
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        processed = materialization.metadata.get("processed")
        if processed is not None:  # a range of partitions reports one step many times
            cost.images_computed[materialization.asset_key.to_user_string()] = int(str(processed.value))
    return cost


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


class EqualMasker:
    """A remover whose masks are those that the library has: it knows them by picture."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def worker(self, spec: ModelSpec) -> CutoutWorker:
        """Return a worker of the cut-out stage that stores under ``spec``."""
        return _EqualMasks(self._library, spec)


class _EqualMasks(CutoutWorker):
    def __init__(self, library: Library, spec: ModelSpec) -> None:
        self._objects = library.objects

    def compute(self, pictures: Sequence[Picture]) -> list[tuple[str, Mask]]:
        return [("model", square_mask(_first_like(picture.claim.image_id))) for picture in pictures]


def _first_like(image_id: int) -> int:
    return (image_id - 1) % 256 + 1


def new_equal_remover(library: Library) -> tuple[Cost, Cost]:
    """Fill in and promote a remover that makes equal masks; return its own cost and that of the colours after it."""
    register(library, ISNET)
    own = run_beside(library, Stage("matting", 64, lambda _library, spec: EqualMasker(library).worker(spec)))
    with library.database.session() as session:
        models.activate(session, ISNET.spec_id)
        session.commit()
    return own, run_beside(library, COLORS)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.incremental", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="300 and 600 images instead of 10,000 and 100,000")
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of images")
    wanted = parser.parse_args()
    sizes = wanted.sizes or (QUICK_SIZES if wanted.quick else SIZES)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, PostgreSQL embedded")
    for size in sizes:
        with synthetic_library(size) as library, dg.DagsterInstance.ephemeral() as instance:
            for name in ("first", "nothing new", "nothing new", "nothing new"):
                cost = refresh(library, instance)
                print(size, name, cost.line())
            print(dict(cost.seconds), dict(cost.check_seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
