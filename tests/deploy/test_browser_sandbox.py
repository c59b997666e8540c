"""The browser keeps its own sandbox inside a container: that is what deploy/seccomp-browser.json is for."""

import ctypes.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lib.scraping.programs import find_browser
from tests.demo_library import open_folder
from tests.deploy.compose_file import ROOT

CONFINED = ROOT / "tests" / "deploy" / "confined.py"
PROFILE = ROOT / "deploy" / "seccomp-browser.json"
NOBODY = "65534"
PAGE = "data:text/html,<title>shown</title>"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (shutil.which("setpriv") and ctypes.util.find_library("seccomp")),
        reason="needs setpriv and libseccomp, which Linux distributions have",
    ),
]


def show(profile: Path, browser: str = "") -> subprocess.CompletedProcess[str]:
    """Have a confined browser print a page."""
    program = browser or str(find_browser())
    options = ["--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--dump-dom", PAGE]
    with open_folder("browser") as folder:
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)
        return subprocess.run(
            [sys.executable, str(CONFINED), str(profile), NOBODY, program, f"--user-data-dir={folder}", *options],
            env={"HOME": str(folder), "PATH": os.environ["PATH"]},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip


def test_the_browser_runs_in_its_sandbox_under_our_profile() -> None:
    """Chromium refuses to start where it has no sandbox, so a page that is shown was shown inside one."""
    done = show(PROFILE)
    assert "<title>shown</title>" in done.stdout, done.stderr


@pytest.fixture
def stricter(tmp_path: Path) -> Path:
    """A profile that refuses chroot as well, as Docker's own does where a container has no capabilities."""
    profile = json.loads(PROFILE.read_text())
    profile["syscalls"].append({"names": ["chroot"], "action": "SCMP_ACT_ERRNO"})
    path = tmp_path / "stricter.json"
    path.write_text(json.dumps(profile))
    return path


def test_without_our_profile_it_does_not_start(stricter: Path) -> None:
    assert "shown" not in show(stricter).stdout


def test_the_way_out_for_hosts_without_namespaces_works(stricter: Path) -> None:
    done = show(stricter, str(ROOT / "deploy" / "chromium-without-sandbox"))
    assert "<title>shown</title>" in done.stdout, done.stderr
