"""What our processes log: in a file as JSON lines, on a terminal for eyes, and nowhere a secret."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lib import logs
from lib.cli.processes import Processes

SPEAKER = """
import logging, sys, structlog
from pathlib import Path
from lib import logs
logs.configure("INFO", file=Path(sys.argv[1]))
log = structlog.get_logger()
with logs.bound(run_id="r1", source="museum"):
    log.info("page_missed", url="https://me:hunter2@museum.example/a?token=s3cret#top", reason="http_404")
    logging.getLogger("library").warning("asked %s", "http://museum.example/b?key=s3cret")
log.debug("too_fine")
try:
    raise ValueError("cannot open postgresql://vitrine:hunter2@127.0.0.1/vitrine?sslkey=s3cret")
except ValueError:
    log.exception("broken")
"""


def lines(text: str) -> list[dict[str, Any]]:
    """Return log lines; fails for one that is not JSON."""
    return [json.loads(line) for line in text.splitlines()]


def speak(file: Path) -> str:
    """Run the speaker with its standard error in a pipe."""
    done = subprocess.run([sys.executable, "-c", SPEAKER, str(file)], capture_output=True, text=True, check=True)
    return done.stderr


def test_lines_are_json_with_what_is_bound(tmp_path: Path) -> None:
    missed, asked, broken = lines(speak(tmp_path / "x.log"))
    assert (missed["event"], missed["level"], missed["reason"]) == ("page_missed", "info", "http_404")
    assert (missed["run_id"], missed["source"]) == (asked["run_id"], asked["source"]) == ("r1", "museum")
    assert asked["logger"] == "library"
    assert "run_id" not in broken
    assert "Traceback" in broken["exception"]
    assert missed["timestamp"].endswith("Z")
    assert not (tmp_path / "x.log").exists()  # standard error is where the line went


def test_no_line_has_credentials_or_a_query(tmp_path: Path) -> None:
    said = speak(tmp_path / "x.log")
    assert "museum.example/a" in said
    assert "museum.example/b" in said
    assert "127.0.0.1/vitrine" in said
    assert not any(secret in said for secret in ("hunter2", "s3cret", "top", "me:"))


def test_a_terminal_gets_lines_for_eyes_and_the_file_gets_json(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "x.log"
    ours, theirs = pty.openpty()
    child = subprocess.Popen([sys.executable, "-c", SPEAKER, str(file)], stderr=theirs)
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    assert child.wait(30) == 0
    assert b"page_missed" in shown
    assert b"\x1b[" in shown  # colours
    assert b"s3cret" not in shown
    assert [line["event"] for line in lines(file.read_text())] == [
        "page_missed",
        "asked http://museum.example/b",
        "broken",
    ]


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux says so when the other side has closed the terminal
        return b""


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("http://a.example/x?q=1 and ftp://u@b.example/", "http://a.example/x and ftp://b.example/"),
        ("mail me@site.example about 3 < 4? yes", "mail me@site.example about 3 < 4? yes"),
        ('{"url": "http://a.example/?t=1", "n": "?"}', '{"url": "http://a.example/", "n": "?"}'),
        ("http://a.example/mail@home/x", "http://a.example/mail@home/x"),
    ],
)
def test_only_what_is_secret_is_taken_out_of_urls(said: str, kept: str) -> None:
    assert logs.without_secrets(said) == kept


def test_the_files_of_running_processes_stay_bounded(tmp_path: Path) -> None:
    """A child that writes for ever goes on writing at the new start of its file."""
    script = "import sys, time\nwhile True: print('x' * 999, file=sys.stderr, flush=True); time.sleep(0.001)"
    with Processes(tmp_path, {}) as processes:
        processes.start("talker", sys.executable, "-c", script, python=False)
        path = processes.log_path("talker")
        for _ in range(3):
            processes.wait_until(lambda: path.stat().st_size > 50_000, name="talker", timeout_s=30)
            processes.bound_logs(max_bytes=50_000)
            assert path.stat().st_size < 50_000
        processes.wait_until(lambda: path.stat().st_size > 0, name="talker", timeout_s=30)
    assert path.with_name("talker.log.1").stat().st_size >= 50_000
    assert path.read_bytes().startswith(b"x")  # no hole of zeros where the old lines were
