"""A picture that kills its process ends as a row, and the rest is done."""

import subprocess
import sys
import time

import sqlalchemy as sa

from lib.storage.ledger import MAX_CRASHES
from lib.storage.library import Library
from lib.storage.tables import StageResult
from tests.conftest import AddImage

MAX_RUNS = 10


def start(library: Library, url: str, run_id: str, what: str) -> int:
    """Run the stage in a process of its own and return its exit code."""
    arguments = [url, str(library.objects.home), run_id, what]
    done = subprocess.run([sys.executable, "-m", "tests.orchestration.killer", *arguments], check=False)
    time.sleep(0.2)  # until the server has noticed that the connection is gone
    return done.returncode


def run_until_it_ends(library: Library, url: str) -> int:
    """Start runs, as retries of crashed ones do, until one comes to its end; return how many died before it."""
    for deaths in range(MAX_RUNS):
        code = start(library, url, f"run-{deaths}", "picture")
        if code == 0:
            return deaths
        assert code == -9
    raise AssertionError(f"{MAX_RUNS} runs died")


def test_one_killer_among_twelve_costs_itself_only(library: Library, server_url: str, add_image: AddImage) -> None:
    killer = add_image("red")
    innocent = [add_image("green", size=(100 + n, 100)) for n in range(11)]
    deaths = run_until_it_ends(library, server_url)
    with library.database.session() as session:
        rows = session.scalars(sa.select(StageResult).where(StageResult.stage == "clip_embeddings")).all()
    by_image = {row.image_id: row for row in rows}
    assert by_image[killer.id].status == "dead"
    assert "died" in (by_image[killer.id].error or "")
    assert [by_image[image.id].status for image in innocent] == ["ok"] * len(innocent)
    assert deaths == 1 + MAX_CRASHES  # once in a batch, then alone


def test_processes_that_die_of_loading_their_model_cost_no_picture(
    library: Library, server_url: str, add_image: AddImage
) -> None:
    images = [add_image(color) for color in ("green", "blue", "white")]
    for death in range(2 * MAX_CRASHES):
        assert start(library, server_url, f"dead-{death}", "loading") == -9
    assert start(library, server_url, "alive", "picture") == 0
    with library.database.session() as session:
        rows = session.scalars(sa.select(StageResult).where(StageResult.stage == "clip_embeddings")).all()
    assert [(row.status, row.crashes) for row in rows] == [("ok", 0)] * len(images)
