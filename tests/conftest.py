"""What every test may ask for: a real database, a home of its own, pictures in it."""

import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from PIL import Image as PillowImage

from lib.images.decoding import DecodeLimits, Decoder
from lib.models.registry import model_specs
from lib.settings import Settings
from lib.storage import images, models
from lib.storage.database import Database, database_urls, prepare
from lib.storage.declarative import Base
from lib.storage.objects import ObjectStore
from lib.storage.tables import Image
from tests.demo_library import Demo, open_folder, run_demo

DATA = Path(__file__).parent / "data"
AddImage = Callable[..., Image]


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The URL of a migrated library database on the embedded server, shared by the whole test run."""
    # Not below pytest's own temporary folder, which the server's user may not enter when the tests run as root.
    home = Path(tempfile.mkdtemp(prefix="vitrine-test-"))
    home.chmod(0o755)
    with database_urls(Settings(home=home)) as urls:
        prepare(urls.library)
        yield urls.library
    shutil.rmtree(home)


@pytest.fixture
def database(server_url: str) -> Iterator[Database]:
    """An empty library database with the packaged models registered; runs and leases may commit in it."""
    database = Database(server_url)
    with database.session() as session:
        names = ", ".join(table.name for table in Base.metadata.sorted_tables)
        session.execute(sa.text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
        for spec in model_specs("packaged"):
            models.add_model(session, spec)
        session.commit()
    yield database
    database.dispose()


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    """An empty object store."""
    return ObjectStore(tmp_path / "home")


@pytest.fixture(scope="session")
def decoder() -> Iterator[Decoder]:
    """The decoder process, started once."""
    with Decoder(DecodeLimits()) as decoder:
        yield decoder


@pytest.fixture
def add_image(database: Database, objects: ObjectStore, decoder: Decoder) -> AddImage:
    """A function that puts a picture of one colour (or given bytes) into the library, as a scrape would."""

    def add(name: str = "red", *, data: bytes | None = None, size: tuple[int, int] = (120, 100)) -> Image:
        if data is None:
            buffer = io.BytesIO()
            PillowImage.new("RGB", size, name).save(buffer, "PNG")
            data = buffer.getvalue()
        digest = objects.put(data)
        decoded = decoder.decode(objects.path(digest))
        new = images.NewImage(
            sha256=digest,
            byte_count=len(data),
            format=decoded.format,
            width_px=decoded.width_px,
            height_px=decoded.height_px,
            has_alpha=decoded.has_alpha,
            phash=decoded.phash,
            working_copy_sha256=objects.put(decoded.working_copy),
            img_name=f"{name}.png",
            source="test",
        )
        with database.session() as session:
            image, _ = images.add_image(session, new)
            objects.link(digest, image.img_path)
            session.commit()
            return image

    return add


@pytest.fixture(scope="session")
def demo() -> Iterator[Demo]:
    """The demo, run once in a fresh home as `make demo` does it."""
    with open_folder("demo") as home:
        yield Demo(home, run_demo(home))
