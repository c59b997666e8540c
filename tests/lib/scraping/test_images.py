import asyncio
import io

import pytest
from PIL import Image

from lib.errors import FetchRefused
from lib.scraping.images import download_image
from tests.lib.scraping.local_site import Handler, answer, serving


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((128, 128), 50).save(buffer, "JPEG")
    return buffer.getvalue()


def taken(handler: Handler) -> bytes:
    pieces: list[bytes] = []

    async def run() -> None:
        async with serving({"/x": handler}) as site, site.fetcher() as fetcher:
            await download_image(fetcher, site.url("/x"), hosts=["*"], sink=pieces.append)

    try:
        asyncio.run(run())
    except FetchRefused:
        assert not pieces, "a refused file reached the disk"
        raise
    return b"".join(pieces)


def test_a_picture_arrives_whole_whatever_its_server_calls_it():
    picture = jpeg()
    assert taken(answer(body=picture, content_type="text/html")) == picture


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (answer(body=b"<!doctype html><title>Plate</title>", content_type="image/jpeg"), "not_an_image"),
        (answer(body=b"", content_type="image/jpeg"), "not_an_image"),
        (answer(body=b"<svg xmlns='http://www.w3.org/2000/svg'/>", content_type="image/svg+xml"), "unsupported_format"),
        (answer(body=b"%PDF-1.7" + b" " * 600, content_type="image/jpeg"), "unsupported_format"),
        (answer(body=jpeg(), headers={"X-Robots-Tag": "noai, noimageai"}), "noai"),
        (answer(body=jpeg(), headers={"X-Robots-Tag": "vitrine: noindex"}), "noindex"),
    ],
)
def test_what_is_no_picture_or_must_not_be_taken_is_refused(handler, reason):
    with pytest.raises(FetchRefused) as caught:
        taken(handler)
    assert caught.value.reason == reason


def test_an_opt_out_for_another_robot_does_not_count():
    assert taken(answer(body=jpeg(), headers={"X-Robots-Tag": "otherbot: noindex"}))
