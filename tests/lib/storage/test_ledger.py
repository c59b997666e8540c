"""Claims, leases, deaths: who may work on what, and who may write."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from lib.errors import LeaseLost
from lib.models.registry import model_spec
from lib.storage import ledger
from lib.storage.database import Database
from lib.storage.ledger import MAX_ATTEMPTS, Claim, Work
from lib.storage.tables import StageResult
from tests.conftest import AddImage

SPEC = model_spec("clip", "packaged").spec_id
STAGE = "clip_embeddings"


def work(run_id: str) -> Work:
    """Return the work of a run over everything."""
    return Work(STAGE, SPEC, run_id)


def claim(database: Database, run_id: str, limit: int = 10) -> list[Claim]:
    """Seed and claim, each committed, as a stage does."""
    with database.session() as session:
        ledger.open_work(session, work(run_id))
        claims = ledger.claim(session, work(run_id), limit=limit)
        session.commit()
    return claims


def finish(database: Database, run_id: str, claims: list[Claim]) -> None:
    """Record every claim as done."""
    with database.session() as session:
        for one in claims:
            ledger.record_ok(session, work(run_id), one)
        session.commit()


@contextmanager
def dead_run(database: Database, url: str, run_id: str, limit: int) -> Iterator[list[Claim]]:
    """Claim in a process of its own that then kills itself with SIGKILL."""
    script = textwrap.dedent(f"""
        import os, signal
        from lib.storage import ledger
        from lib.storage.database import Database
        database = Database({url!r})
        work = ledger.Work({STAGE!r}, {SPEC!r}, {run_id!r})
        with ledger.running(database, {run_id!r}), database.session() as session:
            ledger.open_work(session, work)
            ledger.claim(session, work, limit={limit})
            session.commit()
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -9
    _wait_until_lock_is_free(database, run_id)
    yield []


def _wait_until_lock_is_free(database: Database, run_id: str) -> None:
    for _ in range(100):
        with database.session() as session:
            if not ledger.is_running(session, run_id):
                return
            session.execute(sa.text("SELECT pg_sleep(0.05)"))
    pytest.fail("the server still holds the lock of a process that is gone")


def states(database: Database) -> dict[int, str]:
    """Return the status of every row by image id."""
    with database.session() as session:
        return dict(session.execute(sa.select(StageResult.image_id, StageResult.status)).all())


def test_work_that_is_done_is_never_claimed_again(database: Database, add_image: AddImage) -> None:
    add_image("red"), add_image("blue")
    with ledger.running(database, "first"):
        finish(database, "first", claim(database, "first"))
    assert claim(database, "second") == []


def test_seeding_an_unchanged_library_writes_no_row(database: Database, add_image: AddImage) -> None:
    add_image("red")
    with database.session() as session:
        assert ledger.open_work(session, work("a")) == 1
        assert ledger.open_work(session, work("a")) == 0


def test_two_runs_share_the_work_and_never_claim_the_same_image(database: Database, add_image: AddImage) -> None:
    ids = {add_image(color).id for color in ("red", "green", "blue", "white")}
    with ledger.running(database, "a"), ledger.running(database, "b"):
        of_a, of_b = claim(database, "a", limit=2), claim(database, "b", limit=10)
    assert {c.image_id for c in of_a} | {c.image_id for c in of_b} == ids
    assert len(of_a) + len(of_b) == len(ids)


def test_newest_images_come_first(database: Database, add_image: AddImage) -> None:
    ids = [add_image(color).id for color in ("red", "green", "blue")]
    assert [c.image_id for c in claim(database, "a")] == ids[::-1]


def test_a_living_runs_lease_is_not_taken(database: Database, add_image: AddImage) -> None:
    add_image("red")
    with ledger.running(database, "alive"):
        assert len(claim(database, "alive")) == 1
        assert claim(database, "other") == []


def test_a_dead_runs_batch_is_taken_over_one_image_at_a_time(
    database: Database, server_url: str, add_image: AddImage
) -> None:
    for color in ("red", "green", "blue"):
        add_image(color)
    with dead_run(database, server_url, "dead", limit=3):
        taken = claim(database, "next", limit=10)
    assert len(taken) == 1


def test_only_the_image_that_kills_alone_dies(database: Database, server_url: str, add_image: AddImage) -> None:
    """Three were in the first dead worker's hands; two more workers die with the killer alone."""
    for color in ("red", "green", "blue"):
        add_image(color)
    with dead_run(database, server_url, "crash-0", limit=3), ledger.running(database, "honest"):
        innocent = claim(database, "honest", limit=10)
        finish(database, "honest", innocent)
        innocent = claim(database, "honest", limit=10)
        finish(database, "honest", innocent)
    for crash in ("crash-1", "crash-2"):
        with dead_run(database, server_url, crash, limit=10):
            pass
    assert claim(database, "last") == []
    assert sorted(states(database).values()) == ["dead", "ok", "ok"]


def test_the_image_that_a_worker_died_of_comes_after_the_others_of_its_batch(
    database: Database, server_url: str, add_image: AddImage
) -> None:
    images = [add_image(color) for color in ("red", "green", "blue")]
    with dead_run(database, server_url, "dead", limit=10), dead_run(database, server_url, "dead-alone", limit=10):
        order = [claim(database, "heir", limit=1)[0].image_id for _ in images]
    assert order == [images[1].id, images[0].id, images[2].id]


def test_a_zombie_cannot_write(database: Database, server_url: str, add_image: AddImage) -> None:
    add_image("red")
    zombie = claim(database, "zombie")  # holds no lock: as dead as a run whose connection broke
    with ledger.running(database, "heir"):
        heirs = claim(database, "heir")
        assert [c.image_id for c in heirs] == [c.image_id for c in zombie]
        with pytest.raises(LeaseLost):
            finish(database, "zombie", zombie)
        finish(database, "heir", heirs)


def test_a_failure_waits_then_dies_and_a_retry_brings_it_back(database: Database, add_image: AddImage) -> None:
    add_image("red")
    for attempt in range(MAX_ATTEMPTS):
        (one,) = claim(database, f"run-{attempt}")
        with database.session() as session:
            ledger.record_failure(session, work(f"run-{attempt}"), one, "corrupt")
            session.commit()
        assert claim(database, "impatient") == []
        with database.session() as session:
            session.execute(sa.update(StageResult).values(next_attempt_at=sa.func.now()))
            session.commit()
    assert list(states(database).values()) == ["dead"]
    with database.session() as session:
        assert ledger.retry_failures(session) == 1
        session.commit()
    assert len(claim(database, "again")) == 1


def test_a_new_input_makes_the_image_pending_again(database: Database, add_image: AddImage) -> None:
    image = add_image("red")
    with ledger.running(database, "a"):
        finish(database, "a", claim(database, "a"))
    with database.session() as session:
        session.execute(
            sa.text("UPDATE images SET working_copy_sha256 = repeat('0', 64) WHERE id = :id"), {"id": image.id}
        )
        session.commit()
        assert ledger.count(session, work("a")).pending == 1
    assert len(claim(database, "b")) == 1


def test_only_the_buckets_asked_for_are_claimed(database: Database, add_image: AddImage) -> None:
    images = [add_image(color) for color in ("red", "green", "blue", "white", "black", "yellow")]
    inside = {image.id for image in images if image.first_byte % 2 == 0}
    half = Work(STAGE, SPEC, "a", buckets=(0,), bucket_count=2)
    with database.session() as session:
        ledger.open_work(session, half)
        assert {c.image_id for c in ledger.claim(session, half, limit=10)} == inside


def test_counts_add_up_to_the_live_library(database: Database, add_image: AddImage) -> None:
    for color in ("red", "green", "blue"):
        add_image(color)
    with ledger.running(database, "a"):
        finish(database, "a", claim(database, "a", limit=1))
    with database.session() as session:
        counts = ledger.count(session, work("a"))
        assert (counts.done, counts.pending, counts.failed, counts.dead) == (1, 2, 0, 0)
        assert ledger.due_count(session, work("a")) == 2
