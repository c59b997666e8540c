"""How complete the library is, in numbers that plot over time."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
from sqlalchemy.orm import Session

from lib.models.registry import STAGE_OF_ROLE
from lib.storage import ledger, models
from lib.storage.images import count_images, live_object_hashes
from lib.storage.library import Library
from lib.storage.tables import Model
from orchestration.assets.derived import FRESHNESS
from orchestration.assets.search_index import EVERYTHING_DERIVED
from orchestration.resources import LibraryResource


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
        "coverage": dg.MetadataValue.md(_table(rows)),
    }
    for model, counts in rows:
        metadata |= _figures(model, counts)
    return dg.MaterializeResult(metadata=metadata)


def _figures(model: Model, counts: ledger.StageCounts) -> dict[str, Any]:
    """Return a model's coverage as a share in [0, 1], and of the one that answers what is left to do."""
    total = counts.done + counts.pending + counts.failed + counts.dead
    stage = STAGE_OF_ROLE[model.role]
    figures: dict[str, Any] = {f"coverage/{stage}/{model.name}": counts.done / total if total else 1.0}
    if model.state == "active":
        figures[f"{stage}_pending"] = counts.pending
    return figures


def _file_differences(session: Session, library: Library) -> tuple[int, int]:
    named, stored = live_object_hashes(session), set(library.objects.hashes())
    return len(named - stored), len(stored - named)


def _table(rows: Sequence[tuple[Model, ledger.StageCounts]]) -> str:
    head = "|stage|model|state|done|pending|failed|dead|\n|---|---|---|---|---|---|---|"
    lines = [
        f"|{STAGE_OF_ROLE[model.role]}|{model.name}|{model.state}|{counts.done}|{counts.pending}"
        f"|{counts.failed}|{counts.dead}|"
        for model, counts in rows
    ]
    return "\n".join([head, *lines])
