"""What the client does when a server is busy, broken, strange or not there, and what it sends."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lib.client import (
    AsyncVitrine,
    Forbidden,
    Invalid,
    NotReady,
    Retries,
    ServerFault,
    UnexpectedAnswer,
    Unreachable,
    Vitrine,
)
from lib.client.models import JobAnswer, Site
from lib.client.running_jobs import JobState
from tests.lib.client.scripted_server import SSE, Reply, ScriptedServer, busy

ALIVE = {"status": "alive"}
SITE = Site(name="museum", start_urls=["https://museum.example/"])
REQUEST_ID = "00000000-0000-0000-0000-000000000000"
BROKEN = Reply(body=b"{", broken=True)
PICTURE = Reply(body=b"half of a pic", broken=True, content_type="image/png")


def job(state: str, done: int = 0) -> bytes:
    """Return an answer about a job."""
    counts = {"done": done, "pending": 9 - done, "failed": 0, "dead": 0}
    told = {"request_id": REQUEST_ID, "job": "derive", "state": state, "created_at": "2026-11-24T09:30:00Z"}
    return json.dumps({**told, "run_id": "r", "run_url": None, "progress": {"cutouts": counts}}).encode()


def stream(*events: tuple[str, bytes], broken: bool = False) -> Reply:
    """Return a stream of events."""
    body = b"".join(b": ping\n\nevent: %s\ndata: %s\n\n" % (name.encode(), data) for name, data in events)
    return Reply(body=body, content_type=SSE, broken=broken)


class Client:
    """Both clients behind one face, so that each test tries both."""

    def __init__(self, kind: str, url: str, **options: Any) -> None:
        self._blocking, self._url, self._options = kind == "blocking", url, options

    def call(self, name: str, *arguments: Any, **named: Any) -> Any:
        """Return what a method answers."""
        if self._blocking:
            with Vitrine(self._url, **self._options) as vitrine:
                return _method(vitrine, name)(*arguments, **named)
        return asyncio.run(self._awaited(name, arguments, named))

    async def _awaited(self, name: str, arguments: Any, named: Any) -> Any:
        async with AsyncVitrine(self._url, **self._options) as vitrine:
            return await _method(vitrine, name)(*arguments, **named)

    def events(self) -> list[Any]:
        """Return what the events of a job tell."""
        if self._blocking:
            with Vitrine(self._url, **self._options) as vitrine:
                return list(vitrine.jobs.events(REQUEST_ID))
        return asyncio.run(self._awaited_events())

    async def _awaited_events(self) -> list[Any]:
        async with AsyncVitrine(self._url, **self._options) as vitrine:
            return [now async for now in vitrine.jobs.events(REQUEST_ID)]

    def save(self, path: Path) -> Path:
        """Save an image's file."""
        if self._blocking:
            with Vitrine(self._url, **self._options) as vitrine:
                return vitrine.images.original_file(1).save(path)
        return asyncio.run(self._awaited_save(path))

    async def _awaited_save(self, path: Path) -> Path:
        async with AsyncVitrine(self._url, **self._options) as vitrine:
            return await vitrine.images.original_file(1).save(path)


def _method(vitrine: Any, name: str) -> Any:
    group, _, method = name.partition(".")
    return getattr(getattr(vitrine, group), method)


@pytest.fixture(params=["blocking", "asynchronous"])
def kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@contextmanager
def served(kind: str, *replies: Reply, **options: Any) -> Iterator[tuple[Client, ScriptedServer]]:
    with ScriptedServer(replies) as server:
        yield Client(kind, server.url, **options), server


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again_after_the_pause_that_it_names(kind: str, status: int) -> None:
    with served(kind, busy("1", status), Reply()) as (client, server):
        began = time.monotonic()
        assert client.call("health.livez") == ALIVE
        assert time.monotonic() - began >= 1
    assert [seen.path for seen in server.seen] == ["/livez", "/livez"]


def test_a_pause_beyond_its_patience_is_not_begun(kind: str) -> None:
    with served(kind, busy("30"), retries=Retries(patience_s=20)) as (client, server):
        began = time.monotonic()
        with pytest.raises(NotReady) as refused:
            client.call("health.readyz")
        assert time.monotonic() - began < 10
    assert (len(server.seen), refused.value.retry_after_s) == (1, 30)


def test_a_server_that_stays_busy_is_asked_a_few_times(kind: str) -> None:
    with served(kind, busy(), retries=Retries(attempts=3)) as (client, server), pytest.raises(NotReady):
        client.call("search.by", "a dog")
    assert len(server.seen) == 3


def test_what_may_not_be_done_twice_is_sent_once(kind: str) -> None:
    for reply, error in ((busy(), NotReady), (BROKEN, Unreachable)):
        with served(kind, reply) as (client, server), pytest.raises(error):
            client.call("sources.add", SITE)
        assert len(server.seen) == 1


def test_other_refusals_are_not_repeated(kind: str) -> None:
    for status, error in ((401, Forbidden), (422, Invalid), (500, ServerFault), (507, ServerFault)):
        with served(kind, Reply(status, b'{"title": "No"}')) as (client, server), pytest.raises(error, match="No"):
            client.call("health.livez")
        assert len(server.seen) == 1


def test_every_attempt_at_a_job_carries_the_same_key(kind: str) -> None:
    with served(kind, busy(), BROKEN, Reply(202, job("launched"))) as (client, server):
        assert client.call("jobs.run", "derive").request_id == REQUEST_ID
        client.call("jobs.run", "derive")
    keys = [seen.headers["idempotency-key"] for seen in server.seen]
    assert keys[0] == keys[1] == keys[2] != keys[3]


def test_an_answer_that_breaks_off_is_asked_for_again(kind: str) -> None:
    with served(kind, BROKEN, Reply()) as (client, _):
        assert client.call("health.livez") == ALIVE


def test_a_server_that_is_too_slow_is_not_asked_again(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(0.5)
        client = Client(kind, f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2)
        with pytest.raises(Unreachable):
            client.call("health.livez")
        silent.accept()[0].close()
        with pytest.raises(TimeoutError):
            silent.accept()


def test_nobody_at_the_address_is_said_so(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as socket_:
        url = f"http://127.0.0.1:{socket_.getsockname()[1]}"
    client = Client(kind, url, retries=Retries(attempts=2))
    with pytest.raises(Unreachable, match="Is the server running"):
        client.call("health.livez")


def test_an_answer_of_something_else_is_told_from_one_of_vitrine(kind: str) -> None:
    for strange in (Reply(body=b"<html>"), Reply(body=b'{"id": 1}')):
        with served(kind, strange) as (client, _), pytest.raises(UnexpectedAnswer, match="/v1/images/1"):
            client.call("images.describe", 1)


def test_a_proxy_that_refuses_is_a_problem_of_its_status(kind: str) -> None:
    page = Reply(403, b"<html>", content_type="text/html")
    with served(kind, page) as (client, _), pytest.raises(Forbidden, match="the server answered 403"):
        client.call("health.livez")


def test_a_key_is_sent_with_every_request_and_none_without_one(kind: str) -> None:
    with served(kind, Reply(), api_key="vitrine_secret") as (client, server):
        client.call("health.livez")
    assert server.seen[0].headers["authorization"] == "Bearer vitrine_secret"
    with served(kind, Reply()) as (client, server):
        client.call("health.livez")
    assert "authorization" not in server.seen[0].headers


def test_a_stream_that_breaks_is_taken_up_again_and_repeats_nothing(kind: str) -> None:
    replies = (
        stream(("progress", job("STARTED", 1)), ("progress", job("STARTED", 2)), broken=True),
        busy(),
        stream(("progress", job("STARTED", 2)), ("progress", job("STARTED", 3))),
        stream(("end", job("SUCCESS", 9)), ("progress", job("STARTED", 4))),
    )
    with served(kind, *replies) as (client, server):
        seen = [(now.state, now.progress["cutouts"].done) for now in client.events()]
    assert seen == [("STARTED", 1), ("STARTED", 2), ("STARTED", 3), ("SUCCESS", 9)]
    assert {request.headers["accept"] for request in server.seen} == {SSE}


def test_a_stream_that_never_tells_anything_is_given_up(kind: str) -> None:
    with served(kind, stream(), retries=Retries(attempts=2)) as (client, server), pytest.raises(Unreachable):
        client.events()
    assert len(server.seen) == 2


@pytest.mark.parametrize(("state", "share"), [("QUEUED", None), ("STARTED", 1 / 3), ("FAILURE", 1 / 3), ("SUCCESS", 1)])
def test_the_share_that_is_done_is_known_once_the_run_has_begun(state: str, share: float | None) -> None:
    assert JobState(JobAnswer.model_validate_json(job(state, done=3))).share_done == share


def test_a_download_that_breaks_off_leaves_nothing_behind(kind: str, tmp_path: Path) -> None:
    (tmp_path / "kept.png").write_bytes(b"older")
    with served(kind, PICTURE) as (client, _), pytest.raises(Unreachable):
        client.save(tmp_path / "kept.png")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("kept.png", b"older")]


def test_a_search_is_sent_as_json_or_as_a_form_with_its_pictures(kind: str) -> None:
    answer = {"parts": {}, "exact": True, "search_recall": None, "language_unsupported": False}
    told = json.dumps({**answer, "unsupported_texts": [], "no_good_match": None, "results": [], "next": None}).encode()
    with served(kind, Reply(body=told)) as (client, server):
        client.call("search.by", "a dog", colors=["#fff"], images=[3])
        client.call("search.by", uploads={"mine": b"picture"})
    plain, form = server.seen
    sent = json.loads(plain.body)
    assert (sent["text"], sent["colors"][0]["hex"], sent["images"][0]["id"]) == ("a dog", "#fff", 3)
    assert form.headers["content-type"].startswith("multipart/form-data")
    assert b'name="mine"' in form.body
    assert b'"upload":"mine"' in form.body
