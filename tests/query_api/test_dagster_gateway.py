"""The gateway's own logic. The bulk requests over HTTP are in test_legacy_jobs.py."""

import asyncio

import pytest
from dagster_graphql.schema import create_schema
from graphql import parse, validate

from query_api.dagster_gateway import LAUNCH, LOOK, TERMINATE, DagsterAway, DagsterGateway, Job
from tests.query_api.fake_dagster import FakeDagster


@pytest.mark.parametrize("query", [LAUNCH, LOOK, TERMINATE])
def test_dagsters_real_schema_knows_what_is_asked(query: str) -> None:
    assert validate(create_schema().graphql_schema, parse(query)) == []


def test_a_launch_names_our_code_location_and_covers_all_buckets(dagster: FakeDagster) -> None:
    dagster.reset()

    async def launch() -> str:
        gateway = DagsterGateway(dagster.url)
        try:
            return await gateway.launch(Job.embed_clip, {}, request_id="abc")
        finally:
            await gateway.close()

    assert asyncio.run(launch()) == "run-1"
    (params,) = dagster.launches
    assert params["selector"] == {
        "repositoryLocationName": "vitrine",
        "repositoryName": "__repository__",
        "jobName": "embed_clip",
    }
    assert {tag["key"]: tag["value"] for tag in params["executionMetadata"]["tags"]} == {
        "vitrine/request_id": "abc",
        "dagster/asset_partition_range_start": "00",
        "dagster/asset_partition_range_end": "0f",
    }


def test_the_names_are_those_of_the_code_location() -> None:
    """The two sides never import each other, so a test holds them together."""
    from orchestration.definitions import defs
    from orchestration.jobs import NEED_RANGE
    from orchestration.partitions import ALL_BUCKETS_TAGS
    from orchestration.triggers import REQUEST_TAG
    from query_api import dagster_gateway

    jobs = {job.name for job in defs.resolve_all_job_defs()}
    assert {job.value for job in Job} <= jobs
    assert {job.value for job in dagster_gateway.FORCED_ASSETS} == NEED_RANGE & {job.value for job in Job}
    assert dict(ALL_BUCKETS_TAGS) == dagster_gateway.RANGE_TAGS
    assert REQUEST_TAG == dagster_gateway.REQUEST_TAG


@pytest.mark.parametrize("kind", ["PipelineNotFoundError", "PythonError"])
def test_a_code_server_that_is_still_starting_counts_as_away(dagster: FakeDagster, kind: str) -> None:
    dagster.reset()
    dagster.launch_result = {"__typename": kind, "message": "not yet"}

    async def launch() -> None:
        gateway = DagsterGateway(dagster.url)
        try:
            await gateway.launch(Job.scrape, {}, request_id="abc")
        finally:
            await gateway.close()

    with pytest.raises(DagsterAway):
        asyncio.run(launch())


def test_links_for_people_lead_to_the_page_that_their_browser_reaches() -> None:
    gateway = DagsterGateway("http://webserver:3000", "http://127.0.0.1:3001/")
    assert gateway.run_url("abc") == "http://127.0.0.1:3001/runs/abc"
    asyncio.run(gateway.close())
