"""What must hold of the stored rows. Blocking checks keep bad results from being built upon; the others inform."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import sqlalchemy as sa

from lib.models.registry import STAGE_OF_ROLE, Role
from lib.storage import ledger, measurements, models
from lib.storage.embeddings import TABLES, EmbeddingRole
from lib.storage.sources import count_image_urls
from lib.storage.tables import Cutout, Image
from orchestration.assets.search_index import vector_soundness
from orchestration.partitions import BUCKET_COUNT, BUCKET_KEYS
from orchestration.resources import LibraryResource

MAX_FAILURE_RATE = 0.5
MIN_RECALL, RECALL_K = 0.95, 10
SAMPLE = 200


def failure_rate(*, failed: int, total: int) -> float:
    """Return the share of ``total`` that failed, 0 where there is nothing.

    >>> failure_rate(failed=1, total=4)
    0.25
    """
    return failed / total if total else 0.0


@dg.asset_check(asset="scraped_images", blocking=False)
def every_image_has_its_files(library: LibraryResource) -> dg.AssetCheckResult:
    """Each live image's file and working copy lie in the object store, and no two images share their bytes."""
    # Listing the folders costs a hundredth of asking for each file.
    stored = set(library.library.objects.hashes())
    with library.library.database.session() as session:
        rows = session.execute(
            sa.select(Image.sha256, Image.working_copy_sha256).where(Image.cleared_in.is_(None))
        ).all()
    objects = library.library.objects
    # What was not listed may have come in since: only that is asked for by itself.
    missing = [
        row.sha256 for row in rows if not all(digest in stored or objects.path(digest).exists() for digest in row)
    ]
    return dg.AssetCheckResult(
        passed=not missing, metadata={"images": len(rows), "missing": len(missing), "examples": missing[:5]}
    )


@dg.asset_check(asset="scraped_images")
def most_image_urls_answer(library: LibraryResource) -> dg.AssetCheckResult:
    """Fewer than half of all image URLs failed. A refusal is an answer; a broken network is not."""
    with library.library.database.session() as session:
        counts = count_image_urls(session)
    failed = sum(number for status, number in counts.items() if status.startswith("failed"))
    rate = failure_rate(failed=failed, total=sum(counts.values()))
    return dg.AssetCheckResult(
        passed=rate <= MAX_FAILURE_RATE,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"failure_rate": rate, "by_status": counts},
    )


def _stage_checks(role: Role) -> list[dg.AssetChecksDefinition]:
    stage = STAGE_OF_ROLE[role]

    @dg.asset_check(asset=stage, name="all_images_processed")
    def all_images_processed(library: LibraryResource) -> dg.AssetCheckResult:
        with library.library.database.session() as session:
            model = models.require_active(session, role)
            work = ledger.Work(stage, model.spec_id, "", tuple(range(BUCKET_COUNT)), BUCKET_COUNT)
            counts = ledger.count_by_bucket(session, work)
        pending = {key: counts[bucket].pending for bucket, key in enumerate(BUCKET_KEYS)}
        return dg.AssetCheckResult(
            passed=not any(pending.values()),
            severity=dg.AssetCheckSeverity.WARN,
            description="A green bucket was run; this says whether it is complete.",
            metadata={"pending": sum(pending.values()), "per_bucket": pending},
        )

    @dg.asset_check(asset=stage, name="most_images_succeed", blocking=True)
    def most_images_succeed(library: LibraryResource) -> dg.AssetCheckResult:
        """Stop what comes after where half of all images failed: then it is the stage that is broken."""
        with library.library.database.session() as session:
            model = models.require_active(session, role)
            counts = ledger.count(session, ledger.Work(stage, model.spec_id, ""))
        failed = counts.failed + counts.dead
        rate = failure_rate(failed=failed, total=failed + counts.done)
        return dg.AssetCheckResult(
            passed=rate <= MAX_FAILURE_RATE,
            description="One bad picture stops nothing; half of them bad means that the stage is broken.",
            metadata={"failure_rate": rate, "failed": counts.failed, "dead": counts.dead},
        )

    return [all_images_processed, most_images_succeed]


def _vector_check(role: EmbeddingRole) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=STAGE_OF_ROLE[role], name="vectors_are_sound", blocking=True)
    def vectors_are_sound(library: LibraryResource) -> dg.AssetCheckResult:
        with library.library.database.session() as session:
            model = models.require_active(session, role)
            found = vector_soundness(session, model)
        return dg.AssetCheckResult(
            passed=found.is_sound,
            description="Finite, of unit norm, of the model's dimension; every vector is looked at, by the server.",
            metadata={
                "vectors": found.vectors,
                "dimension": model.dimension or 0,
                "wrong_dimension": found.wrong_dimension,
                "not_unit": found.not_unit,
            },
        )

    return vectors_are_sound


@dg.asset_check(asset="cutouts")
def masks_are_plausible(library: LibraryResource) -> dg.AssetCheckResult:
    """Most masks keep between 1 and 99 % of their picture; a broken model keeps all or nothing."""
    with library.library.database.session() as session:
        coverages = session.scalars(_recent_model_coverages()).all()
    odd = sum(not 0.01 <= share <= 0.99 for share in coverages)
    rate = failure_rate(failed=odd, total=len(coverages))
    return dg.AssetCheckResult(
        passed=rate <= MAX_FAILURE_RATE,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"share_empty_or_full": rate, "examined": len(coverages)},
    )


def _recent_model_coverages() -> sa.Select[Any]:
    newest_first = sa.select(Cutout.coverage).where(Cutout.origin == "model").order_by(Cutout.image_id.desc())
    return newest_first.limit(SAMPLE)


@dg.asset_check(asset="search_index")
def index_finds_neighbors(library: LibraryResource) -> dg.AssetCheckResult:
    """The HNSW index found at least 95 % of the exact ten nearest neighbours when it was last measured."""
    measured: dict[str, float] = {}
    with library.library.database.session() as session:
        for role in TABLES:
            model = models.active_model(session, role)
            recalls = measurements.latest_recalls(session, model.spec_id, "index") if model else {}
            measured |= {role: recalls[RECALL_K].recall} if RECALL_K in recalls else {}
    return dg.AssetCheckResult(
        passed=all(recall >= MIN_RECALL for recall in measured.values()),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={**measured},
    )


def all_checks() -> Sequence[dg.AssetChecksDefinition]:
    """Return every check, in flow order."""
    roles: tuple[Role, ...] = ("matting", "color", "resnet", "clip")
    return [
        every_image_has_its_files,
        most_image_urls_answer,
        *(check for role in roles for check in _stage_checks(role)),
        masks_are_plausible,
        _vector_check("resnet"),
        _vector_check("clip"),
        index_finds_neighbors,
    ]
