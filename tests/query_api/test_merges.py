"""Merges over the API: masks, sizes, kinds of files, formats of the answer, and what is refused."""

import io
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw

from tests.query_api.conftest import Seed, disc, library_settings, png, running_api, wait_for
from tests.query_api.fake_dagster import FakeDagster

OPEN_TIMEOUT_S = 60.0
RED, BLUE = (208, 32, 32), (32, 64, 208)


def merged(api: httpx.Client, **body: object) -> NDArray[Any]:
    """Return the pixels of a merge, RGB or RGBA."""
    reply = api.post("/v1/merges", json=body)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "image/png"
    return np.asarray(PillowImage.open(io.BytesIO(reply.content))).astype(int)


@pytest.fixture(scope="module")
def two(seed: Seed) -> dict[str, int]:
    """The ids of a red and a blue picture of 320 × 240."""
    images = {}
    for which, color in (("1", RED), ("2", BLUE)):
        images[f"image_id_{which}"] = seed.add(f"merge-{which}.png", png(PillowImage.new("RGB", (320, 240), color))).id
    return images


def refusal(api: httpx.Client, **body: object) -> dict[str, Any]:
    reply = api.post("/v1/merges", json=body)
    assert reply.status_code >= 400
    assert reply.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = reply.json()
    return problem


def test_without_a_mask_the_first_is_left_and_the_second_right(api: httpx.Client, two: dict[str, int]) -> None:
    pixels = merged(api, **two, levels=3)
    assert pixels.shape == (240, 320, 3)
    assert (pixels[:, :128] == RED).all()
    assert (pixels[:, 192:] == BLUE).all()


def test_images_are_named_by_path_or_id(api: httpx.Client, paths: dict[str, str], ids: dict[str, int]) -> None:
    by_path = merged(api, img_path_1=paths["red.png"], img_path_2=paths["blue.png"])
    mixed = merged(api, image_id_1=ids["red.png"], img_path_2=paths["blue.png"])
    np.testing.assert_array_equal(by_path, mixed)


def test_the_seam_can_be_moved_turned_and_softened(api: httpx.Client, two: dict[str, int]) -> None:
    quarter = merged(api, **two, levels=0, mask={"kind": "left_right", "position": 0.25})
    assert [tuple(quarter[9, x]) for x in (79, 80)] == [RED, BLUE]
    below = merged(api, **two, levels=0, mask={"kind": "top_bottom", "position": 0.75})
    assert [tuple(below[y, 9]) for y in (179, 180)] == [RED, BLUE]
    soft = merged(api, **two, levels=0, mask={"kind": "left_right", "softness": 0.5})[9, :, 0]
    assert soft[79] > soft[120] > soft[160] > soft[200] > soft[240]
    diagonal = merged(api, **two, levels=0, mask={"kind": "gradient", "angle_deg": 45})
    assert diagonal[0, 0, 0] > diagonal[120, 160, 0] > diagonal[-1, -1, 0]


def test_more_levels_blend_over_a_wider_seam(api: httpx.Client, two: dict[str, int]) -> None:
    widths = [
        sum(tuple(pixel) not in (RED, BLUE) for pixel in merged(api, **two, levels=levels)[100]) for levels in (0, 2, 4)
    ]
    assert widths[0] == 0
    assert 0 < widths[1] < widths[2]


def test_the_subject_of_one_is_put_on_the_other(api: httpx.Client, seed: Seed, two: dict[str, int]) -> None:
    subject = seed.add("merge-disc.png", disc("#20c020"))
    pixels = merged(api, image_id_1=subject.id, image_id_2=two["image_id_2"], mask={"kind": "subject"})
    assert pixels.shape == (240, 320, 3), "the frame of the second, opaque as the second is"
    assert tuple(pixels[120, 160]) == (32, 192, 32)
    assert tuple(pixels[5, 5]) == BLUE
    assert tuple(pixels[120, 160 - 80]) == BLUE, "fitted into the frame: 240 px high, the disc half of it"
    assert pixels.min(axis=2).min() >= 30, "no dark rim"


def test_the_subject_of_an_opaque_picture_is_found_by_the_model(
    api: httpx.Client, seed: Seed, two: dict[str, int]
) -> None:
    ground = PillowImage.new("RGB", (300, 300), "#f4f4f4")
    ImageDraw.Draw(ground).ellipse((75, 75, 225, 225), fill="#c0a010")
    subject = seed.add("merge-model.png", png(ground))
    pixels = merged(api, image_id_1=subject.id, image_id_2=two["image_id_2"], mask={"kind": "subject"})
    np.testing.assert_allclose(pixels[120, 160], (192, 160, 16), atol=12)
    np.testing.assert_allclose(pixels[4, 4], BLUE, atol=4)
    assert api.get(f"/v1/images/{subject.id}/cutout").status_code == 200, "the cut-out was stored"


def drawn(api: httpx.Client, drawing: bytes, **form: Any) -> httpx.Response:
    return api.post("/v1/merges/drawn", data=form, files={"mask": ("mask.png", drawing, "image/png")})


def test_a_drawn_mask_is_stretched_to_the_first_image(api: httpx.Client, two: dict[str, int]) -> None:
    mask = PillowImage.new("L", (32, 24), 0)
    ImageDraw.Draw(mask).rectangle((8, 6, 23, 17), fill=255)
    reply = drawn(api, png(mask), **two, levels=1)
    assert reply.status_code == 200, reply.text
    pixels = np.asarray(PillowImage.open(io.BytesIO(reply.content)))
    assert tuple(pixels[120, 160]) == RED
    assert tuple(pixels[20, 20]) == BLUE


@pytest.mark.parametrize("drawing", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"])
def test_a_mask_that_is_no_picture_is_refused(api: httpx.Client, two: dict[str, int], drawing: bytes) -> None:
    reply = drawn(api, drawing, **two)
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"


def test_a_form_without_a_mask_or_with_an_image_named_twice_is_refused(
    api: httpx.Client, two: dict[str, int], paths: dict[str, str]
) -> None:
    assert api.post("/v1/merges/drawn", data=two).status_code == 422
    white = png(PillowImage.new("L", (4, 4), 255))
    assert drawn(api, white, **two, img_path_1=paths["red.png"]).status_code == 422
    assert drawn(api, white, image_id_1=two["image_id_1"]).status_code == 422
    assert drawn(api, white, **two, levels=99).status_code == 422


def exif_turned() -> bytes:
    """A JPEG stored lying, 200 × 100, to be viewed standing: red above, white below."""
    image = PillowImage.new("RGB", (200, 100), "white")
    image.paste(RED, (0, 0, 100, 100))
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    sink = io.BytesIO()
    image.save(sink, "JPEG", exif=exif, quality=95)
    return sink.getvalue()


def deep_grey() -> bytes:
    return png(PillowImage.fromarray(np.full((60, 90), 40_000, np.uint16)))


def half_transparent_palette() -> bytes:
    image = PillowImage.new("P", (50, 50), 1)
    image.putpalette([0, 0, 0, *RED])
    image.paste(0, (0, 0, 50, 25))
    sink = io.BytesIO()
    image.save(sink, "PNG", transparency=0)
    return sink.getvalue()


def cmyk() -> bytes:
    sink = io.BytesIO()
    PillowImage.new("CMYK", (80, 30), (0, 255, 255, 0)).save(sink, "JPEG")
    return sink.getvalue()


@pytest.mark.parametrize(
    ("make", "place", "color"),
    [
        (exif_turned, (5, 5), RED),
        (deep_grey, (5, 5), (156, 156, 156)),
        (half_transparent_palette, (45, 5), (*RED, 255)),
        (half_transparent_palette, (5, 5), (0, 0, 0, 0)),
        (cmyk, (5, 5), (255, 0, 0)),
    ],
)
def test_any_two_kinds_of_pictures_merge_as_they_are_viewed(
    api: httpx.Client, seed: Seed, two: dict[str, int], make: Any, place: tuple[int, int], color: tuple[int, ...]
) -> None:
    other = seed.add(f"merge-{make.__name__}", make())
    first = merged(api, image_id_1=other.id, image_id_2=two["image_id_2"], levels=1)
    assert first.shape[:2] == (other.height_px, other.width_px)
    np.testing.assert_allclose(first[-1, -1, :3], BLUE, atol=2)
    second = merged(api, image_id_1=two["image_id_1"], image_id_2=other.id, levels=1)
    assert second.shape[:2] == (240, 320)
    np.testing.assert_allclose(first[place], color, atol=12)


def test_one_pixel_merges_with_any_picture(api: httpx.Client, seed: Seed, two: dict[str, int]) -> None:
    dot = seed.add("merge-dot.png", png(PillowImage.new("RGB", (1, 1), (9, 9, 9))))
    assert merged(api, image_id_1=dot.id, image_id_2=two["image_id_1"]).shape == (1, 1, 3)
    assert tuple(merged(api, image_id_1=two["image_id_1"], image_id_2=dot.id)[100, 300]) == (9, 9, 9)


@pytest.mark.parametrize(
    ("accept", "format_", "expected"),
    [
        ("*/*", None, "png"),
        ("image/webp", None, "webp"),
        ("image/jpeg, image/png;q=0.9", None, "jpeg"),
        ("text/html", None, "png"),
        ("image/webp", "jpeg", "jpeg"),
    ],
)
def test_the_answer_has_the_format_that_is_asked_for(
    api: httpx.Client, two: dict[str, int], accept: str, format_: str | None, expected: str
) -> None:
    reply = api.post("/v1/merges", json={**two, "format": format_}, headers={"Accept": accept})
    assert reply.headers["content-type"] == f"image/{expected}"
    assert reply.headers["vary"] == "Accept"
    assert PillowImage.open(io.BytesIO(reply.content)).format == expected.upper()


@pytest.mark.parametrize(
    "wrong",
    [
        {"levels": -1},
        {"levels": 9},
        {"levels": "many"},
        {"format": "gif"},
        {"mask": {"kind": "circle"}},
        {"mask": {"kind": "left_right", "position": 1.01}},
        {"mask": {"kind": "left_right", "softness": -0.1}},
        {"mask": {"kind": "gradient", "angle_deg": 1e9}},
        {"mask": {"kind": "left_right", "positon": 0.3}},
        {"mask": "left_right"},
        {"image_id_1": None},
        {"image_id_2": 0},
        {"img_path_1": "library/test/dog.png"},
        {"sharpness": 3},
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(
    api: httpx.Client, two: dict[str, int], wrong: dict[str, object]
) -> None:
    problem = refusal(api, **{**two, **wrong})
    assert problem["status"] == 422
    assert problem["errors"][0]["where"].startswith("body")


def test_an_image_that_is_not_there_is_not_found(api: httpx.Client, two: dict[str, int]) -> None:
    assert refusal(api, image_id_1=two["image_id_1"], image_id_2=999_999)["status"] == 404
    assert refusal(api, image_id_1=two["image_id_1"], img_path_2="library/none.png")["status"] == 404


def test_a_result_that_webp_cannot_hold_is_refused_when_named_and_avoided_when_preferred(
    api: httpx.Client, seed: Seed, two: dict[str, int]
) -> None:
    long = seed.add("merge-long.png", png(PillowImage.new("RGB", (16_400, 2), RED)))
    body = {"image_id_1": long.id, "image_id_2": two["image_id_2"]}
    problem = refusal(api, **body, format="webp")
    assert (problem["status"], problem["type"]) == (413, "urn:vitrine:problem:merge-too-large")
    assert "16383" in problem["detail"]
    reply = api.post("/v1/merges", json=body, headers={"Accept": "image/webp, image/png;q=0.5"})
    assert reply.headers["content-type"] == "image/png"


def test_images_over_the_pixel_limit_are_not_merged(
    seed: Seed, dagster: FakeDagster, two: dict[str, int], tmp_path: Path
) -> None:
    """They were taken in when the limit was higher; it is looked at before anything is decoded."""
    settings = library_settings(seed, dagster.url) | {"VITRINE_MAX_IMAGE_PIXELS": str(320 * 240 - 1)}
    with running_api(settings, log=tmp_path / "api.log") as api:
        wait_for(lambda: api.get("/v1/images").is_success, OPEN_TIMEOUT_S)
        problem = refusal(api, **two)
        reply = drawn(api, png(PillowImage.new("L", (4, 4), 255)), **two)
    assert problem["status"] == reply.status_code == 413
    assert problem["type"].endswith("merge-too-large")
    assert "320 × 240" in problem["detail"]
    assert "VITRINE_MAX_IMAGE_PIXELS" in problem["detail"]
    assert reply.headers["content-type"] == "application/problem+json"


def test_a_merge_is_kept_listed_and_forgotten(api: httpx.Client, two: dict[str, int]) -> None:
    asked = {**two, "mask": {"kind": "top_bottom", "position": 0.4}, "format": "webp"}
    picture = api.post("/v1/merges", json=asked).content
    kept = api.post("/v1/merges?save=true", json=asked)
    assert (kept.status_code, kept.headers["location"]) == (201, f"/v1/merges/{kept.json()['id']}")
    record = api.get(kept.headers["location"]).json()
    assert record == kept.json()
    assert record["how"] == {"mask": {"kind": "top_bottom", "position": 0.4, "softness": 0.0}, "levels": None}
    file = api.get(record["file"])
    assert (file.content, file.headers["content-type"]) == (picture, "image/webp")
    assert api.get(record["file"], headers={"If-None-Match": file.headers["etag"]}).status_code == 304
    assert record in api.get("/v1/merges").json()["items"]
    assert api.delete(kept.headers["location"]).status_code == 204
    assert api.get(record["file"]).status_code == api.delete(kept.headers["location"]).status_code == 404


def test_a_kept_merge_goes_and_comes_back_with_its_images(api: httpx.Client, two: dict[str, int]) -> None:
    kept = api.post("/v1/merges?save=true", json=two).json()
    api.delete(f"/v1/images/{kept['image_id_1']}").raise_for_status()
    assert api.get(kept["file"]).status_code == 404
    assert kept not in api.get("/v1/merges").json()["items"]
    api.post(f"/v1/images/{kept['image_id_1']}/restore").raise_for_status()
    assert api.get(kept["file"]).is_success
    api.delete(f"/v1/merges/{kept['id']}").raise_for_status()


def test_a_drawn_merge_is_kept_too(api: httpx.Client, two: dict[str, int]) -> None:
    drawing = {"mask": ("mask.png", png(PillowImage.new("L", (8, 8), 255)))}
    kept = api.post("/v1/merges/drawn?save=true", data=two, files=drawing)
    assert (kept.status_code, kept.json()["how"]) == (201, {"mask": {"kind": "drawn"}, "levels": None})
    api.delete(f"/v1/merges/{kept.json()['id']}").raise_for_status()


def test_the_address_of_drawn_merges_is_no_merge(api: httpx.Client) -> None:
    for method in ("GET", "DELETE", "OPTIONS"):
        reply = api.request(method, "/v1/merges/drawn")
        assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
    assert api.get("/v1/merges/1000000").status_code == 404
