"""The table in memory says what the database says, whatever happens there."""

import threading

import numpy as np
import pytest
import sqlalchemy as sa

from lib.color.layout import color_layout
from lib.models.registry import model_spec
from lib.search.color_table import ColorSnapshot, ColorTable
from lib.storage import clearing, models
from lib.storage.database import Database
from lib.storage.features import ColorRecord, active_colors, put_colors
from lib.storage.tables import Image

SPEC = model_spec("color", "packaged").spec_id


def add_images(database: Database, count: int, *, first: int = 0) -> list[int]:
    """Put rows of images in, without files."""
    with database.session() as session:
        images = [
            Image(
                sha256=f"{number:064x}",
                first_byte=0,
                format="PNG",
                byte_count=1,
                width_px=1,
                height_px=1,
                has_alpha=False,
                phash="0" * 64,
                working_copy_sha256="0" * 64,
                img_name="x",
                img_path=f"library/test/{number}.png",
            )
            for number in range(first, first + count)
        ]
        session.add_all(images)
        session.commit()
        return [image.id for image in images]


def record(image_id: int, rng: np.random.Generator, colors: int | None = None) -> ColorRecord:
    """Return made-up colours of an image."""
    count = int(rng.integers(1, 9)) if colors is None else colors
    picture = np.append(rng.integers(0, 256, (16, 16, 3)), np.full((16, 16, 1), 255), axis=2).astype(np.uint8)
    weights = np.sort(rng.dirichlet(np.ones(count)))[::-1] if count else np.empty(0)
    return ColorRecord(
        image_id=image_id,
        of_subject=bool(rng.integers(2)),
        palette_lab=rng.uniform(0, 60, (count, 3)).astype(np.float32),
        palette_weights=weights.astype(np.float32),
        layout=color_layout(picture),
        hue_histogram=rng.random(36).astype(np.float32),
    )


def put(database: Database, *records: ColorRecord, spec_id: str = SPEC) -> None:
    """Store colours, in a transaction of their own."""
    with database.session() as session:
        for each in records:
            put_colors(session, spec_id, each)
        session.commit()


def look(table: ColorTable, database: Database) -> ColorSnapshot:
    """Return what the table says now."""
    with database.session() as session:
        return table.snapshot(session, layouts=True)


def assert_in_step(table: ColorTable, database: Database) -> None:
    """Compare a table with the rows of the database, one by one."""
    colors = look(table, database)
    with database.session() as session:
        stored = active_colors(session)
    assert sorted(colors.ids[colors.rows].tolist()) == [each.image_id for each in stored]
    assert colors.layouts is not None
    for each, row in zip(stored, colors.rows_of(np.array([each.image_id for each in stored], np.int64)), strict=True):
        count = len(each.palette_weights)
        np.testing.assert_array_equal(colors.lab[row, :count], each.palette_lab)
        np.testing.assert_array_equal(colors.weights[row, :count], each.palette_weights)
        assert not colors.weights[row, count:].any()
        np.testing.assert_array_equal(colors.hues[row], each.hue_histogram)
        assert colors.of_subject[row] == each.of_subject
        np.testing.assert_array_equal(colors.layouts.stack.layouts(np.array([row]))[0, ..., :3], each.layout[..., :3])
    main = {each.image_id for each in stored if len(each.palette_weights)}
    nearest = colors.main_colors.nearest([50, 0, 0], len(stored) + 1)
    assert set(nearest.ids.tolist()) == main


@pytest.fixture
def filled(database: Database) -> tuple[ColorTable, list[int]]:
    """A table that has read a library of 40 images, one of them transparent all over."""
    rng = np.random.default_rng(1)
    ids = add_images(database, 40)
    put(database, *(record(image_id, rng, colors=0 if image_id == ids[0] else None) for image_id in ids))
    table = ColorTable()
    look(table, database)
    return table, ids


def test_reads_what_is_there(database: Database, filled: tuple[ColorTable, list[int]]) -> None:
    assert_in_step(filled[0], database)
    assert len(look(filled[0], database).colored_rows()) == 39


def test_follows_new_changed_and_erased_colors(database: Database, filled: tuple[ColorTable, list[int]]) -> None:
    table, ids = filled
    rng = np.random.default_rng(2)
    new = add_images(database, 5, first=100)
    put(database, *(record(image_id, rng) for image_id in new + ids[:7]))
    assert_in_step(table, database)
    with database.session() as session:
        session.execute(sa.delete(Image).where(Image.id.in_(ids[5:9])))
        session.commit()
    assert_in_step(table, database)


def test_follows_clearing_and_restoring(database: Database, filled: tuple[ColorTable, list[int]]) -> None:
    table, _ = filled
    with database.session() as session:
        clearing.clear(session, restore_days=1)
        session.commit()
    assert len(look(table, database).rows) == 0
    with database.session() as session:
        clearing.restore(session)
        session.commit()
    assert len(look(table, database).rows) == 40
    assert_in_step(table, database)


def test_follows_the_active_model(database: Database, filled: tuple[ColorTable, list[int]]) -> None:
    table, ids = filled
    with database.session() as session:
        session.execute(
            sa.text(
                "INSERT INTO models (spec_id, role, name, profile, languages, state, card) "
                "VALUES ('other', 'color', 'other', 'any', '{}', 'filling', '{}')"
            )
        )
        session.commit()
    put(database, *(record(image_id, np.random.default_rng(3)) for image_id in ids[:3]), spec_id="other")
    assert_in_step(table, database)
    for spec_id in ("other", SPEC):
        with database.session() as session:
            models.activate(session, spec_id)
            session.commit()
        assert_in_step(table, database)


def test_does_not_miss_a_transaction_that_commits_late(
    database: Database, filled: tuple[ColorTable, list[int]]
) -> None:
    """One begun before a look and committed after it, with a later one committed in between."""
    table, ids = filled
    rng = np.random.default_rng(4)
    with database.session() as slow:
        put_colors(slow, SPEC, record(ids[1], rng))
        put(database, record(ids[2], rng))
        look(table, database)
        slow.commit()
    assert_in_step(table, database)


def test_a_snapshot_stays_as_it_was(database: Database, filled: tuple[ColorTable, list[int]]) -> None:
    table, ids = filled
    before = look(table, database)
    held = before.ids[before.rows].copy(), before.lab.copy()
    put(database, *(record(image_id, np.random.default_rng(5)) for image_id in ids))
    look(table, database)
    np.testing.assert_array_equal(before.ids[before.rows], held[0])
    np.testing.assert_array_equal(before.lab, held[1])


def test_many_threads_see_everything_that_was_committed_before_they_looked(
    database: Database, filled: tuple[ColorTable, list[int]]
) -> None:
    table, ids = filled
    missed: list[int] = []

    def write_and_look(first: int) -> None:
        rng = np.random.default_rng(first)
        for image_id in add_images(database, 12, first=first):
            put(database, record(image_id, rng))
            colors = look(table, database)
            if image_id not in colors.ids[colors.rows]:
                missed.append(image_id)

    threads = [threading.Thread(target=write_and_look, args=(1000 * number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert missed == []
    assert len(look(table, database).rows) == len(ids) + 48
    assert_in_step(table, database)


def test_a_table_that_is_much_rewritten_is_read_anew(
    database: Database, filled: tuple[ColorTable, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.search.color_table.GONE_LEAST", 10)
    table, ids = filled
    for seed in range(3):
        put(database, *(record(image_id, np.random.default_rng(seed)) for image_id in ids[:25]))
        assert_in_step(table, database)
    assert len(look(table, database).ids) < 40 + 25 * 3
