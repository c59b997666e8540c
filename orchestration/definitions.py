"""Everything that Dagster knows of Vitrine, in flow order. Start reading here."""

import dagster as dg

from orchestration import run_logs
from orchestration.assets.color_features import color_features
from orchestration.assets.coverage import coverage
from orchestration.assets.cutouts import cutouts
from orchestration.assets.embeddings import clip_embeddings, resnet_embeddings
from orchestration.assets.scraped_images import scrape_sources, scraped_images
from orchestration.assets.search_index import search_index
from orchestration.checks import all_checks
from orchestration.jobs import ALL_JOBS
from orchestration.resources import LibraryResource
from orchestration.triggers import ALL_SCHEDULES, ALL_SENSORS

run_logs.configure()  # Dagster loads this module in each process that runs our code; there is no other moment

defs = dg.Definitions(
    assets=[
        scrape_sources,
        scraped_images,
        cutouts,
        color_features,
        resnet_embeddings,
        clip_embeddings,
        search_index,
        coverage,
    ],
    asset_checks=all_checks(),
    jobs=ALL_JOBS,
    sensors=ALL_SENSORS,
    schedules=ALL_SCHEDULES,
    resources={"library": LibraryResource()},
    # One process a run: 0.3 s of overhead instead of 4.8, and each model is loaded once.
    executor=dg.in_process_executor,
)
