"""Each odd URL misbehaves in its one way."""

import hashlib
import http.client
import io
import time
from contextlib import closing

import pytest
from PIL import Image, UnidentifiedImageError

from demo.catalog import picture_named
from demo.oddities import COPIES, ICONS_IN_PAGES, SMALL_IMAGES, reencode
from demo.serve import in_background
from tests.demo.conftest import IMAGES, Site


def test_the_endless_file_goes_on_beyond_any_picture_and_names_no_length(site):
    connection, response = site.open("/odd/endless.jpg", IMAGES)
    with closing(connection), response:
        assert response.getheader("Content-Length") is None
        assert len(response.read(60_000_000)) == 60_000_000


def test_the_ledger_counts_what_the_endless_file_sent(site):
    connection, response = site.open("/odd/endless.jpg", IMAGES)
    with closing(connection), response:
        assert response.read(3) == b"\xff\xd8\xff"
        response.read(1_000_000)
    deadline = time.monotonic() + 5
    lines: list[dict[str, object]] = []
    while not lines and time.monotonic() < deadline:
        lines = [line for line in site.lines_about("/odd/endless.jpg") if line["bytes"] >= 1_000_000]
        time.sleep(0.05)
    assert lines


def test_the_truncated_file_is_shorter_than_it_says(site):
    connection, response = site.open("/odd/truncated.jpg", IMAGES)
    with closing(connection), response:
        promised = int(response.getheader("Content-Length"))
        with pytest.raises(http.client.IncompleteRead) as short:
            response.read()
    assert promised == picture_named("owl").size_bytes
    assert len(short.value.partial) == promised // 2


def test_the_corrupt_file_begins_as_a_jpeg_and_cannot_be_decoded(site):
    body = site.get("/odd/corrupt.jpg", IMAGES).body
    assert body.startswith(b"\xff\xd8\xff")
    with pytest.raises((OSError, SyntaxError)):
        Image.open(io.BytesIO(body)).load()


def test_a_web_page_is_served_as_a_jpeg(site):
    answer = site.get("/odd/page.jpg", IMAGES)
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.body.startswith(b"<!doctype html>")
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(answer.body))


@pytest.mark.parametrize(("path", "status"), [("/odd/lost.jpg", 404), ("/odd/broken-server.jpg", 500)])
def test_servers_fail_with_their_status(site, path, status):
    assert site.get(path, IMAGES).status == status


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/odd/moved.jpg", "/full/pig.jpg"),
        ("/odd/inside.jpg", "http://127.0.0.1:1/inside.jpg"),
        ("/odd/metadata.jpg", "http://169.254.169.254/latest/meta-data/"),
    ],
)
def test_redirects_point_where_the_table_says(site, path, target):
    answer = site.get(path, IMAGES)
    assert answer.status in (301, 302)
    assert answer.headers["location"] == target


def test_the_slow_file_takes_two_seconds_and_is_whole(site):
    start = time.monotonic()
    body = site.get("/odd/slow.jpg", IMAGES).body
    assert 1.5 < time.monotonic() - start < 10
    assert hashlib.sha256(body).hexdigest() == picture_named("lark").sha256


def test_a_visitor_who_leaves_the_slow_file_is_in_the_ledger_and_the_site_goes_on(site):
    connection, response = site.open("/odd/slow.jpg?left", IMAGES)
    with closing(connection), response:
        response.read(100)
    deadline = time.monotonic() + 5
    while not site.lines_about("/odd/slow.jpg?left") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert 0 < site.lines_about("/odd/slow.jpg?left")[0]["bytes"] <= picture_named("lark").size_bytes
    assert site.get("/robots.txt", IMAGES).status == 200


def test_the_stalled_file_sends_a_kilobyte_and_no_more(tmp_path):
    with in_background() as port:  # a site of its own: stopping it must not wait for the stalled visitor
        connection, response = Site(port, tmp_path / "none").open("/odd/stalled.jpg", IMAGES)
        with closing(connection), response:
            assert len(response.read(1024)) == 1024
            connection.sock.settimeout(0.5)
            with pytest.raises(TimeoutError):
                response.read(1)


def test_the_busy_counter_asks_for_a_second_and_then_serves(tmp_path):
    with in_background() as port:
        fresh = Site(port, tmp_path / "none")
        first, second = (fresh.get("/odd/busy.jpg", IMAGES) for _ in range(2))
    assert (first.status, first.headers["retry-after"]) == (429, "1")
    assert second.body == picture_named("goat").data


def test_one_picture_forbids_machines_in_its_header_and_others_do_not(site):
    assert "noai" in site.get("/full/squirrel-c.png", IMAGES).headers["x-robots-tag"]
    assert "x-robots-tag" not in site.get("/full/squirrel-b.png", IMAGES).headers


def test_the_forbidden_file_is_under_the_forbidden_folder_only(site):
    name = picture_named("giraffe-c").file
    assert site.get(f"/private/{name}", IMAGES).status == 200
    assert site.get(f"/full/{name}", IMAGES).status == 404


@pytest.mark.parametrize("copy", COPIES, ids=lambda copy: copy.path)
def test_a_copy_has_its_originals_bytes_or_only_its_look(site, copy):
    body = site.get(copy.path, IMAGES).body
    original = picture_named(copy.of)
    assert Image.open(io.BytesIO(body)).format == original.format == "JPEG"
    assert (body == original.data) != copy.reencoded


def test_encoding_anew_gives_the_same_bytes_each_time():
    data = picture_named("owl").data
    assert reencode(data) == reencode(data)


@pytest.mark.parametrize("name", SMALL_IMAGES)
def test_icons_are_too_small_for_a_collection(site, name):
    icon = Image.open(io.BytesIO(site.get(f"/icons/{name}", IMAGES).body))
    assert icon.size == SMALL_IMAGES[name]
    assert min(icon.size) < 96


def test_every_icon_but_the_favicon_stands_in_a_page():
    assert set(SMALL_IMAGES) - set(ICONS_IN_PAGES) == {"favicon.png"}
