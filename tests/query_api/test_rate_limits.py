"""Who asks too often is told when to come back, and takes nothing from others."""

import asyncio
from pathlib import Path

import httpx2 as httpx
import pytest

from lib.images.decoding import Decoder
from query_api.rate_limits import RateLimit
from tests.query_api.conftest import empty_library
from tests.query_api.test_access import Keys, api_of

A_MINUTE = 30


def many(client: httpx.Client, headers: dict[str, str] | None = None) -> list[httpx.Response]:
    """Ask twice as often as is allowed."""
    return [client.get("/v1/sources", headers=headers) for _ in range(2 * A_MINUTE)]


def test_a_key_is_limited_by_itself(server_url: str, decoder: Decoder, tmp_path: Path) -> None:
    with empty_library(server_url, decoder, "rate_limit_tests") as seed:
        keys = Keys(seed)
        busy, calm = keys.create("busy", "read"), keys.create("calm", "read")
        with api_of(keys, tmp_path / "api.log", VITRINE_REQUESTS_PER_MINUTE=str(A_MINUTE)) as client:
            wrong = [reply.status_code for reply in many(client, {"Authorization": "Bearer vitrine_wrong"})]
            assert (wrong[0], wrong[-1]) == (401, 429)
            asked = many(client, busy)
            answered = [reply.status_code for reply in asked].count(200)
            assert A_MINUTE <= answered < 2 * A_MINUTE, "the window slides while it asks"
            refused = asked[-1]
            assert refused.json()["type"] == "urn:vitrine:problem:too-many-requests"
            assert 1 <= int(refused.headers["retry-after"]) <= 60
            assert client.get("/v1/sources", headers=calm).status_code == 200
            assert client.get("/livez").status_code == 200


def test_this_machine_has_no_limit_while_there_are_no_keys(server_url: str, decoder: Decoder, tmp_path: Path) -> None:
    with (
        empty_library(server_url, decoder, "no_rate_limit_tests") as seed,
        api_of(Keys(seed), tmp_path / "api.log", VITRINE_REQUESTS_PER_MINUTE="1") as client,
    ):
        assert {reply.status_code for reply in many(client)} == {200}


@pytest.mark.parametrize(("per_minute", "refused"), [(5, 3), (0, 0)])
def test_the_limit_counts_each_who_asks(per_minute: int, refused: int) -> None:
    async def story() -> None:
        rate = RateLimit(per_minute)
        pauses = [await rate.pause_s("a") for _ in range(8)]
        assert sum(pause is not None for pause in pauses) == refused
        assert all(pause is None or 1 <= pause <= 60 for pause in pauses)
        assert await rate.pause_s("b") is None

    asyncio.run(story())
