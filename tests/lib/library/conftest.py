"""A library to add to, spoil, back up and restore: the shared test server's database, files of its own."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from lib.settings import Settings
from lib.storage.database import Database, DatabaseUrls
from lib.storage.library import Library
from lib.storage.objects import ObjectStore

Write = Callable[..., Path]


@pytest.fixture
def library(database: Database, objects: ObjectStore, server_url: str) -> Library:
    settings = Settings(home=objects.home, DATABASE_URL=server_url)
    return Library(settings, database, objects, DatabaseUrls(server_url, server_url))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A person's folder of pictures, still empty."""
    folder = tmp_path / "My pictures"
    folder.mkdir()
    return folder


@pytest.fixture
def write(folder: Path) -> Write:
    """A function that puts a picture of one colour into the folder."""

    def put(name: str, color: str = "red", size: tuple[int, int] = (40, 30)) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        sink = io.BytesIO()
        PillowImage.new("RGB", size, color).save(sink, "PNG")
        path.write_bytes(sink.getvalue())
        return path

    return put
