"""Vectors -> a searchable library: complete models take over, the index is measured against exact search."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import sqlalchemy as sa
from sqlalchemy.orm import Session

from lib.models.registry import STAGE_OF_ROLE
from lib.storage import ledger, models
from lib.storage.embeddings import TABLES, EmbeddingRole, embeddings, nearest
from lib.storage.images import count_images, live_object_hashes
from lib.storage.library import Library
from lib.storage.tables import Model
from orchestration.assets.derived import FRESHNESS
from orchestration.resources import LibraryResource

RECALL_QUERIES = 50
RECALL_K = 10
EVERYTHING_DERIVED = ["cutouts", "color_features", "resnet_embeddings", "clip_embeddings"]


def recall_at_k(session: Session, role: EmbeddingRole, spec_id: str, *, k: int, queries: int) -> float | None:
    """Return the share of exact ``k`` nearest neighbours that the index finds too, in [0, 1]; None without vectors.

    Queries are stored vectors, evenly spread over the library. The query image itself does not count.
    """
    ids, vectors = embeddings(session, role, spec_id=spec_id)
    if len(ids) < 2:
        return None
    step = max(1, len(ids) // queries)
    found = total = 0
    for index in range(0, len(ids), step):
        exact, indexed = (
            {
                neighbor.image_id
                for neighbor in nearest(session, role, vectors[index], spec_id=spec_id, k=k + 1, exact=is_exact)
            }
            - {ids[index]}
            for is_exact in (True, False)
        )
        found, total = found + len(exact & indexed), total + len(exact)
    return found / total


def promote(session: Session) -> list[str]:
    """Activate the models that have filled up, and return their names."""
    complete = models.complete_models(session)
    for model in complete:
        models.activate(session, model.spec_id)
    return [model.name for model in complete]


@dg.asset(
    group_name="serve",
    kinds={"pgvector"},
    deps=EVERYTHING_DERIVED,
    freshness_policy=FRESHNESS,
    automation_condition=dg.AutomationCondition.eager(),
)
def search_index(library: LibraryResource) -> dg.MaterializeResult[None]:
    """Promotes a model that has become complete, refreshes statistics, and measures recall@10 of the HNSW index."""
    with library.library.database.session() as session:
        promoted = promote(session)
        session.commit()
        for table in TABLES.values():
            session.execute(sa.text(f"ANALYZE {table.__tablename__}"))
        session.commit()
        recalls = {role: active_recall(session, role) for role in TABLES}
    metadata: dict[str, Any] = {"promoted": ", ".join(promoted) or "none"}
    metadata |= {f"recall_at_{RECALL_K}_{role}": recall for role, recall in recalls.items() if recall is not None}
    return dg.MaterializeResult(metadata=metadata)


def active_recall(session: Session, role: EmbeddingRole) -> float | None:
    """Return recall@10 of the index of the model that answers for a role, or None where there is nothing to find."""
    model = models.active_model(session, role)
    return None if model is None else recall_at_k(session, role, model.spec_id, k=RECALL_K, queries=RECALL_QUERIES)


@dg.asset(
    group_name="serve",
    kinds={"postgres"},
    deps=EVERYTHING_DERIVED,
    freshness_policy=FRESHNESS,
    automation_condition=dg.AutomationCondition.eager(),
)
def coverage(library: LibraryResource) -> dg.MaterializeResult[None]:
    """How complete the library is: done, pending, failed and dead per stage and model; missing and orphaned files."""
    with library.library.database.session() as session:
        total = count_images(session)
        rows = [(model, models.coverage(session, model)) for model in models.all_models(session)]
        missing, orphans = _file_differences(session, library.library)
    metadata: dict[str, Any] = {
        "dagster/row_count": total,
        "missing_files": missing,
        "orphaned_files": orphans,
        "coverage": dg.MetadataValue.md(_coverage_table(rows)),
    }
    for model, counts in rows:
        if model.state == "active":
            metadata[f"{STAGE_OF_ROLE[model.role]}_pending"] = counts.pending
    return dg.MaterializeResult(metadata=metadata)


def _file_differences(session: Session, library: Library) -> tuple[int, int]:
    named, stored = live_object_hashes(session), set(library.objects.hashes())
    return len(named - stored), len(stored - named)


def _coverage_table(rows: Sequence[tuple[Model, ledger.StageCounts]]) -> str:
    head = "|stage|model|state|done|pending|failed|dead|\n|---|---|---|---|---|---|---|"
    lines = [
        f"|{STAGE_OF_ROLE[model.role]}|{model.name}|{model.state}|{counts.done}|{counts.pending}"
        f"|{counts.failed}|{counts.dead}|"
        for model, counts in rows
    ]
    return "\n".join([head, *lines])
