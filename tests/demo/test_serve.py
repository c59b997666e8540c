"""The site as a visitor meets it: hosts, validators, the ledger, starting and stopping."""

import contextlib
import io
import signal
import socket
import subprocess
import sys

import pytest
from PIL import Image

from demo.catalog import all_pictures, picture_named
from demo.ledger import read
from demo.serve import in_background
from tests.demo.conftest import IMAGES, PAGES

OWL = "/full/owl.jpg"


def test_pages_are_on_one_host_and_images_on_the_other(site):
    assert site.get("/", PAGES).status == 200
    assert site.get("/", IMAGES).status == 404
    assert site.get(OWL, IMAGES).status == 200
    assert site.get(OWL, PAGES).status == 404


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "other.localhost"])
def test_a_host_by_any_other_name_is_not_found(site, host):
    assert site.get("/robots.txt", host).status == 404


@pytest.mark.parametrize("host", [PAGES, IMAGES])
def test_each_host_has_a_robots_file_that_forbids_the_private_corner(site, host):
    assert "Disallow: /private/" in site.get("/robots.txt", host).text.splitlines()


@pytest.mark.parametrize(
    ("path", "host"),
    [
        *[("/", PAGES), ("/menagerie/page/2", PAGES), ("/road/feed.json?page=2", PAGES), ("/attic/more?page=1", PAGES)],
        *[("/static/house.css", PAGES), (OWL, IMAGES), ("/w240/owl.webp", IMAGES), ("/odd/slow.jpg", IMAGES)],
    ],
)
def test_a_second_visit_with_the_etag_costs_no_body(site, path, host):
    first = site.get(path, host)
    again = site.get(path, host, If_None_Match=first.headers["etag"])
    assert (first.status, again.status, again.body) == (200, 304, b"")
    assert again.headers["etag"] == first.headers["etag"]


def test_a_second_visit_with_the_date_costs_no_body(site):
    first = site.get(OWL, IMAGES)
    assert site.get(OWL, IMAGES, If_Modified_Since=first.headers["last-modified"]).status == 304


def test_an_old_etag_gets_the_body_whatever_the_date_says(site):
    date = site.get(OWL, IMAGES).headers["last-modified"]
    assert site.get(OWL, IMAGES, If_None_Match='"old"', If_Modified_Since=date).status == 200


def test_a_date_before_the_opening_gets_the_body(site):
    assert site.get(OWL, IMAGES, If_Modified_Since="Thu, 01 Jan 2026 00:00:00 GMT").status == 200


def test_pictures_are_served_as_they_are(site):
    for picture in all_pictures()[::9]:
        if picture.place != "private_file":
            answer = site.get(f"/full/{picture.file}", IMAGES)
            assert answer.headers["content-type"] == picture.content_type
            assert answer.body == picture.data


def test_a_resized_picture_has_the_width_asked_for_and_stands_upright(site):
    resized = Image.open(io.BytesIO(site.get("/w240/violin-b.webp", IMAGES).body))
    violin = picture_named("violin-b")
    assert resized.width == 240
    assert resized.height == pytest.approx(240 * violin.height / violin.width, abs=1)


def test_a_width_that_no_page_uses_is_not_made(site):
    assert site.get("/w241/owl.webp", IMAGES).status == 404


@pytest.mark.parametrize("path", ["/menagerie/page/99", "/road/feed.json?page=0", "/attic/more?page=x", "/nowhere"])
def test_pages_that_do_not_exist_are_not_found(site, path):
    assert site.get(path).status == 404


def test_a_static_path_does_not_leave_its_folder(site):
    assert site.get("/static/..%2Ftemplates%2Fbase.html").status == 404


def test_each_answer_is_a_line_in_the_ledger(site):
    path = "/w480/hen.webp"
    body = site.get(path, IMAGES).body
    site.get(path, IMAGES, If_None_Match=site.get(path, IMAGES, method="HEAD").headers["etag"])
    whole, head, unchanged = site.lines_about(path)[-3:]
    assert (whole["host"], whole["status"], whole["bytes"], whole["conditional"]) == (IMAGES, 200, len(body), False)
    assert (head["method"], head["bytes"]) == ("HEAD", 0)
    assert (unchanged["status"], unchanged["bytes"], unchanged["conditional"]) == (304, 0, True)


def test_the_ledger_keeps_who_asked_and_from_where(site):
    site.get("/garden/", User_Agent="Sam/1", Referer="http://gallery.localhost/")
    line = site.lines_about("/garden/")[-1]
    assert (line["user_agent"], line["referer"]) == ("Sam/1", "http://gallery.localhost/")


def test_what_is_not_found_is_in_the_ledger_too(site):
    site.get("/odd/lost.jpg", IMAGES)
    assert site.lines_about("/odd/lost.jpg")[-1]["status"] == 404


def test_only_loopback_is_bound(site):
    with socket.socket() as outside:
        outside.settimeout(2)
        with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
            outside.connect(("127.0.0.2", site.port))


def test_a_taken_port_is_said_at_once(site):
    with pytest.raises(OSError, match="address already in use"), in_background(port=site.port):
        pass


def test_the_command_says_where_it_is_and_stops_when_told(tmp_path):
    log = tmp_path / "deep" / "served.jsonl"
    command = [sys.executable, "-m", "demo.serve", "--port", "0", "--log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().split()[-1]
        port = int(url.rstrip("/").rpartition(":")[2])
        with contextlib.closing(socket.create_connection(("127.0.0.1", port), timeout=5)) as visitor:
            visitor.sendall(b"GET / HTTP/1.1\r\nHost: gallery.localhost\r\nConnection: close\r\n\r\n")
            assert visitor.recv(12) == b"HTTP/1.1 200"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    assert [line["path"] for line in read(log)] == ["/"]
