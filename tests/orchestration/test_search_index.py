"""What `search_index` and `coverage` do and report, run as Dagster runs them."""

from typing import Any

import dagster as dg
import numpy as np
import pytest
import sqlalchemy as sa

from lib.models.registry import CLIP_LAION2B, STAGE_OF_ROLE, model_specs
from lib.storage import ledger, measurements, models
from lib.storage.database import Database
from lib.storage.embeddings import put_embedding
from lib.storage.library import Library
from lib.storage.tables import Image, Recall
from orchestration.assets.search_index import measure_changed, promote
from orchestration.definitions import defs
from tests.conftest import AddImage

COLORS = [f"#{16 * place:02x}2060" for place in range(12)]


@pytest.fixture
def pictures(library: Library, add_image: AddImage) -> list[Image]:
    """Twelve images with every stage done under the packaged models."""
    added = [add_image(color) for color in COLORS]
    for spec in model_specs("packaged"):
        finish(library, spec.spec_id, added)
    return added


def finish(library: Library, spec_id: str, pictures: list[Image], *, norm: float = 1.0) -> None:
    """Store a vector (where the model makes any) and a ledger row for each picture under a registered model."""
    rng = np.random.default_rng(int(spec_id[:8], 16))
    with library.database.session() as session:
        model = models.require_model(session, spec_id)
        work = ledger.Work(STAGE_OF_ROLE[model.role], spec_id, run_id="")
        for picture in pictures:
            if model.role in ("resnet", "clip"):
                vector = rng.standard_normal(model.dimension or 0)
                put_embedding(session, model.role, picture.id, spec_id, norm * vector / np.linalg.norm(vector))
            ledger.record_on_request(session, work, picture.id, picture.working_copy_sha256)
        session.commit()


def run_index(library: Library, patch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """Run the job and return each asset's metadata."""
    patch.setenv("VITRINE_HOME", str(library.settings.home_path))
    patch.setenv("DATABASE_URL", library.urls.library)
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def("index").execute_in_process(instance=instance)
    return {
        event.step_key or "": {
            name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
    }


def test_quality_and_coverage_stand_in_the_metadata_as_numbers(
    library: Library, pictures: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = run_index(library, monkeypatch)
    index, coverage = metadata["search_index"], metadata["coverage"]
    assert index["recall_at_10_resnet"] == index["recall_at_10_clip"] == 1.0
    assert 0 < index["median_nearest_distance_clip"] < index["median_random_distance_clip"] < 2
    assert 0.5 < index["separation_resnet"] <= 1
    assert "/quality.svg)" in index["quality_clip"]
    assert len(index["quality_clip"]) < 1000
    assert coverage["coverage/cutouts/u2netp"] == 1.0
    assert coverage["coverage/clip_embeddings/conse-lite2-minilm"] == 1.0
    assert (coverage["dagster/row_count"], coverage["clip_embeddings_pending"]) == (len(COLORS), 0)


def test_an_unchanged_library_is_not_measured_again(library: Library, pictures: list[Image]) -> None:
    with library.database.session() as session:
        assert len(measure_changed(session, library.settings.home_path, "cpu")) == 2
        rows = session.scalar(sa.select(sa.func.count()).select_from(Recall))
        assert measure_changed(session, library.settings.home_path, "cpu") == []
        assert session.scalar(sa.select(sa.func.count()).select_from(Recall)) == rows


def test_a_library_that_has_grown_is_measured_again(
    library: Library, pictures: list[Image], add_image: AddImage
) -> None:
    spec_id = models_of(library)["clip"]
    with library.database.session() as session:
        measure_changed(session, library.settings.home_path, "cpu")
        session.commit()
    finish(library, spec_id, [add_image("white")])
    with library.database.session() as session:
        measure_changed(session, library.settings.home_path, "cpu")
        history = measurements.recall_history(session, spec_id)
    assert [point.image_count for point in history if point.k == 1] == [12, 13]


def models_of(library: Library) -> dict[str, str]:
    """Return the active spec of each role."""
    with library.database.session() as session:
        return {model.role: model.spec_id for model in models.all_models(session) if model.state == "active"}


def register(library: Library) -> str:
    """Register a second CLIP model, filling, and return its spec."""
    with library.database.session() as session:
        models.add_model(session, CLIP_LAION2B)
        session.commit()
    return CLIP_LAION2B.spec_id


def test_a_complete_model_takes_over_with_a_comparison(library: Library, pictures: list[Image]) -> None:
    old, new = models_of(library)["clip"], register(library)
    finish(library, new, pictures)
    with library.database.session() as session:
        (compared,) = promote(session)
        session.commit()
    assert (compared.old.spec_id, compared.old.state) == (old, "retired")
    assert (compared.new.spec_id, compared.new.state) == (new, "active")
    assert compared.overlap is not None


def test_a_model_with_one_image_to_do_does_not_take_over(library: Library, pictures: list[Image]) -> None:
    new = register(library)
    finish(library, new, pictures[1:])
    with library.database.session() as session:
        assert promote(session) == []


def test_a_model_whose_vectors_are_not_sound_does_not_take_over(library: Library, pictures: list[Image]) -> None:
    new = register(library)
    finish(library, new, pictures, norm=0.5)
    with library.database.session() as session:
        assert promote(session) == []


def test_a_model_that_failed_on_many_images_does_not_take_over(library: Library, pictures: list[Image]) -> None:
    new = register(library)
    finish(library, new, pictures)
    with library.database.session() as session:
        dead = sa.text("UPDATE stage_results SET status = 'dead' WHERE spec_id = :spec AND image_id = :image")
        session.execute(dead, {"spec": new, "image": pictures[0].id})
        assert promote(session) == []


def test_going_back_and_forth_changes_who_answers_and_nothing_else(library: Library, pictures: list[Image]) -> None:
    old, new = models_of(library)["clip"], register(library)
    finish(library, new, pictures)
    with library.database.session() as session:
        promote(session)
        session.commit()
        for expected in (old, new, old):
            assert models.roll_back(session, "clip").spec_id == expected
            session.commit()
            assert models.require_active(session, "clip").spec_id == expected
        assert models.coverage(session, models.require_model(session, new)).done == len(pictures)


def test_counts_by_bucket_are_the_counts_of_each_bucket(database: Database, pictures: list[Image]) -> None:
    with database.session() as session:
        spec_id = models.require_active(session, "clip").spec_id
        session.execute(sa.text("UPDATE stage_results SET status = 'dead' WHERE image_id % 3 = 0"))
        session.execute(sa.text("UPDATE stage_results SET input_hash = 'other' WHERE image_id % 3 = 1"))
        at_once = ledger.count_by_bucket(session, ledger.Work("clip_embeddings", spec_id, "", tuple(range(16)), 16))
        one_by_one = {
            bucket: ledger.count(session, ledger.Work("clip_embeddings", spec_id, "", (bucket,), 16))
            for bucket in range(16)
        }
    assert at_once == one_by_one
    assert ledger.sum_of(at_once.values()) == ledger.StageCounts(done=4, pending=4, failed=0, dead=4)
