"""The whole main job, step by step, against the way one writes it first (naive_pipeline.py).

Both sides download the same photographs from loopback and end with hashes, cut-outs, colours and two vectors each in
PostgreSQL. Matting is u2netp, the encoders are ResNet34 and ViT-B/32 with seeded weights; models are loaded before the
clock runs. Processor time is that of this process, the decoder and the database server together. Goals: a 2.3rd of the
processor time at 0.66 megapixels, an eighth at 12. ``--size 0.66`` measures one size only.
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import psycopg

from bench.encoder_weights import seeded_clip, seeded_resnet34
from bench.loopback import server
from bench.naive_pipeline import NaivePipeline
from bench.our_pipeline import OurPipeline
from bench.paired import Comparison, Cost, measured, print_machine
from bench.photographs import SIZES, write_photographs
from lib.images.background import SubjectMasker
from lib.images.decoding import DecodeLimits, Decoder
from lib.images.matting_network import rembg_session
from lib.models.registry import U2NETP
from lib.models.weights import locate
from lib.settings import Settings
from lib.storage.library import Library, open_library

PATIENT = DecodeLimits(cpu_s=300, timeout_s=300)  # a busy machine is no reason to give up a measurement
GOALS = {"0.66 MP": 2.3, "12 MP": 8.0}
Costs = dict[str, list[Cost]]


@contextmanager
def both(size: str, count: int) -> Iterator[tuple[NaivePipeline, OurPipeline]]:
    """Yield the two pipelines over ``count`` photographs, models loaded."""
    home = Path(tempfile.mkdtemp(prefix="vitrine-bench-"))
    home.chmod(0o755)  # as root, the database server runs as a user of its own
    (home / "pictures").mkdir(), (home / "naive").mkdir()
    names = [path.name for path in write_photographs(home / "pictures", size, count)]
    with ExitStack() as stack:
        port = stack.enter_context(server(home / "pictures"))
        library = stack.enter_context(open_library(Settings(home=home)))
        urls = [f"http://127.0.0.1:{port}/{name}" for name in names]
        weights = locate(U2NETP, home)
        (resnet_spec, resnet), (clip_spec, clip) = seeded_resnet34(home), seeded_clip(home)
        connection = stack.enter_context(_connection(library))
        session = rembg_session(U2NETP.name, weights["u2netp.onnx"])
        decoder, masker = stack.enter_context(Decoder(PATIENT)), SubjectMasker(U2NETP, weights)
        yield (
            NaivePipeline(urls, home / "naive", connection, session, resnet, clip),
            OurPipeline(urls, home, library, decoder, masker, resnet_spec, clip_spec),
        )
    shutil.rmtree(home)


def _connection(library: Library) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(library.urls.library.replace("+psycopg", ""))


def other_processes(connection: psycopg.Connection[tuple[object, ...]]) -> Sequence[int]:
    """Return the processes beside this one whose time counts: the database server's, and the decoder."""
    postmaster = psutil.Process(connection.info.backend_pid).parent()
    family = postmaster.children() if postmaster else []
    decoders = [child for child in psutil.Process().children() if "decoding_worker" in " ".join(child.cmdline())]
    return [process.pid for process in (*family, *decoders)]


def run_round(pipeline: NaivePipeline | OurPipeline, connection: psycopg.Connection[tuple[object, ...]]) -> Costs:
    """Run every step once and return what each cost, and all of them."""
    pipeline.clear()
    costs = {name: measured(step, lambda: other_processes(connection)) for name, step in pipeline.steps()}
    total = Cost(sum(cost.wall_s for cost in costs.values()), sum(cost.cpu_s for cost in costs.values()))
    return {name: [cost] for name, cost in (costs | {"the whole": total}).items()}


def compare_size(size: str, *, count: int, rounds: int) -> None:
    """Print the ratio of every step at one size of picture."""
    with both(size, count) as pipelines:
        naive, ours = pipelines
        for pipeline in pipelines:
            run_round(pipeline, naive.connection)
        peer_costs: Costs = {}
        our_costs: Costs = {}
        for index in range(rounds):
            sides = [(naive, peer_costs), (ours, our_costs)]
            for pipeline, costs in sides if index % 2 else reversed(sides):
                for name, found in run_round(pipeline, naive.connection).items():
                    costs.setdefault(name, []).extend(found)
    for name in peer_costs:
        goal = GOALS[size] if name == "the whole" else None
        Comparison(f"{size}, {name}", count, peer_costs[name], our_costs[name]).report(goal)


def main() -> None:
    """Print every step at both sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, fewer pictures")
    parser.add_argument("--size", choices=list(SIZES), help="one size only")
    options = parser.parse_args()
    print_machine()
    for size in [options.size] if options.size else SIZES:
        small = size == "0.66 MP"
        count = (4 if small else 1) if options.quick else (24 if small else 4)
        compare_size(size, count=count, rounds=1 if options.quick else 5)


if __name__ == "__main__":
    main()
