"""API keys: from the first one on nobody gets in without, each opens what its scope says, and no more."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import httpx2 as httpx
import pytest
import sqlalchemy as sa

from lib import audit
from lib.images.decoding import Decoder
from lib.storage.api_keys import PREFIX
from tests.query_api.conftest import REPOSITORY, Seed, empty_library, running_api, wait_for

NOTICED_S = 20.0
EVERYWHERE = "0.0.0.0"  # noqa: S104  what is tested is that nothing answers there
PUBLIC = {"/livez", "/readyz", "/version"}
# Read off the descriptions of the routes, one by one; what is in neither list only looks.
ADMIN = {
    "GET /clear_all",
    "POST /v1/library/clear",
    "POST /v1/library/restore",
    "POST /v1/model-roles/{role}/rollback",
    "POST /v1/models/{spec_id}/activate",
    "GET /v1/takedowns",
    "POST /v1/takedowns",
    "DELETE /v1/takedowns/{takedown_id}",
    "POST /v1/sources",
    "POST /v1/sources/dry-run",
    "PUT /v1/sources/{name}",
    "DELETE /v1/sources/{name}",
}
WRITE = {
    "GET /scrape",
    "GET /highlight_all_images",
    "GET /get_all_resnet_embeddings",
    "GET /get_all_clip_embeddings",
    "POST /highlight_particular_image",
    "POST /merge_imgs",
    "POST /v1/merges",
    "POST /v1/merges/drawn",
    "POST /v1/images/{image_id}/cutout",
    "POST /v1/images/{image_id}/restore",
    "DELETE /v1/images/{image_id}",
    "DELETE /v1/merges/{merge_id}",
    "POST /v1/duplicates/decisions",
    "POST /v1/jobs/{job}",
    "POST /v1/requests/{request_id}/cancel",
}


class Keys:
    """A library with keys, and the command that makes and revokes them."""

    def __init__(self, seed: Seed) -> None:
        self.seed = seed

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``vitrine keys ...`` on the library."""
        environment = {**os.environ, "VITRINE_HOME": str(self.seed.home), "DATABASE_URL": self.seed.database_url}
        arguments = [sys.executable, "-m", "lib.cli", "keys", *words]
        return subprocess.run(
            arguments, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    def create(self, name: str, scope: str) -> dict[str, str]:
        """Make a key, and return the header that carries it."""
        done = self.command("create", name, "--scope", scope)
        assert done.returncode == 0, done.stderr
        return {"Authorization": f"Bearer {done.stdout.strip()}"}


@pytest.fixture(scope="module")
def keys(server_url: str, decoder: Decoder) -> Iterator[Keys]:
    with empty_library(server_url, decoder, "api_keys_tests") as seed:
        yield Keys(seed)


@contextmanager
def api_of(keys: Keys, log: Path, **settings: str) -> Iterator[httpx.Client]:
    """A server on the library with keys, as soon as it knows them."""
    own = {"VITRINE_HOME": str(keys.seed.home), "DATABASE_URL": keys.seed.database_url}
    with running_api(own | settings, log=log) as client:
        wait_for(lambda: client.get("/v1/images").status_code != 503, NOTICED_S)
        yield client


@pytest.fixture(scope="module")
def locked(keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, dict[str, str]]]:
    """A server whose library has a key to read with, and the header of that key."""
    reader = keys.create("reader", "read")
    with api_of(keys, tmp_path_factory.mktemp("keys") / "api.log") as client:
        yield client, reader
    keys.command("revoke", "reader")


def operations(client: httpx.Client, headers: dict[str, str]) -> set[str]:
    """Return every route as ``METHOD /path/{parameter}``, as the description of the API has it."""
    paths = client.get("/openapi.json", headers=headers).raise_for_status().json()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


def ask(client: httpx.Client, operation: str, headers: dict[str, str] | None = None) -> httpx.Response:
    """Send a request to a route, without a body, with something in place of its parameters."""
    method, path = operation.split(" ")
    for name in ("image_id", "merge_id", "run_id", "request_id", "spec_id", "role", "name", "job", "takedown_id"):
        path = path.replace(f"{{{name}}}", "1")
    assert "{" not in path, path
    return client.request(method, path, headers=headers)


def test_without_a_key_no_route_answers(locked: tuple[httpx.Client, dict[str, str]]) -> None:
    client, reader = locked
    for operation in operations(client, reader) | {"GET /docs", "GET /openapi.json", "GET /nothing", "OPTIONS /v1"}:
        if operation.split(" ")[1] in PUBLIC:
            continue
        reply = ask(client, operation)
        assert (reply.status_code, reply.json()["type"]) == (401, "urn:vitrine:problem:key-needed"), operation
        assert reply.headers["www-authenticate"].startswith("Bearer"), operation


def test_whether_it_lives_is_no_secret(locked: tuple[httpx.Client, dict[str, str]]) -> None:
    client, _ = locked
    assert client.get("/livez").is_success
    assert client.get("/version").is_success
    assert client.get("/readyz").status_code == 503  # no models in this library


def test_a_key_to_read_with_reads_and_changes_nothing(locked: tuple[httpx.Client, dict[str, str]]) -> None:
    client, reader = locked
    every = operations(client, reader)
    assert every >= ADMIN | WRITE
    for operation in every:
        reply = ask(client, operation, reader)
        if operation in ADMIN | WRITE:
            needed = "admin" if operation in ADMIN else "write"
            assert (reply.status_code, reply.json()["type"]) == (403, "urn:vitrine:problem:scope-too-narrow"), operation
            assert reply.json()["detail"] == f"this needs the scope {needed}"
        else:
            assert reply.status_code not in (401, 403), operation


def test_a_key_to_write_with_administers_nothing(keys: Keys, locked: tuple[httpx.Client, dict[str, str]]) -> None:
    client, _ = locked
    writer = keys.create("writer", "write")
    wait_for(lambda: client.get("/v1/images", headers=writer).is_success, NOTICED_S)
    for operation in operations(client, writer):
        if operation in ADMIN:
            assert ask(client, operation, writer).status_code == 403, operation
    assert client.delete("/v1/images/1", headers=writer).status_code == 404


def test_a_browser_may_send_the_key_as_a_password(locked: tuple[httpx.Client, dict[str, str]]) -> None:
    client, reader = locked
    secret = reader["Authorization"].removeprefix("Bearer ")
    basic = base64.b64encode(f"anybody:{secret}".encode()).decode()
    assert client.get("/v1/images", headers={"Authorization": f"Basic {basic}"}).is_success


@pytest.mark.parametrize(
    "given", ["Bearer", "Bearer x", f"Bearer {PREFIX}{'A' * 43}", "Basic", "Basic %%%", "Basic eA==", "Digest x", "é"]
)
def test_what_is_no_key_opens_nothing(locked: tuple[httpx.Client, dict[str, str]], given: str) -> None:
    client, _ = locked
    reply = client.get("/v1/images", headers={"Authorization": given.encode("latin-1")})
    assert reply.status_code == 401
    assert "A" * 43 not in reply.text


def test_the_audit_log_says_who_changed_what(keys: Keys, locked: tuple[httpx.Client, dict[str, str]]) -> None:
    client, reader = locked
    writer = keys.create("gardener", "write")
    wait_for(lambda: client.get("/v1/images", headers=writer).is_success, NOTICED_S)
    log = keys.seed.home / audit.FILE_NAME
    before = len(log.read_text().splitlines())
    refused = client.post("/v1/library/clear?purge=true", headers=reader | {"X-Request-ID": "refused-1"})
    missing = client.delete("/v1/images/987654", headers=writer | {"X-Request-ID": "missing-1"})
    assert (refused.status_code, missing.status_code) == (403, 404)
    client.post("/v1/library/clear")  # a stranger, who is not to fill the disk
    client.get("/v1/images", headers=reader)
    client.post("/v1/search", json={"text": "a secret wish"}, headers=reader)
    assert keys.command("revoke", "gardener").returncode == 0
    text = log.read_text()
    lines = [json.loads(line) for line in text.splitlines()[before:]]
    told = [(line["who"], line["what"], line.get("status"), line.get("request_id")) for line in lines]
    assert told == [
        ("reader", "POST /v1/library/clear", 403, "refused-1"),
        ("gardener", "DELETE /v1/images/987654", 404, "missing-1"),
        (audit.COMMAND_LINE, "keys revoke", None, None),
    ]
    assert datetime.fromisoformat(lines[0]["at"]).tzinfo is not None
    assert lines[0]["address"] == "127.0.0.1"
    assert log.stat().st_mode & 0o777 == 0o600
    assert PREFIX not in text
    assert "wish" not in text


def test_a_revoked_key_opens_nothing_within_seconds(keys: Keys, locked: tuple[httpx.Client, dict[str, str]]) -> None:
    client, _ = locked
    guest = keys.create("guest", "read")
    wait_for(lambda: client.get("/v1/images", headers=guest).is_success, NOTICED_S)
    assert keys.command("revoke", "guest").returncode == 0
    wait_for(lambda: client.get("/v1/images", headers=guest).status_code == 401, NOTICED_S)


def test_a_secret_is_shown_once_and_kept_nowhere(keys: Keys, locked: tuple[httpx.Client, dict[str, str]]) -> None:
    _, reader = locked
    secret = reader["Authorization"].removeprefix("Bearer ")
    listed = keys.command("list").stdout
    assert "reader" in listed
    assert secret not in listed
    with keys.seed.database.session() as session:
        rows = session.execute(sa.text("SELECT to_jsonb(api_keys)::text FROM api_keys")).scalars().all()
    assert not [row for row in rows if secret in row]


def test_a_name_is_given_once_and_must_be_one(keys: Keys, locked: tuple[httpx.Client, dict[str, str]]) -> None:
    again = keys.command("create", "reader")
    assert (again.returncode, "already" in again.stderr) == (5, True)
    assert keys.command("create", "Not A Name").returncode == 2
    assert keys.command("revoke", "nobody").returncode == 1


def test_beyond_loopback_nothing_answers_until_there_is_a_key(
    server_url: str, decoder: Decoder, tmp_path: Path
) -> None:
    with empty_library(server_url, decoder, "no_keys_tests") as seed:
        keys = Keys(seed)
        with api_of(keys, tmp_path / "api.log", VITRINE_API_HOST=EVERYWHERE) as client:
            refused = client.get("/v1/images")
            assert (refused.status_code, refused.json()["type"]) == (403, "urn:vitrine:problem:no-keys-yet")
            assert client.get("/livez").is_success
            reader = keys.create("reader", "read")
            wait_for(lambda: client.get("/v1/images", headers=reader).is_success, NOTICED_S)


def test_something_in_front_may_decide_who_asks(server_url: str, decoder: Decoder, tmp_path: Path) -> None:
    """And a front end elsewhere may be allowed, by its origin, under another host name."""
    own = {
        "VITRINE_API_HOST": EVERYWHERE,
        "VITRINE_OPEN_WITHOUT_KEYS": "true",
        "VITRINE_ALLOWED_HOSTS": "pictures.example, other.example",
        "VITRINE_ALLOWED_ORIGINS": "https://gallery.example",
    }
    with (
        empty_library(server_url, decoder, "behind_a_proxy_tests") as seed,
        api_of(Keys(seed), tmp_path / "api.log", **own) as client,
    ):
        assert client.get("/v1/images", headers={"Host": "pictures.example"}).is_success
        assert client.get("/v1/images", headers={"Host": "evil.example"}).status_code == 403
        page = {"Origin": "https://gallery.example", "Sec-Fetch-Site": "cross-site"}
        allowed = client.post("/v1/library/clear?dry_run=1", headers=page)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, page["Origin"])
        foreign = page | {"Origin": "https://evil.example"}
        refused = client.post("/v1/library/clear?dry_run=1", headers=foreign)
        assert (refused.status_code, "access-control-allow-origin" in refused.headers) == (403, False)
        preflight = client.options(
            "/v1/jobs/scrape",
            headers=page
            | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "idempotency-key"},
        )
        assert preflight.is_success
        assert "idempotency-key" in preflight.headers["access-control-allow-headers"].lower()
