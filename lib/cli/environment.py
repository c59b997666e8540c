"""What Vitrine's processes are told: which library, and where Dagster keeps its own records."""

from pathlib import Path

from lib.settings import Settings
from lib.storage.database import DatabaseUrls

DAGSTER_YAML = """\
# Written by Vitrine at each start; change lib/cli/environment.py instead.
storage:
  postgres:
    postgres_url:
      env: VITRINE_DAGSTER_DATABASE_URL
compute_logs:
  # Dagster's capture starts a `tail` per run that outlives a killed run; our logs are structured events.
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
concurrency:
  runs:
    max_concurrent_runs: 2
  pools:
    granularity: run
    default_limit: 1
run_monitoring:
  enabled: true
  start_timeout_seconds: 180
  max_runtime_seconds: 43200
  poll_interval_seconds: 15
  free_slots_after_run_end_seconds: 30  # else a killed run blocks its pool for ever
run_retries:
  enabled: true
  max_retries: 3
  retry_on_asset_or_op_failure: false  # crashes only: a failed asset has said why
retention:
  sensor:
    purge_after_days: {skipped: 2, failure: 14, success: 14}
  schedule:
    purge_after_days: 30
  auto_materialize:
    purge_after_days: {skipped: 2, failure: 14, success: 14}
telemetry:
  enabled: false
nux:
  enabled: false
"""


def dagster_home(settings: Settings) -> Path:
    """Write Dagster's settings and return the folder that they lie in."""
    folder = settings.home_path / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dagster.yaml").write_text(DAGSTER_YAML)
    return folder


def process_environment(settings: Settings, urls: DatabaseUrls) -> dict[str, str]:
    """Return the variables that make a process of ours work on the library of ``settings``."""
    database_url = settings.database_url
    return {
        "VITRINE_HOME": str(settings.home_path),
        "VITRINE_SOURCES_FILE": str(settings.sources_file),
        "VITRINE_API_PORT": str(settings.api_port),
        "VITRINE_DAGSTER_PORT": str(settings.dagster_port),
        "VITRINE_ALLOWED_ADDRESSES": settings.allowed_addresses,
        "VITRINE_DAGSTER_DATABASE_URL": urls.dagster,
        "DAGSTER_HOME": str(dagster_home(settings)),
        "HF_HUB_OFFLINE": "1",  # weights come from `models pull`, never by themselves in the middle of a run
        "PYTHONUNBUFFERED": "1",
        "GRPC_VERBOSITY": "ERROR",  # gRPC remarks on each fork, in a format of its own
        "DATABASE_URL": database_url.get_secret_value() if database_url else "",
    }
