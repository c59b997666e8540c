"""The way to Dagster: launching a job and waiting for its run, over GraphQL.

This process never imports Dagster; what both sides must agree on (names, tags) stands here once.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httpx2 as httpx

from lib.errors import Conflict, NotReady, VitrineError

LOCATION = {"repositoryLocationName": "vitrine", "repositoryName": "__repository__"}
REQUEST_TAG = "vitrine/request_id"
# A run over partitioned assets fails unless it says which range it covers: all sixteen buckets.
RANGE_TAGS = {"dagster/asset_partition_range_start": "00", "dagster/asset_partition_range_end": "0f"}
TIMEOUT_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 2.0
PATIENCE = 15  # failed looks in a row: the web server may be restarted while a run goes on

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on PipelineNotFoundError { message }
    ... on UnauthorizedError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
TERMINATE = """
mutation Terminate($runId: String!) {
  terminateRun(runId: $runId) {
    __typename
    ... on TerminateRunFailure { message }
    ... on PythonError { message }
  }
}
"""
LOOK = """
query Look($runId: ID!) {
  runOrError(runId: $runId) {
    __typename
    ... on Run {
      status
      assetMaterializations {
        assetKey { path }
        metadataEntries {
          label
          ... on IntMetadataEntry { intRepr }
          ... on FloatMetadataEntry { floatValue }
          ... on JsonMetadataEntry { jsonString }
          ... on TextMetadataEntry { text }
        }
      }
    }
    ... on PythonError { message }
  }
}
"""


class Job(StrEnum):
    """The jobs that can be asked for."""

    scrape = "scrape"
    derive = "derive"
    embed_resnet = "embed_resnet"
    embed_clip = "embed_clip"
    cut_out = "cut_out"
    retry_failures = "retry_failures"


# The asset whose metadata answers for a job, and every asset that can be told to start over.
COUNTED_ASSET = {
    Job.scrape: "scraped_images",
    Job.embed_resnet: "resnet_embeddings",
    Job.embed_clip: "clip_embeddings",
    Job.cut_out: "cutouts",
}
FORCED_ASSETS = {
    Job.derive: ("cutouts", "color_features", "resnet_embeddings", "clip_embeddings"),
    Job.embed_resnet: ("resnet_embeddings",),
    Job.embed_clip: ("clip_embeddings",),
    Job.cut_out: ("cutouts",),
}
COUNTS = frozenset(
    {
        *("pages", "unchanged_pages", "new", "known", "refused", "refused_by_reason", "failed"),
        *("done", "processed", "unchanged", "dead", "pending", "images_per_s", "seconds", "model"),
    }
)


class DagsterAway(NotReady):
    """No Dagster answers, or it has not loaded our code yet."""


class DagsterRefused(VitrineError):
    """Dagster answered, and would not do what it was asked: a fault of ours."""


@dataclass(frozen=True)
class Run:
    """A run as it stands: Dagster's word for it, and what each asset reported last."""

    status: str
    metadata: Mapping[str, Mapping[str, Any]]

    @property
    def finished(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in ("SUCCESS", "FAILURE", "CANCELED")

    def counts(self, job: Job) -> dict[str, Any]:
        """Return the numbers that answer for ``job``: of its asset, or of each asset where it has many."""
        asset = COUNTED_ASSET.get(job)
        if asset is None:
            return {name: _numbers(entries) for name, entries in self.metadata.items()}
        return _numbers(self.metadata.get(asset, {}))


def _numbers(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {label: value for label, value in entries.items() if label in COUNTS}


def run_config(job: Job, *, force: bool, sources: Sequence[str] = ()) -> dict[str, Any]:
    """Return the configuration of a run of ``job``; ``sources`` are those that a scrape is limited to.

    >>> run_config(Job.cut_out, force=True)
    {'ops': {'cutouts': {'config': {'force': True}}}}
    >>> run_config(Job.scrape, force=True)
    {}
    >>> run_config(Job.scrape, force=False, sources=["birds"])
    {'ops': {'scraped_images': {'config': {'sources': ['birds']}}}}
    """
    if job is Job.scrape and sources:
        return {"ops": {COUNTED_ASSET[job]: {"config": {"sources": list(sources)}}}}
    assets = FORCED_ASSETS.get(job, ()) if force else ()
    return {"ops": {asset: {"config": {"force": True}} for asset in assets}} if assets else {}


class DagsterGateway:
    """Dagster's GraphQL at ``endpoint``, such as http://127.0.0.1:3000; links for people start with ``page``."""

    def __init__(self, endpoint: str, page: str | None = None) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._page = (page or endpoint).rstrip("/")
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def run_url(self, run_id: str) -> str:
        """Return where a person can look at a run."""
        return f"{self._page}/runs/{run_id}"

    async def launch(self, job: Job, config: Mapping[str, Any], *, request_id: str) -> str:
        """Start a run and return its id. Raises DagsterAway or DagsterRefused."""
        tags = {REQUEST_TAG: request_id} | (RANGE_TAGS if job in FORCED_ASSETS else {})
        params = {
            "selector": {**LOCATION, "jobName": job.value},
            "runConfigData": config,
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        result = (await self._ask(LAUNCH, {"params": params}))["launchRun"]
        kind = result["__typename"]
        if kind == "LaunchRunSuccess":
            run_id: str = result["run"]["runId"]
            return run_id
        # While its code server starts, Dagster knows no job of ours.
        if kind in ("PipelineNotFoundError", "PythonError"):
            raise DagsterAway(f"Dagster cannot start {job.value} yet")
        raise DagsterRefused(f"Dagster refused to start {job.value}: {kind}")

    async def look(self, run_id: str) -> Run:
        """Return a run as it stands. Raises DagsterAway."""
        result = (await self._ask(LOOK, {"runId": run_id}))["runOrError"]
        if result["__typename"] != "Run":
            raise DagsterAway("Dagster does not show this run")
        return Run(result["status"], _latest_metadata(result["assetMaterializations"]))

    async def terminate(self, run_id: str) -> None:
        """Ask a run to end; what it has done is kept. Raises DagsterAway, or Conflict where it has ended already."""
        result = (await self._ask(TERMINATE, {"runId": run_id}))["terminateRun"]
        if result["__typename"] == "TerminateRunFailure":
            raise Conflict("the run has ended already, or its process does not answer")
        if result["__typename"] != "TerminateRunSuccess":
            raise DagsterAway("Dagster does not know this run")

    async def wait(self, run_id: str, stop: Callable[[], Awaitable[bool]]) -> Run | None:
        """Return the run once it has finished, or None when ``stop()`` says that nobody waits. Raises DagsterAway."""
        pause, failures = FIRST_PAUSE_S, 0
        while not await stop():
            try:
                run = await self.look(run_id)
            except DagsterAway:
                failures += 1
                if failures > PATIENCE:
                    raise
            else:
                failures = 0
                if run.finished:
                    return run
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE_S, 1.5 * pause)
        return None

    async def _ask(self, query: str, variables: Mapping[str, Any]) -> Any:
        try:
            reply = await self._client.post(f"{self._endpoint}/graphql", json={"query": query, "variables": variables})
        except httpx.TransportError as error:
            raise DagsterAway("Dagster does not answer") from error
        if reply.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise DagsterAway(f"Dagster answered {reply.status_code}")
        body = reply.json() if reply.is_success else {}
        if not body.get("data"):
            raise DagsterRefused(f"Dagster answered {reply.status_code} without data")
        return body["data"]


def _latest_metadata(materializations: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the metadata of each asset by name. A run over sixteen buckets reports the same step once for each."""
    return {
        "/".join(event["assetKey"]["path"]): {entry["label"]: _value(entry) for entry in event["metadataEntries"]}
        for event in materializations
    }


def _value(entry: Mapping[str, Any]) -> Any:
    if entry.get("intRepr") is not None:
        return int(entry["intRepr"])
    if entry.get("jsonString") is not None:
        return json.loads(entry["jsonString"])
    return entry.get("floatValue", entry.get("text"))
