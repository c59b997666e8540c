"""The file of an image, as it is served: without places and devices, whole and in parts, while the disk keeps them."""

import io
import re

import httpx2 as httpx
import numpy as np
import pytest
from PIL import Image as PillowImage

from lib.images.private_metadata.removal import REMOVAL_VERSION, removal
from lib.images.private_metadata.sieve import sifted
from lib.storage.tables import Image
from tests.lib.images.private_metadata import samples
from tests.query_api.conftest import Seed

ORIGINAL = samples.jpeg("<")
SERVED = sifted(ORIGINAL, removal(io.BytesIO(ORIGINAL), "JPEG"))
CHANGED = [position for position in range(len(SERVED)) if SERVED[position] != ORIGINAL[position]]
FIRST, LAST = CHANGED[0], CHANGED[-1]


@pytest.fixture(scope="module")
def heron(seed: Seed) -> Image:
    return seed.add("heron.jpg", ORIGINAL)


@pytest.fixture(scope="module")
def url(heron: Image) -> str:
    return f"/v1/images/{heron.id}/file"


@pytest.fixture(scope="module")
def etag(heron: Image) -> str:
    return f'"{heron.sha256}-p{REMOVAL_VERSION}"'


def test_a_file_is_served_without_places_and_devices(api: httpx.Client, url: str, etag: str) -> None:
    reply = api.get(url)
    assert (reply.status_code, reply.content) == (200, SERVED)
    assert not any(secret.encode() in reply.content for secret in samples.SECRETS)
    assert (reply.headers["etag"], reply.headers["content-type"]) == (etag, "image/jpeg")
    assert int(reply.headers["content-length"]) == len(ORIGINAL)
    assert "sandbox" in reply.headers["content-security-policy"]
    picture = PillowImage.open(io.BytesIO(reply.content))
    np.testing.assert_array_equal(picture, PillowImage.open(io.BytesIO(ORIGINAL)))


@pytest.mark.parametrize("format_", samples.FORMATS)
def test_so_is_a_file_of_each_format(api: httpx.Client, seed: Seed, format_: str) -> None:
    image = seed.add(f"heron.{format_.lower()}", samples.MAKE[format_](">"))
    reply = api.get(f"/v1/images/{image.id}/file")
    assert not any(secret.encode() in reply.content for secret in samples.SECRETS)
    assert PillowImage.open(io.BytesIO(reply.content)).format == format_


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("0-", 0, len(SERVED)),
        (f"{FIRST - 5}-{FIRST + 40}", FIRST - 5, FIRST + 41),
        (f"{FIRST}-{FIRST}", FIRST, FIRST + 1),
        ("-30", len(SERVED) - 30, len(SERVED)),
        (f"{LAST}-99999999", LAST, len(SERVED)),
    ],
)
def test_a_part_is_that_of_what_is_served(
    api: httpx.Client, url: str, etag: str, asked: str, first: int, last: int
) -> None:
    reply = api.get(url, headers={"Range": f"bytes={asked}", "If-Range": etag})
    assert (reply.status_code, reply.content) == (206, SERVED[first:last])
    assert reply.content != ORIGINAL[first:last]
    assert reply.headers["content-range"] == f"bytes {first}-{last - 1}/{len(SERVED)}"
    assert reply.headers["etag"] == etag


def test_several_parts_come_in_one_answer(api: httpx.Client, url: str) -> None:
    reply = api.get(url, headers={"Range": f"bytes={FIRST - 4}-{FIRST + 9},-12"})
    assert reply.status_code == 206
    boundary = re.fullmatch(r"multipart/byteranges; boundary=(\w+)", reply.headers["content-type"])
    assert boundary
    parts = reply.content.split(f"--{boundary[1]}".encode())[1:-1]
    bodies = [part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n") for part in parts]
    assert bodies == [SERVED[FIRST - 4 : FIRST + 10], SERVED[-12:]]


def test_a_part_of_another_version_is_answered_by_the_whole(api: httpx.Client, heron: Image, url: str) -> None:
    reply = api.get(url, headers={"Range": "bytes=0-9", "If-Range": f'"{heron.sha256}"'})
    assert (reply.status_code, reply.content) == (200, SERVED)


def test_a_part_beyond_the_end_is_refused(api: httpx.Client, url: str) -> None:
    reply = api.get(url, headers={"Range": f"bytes={len(SERVED)}-"})
    assert (reply.status_code, reply.headers["content-range"]) == (416, f"bytes */{len(SERVED)}")


def test_who_has_it_is_not_sent_it_again_and_who_has_the_original_is(
    api: httpx.Client, heron: Image, url: str, etag: str
) -> None:
    again = api.get(url, headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert api.get(url, headers={"If-None-Match": f'"{heron.sha256}"'}).content == SERVED


def test_a_head_tells_the_length_and_the_version(api: httpx.Client, url: str, etag: str) -> None:
    reply = api.head(url)
    assert (reply.status_code, reply.content) == (200, b"")
    assert (int(reply.headers["content-length"]), reply.headers["etag"]) == (len(SERVED), etag)
    part = api.head(url, headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.headers["content-length"]) == (206, "10")


def test_what_lies_on_the_disk_is_the_original(api: httpx.Client, seed: Seed, heron: Image, url: str) -> None:
    api.get(url).raise_for_status()
    assert seed.objects.read(heron.sha256) == ORIGINAL
    assert (seed.home / heron.img_path).read_bytes() == ORIGINAL


def test_a_picture_without_metadata_is_the_very_file(api: httpx.Client, seed: Seed) -> None:
    data = samples.plain("JPEG")
    image = seed.add("plain.jpg", data)
    reply = api.get(f"/v1/images/{image.id}/file")
    assert (reply.content, reply.headers["etag"]) == (data, f'"{image.sha256}"')
    assert api.get(f"/v1/images/{image.id}/file", headers={"Range": "bytes=2-5"}).content == data[2:6]
