import dataclasses
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lib.errors import FetchFailed, WeightsMissing
from lib.models.registry import RESNET34, WeightFile, model_spec
from lib.models.weights import locate, pull, weights_dir

BODY = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(BODY).hexdigest()


class WeightServer(ThreadingHTTPServer):
    """A file server that breaks off after ``cut`` bytes of each answer, as often as ``cuts`` says."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), WeightHandler)
        self.body, self.cut, self.cuts, self.ranges, self.requests = BODY, 0, 0, True, []
        self.status = 200

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/model.bin"


class WeightHandler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        asked = self.headers.get("Range")
        self.server.requests.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.ranges else 0
        if start and start >= len(self.server.body):
            self.send_error(416)
            return
        body = self.server.body[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.cuts > 0:
            self.server.cuts -= 1
            body = body[: self.server.cut]
        self.wfile.write(body)

    def log_message(self, *args):
        """Keep the test output clean."""


@pytest.fixture
def server():
    with WeightServer() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def spec_of(server, sha256=SHA256, **fields):
    return dataclasses.replace(RESNET34, weights=(WeightFile("model.bin", sha256, url=server.url, **fields),))


def test_a_pulled_file_is_where_locate_finds_it(server, tmp_path):
    spec, seen = spec_of(server), []
    paths = pull(spec, tmp_path, lambda *report: seen.append(report))
    assert paths == locate(spec, tmp_path)
    assert paths["model.bin"].read_bytes() == BODY
    assert seen[-1] == ("model.bin", len(BODY), len(BODY))


def test_a_file_that_is_there_is_not_fetched_again(server, tmp_path):
    pull(spec_of(server), tmp_path)
    pull(spec_of(server), tmp_path)
    assert len(server.requests) == 1


def test_a_download_that_breaks_off_goes_on_where_it_stopped(server, tmp_path):
    server.cut, server.cuts = 300_000, 2
    path = pull(spec_of(server), tmp_path)["model.bin"]
    assert path.read_bytes() == BODY
    assert server.requests == [None, "bytes=300000-", "bytes=600000-"]


def test_a_server_that_sends_nothing_more_is_given_up_and_resumed_by_the_next_pull(server, tmp_path):
    pulled = spec_of(server)
    part = weights_dir(tmp_path) / pulled.name / "model.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(BODY[:1000])
    server.cut, server.cuts = 0, 1
    with pytest.raises(FetchFailed, match="resume"):
        pull(pulled, tmp_path)
    assert pull(pulled, tmp_path)["model.bin"].read_bytes() == BODY
    assert server.requests[-1] == "bytes=1000-"


def test_a_server_without_ranges_sends_the_file_anew(server, tmp_path):
    server.cut, server.cuts, server.ranges = 300_000, 1, False
    assert pull(spec_of(server), tmp_path)["model.bin"].read_bytes() == BODY


def test_a_whole_part_left_by_a_killed_pull_is_only_checked(server, tmp_path):
    spec = spec_of(server)
    part = weights_dir(tmp_path) / spec.name / "model.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(BODY)
    assert pull(spec, tmp_path)["model.bin"].read_bytes() == BODY


@pytest.mark.parametrize("wrong", [{"sha256": "0" * 64}, {"sha256": "00000000"}, {"md5": "0" * 32}])
def test_another_file_than_the_one_meant_is_refused_and_dropped(server, tmp_path, wrong):
    spec = spec_of(server, **wrong)
    with pytest.raises(FetchFailed, match="weights_hash"):
        pull(spec, tmp_path)
    assert list((weights_dir(tmp_path) / spec.name).iterdir()) == []


@pytest.mark.parametrize("known", [None, SHA256[:8]])
def test_the_hash_of_a_first_download_is_demanded_ever_after(server, tmp_path, known):
    spec = spec_of(server, sha256=known)
    path = pull(spec, tmp_path)["model.bin"]
    assert json.loads((weights_dir(tmp_path) / "hashes.json").read_text()) == {f"{spec.name}/model.bin": SHA256}
    path.write_bytes(b"changed behind our back")
    with pytest.raises(WeightsMissing, match="is damaged"):
        locate(spec, tmp_path)
    server.body = b"changed at the source"
    with pytest.raises(FetchFailed, match="weights_hash"):
        pull(spec, tmp_path)


def test_a_server_that_cannot_be_reached_is_named(tmp_path):
    spec = dataclasses.replace(RESNET34, weights=(WeightFile("x", None, url="http://127.0.0.1:1/x"),))
    with pytest.raises(FetchFailed, match=r"127\.0\.0\.1:1/x"):
        pull(spec, tmp_path)


def test_an_error_of_the_server_is_told(server, tmp_path):
    server.status = 404
    with pytest.raises(FetchFailed, match="http_404"):
        pull(spec_of(server), tmp_path)


def test_a_file_without_a_known_hash_that_was_never_pulled_is_not_trusted(server, tmp_path):
    spec = spec_of(server, sha256=None)
    path = weights_dir(tmp_path) / spec.name / "model.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)
    with pytest.raises(WeightsMissing):
        locate(spec, tmp_path)


@pytest.mark.models
@pytest.mark.parametrize("role", ["matting", "resnet", "clip"])
def test_packaged_weights_are_there_and_pulling_them_fetches_nothing(tmp_path, role):
    spec = model_spec(role, "packaged")
    assert pull(spec, tmp_path) == locate(spec, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_is_not_installed_is_named(tmp_path):
    spec = dataclasses.replace(RESNET34, weights=(WeightFile("x", None, package="no_such_package", path="x"),))
    with pytest.raises(WeightsMissing, match="no_such_package"):
        locate(spec, tmp_path)
