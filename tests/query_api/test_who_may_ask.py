"""Browsers that other sites send, prefetches, HEAD, and what every legacy answer says of itself."""

import httpx2 as httpx
import pytest

from lib.storage.images import count_images
from query_api.routes.legacy import CHANGING_GETS, SUCCESSORS
from tests.query_api.conftest import Seed
from tests.query_api.fake_dagster import FakeDagster

FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://127.0.0.1:3000"},
    {"Origin": "null"},
    {"Host": "evil.example"},
    {"Host": "evil.example:8004"},
    {"Host": "[::1"},
    {"Purpose": "prefetch"},
    {"Sec-Purpose": "prefetch;prerender"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("path", sorted(CHANGING_GETS))
def test_a_browser_sent_by_another_site_changes_nothing(
    api: httpx.Client, seed: Seed, dagster: FakeDagster, path: str, headers: dict[str, str]
) -> None:
    dagster.reset()
    with seed.database.session() as session:
        before = count_images(session)
        reply = api.get(path, headers=headers)
        assert reply.status_code == 403
        assert reply.headers["content-type"] == "application/problem+json"
        assert count_images(session) == before
    assert dagster.launches == []


def test_what_no_get_does_is_refused_to_other_sites_too(api: httpx.Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert api.post("/v1/library/clear", headers=headers).status_code == 403
    assert api.post("/hello", json={"img_path": "x"}, headers=headers).status_code == 403
    assert api.delete("/v1/images", headers=headers).status_code == 403


@pytest.mark.parametrize("path", sorted(CHANGING_GETS))
def test_head_changes_nothing(api: httpx.Client, seed: Seed, dagster: FakeDagster, path: str) -> None:
    dagster.reset()
    with seed.database.session() as session:
        before = count_images(session)
        reply = api.head(path)
        assert (reply.status_code, reply.content) == (200, b"")
        assert count_images(session) == before
    assert dagster.launches == []


def test_our_own_pages_and_plain_programs_may_ask(api: httpx.Client, dagster: FakeDagster) -> None:
    dagster.reset()
    origin = str(api.base_url).rstrip("/")
    same_origin = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
    assert api.get("/scrape?wait=0", headers=same_origin).status_code == 202
    by_name = {"Host": f"localhost:{api.base_url.port}"}
    assert api.get("/scrape?wait=0", headers=by_name).status_code == 202


def test_other_pages_may_show_our_pictures(api: httpx.Client, ids: dict[str, int]) -> None:
    """The Dagster UI, on another port, shows thumbnails."""
    headers = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Referer": "http://127.0.0.1:3000/"}
    for site in ("same-site", "cross-site"):
        reply = api.get(f"/v1/images/{ids['dog.png']}/thumbnail", headers=headers | {"Sec-Fetch-Site": site})
        assert reply.status_code == 200
        assert "cross-origin-resource-policy" not in reply.headers


@pytest.mark.parametrize(("path", "successor"), SUCCESSORS.items())
def test_a_legacy_answer_names_its_successor_and_that_exists(api: httpx.Client, path: str, successor: str) -> None:
    reply = api.head(path) if path in CHANGING_GETS else api.post(path)
    assert reply.headers["deprecation"] == "@1795478400"
    assert reply.headers["link"] == f'<{successor}>; rel="successor-version"'
    described = api.get("/openapi.json").json()["paths"]
    assert successor in described or successor.startswith("/v1/jobs/")


def test_all_twelve_requests_are_there_by_their_methods(api: httpx.Client) -> None:
    described = api.get("/openapi.json").json()["paths"]
    methods = {path: list(described[path]) for path in SUCCESSORS}
    gets = {path for path, names in methods.items() if names == ["get"]}
    assert len(methods) == 12
    assert gets == CHANGING_GETS
    assert all(names == ["post"] for path, names in methods.items() if path not in gets)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("GET", "/hello", 405)])
def test_even_a_wrong_address_is_answered_with_a_problem(
    api: httpx.Client, method: str, path: str, status: int
) -> None:
    reply = api.request(method, path)
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["title"]
    assert ("allow" in reply.headers) == (status == 405)


def test_the_documentation_needs_no_other_server(api: httpx.Client) -> None:
    page = api.get("/docs")
    assert page.is_success
    assert "cdn" not in page.text
