"""Colour searches of a library of 100,000 pictures, over HTTP: the whole request less the decoding of the upload.

A real API process on the embedded server. The rows are synthetic (palettes and layouts of crops of the demo's pictures,
moved a little, written by COPY); the files behind them are the demo's. What is taken off is `Decoder.decode` of the
same upload in a decoder process of the same kind, measured here, alternately. Claim: at most 100 ms (95th percentile)
for similar and for complementary, as JSON; collages, of which drawing is to add at most 100 ms, and the other readings
are printed beside them. The API process's own processor time is printed, too: it says much the same on a busy machine,
and holds nothing of the decoder's.
"""

import argparse
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, perf_counter, sleep

import httpx2 as httpx
import numpy as np
import psutil
import sqlalchemy as sa
from PIL import Image

from bench.color_corpus import PICTURES, machine, pictures, real_palettes
from lib.color.harmony import hue_histogram
from lib.color.layout import color_layout
from lib.images.decoding import DecodeLimits, Decoder
from lib.models.registry import model_specs
from lib.settings import Settings
from lib.storage import models
from lib.storage.database import Database, database_urls, prepare
from lib.storage.objects import ObjectStore

JSON, PNG = "application/json", "image/png"
REQUESTS = [
    ("similar by palette", "/find_all_similar_by_lab", {}, JSON),
    ("complementary by palette", "/find_all_complementary", {}, JSON),
    ("similar by layout", "/find_all_similar_by_lab", {"match": "layout"}, JSON),
    ("complementary by layout", "/find_all_complementary", {"match": "layout"}, JSON),
    ("triadic by palette, painter's wheel", "/find_all_complementary", {"harmony": "triadic", "wheel": "ryb"}, JSON),
    ("similar by palette, collage", "/find_all_similar_by_lab", {}, PNG),
    ("complementary by palette, collage", "/find_all_complementary", {}, PNG),
]
CLAIMED = 2  # the first so many
READY_S = 300.0


def write_library(database: Database, objects: ObjectStore, decoder: Decoder, count: int) -> None:
    """Write images and their colours by COPY; pictures share a few working copies."""
    rng = np.random.default_rng(4)
    with database.session() as session:
        for spec in model_specs("packaged"):
            models.add_model(session, spec)
        session.commit()
        spec_id = next(spec.spec_id for spec in model_specs("packaged") if spec.role == "color")
    copies = [objects.put(decoder.decode(path).working_copy) for path in sorted(PICTURES.glob("*.webp"))[:20]]
    small = pictures(side_px=96)
    layouts, hues = [color_layout(each) for each in small], [hue_histogram(each) for each in small]
    lab, weights = real_palettes(count, crops=400)
    raw = database.engine.raw_connection()
    cursor = raw.cursor()
    columns = "sha256, first_byte, format, byte_count, width_px, height_px, has_alpha, phash, working_copy_sha256"
    with cursor.copy(f"COPY images ({columns}, img_name, img_path) FROM STDIN") as copy:
        for n in range(count):
            name = f"{n}.png"
            path = f"library/bench/{name}"
            row = (f"{n:064x}", 0, "PNG", 1, 96, 96, False, "0" * 64, copies[n % len(copies)], name, path)
            copy.write_row(row)
    cursor.execute("SELECT min(id) FROM images")
    first = cursor.fetchone()[0]
    columns = "image_id, spec_id, of_subject, palette_lab, palette_weights, layout, hue_histogram"
    with cursor.copy(f"COPY color_features ({columns}) FROM STDIN") as copy:
        for n in range(count):
            used = weights[n] > 0
            layout = layouts[n % len(layouts)].copy()
            layout[..., :3] += rng.normal(0, 3, 3).astype(np.float16)
            histogram = np.roll(hues[n % len(hues)], int(rng.integers(36))) * rng.uniform(0.5, 1.5, 36)
            row = (
                first + n, spec_id, False, lab[n][used].ravel().tolist(), weights[n][used].tolist(),
                layout.astype("<f2").tobytes(), histogram.tolist(),
            )  # fmt: skip
            copy.write_row(row)
    raw.commit()
    raw.close()
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ANALYZE"))


@contextmanager
def running_api(home: Path, url: str, log: Path) -> Iterator[tuple[httpx.Client, psutil.Process]]:
    """Run the API and yield a client once it can search by colour."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"VITRINE_HOME": str(home), "VITRINE_API_PORT": str(port), "DATABASE_URL": url}
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "query_api"], env=environment, stdout=output, stderr=output)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=READY_S) as client:
            deadline = monotonic() + READY_S
            while not _ready(client):
                assert monotonic() < deadline, log.read_text()[-2000:]
                sleep(0.5)
            yield client, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except httpx.TransportError:
        return False


def uploads(count: int) -> list[bytes]:
    """Return the demo's pictures as PNG files of up to 640 pixels."""
    files = []
    for rgba in pictures(side_px=640)[:count]:
        sink = io.BytesIO()
        Image.fromarray(rgba).save(sink, "PNG")
        files.append(sink.getvalue())
    return files


def measure(client: httpx.Client, api: psutil.Process, decoder: Decoder, folder: Path, files: list[bytes]) -> None:
    """Print, for each request, the 95th percentile of what it takes besides decoding."""
    for number, (name, path, parameters, accept) in enumerate(REQUESTS):
        decoding, beside, processor = [], [], []
        for turn, data in enumerate([files[0], *files]):
            staged = folder / "upload.png"
            staged.write_bytes(data)
            start = perf_counter()
            decoder.decode(staged)
            between, spent = perf_counter(), sum(api.cpu_times()[:2])
            reply = client.post(path, params=parameters, files={"image": ("q.png", data)}, headers={"Accept": accept})
            took = perf_counter() - between
            assert reply.is_success, reply.text
            if turn:  # the first one reads layouts where it needs them
                decoding.append(1e3 * (between - start))
                beside.append(1e3 * max(took - (between - start), 0))
                processor.append(1e3 * (sum(api.cpu_times()[:2]) - spent))
        claim = " (claim 100)" if number < CLAIMED else ""
        median, most = np.percentile(beside, [50, 95])
        print(
            f"{name}: {median:.0f} ms median, {most:.0f} ms 95th percentile{claim}; processor "
            f"{np.median(processor):.0f} ms median, {np.percentile(processor, 95):.0f} ms 95th percentile; taken off "
            f"for decoding {np.median(decoding):.0f} ms median, {np.percentile(decoding, 95):.0f} ms 95th percentile"
        )


def main() -> None:
    """Make the library, start the API, ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10,000 pictures, fewer queries")
    quick = parser.parse_args().quick
    count, queries = (10_000, 10) if quick else (100_000, 40)
    home = Path(tempfile.mkdtemp(prefix="vitrine-bench-"))
    home.chmod(0o755)
    try:
        with database_urls(Settings(home=home)) as urls, Decoder(DecodeLimits()) as decoder:
            prepare(urls.library)
            database = Database(urls.library)
            write_library(database, ObjectStore(home), decoder, count)
            database.dispose()
            start = perf_counter()
            with running_api(home, urls.library.replace("+psycopg", ""), home / "api.log") as (client, api):
                print(machine())
                print(f"{count:,} pictures; API ready {perf_counter() - start:.1f} s after the API was started")
                measure(client, api, decoder, home, uploads(queries))
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
