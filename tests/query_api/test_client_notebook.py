"""The notebook of the Python client runs from its first cell to its last, and is kept with its results."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image as PillowImage

from tests.query_api.conftest import REPOSITORY
from tests.query_api.fake_dagster import FakeDagster

NOTEBOOK = REPOSITORY / "docs" / "client.ipynb"
MAX_BYTES = 400_000
FEWEST_PICTURES = 6


def pictures(notebook: Any) -> Iterator[PillowImage.Image]:
    """Yield the pictures that a notebook shows."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/jpeg" in output.get("data", {}):
                yield PillowImage.open(io.BytesIO(base64.b64decode(output["data"]["image/jpeg"])))


def kinds_of_results(notebook: Any) -> list[set[str]]:
    """Return what kinds of results each cell has, its pictures and texts."""
    return [
        {kind for output in cell.get("outputs", []) for kind in output.get("data", {output["output_type"]: ""})}
        for cell in notebook.cells
    ]


def is_blank(picture: PillowImage.Image) -> bool:
    low, high = picture.convert("L").getextrema()
    return bool(low == high)


@pytest.mark.timeout(300)
def test_it_runs_and_shows_what_it_is_kept_with(
    api: httpx.Client, dagster: FakeDagster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dagster.reset()
    monkeypatch.setenv("VITRINE_URL", str(api.base_url))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    kept = nbformat.read(NOTEBOOK, as_version=4)
    run = NotebookClient(
        nbformat.read(NOTEBOOK, as_version=4), timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    ).execute()
    assert len(dagster.launches) == 1
    assert kinds_of_results(run) == kinds_of_results(kept)
    shown = list(pictures(run))
    assert len(shown) >= FEWEST_PICTURES
    assert not any(is_blank(picture) for picture in shown)


def test_it_is_kept_with_its_pictures_and_stays_small() -> None:
    kept = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(kept)
    assert len([picture for picture in pictures(kept) if not is_blank(picture)]) >= FEWEST_PICTURES
    assert NOTEBOOK.stat().st_size < MAX_BYTES
    assert [cell.execution_count for cell in kept.cells if cell.cell_type == "code"] == list(
        range(1, 1 + sum(cell.cell_type == "code" for cell in kept.cells))
    )
