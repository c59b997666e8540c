"""One query of each kind, asked over REST as any client would; what they answer is kept as files to look at."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx

from demo.catalog import picture_named
from lib.errors import NotReady

READY_TIMEOUT_S = 120.0
TEXT_QUERY = "a dog"
ABOUT = picture_named("giraffe")
OTHER = picture_named("zebra")
COLORFUL = picture_named("strawberry2")


@dataclass(frozen=True)
class Answer:
    """A question, what came back in words, how long it took, and the picture that came with it."""

    question: str
    summary: str
    seconds: float
    file: Path | None = None


class Asker:
    """Asks, and keeps the pictures that come back."""

    def __init__(self, client: httpx.Client, folder: Path) -> None:
        self._client, self._folder = client, folder
        self.answers: list[Answer] = []
        folder.mkdir(parents=True, exist_ok=True)

    def picture(self, question: str, path: str, name: str, **request: Any) -> None:
        """POST for a PNG and keep it; the same request as JSON tells what it shows."""
        started = time.perf_counter()
        reply = self._client.post(path, **request).raise_for_status()
        seconds = time.perf_counter() - started
        file = self._folder / name
        file.write_bytes(reply.content)
        self.answers.append(
            Answer(question, f"{len(reply.content) // 1000} kB {reply.headers['content-type']}", seconds, file)
        )

    def record(self, question: str, method: str, path: str, summarize: Callable[[Any], str], **request: Any) -> Any:
        """Ask for JSON, keep a summary of it, and return it."""
        started = time.perf_counter()
        reply = self._client.request(method, path, **request).raise_for_status()
        body = json.loads(reply.content)
        self.answers.append(Answer(question, summarize(body), time.perf_counter() - started))
        return body


def ask_all(base_url: str, folder: Path, still_alive: Callable[[], None]) -> list[Answer]:
    """Ask one query of each kind and write the pictures that come back into ``folder``.

    Raises httpx.HTTPStatusError for an answer that is no success; ``still_alive`` raises when the server has ended.
    """
    with httpx.Client(base_url=base_url, timeout=120) as client:
        _wait_for_models(client, still_alive)
        asker = Asker(client, folder)
        listed = asker.record(
            "list of images", "GET", "/v1/images?limit=200", lambda body: f"{len(body['items'])} images"
        )
        _ask_about_some(asker, {item["img_name"]: item["img_path"] for item in listed["items"]})
        _ask_searches(asker)
        return asker.answers


def _wait_for_models(client: httpx.Client, still_alive: Callable[[], None]) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while client.get("/readyz").status_code != httpx.codes.OK:
        still_alive()
        if time.monotonic() > deadline:
            raise NotReady(f"the models were not ready within {READY_TIMEOUT_S:.0f} s; see the log of the API")
        time.sleep(0.3)


def _ask_about_some(asker: Asker, paths: dict[str, str]) -> None:
    one, other = paths[ABOUT.file], paths[OTHER.file]
    asker.record(f"about {ABOUT.file}", "POST", "/hello", _describe, json={"img_path": one})
    asker.picture(f"cut-out of {ABOUT.file}", "/highlight_particular_image", "cutout.png", json={"img_path": one})
    merge = {"img_path_1": one, "img_path_2": other}
    asker.picture(f"{ABOUT.file} | {OTHER.file}", "/merge_imgs", "merge.png", json=merge)


def _describe(body: Any) -> str:
    return f"{body['img_path']}, highlighted: {body['is_highlighted']}"


def _ask_searches(asker: Asker) -> None:
    asker.picture(f'words: "{TEXT_QUERY}"', "/get_top_25_clip_similar", "words.png", json={"text_query": TEXT_QUERY})
    for question, path, name, picture in (
        ("look", "/get_top_24_resnet_similar", "look.png", ABOUT),
        ("similar colours", "/find_all_similar_by_lab?cutout=auto", "similar_colors.png", COLORFUL),
        ("complementary colours", "/find_all_complementary?cutout=auto", "complementary_colors.png", COLORFUL),
    ):
        upload = {"image": (picture.file, picture.data, picture.content_type)}
        asker.picture(f"{question}: {picture.file}", path, name, files=upload)
