"""Colour searches of a running API: what can be asked, and what is refused in words."""

import io
import json

import httpx2 as httpx
import numpy as np
import pytest
from PIL import Image as PillowImage

from tests.lib.images.test_decoding import display_p3
from tests.query_api.conftest import disc, plain, png

JSON = {"Accept": "application/json"}
SIMILAR, COMPLEMENTARY, COLORS = "/v1/search/similar-colors", "/v1/search/complementary-colors", "/v1/search/colors"


def upload(data: bytes) -> dict[str, tuple[str, bytes]]:
    """Return a picture as form-data."""
    return {"image": ("query", data)}


def names(reply: httpx.Response) -> list[str]:
    """Return the names of the images in an answer, nearest first."""
    return [result["img_name"] for result in reply.raise_for_status().json()["results"]]


def ask(api: httpx.Client, path: str, data: bytes, **parameters: object) -> httpx.Response:
    """Ask by a picture, for JSON."""
    return api.post(path, params=parameters, files=upload(data), headers=JSON)


def wanted(api: httpx.Client, body: dict[str, object], **parameters: object) -> httpx.Response:
    """Ask by colours, for JSON."""
    return api.post(COLORS, params=parameters, json=body, headers=JSON)


@pytest.mark.parametrize("match", ["palette", "main"])
def test_a_color_is_asked_for_without_a_picture(api: httpx.Client, match: str) -> None:
    for color in ({"hex": "#d02020"}, {"hex": "d02020"}, {"lab": [45.1, 63.4, 44.9]}):
        reply = wanted(api, {"colors": [color], "match": match})
        assert names(reply)[0] == "red.png"
        assert reply.json()["unit"] == "ΔE00"
    assert names(wanted(api, {"colors": [{"hex": "#24d"}], "match": match}))[0] == "blue.png"


def test_a_tolerance_cuts_the_ranking(api: httpx.Client) -> None:
    near = wanted(api, {"colors": [{"hex": "#d02020"}], "tolerance": 4})
    assert names(near) == ["red.png"]
    assert near.json()["total"] == 1
    assert names(ask(api, SIMILAR, plain("#d02020"), tolerance=4)) == ["red.png"]


def test_weights_and_anything_else_change_what_is_near(api: httpx.Client) -> None:
    colors = [{"hex": "#d02020", "weight": 1}, {"hex": "#2040d0", "weight": 20}]
    assert names(wanted(api, {"colors": colors}))[0] == "blue.png"
    colors[0]["weight"] = 400
    assert names(wanted(api, {"colors": colors}))[0] == "red.png"
    free = wanted(api, {"colors": [{"hex": "#d02020"}], "anything_else": 0.5}).json()["results"][0]["distance"]
    assert free < 1


def test_pages_of_a_color_query_do_not_overlap(api: httpx.Client) -> None:
    body = {"colors": [{"hex": "#d02020"}, {"hex": "#20c0d0"}]}
    whole, seen, cursor = names(wanted(api, body, limit=200)), [], None
    while True:
        page = wanted(api, body, limit=2, **({"cursor": cursor} if cursor else {}))
        assert page.json()["results"][0]["rank"] == len(seen) + 1
        seen, cursor = seen + names(page), page.json()["next"]
        if cursor is None:
            break
    assert seen == whole


def test_a_color_query_has_a_collage_too(api: httpx.Client) -> None:
    reply = api.post(COLORS, json={"colors": [{"hex": "#d02020"}, {"hex": "#2040d0"}], "anything_else": 0.2})
    assert PillowImage.open(io.BytesIO(reply.content)).width > 1000


@pytest.mark.parametrize(
    "body",
    [
        {"colors": []},
        {"colors": [{"hex": "#d02020"}] * 9},
        {"colors": [{}]},
        {"colors": [{"hex": "red"}]},
        {"colors": [{"hex": "#d02020", "lab": [1, 2, 3]}]},
        {"colors": [{"lab": [120, 0, 0]}]},
        {"colors": [{"lab": [50, 500, 0]}]},
        {"colors": [{"hex": "#d02020", "weight": 0}]},
        {"colors": [{"hex": "#d02020", "weight": -1}]},
        {"colors": [{"hex": "#d02020"}], "tolerance": 0},
        {"colors": [{"hex": "#d02020"}], "tolerance": 1e9},
        {"colors": [{"hex": "#d02020"}], "anything_else": 1},
        {"colors": [{"hex": "#d02020"}, {"hex": "#2040d0"}], "match": "main"},
        {"colors": [{"hex": "#d02020"}], "colour": "red"},
    ],
    ids=json.dumps,
)
def test_a_color_query_that_makes_no_sense_is_refused(api: httpx.Client, body: dict[str, object]) -> None:
    reply = wanted(api, body)
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["errors"][0]["where"].startswith("body")


@pytest.mark.parametrize(
    ("harmony", "wheel", "name"),
    [
        ("complementary", "hsv", "cyan.png"),
        ("triadic", "hsv", "blue.png"),
        ("monochrome", "hsv", "red.png"),
        ("monochrome", "oklch", "red.png"),
    ],
)
def test_harmonies_of_red(api: httpx.Client, harmony: str, wheel: str, name: str) -> None:
    reply = ask(api, COMPLEMENTARY, plain("#d02020"), harmony=harmony, wheel=wheel)
    assert name in names(reply)
    assert (reply.json()["relation"], reply.json()["wheel"]) == (harmony, wheel)


def test_a_painters_complement_is_another_than_a_screens(api: httpx.Client) -> None:
    """Orange faces blue on the painter's wheel, azure on that of screens; the library's blue has hue 229°."""
    orange = plain("#e08020")
    on_screen = ask(api, COMPLEMENTARY, orange, match="layout", tolerance=15)
    painted = ask(api, COMPLEMENTARY, orange, match="layout", wheel="ryb", tolerance=25)
    assert "blue.png" not in names(on_screen)
    assert "blue.png" in names(painted)


@pytest.mark.parametrize(
    "parameters",
    [
        {"tolerance": 0},
        {"tolerance": 181},
        {"tolerance": "nan"},
        {"harmony": "dissonant"},
        {"wheel": "hsl"},
        {"match": "layout", "wheel": "oklch"},
    ],
    ids=str,
)
def test_parameters_that_make_no_sense_are_refused(api: httpx.Client, parameters: dict[str, object]) -> None:
    reply = ask(api, COMPLEMENTARY, plain("#d02020"), **parameters)
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["where"].startswith("query")


@pytest.mark.parametrize("path", [SIMILAR, COMPLEMENTARY])
@pytest.mark.parametrize("match", ["palette", "layout"])
def test_a_query_that_shows_nothing_is_refused(api: httpx.Client, path: str, match: str) -> None:
    reply = ask(api, path, png(PillowImage.new("RGBA", (40, 40), (200, 0, 0, 0))), match=match)
    assert reply.status_code == 422
    assert "transparent" in reply.json()["title"]


def encoded(image: PillowImage.Image, kind: str, **options: object) -> bytes:
    """Return a picture in some format."""
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def red_with_transparent_rest() -> bytes:
    """Return a palette PNG: a red square in the middle, the rest blue but transparent by tRNS."""
    image = PillowImage.new("P", (60, 60), 0)
    image.putpalette([0x20, 0x40, 0xD0, 0xD0, 0x20, 0x20])
    image.paste(1, (20, 20, 40, 40))
    return encoded(image, "PNG", transparency=0)


def sixteen_bit_grey() -> bytes:
    """Return a 16-bit PNG of the grey that the library has."""
    return encoded(PillowImage.fromarray(np.full((40, 40), 0x8080, np.uint16)), "PNG")


@pytest.mark.parametrize(
    ("data", "nearest"),
    [
        (plain("#d02020", (1, 1)), "red.png"),
        (png(PillowImage.new("L", (30, 30), 128)), "grey.png"),
        (encoded(PillowImage.new("CMYK", (40, 40), (20, 230, 230, 20)), "JPEG"), "red.png"),
        (red_with_transparent_rest(), "red.png"),
        (sixteen_bit_grey(), "grey.png"),
        (disc("#2040d0"), "blue.png"),
    ],
    ids=["1x1", "grey", "CMYK", "tRNS", "16 bit", "disc"],
)
@pytest.mark.parametrize("match", ["palette", "layout"])
def test_odd_pictures_are_understood(api: httpx.Client, data: bytes, nearest: str, match: str) -> None:
    if match == "palette":
        assert names(ask(api, SIMILAR, data))[0] == nearest
    else:
        assert names(ask(api, SIMILAR, data, match="layout", limit=3))
    reply = ask(api, COMPLEMENTARY, data, match=match)
    assert reply.json()["query_has_no_hue"] is (nearest == "grey.png")


def test_a_wide_gamut_picture_is_compared_as_it_looks(api: httpx.Client) -> None:
    """The same numbers under a Display P3 profile are a more vivid colour than in sRGB."""
    plain_cyan = ask(api, SIMILAR, plain("#20c0d0")).json()["results"][0]
    tagged = encoded(PillowImage.new("RGB", (40, 40), "#20c0d0"), "PNG", icc_profile=display_p3())
    wide_cyan = ask(api, SIMILAR, tagged).json()["results"][0]
    assert (plain_cyan["img_name"], wide_cyan["img_name"]) == ("cyan.png", "cyan.png")
    assert plain_cyan["distance"] < 0.1
    assert 1 < wide_cyan["distance"] < 12


def test_palettes_have_names_for_people(api: httpx.Client) -> None:
    image_id = ask(api, SIMILAR, plain("#d02020")).json()["results"][0]["image_id"]
    palette = api.get(f"/v1/images/{image_id}").json()["colors"]["palette"]
    assert palette[0]["name"] == "red"
    assert palette[0]["css_name"] == "firebrick"
