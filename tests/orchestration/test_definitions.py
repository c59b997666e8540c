"""What Dagster is told: the graph, the jobs, and what runs by itself."""

import subprocess
import sys

import dagster as dg

from orchestration.definitions import defs
from orchestration.partitions import BUCKET_COUNT, buckets

DERIVED = ["cutouts", "color_features", "resnet_embeddings", "clip_embeddings"]


def parents(name: str) -> set[str]:
    """Return the names of an asset's parents."""
    return {key.to_user_string() for key in defs.resolve_asset_graph().get(dg.AssetKey(name)).parent_keys}


def test_the_graph_is_the_data_flow() -> None:
    assert parents("scraped_images") == {"scrape_sources"}
    assert parents("cutouts") == {"scraped_images"}
    assert parents("color_features") == {"scraped_images", "cutouts"}
    assert parents("search_index") == set(DERIVED)


def test_all_derived_assets_share_the_buckets() -> None:
    assert {defs.resolve_asset_graph().get(dg.AssetKey(name)).partitions_def for name in DERIVED} == {buckets}
    assert buckets.get_num_partitions() == BUCKET_COUNT == 16


def test_every_job_of_the_design_exists() -> None:
    names = {job.name for job in defs.resolve_all_job_defs() if not job.name.startswith("__")}
    assert names == {
        *("scrape", "derive", "embed_resnet", "embed_clip", "cut_out"),
        *("index", "retry_failures", "refresh_all", "maintain"),
    }


def test_sensors_run_by_default_and_scraping_waits_to_be_switched_on() -> None:
    sensors = {sensor.name: sensor.default_status for sensor in defs.sensors or []}
    assert set(sensors.values()) == {dg.DefaultSensorStatus.RUNNING}
    assert set(sensors) == {
        "automation",
        "pending_work_sensor",
        "scrape_request_sensor",
        "source_schedule_sensor",
        "interrupted_crawl_sensor",
    }
    schedules = {schedule.name: schedule.default_status for schedule in defs.schedules or []}
    assert schedules == {
        "scrape_daily": dg.DefaultScheduleStatus.STOPPED,
        "maintain_nightly": dg.DefaultScheduleStatus.RUNNING,
    }


def test_loading_the_definitions_imports_no_heavy_library() -> None:
    """Every run imports the code location again; a code server that is slow to answer is killed by its heartbeat."""
    heavy = {"torch", "rembg", "onnxruntime", "transformers", "playwright"}
    script = f"import sys, orchestration.definitions; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
