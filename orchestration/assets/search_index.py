"""Vectors -> a searchable library: complete models take over, the index and the models are measured."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import structlog
from sqlalchemy.orm import Session

from lib.embedding.loading import load_text_encoder
from lib.errors import ModelNotFound, WeightsMissing
from lib.models.registry import model_by_spec_id
from lib.search import comparison, quality
from lib.search.relevance import separation
from lib.storage import measurements, models
from lib.storage.embeddings import TABLES, Soundness, analyze_changed, count_vectors, soundness
from lib.storage.library import Library
from lib.storage.tables import Model
from orchestration.assets.derived import FRESHNESS
from orchestration.reports import quality_chart
from orchestration.resources import LibraryResource

UNIT_NORM_TOLERANCE = 2e-3  # halfvec keeps 11 bits of each component
EVERYTHING_DERIVED = ["cutouts", "color_features", "resnet_embeddings", "clip_embeddings"]
log = structlog.get_logger()


def vector_soundness(session: Session, model: Model) -> Soundness:
    """Look at every vector of a model; one that makes none has nothing that could be wrong."""
    if model.role not in TABLES:
        return Soundness(0, 0, 0)
    dimension = model.dimension or 0
    return soundness(session, model.role, spec_id=model.spec_id, dimension=dimension, tolerance=UNIT_NORM_TOLERANCE)


def promote(session: Session) -> list[comparison.Comparison]:
    """Activate the models that have filled up and are sound; return how each compares with the one before it."""
    promoted = []
    for model in models.complete_models(session):
        old = models.active_model(session, model.role)
        if not vector_soundness(session, model).is_sound:
            log.warning("model_not_sound", model=model.name, spec_id=model.spec_id)
            continue
        models.activate(session, model.spec_id)
        if old is not None:
            new = session.get_one(Model, model.spec_id, populate_existing=True)
            promoted.append(comparison.compare(session, session.get_one(Model, old.spec_id), new))
    return promoted


def measure_changed(session: Session, home: Path, device: str) -> list[str]:
    """Measure the models in use whose library has changed by a twentieth since, and return their names."""
    measured = []
    for model in (model for role in TABLES for model in models.working_models(session, role)):
        if _measure_index(session, model) | _measure_captions(session, model, home, device):
            measured.append(model.name)
    return measured


def _measure_index(session: Session, model: Model) -> bool:
    if model.role not in TABLES:
        return False
    count = count_vectors(session, model.role, spec_id=model.spec_id)
    if not measurements.is_stale(measurements.measured_count(session, model.spec_id, "index"), count):
        return False
    return quality.measure(session, model.role, model.spec_id)


def _measure_captions(session: Session, model: Model, home: Path, device: str) -> bool:
    if model.role != "clip":
        return False
    count = count_vectors(session, "clip", spec_id=model.spec_id)
    if not measurements.is_stale(measurements.measured_count(session, model.spec_id, "captions"), count):
        return False
    if not measurements.labelled_captions(session, limit=1):
        return False  # looked at first: loading a model takes seconds
    try:
        encoder = load_text_encoder(model_by_spec_id(model.spec_id), home, device)
    except (WeightsMissing, ModelNotFound) as error:
        log.warning("captions_not_measured", model=model.name, detail=str(error))
        return False
    return quality.measure_captions(session, encoder)


@dg.asset(
    group_name="serve",
    kinds={"pgvector"},
    deps=EVERYTHING_DERIVED,
    freshness_policy=FRESHNESS,
    automation_condition=dg.AutomationCondition.eager(),
)
def search_index(library: LibraryResource) -> dg.MaterializeResult[None]:
    """Promotes a model that has become complete; measures recall and distances where the library has changed."""
    opened = library.library
    settings = opened.settings
    with opened.database.session() as session:
        analyze_changed(session)
        session.commit()
        measured = measure_changed(session, settings.home_path, settings.device)
        session.commit()
        promoted = promote(session)
        session.commit()
        metadata = _metadata(session, opened, promoted)
    return dg.MaterializeResult(metadata=metadata | {"measured": ", ".join(measured) or "none"})


def _metadata(session: Session, library: Library, promoted: Sequence[comparison.Comparison]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"promoted": ", ".join(one.new.name for one in promoted) or "none"}
    for one in promoted:
        metadata[f"comparison_{one.role}"] = dg.MetadataValue.md(comparison.report(one))
    for role in TABLES:
        model = models.active_model(session, role)
        if model is not None:
            metadata |= _quality(session, model)
            metadata[f"quality_{role}"] = quality_chart(library.settings, model.spec_id)
    return metadata


def _quality(session: Session, model: Model) -> dict[str, float]:
    """Return a model's figures as numbers, so that the UI plots them over time."""
    index = measurements.latest_recalls(session, model.spec_id, "index")
    captions = measurements.latest_recalls(session, model.spec_id, "captions")
    quantiles = measurements.distance_quantiles(session, model.spec_id)
    figures = {f"recall_at_{k}_{model.role}": index[k].recall for k in quality.INDEX_K if k in index}
    figures |= {f"caption_recall_at_{k}": point.recall for k, point in captions.items()}
    figures |= {f"median_{kind}_distance_{model.role}": float(steps[50]) for kind, steps in quantiles.items()}
    if {"nearest", "random"} <= set(quantiles):
        figures[f"separation_{model.role}"] = separation(quantiles["nearest"], quantiles["random"])
    return {name: round(figure, 4) for name, figure in figures.items()}
