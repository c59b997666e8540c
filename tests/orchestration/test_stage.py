"""The loop behind every derived asset."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from lib.arrays import Embeddings
from lib.errors import WeightsMissing
from lib.models.registry import ModelSpec, model_specs
from lib.storage import ledger, models
from lib.storage.library import Library
from lib.storage.tables import ClipEmbedding, StageResult
from orchestration.partitions import BUCKET_COUNT
from orchestration.stage import Picture, StageReport, Worker, run_stage
from tests.conftest import AddImage
from tests.orchestration.conftest import RED, CountingStage, CountingWorker

EVERYTHING = range(BUCKET_COUNT)


def run(library: Library, counting: CountingStage, run_id: str, *, force: bool = False) -> StageReport:
    """Run a stage over all buckets, alive as a Dagster run is."""
    with ledger.running(library.database, run_id):
        return run_stage(library, counting.stage, run_id=run_id, buckets=EVERYTHING, force=force)


def other_clip(library: Library) -> ModelSpec:
    """Register a second CLIP model beside the active one."""
    spec = next(spec for spec in model_specs("standard") if spec.role == "clip")
    with library.database.session() as session:
        assert models.add_model(session, spec).state == "filling"
        session.commit()
    return spec


def test_a_second_run_computes_nothing_and_loads_no_model(library: Library, add_image: AddImage) -> None:
    for color in ("green", "blue", "white"):
        add_image(color)
    counting = CountingStage()
    assert run(library, counting, "first").processed == 3
    with library.database.session() as session:
        before = session.execute(sa.select(StageResult.__table__)).all()
    assert run(library, counting, "second").processed == 0
    assert len(counting.seen) == 3
    with library.database.session() as session:
        assert session.execute(sa.select(StageResult.__table__)).all() == before


def test_one_new_image_costs_one_image(library: Library, add_image: AddImage) -> None:
    add_image("green"), add_image("blue")
    counting = CountingStage()
    run(library, counting, "first")
    new = add_image("white")
    assert run(library, counting, "second").processed == 1
    assert counting.seen[-1] == new.id


def test_a_bad_picture_becomes_a_row_and_the_rest_is_done(library: Library, add_image: AddImage) -> None:
    bad = add_image("red")
    for color in ("green", "blue", "white"):
        add_image(color)
    assert run(library, CountingStage(refuses=RED), "first").processed == 3
    with library.database.session() as session:
        row = session.execute(sa.select(StageResult).where(StageResult.image_id == bad.id)).scalar_one()
    assert (row.status, row.attempts) == ("failed", 1)
    assert row.error is not None
    assert "corrupt" in row.error


def test_a_result_that_cannot_be_stored_does_not_lose_its_neighbours(library: Library, add_image: AddImage) -> None:
    bad = add_image("red")
    for color in ("green", "blue", "white"):
        add_image(color)
    counting = CountingStage(cannot_store=bad.id)
    assert run(library, counting, "first").processed == 3
    with library.database.session() as session:
        assert [row[:2] for row in ledger.failures(session, stage="clip_embeddings", limit=5)] == [(bad.id, "failed")]
        stored = set(session.scalars(sa.select(ClipEmbedding.image_id)))
    assert bad.id not in stored
    assert len(stored) == 3


def test_a_lease_that_is_lost_meanwhile_costs_its_neighbours_nothing(library: Library, add_image: AddImage) -> None:
    lost = add_image("red")
    for color in ("green", "blue", "white"):
        add_image(color)
    counting = CountingStage()

    class TakenOver(CountingWorker):
        def compute(self, pictures: Sequence[Picture]) -> Embeddings:
            with library.database.session() as session:  # another run takes one image over while the model is at work
                takeover = sa.update(StageResult).where(StageResult.image_id == lost.id).values(lease_owner="another")
                session.execute(takeover)
                session.commit()
            return super().compute(pictures)

    stage = replace(counting.stage, load=lambda _library, spec: TakenOver(spec.spec_id, counting.seen))
    with ledger.running(library.database, "another"), ledger.running(library.database, "first"):
        assert run_stage(library, stage, run_id="first", buckets=EVERYTHING, force=False).processed == 3
    with library.database.session() as session:
        assert lost.id not in set(session.scalars(sa.select(ClipEmbedding.image_id)))
        row = session.execute(sa.select(StageResult).where(StageResult.image_id == lost.id)).scalar_one()
    assert (row.status, row.lease_owner) == ("leased", "another")


def test_a_lost_file_becomes_a_row(library: Library, add_image: AddImage) -> None:
    image = add_image("green")
    add_image("blue")
    library.objects.delete(image.working_copy_sha256)
    assert run(library, CountingStage(), "first").processed == 1
    with library.database.session() as session:
        assert [row[1] for row in ledger.failures(session, stage="clip_embeddings", limit=5)] == ["failed"]


def test_a_new_model_fills_only_its_own_rows(library: Library, add_image: AddImage) -> None:
    for color in ("green", "blue"):
        add_image(color)
    counting = CountingStage()
    run(library, counting, "first")
    spec = other_clip(library)
    assert run(library, counting, "second").processed == 2
    assert run(library, counting, "third").processed == 0
    with library.database.session() as session:
        rows = session.execute(sa.select(ClipEmbedding.spec_id, sa.func.count()).group_by(ClipEmbedding.spec_id))
        assert dict(rows.all())[spec.spec_id] == 2


def test_a_filling_model_takes_over_only_when_complete(library: Library, add_image: AddImage) -> None:
    add_image("green")
    run(library, CountingStage(), "first")
    spec = other_clip(library)
    with library.database.session() as session:
        assert models.complete_models(session) == []
    run(library, CountingStage(), "second")
    with library.database.session() as session:
        assert [model.spec_id for model in models.complete_models(session)] == [spec.spec_id]
        models.activate(session, spec.spec_id)
        assert models.require_active(session, "clip").spec_id == spec.spec_id


def test_a_model_without_weights_does_not_keep_another_from_filling_in(library: Library, add_image: AddImage) -> None:
    add_image("green")
    spec = other_clip(library)
    counting = CountingStage()

    def load(opened: Library, wanted: ModelSpec) -> Worker[Any]:
        if wanted.spec_id != spec.spec_id:
            raise WeightsMissing("fetch them")
        return counting.stage.load(opened, wanted)

    stage = replace(counting.stage, load=load)
    with ledger.running(library.database, "first"):
        assert run_stage(library, stage, run_id="first", buckets=EVERYTHING, force=False).processed == 1


def test_a_stage_without_any_weights_says_how_to_get_them(library: Library, add_image: AddImage) -> None:
    add_image("green")

    def load(_library: Library, _spec: ModelSpec) -> Worker[Any]:
        raise WeightsMissing("models pull standard")

    stage = replace(CountingStage().stage, load=load)
    with ledger.running(library.database, "first"), pytest.raises(WeightsMissing, match="models pull"):
        run_stage(library, stage, run_id="first", buckets=EVERYTHING, force=False)
    assert run(library, CountingStage(), "second").processed == 1


def test_force_computes_everything_again(library: Library, add_image: AddImage) -> None:
    add_image("green"), add_image("blue")
    counting = CountingStage()
    run(library, counting, "first")
    assert run(library, counting, "forced", force=True).processed == 2


def test_a_failing_machine_ends_the_run_and_leaves_no_lease_behind(library: Library, add_image: AddImage) -> None:
    add_image("green")
    broken = CountingStage()
    broken.seen = _FullDisk()  # type: ignore[assignment]  stands for any OSError of the machinery
    with pytest.raises(OSError, match="No space left"):
        run(library, broken, "first")
    assert run(library, CountingStage(), "second").processed == 1


class _FullDisk(list[int]):
    def extend(self, _items: object) -> None:
        raise OSError(28, "No space left on device")
