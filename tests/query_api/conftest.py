"""A query API that runs: ``python -m query_api`` on loopback, over a small library with every stage done."""

import dataclasses
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from PIL import Image as PillowImage
from PIL import ImageDraw

from lib.color.harmony import hue_histogram
from lib.color.layout import color_layout
from lib.color.palette import palette
from lib.embedding.loading import load_image_encoder
from lib.images.background import apply_mask, coverage, encode_mask_png, mask_from_alpha, subject_box
from lib.images.decoding import Decoder
from lib.images.working_copy import read_working_copy
from lib.models.registry import STAGE_OF_ROLE, model_spec, model_specs
from lib.scraping.site import Site
from lib.storage import images, ledger, models, sources
from lib.storage.database import Database, prepare
from lib.storage.embeddings import put_embedding
from lib.storage.features import ColorRecord, NewCutout, put_colors, put_cutout
from lib.storage.objects import ObjectStore
from lib.storage.tables import ClipEmbedding, Image
from tests.query_api.fake_dagster import FakeDagster

REPOSITORY = Path(__file__).parents[2]
PICTURES = REPOSITORY / "tests" / "data" / "pictures"
PLAIN = {"red": "#d02020", "orange": "#e08020", "cyan": "#20c0d0", "blue": "#2040d0", "grey": "#808080"}
SHARED: list["Seed"] = []  # the library of `seed`, once there is one
SITE = Site(name="test", start_urls=("https://pictures.example/",))
READY_TIMEOUT_S = 300.0  # some fifteen seconds on an idle machine
START_TIMEOUT_S = 60.0  # two seconds on an idle machine


def png(image: PillowImage.Image) -> bytes:
    """Return a picture as PNG."""
    sink = io.BytesIO()
    image.save(sink, "PNG")
    return sink.getvalue()


def plain(color: str, size: tuple[int, int] = (160, 120)) -> bytes:
    """Return a PNG of one colour."""
    return png(PillowImage.new("RGB", size, color))


def disc(color: str, size: int = 160) -> bytes:
    """Return a PNG of a disc with nothing around it."""
    image = PillowImage.new("RGBA", (size, size), (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((size // 4, size // 4, 3 * size // 4, 3 * size // 4), fill=color)
    return png(image)


@dataclasses.dataclass(frozen=True)
class Seed:
    """A library on disk and in Postgres, filled through lib.storage as the assets would fill it."""

    home: Path
    database_url: str
    database: Database
    objects: ObjectStore
    decoder: Decoder

    def add(self, name: str, data: bytes) -> Image:
        """Put a picture in."""
        digest = self.objects.put(data)
        decoded = self.decoder.decode(self.objects.path(digest))
        new = images.NewImage(
            sha256=digest,
            byte_count=len(data),
            format=decoded.format,
            width_px=decoded.width_px,
            height_px=decoded.height_px,
            has_alpha=decoded.has_alpha,
            phash=decoded.phash,
            working_copy_sha256=self.objects.put(decoded.working_copy),
            img_name=name,
            source="test",
        )
        with self.database.session() as session:
            image, _ = images.add_image(session, new)
            self.objects.link(digest, image.img_path)
            session.commit()
        return image

    def derive(self, image: Image) -> None:
        """Compute colours, vectors and, where the picture has alpha of its own, the cut-out."""
        rgba = read_working_copy(self.objects.read(image.working_copy_sha256))
        with self.database.session() as session:
            mask = mask_from_alpha(rgba, 320) if image.has_alpha else None
            if mask is not None:
                rgba_mask = self.objects.put(encode_mask_png(mask))
                spec_id = model_spec("matting", "packaged").spec_id
                put_cutout(session, image.id, spec_id, NewCutout(rgba_mask, "alpha", subject_box(mask), coverage(mask)))
                work = ledger.Work(STAGE_OF_ROLE["matting"], spec_id, run_id="")
                ledger.record_on_request(session, work, image.id, image.working_copy_sha256)
            seen = rgba if mask is None else apply_mask(rgba, mask)
            colors = palette(seen)
            record = ColorRecord(
                image.id, mask is not None, colors.lab, colors.weights, color_layout(seen), hue_histogram(seen)
            )
            put_colors(session, model_spec("color", "packaged").spec_id, record)
            for role in ("resnet", "clip"):
                spec = model_spec(role, "packaged")
                vector = load_image_encoder(spec, self.home, "cpu").encode_images([rgba])[0]
                put_embedding(session, role, image.id, spec.spec_id, vector)
                work = ledger.Work(STAGE_OF_ROLE[role], spec.spec_id, run_id="")
                ledger.record_on_request(session, work, image.id, image.working_copy_sha256)
            session.commit()


@contextmanager
def empty_library(server_url: str, decoder: Decoder, name: str) -> Iterator[Seed]:
    """A database of its own on the test server, and a home."""
    url = sa.make_url(server_url).set(database=name)
    admin = sa.create_engine(server_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    admin.dispose()
    rendered = url.render_as_string(hide_password=False)
    prepare(rendered)
    home = Path(tempfile.mkdtemp(prefix="vitrine-test-api-"))
    database = Database(rendered)
    yield Seed(home, rendered, database, ObjectStore(home), decoder)
    database.dispose()
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def seed(server_url: str, decoder: Decoder) -> Iterator[Seed]:
    """Photographs and plain pictures, every stage done but the cut-outs of opaque ones."""
    with empty_library(server_url, decoder, "query_api_tests") as seed:
        with seed.database.session() as session:
            for spec in model_specs("packaged"):
                models.add_model(session, spec)
            sources.upsert_source(session, "test", SITE.model_dump(mode="json"), enabled=True)
            session.commit()
        for path in sorted(PICTURES.glob("*.png")):
            seed.derive(seed.add(path.name, path.read_bytes()))
        for name, color in PLAIN.items():
            seed.derive(seed.add(f"{name}.png", plain(color)))
        SHARED.append(seed)
        yield seed
        SHARED.clear()


@pytest.fixture(scope="module", autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Take out, after each file of tests, the pictures that it put into the shared library and never derived."""
    yield
    for shared in SHARED:
        with shared.database.session() as session:
            seen = sa.select(ClipEmbedding.image_id)
            session.execute(sa.delete(Image).where(Image.id.not_in(seen)))
            session.commit()


@pytest.fixture(scope="session")
def dagster() -> Iterator[FakeDagster]:
    """Our own stand-in for Dagster's GraphQL."""
    with FakeDagster() as fake:
        yield fake


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_api(settings: dict[str, str], *, log: Path) -> Iterator[httpx.Client]:
    """Run ``python -m query_api`` with these variables, and yield a client once the process lives."""
    port = free_port()
    outside = {name: value for name, value in os.environ.items() if "VITRINE" not in name and name != "DATABASE_URL"}
    environment = {**outside, "VITRINE_API_PORT": str(port), "HF_HUB_OFFLINE": "1", **settings}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "query_api"], cwd=REPOSITORY, env=environment, stdout=output, stderr=output
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_for(lambda: _alive(client), START_TIMEOUT_S)
            yield client
    finally:
        process.terminate()
        process.wait(30)


def _alive(client: httpx.Client) -> bool:
    try:
        return client.get("/livez").is_success
    except httpx.TransportError:
        return False


def wait_for(condition: Callable[[], bool], timeout_s: float) -> None:
    """Wait until ``condition()``; fail when it takes longer."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not so within {timeout_s} s"
        time.sleep(0.05)


def library_settings(seed: Seed, dagster_url: str) -> dict[str, str]:
    """Return the variables that make a server work on a seeded library."""
    return {
        "VITRINE_HOME": str(seed.home),
        "DATABASE_URL": seed.database_url,
        "VITRINE_DAGSTER_URL": dagster_url,
        "VITRINE_MAX_IMAGE_BYTES": "3000000",
        "VITRINE_DEVICE": "cpu",
    }


@pytest.fixture(scope="session")
def api(seed: Seed, dagster: FakeDagster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server whose models are ready. The library is shared: tests put back what they change."""
    log = tmp_path_factory.mktemp("api") / "api.log"
    with running_api(library_settings(seed, dagster.url), log=log) as client:
        wait_for(lambda: client.get("/readyz").is_success, READY_TIMEOUT_S)
        yield client
    assert "Traceback" not in log.read_text()


@pytest.fixture
def paths(seed: Seed) -> dict[str, str]:
    """The img_path of each seeded image by its name."""
    with seed.database.session() as session:
        return {image.img_name: image.img_path for image in images.list_images(session, after_id=None, limit=200)}


@pytest.fixture
def ids(seed: Seed) -> dict[str, int]:
    """The id of each seeded image by its name."""
    with seed.database.session() as session:
        return {image.img_name: image.id for image in images.list_images(session, after_id=None, limit=200)}
