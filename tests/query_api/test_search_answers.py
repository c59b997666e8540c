"""What one search finds in the demo's library: 126 pictures whose captions are known, every model measured."""

from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

from demo.catalog import all_pictures
from tests.demo_library import Demo
from tests.query_api.conftest import READY_TIMEOUT_S, running_api, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.models, pytest.mark.timeout(900)]
JSON = {"Accept": "application/json"}


@pytest.fixture(scope="module")
def gallery(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of an API over the demo's library, its database included."""
    log = tmp_path_factory.mktemp("gallery") / "api.log"
    with running_api({"VITRINE_HOME": str(demo.home), "VITRINE_DEVICE": "cpu"}, log=log) as client:
        wait_for(lambda: client.get("/readyz").is_success, READY_TIMEOUT_S)
        yield client


def ask(gallery: httpx.Client, **body: Any) -> dict[str, Any]:
    """Ask for JSON."""
    answer: dict[str, Any] = gallery.post("/v1/search", json=body, headers=JSON).raise_for_status().json()
    return answer


def names(answer: dict[str, Any]) -> list[str]:
    """Return the names of what was found, without their endings, best first."""
    return [result["img_name"].rsplit(".", 1)[0] for result in answer["results"]]


def test_words_find_what_they_say_and_say_how_sure_that_is(gallery: httpx.Client) -> None:
    answer = ask(gallery, text="a violin")
    assert names(answer)[0].startswith("violin")
    best, worst = answer["results"][0], ask(gallery, text="a violin", limit=200)["results"][-1]
    assert (best["weak"], answer["no_good_match"], answer["exact"]) == (False, False, True)
    assert best["relevance"] > 0.97
    assert worst["weak"]
    assert answer["parts"]["meaning"]["basis"] == "captions"


@pytest.mark.parametrize("text", ["xqzv plonk brrt", "the theory of general relativity", "constitutional law"])
def test_what_is_not_there_is_said_to_have_no_good_match(gallery: httpx.Client, text: str) -> None:
    answer = ask(gallery, text=text)
    assert answer["no_good_match"]
    assert len(answer["results"]) == 24
    assert all(result["weak"] for result in answer["results"])


def test_most_captions_of_the_library_have_a_good_match(gallery: httpx.Client) -> None:
    captions = sorted({picture.caption for picture in all_pictures()})[::4]
    good = [ask(gallery, text=caption, limit=5)["no_good_match"] is False for caption in captions]
    assert sum(good) >= 0.85 * len(good)


def test_a_minus_term_pushes_down_what_it_names(gallery: httpx.Client) -> None:
    plain = names(ask(gallery, text="a fruit", limit=200))
    without = names(ask(gallery, text=["a fruit", {"text": "a strawberry", "weight": -0.8}], limit=200))
    strawberries = [name for name in plain if name.startswith("strawberry")]
    assert strawberries
    assert all(without.index(name) > plain.index(name) for name in strawberries)


def test_words_and_a_color_together_find_what_is_both(gallery: httpx.Client) -> None:
    answer = ask(gallery, text="a flower", colors=[{"hex": "#d02020"}], anything_else=0.5)
    first = answer["results"][0]
    assert names(answer)[0] in ("red-gazania", "rose", "rose-b", "rose-c")
    assert first["parts"]["colors"]["distance"] < 20
    assert set(answer["parts"]) == {"meaning", "colors"}
    much_color = names(ask(gallery, text="a flower", colors=[{"hex": "#2040d0"}], balance={"colors": 20}, limit=5))
    only_color = names(ask(gallery, colors=[{"hex": "#2040d0"}], limit=5))
    assert len(set(much_color) & set(only_color)) >= 3


def test_a_text_in_a_language_that_the_model_does_not_know_is_answered_with_a_note(gallery: httpx.Client) -> None:
    answer = ask(gallery, text=["a dog", "собака"])
    assert (answer["language_unsupported"], answer["unsupported_texts"]) == (True, [1])
    assert len(answer["results"]) == 24
    assert ask(gallery, text="a dog")["unsupported_texts"] == []


def test_a_collage_is_the_default_and_carries_what_json_says(gallery: httpx.Client) -> None:
    reply = gallery.post("/v1/search", json={"text": "собака", "limit": 3})
    assert reply.headers["content-type"] == "image/png"
    assert reply.content.startswith(b"\x89PNG")
    assert reply.headers["x-vitrine-language-unsupported"] == "true"
    assert reply.headers["x-search-recall"] == "exact"
    again = gallery.post(
        "/v1/search", json={"text": "собака", "limit": 3, "cursor": reply.headers["x-vitrine-next"]}, headers=JSON
    )
    assert again.json()["results"][0]["rank"] == 4
