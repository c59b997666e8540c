"""The jobs: what a person, a schedule or the API can start."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from lib.storage import clearing, ledger, requests, sources
from orchestration import history
from orchestration.partitions import ALL_BUCKETS_TAGS
from orchestration.resources import LibraryResource

DERIVED = ("cutouts", "color_features", "resnet_embeddings", "clip_embeddings")

scrape = dg.define_asset_job("scrape", ["scraped_images"], description="Look for new pictures on all enabled sources.")


def _derived_job(name: str, *assets: str, description: str) -> UnresolvedAssetJobDefinition:
    return dg.define_asset_job(name, list(assets), tags=dict(ALL_BUCKETS_TAGS), description=description)


derive = _derived_job("derive", *DERIVED, description="Bring every derived asset up to date.")
embed_resnet = _derived_job("embed_resnet", "resnet_embeddings", description="Compute the visual vectors that lack.")
embed_clip = _derived_job("embed_clip", "clip_embeddings", description="Compute the CLIP vectors that lack.")
cut_out = _derived_job("cut_out", "cutouts", "color_features", description="Remove the backgrounds that are left.")
index = dg.define_asset_job(
    "index", ["search_index", "coverage"], description="Promote complete models, measure recall."
)

refresh_all = dg.define_asset_job(
    "refresh_all",
    dg.AssetSelection.all(),
    tags=dict(ALL_BUCKETS_TAGS),
    description="Everything in one run: scrape, derive, index.",
)


@dg.op
def forget_failures(context: dg.OpExecutionContext, library: LibraryResource) -> None:
    """Make failed and dead images, and failed or refused URLs, due at once; sensors start the runs that take them."""
    with library.library.database.session() as session:
        images, urls = ledger.retry_failures(session), sources.retry_failed_urls(session)
        if urls:
            requests.add_request(session, "scrape", {})
        session.commit()
    context.add_output_metadata({"images": images, "urls": urls})


@dg.job(description="Retry only what failed: every failed or dead image, every refused or failed URL.")
def retry_failures() -> None:
    """Retry failures."""
    forget_failures()


@dg.op
def collect(context: dg.OpExecutionContext, library: LibraryResource) -> None:
    """Erase clearings whose time to restore is over, files without rows, stale staging files, Dagster's oldest runs."""
    opened = library.library
    objects = opened.objects
    with opened.database.session() as session:
        erased = clearing.erase(session, objects, only_expired=True)
        orphans = clearing.collect_garbage(session, objects)
    pruned = history.prune(context.instance, opened.urls.dagster, keep=opened.settings.kept_runs)
    context.add_output_metadata(
        {
            "images_erased": erased,
            "files_removed": orphans,
            "staging_swept": objects.sweep_staging(),
            "runs_pruned": pruned.runs,
            "leftovers_pruned": pruned.leftovers,
        }
    )


@dg.job(description="Nightly: garbage, expired clearings, Dagster's own history.")
def maintain() -> None:
    """Keep house."""
    collect()


NEED_RANGE = frozenset({"derive", "embed_resnet", "embed_clip", "cut_out", "refresh_all"})
ALL_JOBS: list[dg.JobDefinition | UnresolvedAssetJobDefinition] = [
    scrape,
    derive,
    embed_resnet,
    embed_clip,
    cut_out,
    index,
    refresh_all,
    retry_failures,
    maintain,
]
