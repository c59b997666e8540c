"""Images listed and described, and their files with the headers that keep browsers safe and caches right."""

import hashlib
import io

import httpx2 as httpx
import pytest
from PIL import Image as PillowImage

from tests.query_api.conftest import PICTURES, Seed


def test_pages_of_the_list_show_every_image_once_newest_first(api: httpx.Client, ids: dict[str, int]) -> None:
    seen, cursor = [], None
    while True:
        page = api.get("/v1/images", params={"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == sorted(ids.values(), reverse=True)
    assert page["total"] == len(ids)


def test_a_path_leads_to_its_image(api: httpx.Client, paths: dict[str, str], ids: dict[str, int]) -> None:
    page = api.get("/v1/images", params={"img_path": paths["dog.png"]}).json()
    assert [item["id"] for item in page["items"]] == [ids["dog.png"]]
    assert api.get("/v1/images", params={"img_path": "library/none.png"}).json()["items"] == []


def test_a_list_can_be_narrowed(api: httpx.Client, ids: dict[str, int]) -> None:
    page = api.get("/v1/images?has_cutout=true&format=PNG&format=WEBP&min_side=64&since=2020-01-01T00:00:00Z").json()
    cut_out = {item["id"] for item in page["items"]}
    assert page["total"] == len(cut_out)
    assert {ids["dog.png"], ids["truck.png"]} <= cut_out < set(ids.values())
    assert api.get("/v1/images?source=nobody").json()["items"] == []


@pytest.mark.parametrize(
    "query",
    [
        "since=2020-01-01",
        "since=yesterday",
        "until=0.5",
        "until=1795478400",
        "format=PSD",
        "min_side=0",
        "alt=",
        "alt=%00",
        "source=a/b",
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=",
        "cursor=%00",
        "cursor=W10",
        "cursor=WzFlOTld",
        "img_path=%00",
        "limit=3&limit=4",
    ],
)
def test_a_query_that_makes_no_sense_is_refused(api: httpx.Client, query: str) -> None:
    reply = api.get(f"/v1/images?{query}")
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"


def test_what_is_given_twice_is_named_unless_it_is_a_list_or_unknown(api: httpx.Client, ids: dict[str, int]) -> None:
    assert api.get("/v1/images?format=PNG&format=WEBP&utm=1&utm=2").is_success
    refused = api.get(f"/v1/images/{next(iter(ids.values()))}/similar?k=3&k=3")
    assert refused.status_code == 422
    assert refused.json()["errors"] == [{"where": "query.k", "message": "Given more than once"}]
    assert api.head("/v1/images?limit=3&limit=4").status_code == 422


@pytest.mark.parametrize("what", ["", "/file", "/thumbnail", "/cutout", "/similar"])
@pytest.mark.parametrize("image_id", ["999999999", "9007199254740991"])
def test_an_unknown_image_is_not_found(api: httpx.Client, what: str, image_id: str) -> None:
    assert api.get(f"/v1/images/{image_id}{what}").status_code == 404


@pytest.mark.parametrize("image_id", ["0", "-1", "9223372036854775808", "x", "1e3", "..%2f..%2fetc%2fpasswd"])
def test_what_is_no_id_is_refused(api: httpx.Client, image_id: str) -> None:
    assert api.get(f"/v1/images/{image_id}/file").status_code in (404, 422)


def test_an_image_is_described_with_all_that_was_derived(api: httpx.Client, ids: dict[str, int]) -> None:
    body = api.get(f"/v1/images/{ids['dog.png']}").json()
    assert body["cutout"]["origin"] == "alpha"
    assert 0 < body["cutout"]["coverage"] < 1
    assert body["colors"]["of_subject"] is True
    assert sum(color["weight"] for color in body["colors"]["palette"]) == pytest.approx(1, abs=0.01)
    assert {role: model["computed"] for role, model in body["models"].items()}["clip"] is True


def test_the_file_is_the_very_bytes_and_can_run_nothing(api: httpx.Client, ids: dict[str, int]) -> None:
    original = (PICTURES / "dog.png").read_bytes()
    reply = api.get(f"/v1/images/{ids['dog.png']}/file")
    assert reply.content == original
    assert reply.headers["content-type"] == "image/png"
    assert reply.headers["etag"] == f'"{hashlib.sha256(original).hexdigest()}"'
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in reply.headers["content-security-policy"]
    assert "immutable" in reply.headers["cache-control"]


@pytest.mark.parametrize("what", ["file", "thumbnail?w=64", "cutout", "cutout?format=webp", "mask"])
def test_a_client_that_has_the_picture_is_not_sent_it_again(api: httpx.Client, ids: dict[str, int], what: str) -> None:
    url = f"/v1/images/{ids['dog.png']}/{what}"
    first = api.get(url)
    for given in (first.headers["etag"], f"W/{first.headers['etag']}", f'"other", {first.headers["etag"]}', "*"):
        again = api.get(url, headers={"If-None-Match": given})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    assert api.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_file_can_be_asked_for_by_head(api: httpx.Client, ids: dict[str, int]) -> None:
    reply = api.head(f"/v1/images/{ids['dog.png']}/file")
    assert reply.content == b""
    assert int(reply.headers["content-length"]) == (PICTURES / "dog.png").stat().st_size


@pytest.mark.parametrize(("asked", "longest"), [(64, 64), (1, 32), (100_000, 160)])
def test_a_thumbnail_fits_the_width_and_is_never_enlarged(
    api: httpx.Client, ids: dict[str, int], asked: int, longest: int
) -> None:
    reply = api.get(f"/v1/images/{ids['red.png']}/thumbnail?w={asked}")
    assert reply.headers["content-type"] == "image/webp"
    picture = PillowImage.open(io.BytesIO(reply.content))
    assert picture.format == "WEBP"
    assert max(picture.size) == longest


def test_a_cutout_is_transparent_around_the_subject(api: httpx.Client, ids: dict[str, int]) -> None:
    reply = api.get(f"/v1/images/{ids['dog.png']}/cutout")
    picture = PillowImage.open(io.BytesIO(reply.content))
    assert picture.mode == "RGBA"
    assert picture.getchannel("A").getextrema() == (0, 255)


@pytest.mark.parametrize(
    ("query", "accept", "format_"),
    [("", "*/*", "PNG"), ("", "image/webp,*/*;q=0.8", "WEBP"), ("?format=webp", "*/*", "WEBP"), ("", "text/*", "PNG")],
)
def test_a_cutout_comes_in_the_format_that_is_preferred(
    api: httpx.Client, ids: dict[str, int], query: str, accept: str, format_: str
) -> None:
    reply = api.get(f"/v1/images/{ids['dog.png']}/cutout{query}", headers={"Accept": accept})
    picture = PillowImage.open(io.BytesIO(reply.content))
    assert (picture.format, picture.mode) == (format_, "RGBA")
    assert reply.headers["content-type"] == f"image/{format_.lower()}"
    assert "accept" in reply.headers["vary"].lower()


def test_a_mask_is_white_on_the_subject(api: httpx.Client, seed: Seed, ids: dict[str, int]) -> None:
    reply = api.get(f"/v1/images/{ids['dog.png']}/mask")
    mask = PillowImage.open(io.BytesIO(reply.content))
    assert (mask.format, mask.mode, mask.getextrema()) == ("PNG", "L", (0, 255))
    described = api.get(f"/v1/images/{ids['dog.png']}").json()
    assert reply.headers["etag"] == f'"{described["cutout"]["mask_sha256"]}"'
    assert described["links"]["mask"] == f"/v1/images/{ids['dog.png']}/mask"


@pytest.mark.parametrize("what", ["cutout", "mask"])
def test_what_was_not_cut_out_yet_says_how_it_will_be(api: httpx.Client, ids: dict[str, int], what: str) -> None:
    problem = api.get(f"/v1/images/{ids['grey.png']}/{what}").json()
    assert (problem["status"], problem["type"]) == (409, "urn:vitrine:problem:not-computed-yet")
    assert f"/v1/images/{ids['grey.png']}/cutout" in problem["detail"]


def test_a_part_of_a_file_can_be_asked_for(api: httpx.Client, ids: dict[str, int]) -> None:
    original, url = (PICTURES / "dog.png").read_bytes(), f"/v1/images/{ids['dog.png']}/file"
    part = api.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, original[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(original)}"
    same = api.get(url, headers={"Range": "bytes=10-19", "If-Range": part.headers["etag"]})
    assert same.status_code == 206
    changed = api.get(url, headers={"Range": "bytes=10-19", "If-Range": '"other"'})
    assert (changed.status_code, changed.content) == (200, original)
    beyond = api.get(url, headers={"Range": f"bytes={len(original)}-"})
    assert beyond.headers["content-range"] == f"bytes */{len(original)}"
    assert (beyond.status_code, beyond.json()["type"]) == (416, "urn:vitrine:problem:range-not-satisfiable")
    assert api.get(url, headers={"Range": "bytes=x"}).json()["status"] == 400


def test_similar_images_leave_out_the_image_itself(api: httpx.Client, ids: dict[str, int]) -> None:
    results = api.get(f"/v1/images/{ids['dog.png']}/similar?k=3").json()["results"]
    assert len(results) == 3
    assert ids["dog.png"] not in [result["image_id"] for result in results]
    distances = [result["distance"] for result in results]
    assert distances == sorted(distances)


def test_a_file_that_was_removed_by_hand_is_a_problem(api: httpx.Client, seed: Seed, ids: dict[str, int]) -> None:
    digest = api.get(f"/v1/images/{ids['grey.png']}").json()["sha256"]
    data = seed.objects.read(digest)
    seed.objects.delete(digest)
    try:
        reply = api.get(f"/v1/images/{ids['grey.png']}/file")
        assert (reply.status_code, reply.json()["type"]) == (500, "urn:vitrine:problem:file-missing")
        assert str(seed.home) not in reply.text
    finally:
        seed.objects.put(data)


def test_a_deleted_image_is_gone_until_it_is_restored(api: httpx.Client, ids: dict[str, int]) -> None:
    url = f"/v1/images/{ids['cyan.png']}"
    deleted = api.delete(url).raise_for_status().json()
    assert api.get(url).status_code == 404
    assert api.delete(url).status_code == 404
    method, path = deleted["restore_with"].split()
    assert api.request(method, path).raise_for_status().json()["img_name"] == "cyan.png"
    assert api.get(url).is_success
    assert api.post(path).status_code == 404
