"""The predecessor's twelve requests as its own page shows them: sent by curl to a real server."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import pytest
from PIL import Image as PillowImage

from tests.query_api.conftest import PICTURES
from tests.query_api.fake_dagster import FakeDagster

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
AS_JSON = ("-H", "content-type: application/json")
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Answer:
    """What curl brought back."""

    status: int
    headers: dict[str, list[str]]
    body: bytes

    @property
    def kind(self) -> str:
        """The media type."""
        return self.headers["content-type"][0]


def curl(api: httpx.Client, path: str, *options: str) -> Answer:
    """Run ``curl`` with these options."""
    command = ["curl", "-sS", "--max-time", "120", *options, f"{str(api.base_url).rstrip('/')}{path}"]
    told = subprocess.run([*command, "-w", "%{stderr}%{http_code}\n%{header_json}"], capture_output=True, check=True)
    status, _, headers = told.stderr.decode().partition("\n")
    return Answer(int(status), json.loads(headers), told.stdout)


@pytest.fixture(autouse=True)
def fresh_dagster(dagster: FakeDagster) -> Iterator[None]:
    """Let each test begin with a Dagster that nobody has asked anything."""
    dagster.reset()
    yield
    dagster.reset()


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One picture as .png and as .jpg."""
    folder, picture = tmp_path_factory.mktemp("photographs"), PillowImage.open(PICTURES / "dog.png")
    files = {kind: folder / f"dog.{kind}" for kind in ("png", "jpg")}
    picture.save(files["png"])
    picture.convert("RGB").save(files["jpg"], quality=95)
    return files


@pytest.mark.parametrize(
    "path", ["/scrape", "/highlight_all_images", "/get_all_resnet_embeddings", "/get_all_clip_embeddings"]
)
def test_a_bulk_get_waits_and_counts(api: httpx.Client, path: str) -> None:
    answer = curl(api, path)
    assert (answer.status, answer.kind) == (200, "application/json")
    assert json.loads(answer.body)["state"] == "SUCCESS"


def test_hello(api: httpx.Client, paths: dict[str, str]) -> None:
    answer = curl(api, "/hello", "-X", "POST", *AS_JSON, "-d", json.dumps({"img_path": paths["dog.png"]}))
    body = json.loads(answer.body)
    columns = {"id", "img_name", "img_hash", "img_path", "is_highlighted", "embedding_resnet", "embedding_clip"}
    assert answer.status == 200
    assert columns <= body.keys()
    unknown = curl(api, "/hello", "-X", "POST", *AS_JSON, "-d", '{"img_path": "library/nowhere.png"}')
    assert (unknown.status, unknown.kind) == (404, "application/problem+json")


def test_clear_all_says_what_went_and_until_when_it_can_come_back(api: httpx.Client, paths: dict[str, str]) -> None:
    try:
        answer = curl(api, "/clear_all")
        body = json.loads(answer.body)
        assert (answer.status, body["removed"]["images"]) == (200, len(paths))
        assert body["restore_until"]
        assert api.get("/v1/images").json()["total"] == 0
    finally:
        api.post("/v1/library/restore").raise_for_status()
    assert api.get("/v1/images").json()["total"] == len(paths)


def test_highlight_particular_image(api: httpx.Client, paths: dict[str, str]) -> None:
    body = json.dumps({"img_path": paths["dog.png"]})
    answer = curl(api, "/highlight_particular_image", *AS_JSON, "-d", body)
    assert (answer.status, answer.kind, answer.body[:8]) == (200, "image/png", PNG_SIGNATURE)
    record = curl(api, "/highlight_particular_image", *AS_JSON, "-H", "accept: application/json", "-d", body)
    assert json.loads(record.body)["img_path"] == paths["dog.png"]


def test_merge_imgs(api: httpx.Client, paths: dict[str, str]) -> None:
    body = json.dumps({"img_path_1": paths["dog.png"], "img_path_2": paths["truck.png"]})
    answer = curl(api, "/merge_imgs", *AS_JSON, "-d", body)
    assert (answer.status, answer.kind, answer.body[:8]) == (200, "image/png", PNG_SIGNATURE)


@pytest.mark.parametrize("kind", ["png", "jpg"])
@pytest.mark.parametrize("path", ["/find_all_complementary", "/find_all_similar_by_lab", "/get_top_24_resnet_similar"])
def test_a_search_by_picture_takes_form_data(
    api: httpx.Client, photographs: dict[str, Path], path: str, kind: str
) -> None:
    field = ("-F", f"image=@{photographs[kind]}")
    collage, listed = curl(api, path, *field), curl(api, path, *field, "-H", "accept: application/json")
    assert (collage.status, collage.kind, collage.body[:8]) == (200, "image/png", PNG_SIGNATURE)
    assert (listed.status, listed.kind) == (200, "application/json")
    assert "results" in json.loads(listed.body)


def test_get_top_25_clip_similar(api: httpx.Client) -> None:
    body = ("-d", '{"text_query": "a dog"}')
    collage = curl(api, "/get_top_25_clip_similar", *AS_JSON, *body)
    listed = curl(api, "/get_top_25_clip_similar", *AS_JSON, *body, "-H", "accept: application/json")
    assert (collage.status, collage.kind, collage.body[:8]) == (200, "image/png", PNG_SIGNATURE)
    assert json.loads(listed.body)["results"][0]["img_name"] == "dog.png"


def test_head_and_prefetch_change_nothing_and_every_answer_names_its_successor(
    api: httpx.Client, dagster: FakeDagster
) -> None:
    before = api.get("/v1/images").json()["total"]
    head = curl(api, "/clear_all", "--head")
    prefetch = curl(api, "/scrape", "-H", "Sec-Purpose: prefetch")
    foreign = curl(api, "/clear_all", "-H", "Sec-Fetch-Site: cross-site")
    assert (head.status, prefetch.status, foreign.status) == (200, 403, 403)
    assert api.get("/v1/images").json()["total"] == before
    assert dagster.launches == []
    assert 'rel="successor-version"' in head.headers["link"][0]
    assert head.headers["deprecation"][0].startswith("@")
