"""`vitrine models`, as typed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo_library import open_folder


@pytest.fixture
def home() -> Iterator[Path]:
    """A home that the embedded server's user may enter."""
    with open_folder("home") as home:
        yield home


def vitrine(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command on the library at ``home``, on a terminal wide enough for its tables."""
    environment = {**os.environ, "VITRINE_HOME": str(home), "COLUMNS": "250", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "lib.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_a_new_library_is_on_the_standard_models_and_says_what_lacks(home: Path) -> None:
    listed = vitrine(home, "models", "list").stdout
    (resnet,) = [line for line in listed.splitlines() if "resnet" in line and "active" in line]
    assert "standard" in resnet
    assert "to be pulled" in resnet


def test_a_library_without_pictures_moves_to_another_profile_at_once(home: Path) -> None:
    vitrine(home, "models", "list")
    used = vitrine(home, "models", "use", "packaged")
    assert used.returncode == 0, used.stderr
    active = [line for line in vitrine(home, "models", "list").stdout.splitlines() if "active" in line]
    assert len(active) == 4
    assert not any("standard" in line for line in active)


def test_a_profile_whose_weights_are_not_here_cannot_be_used(home: Path) -> None:
    used = vitrine(home, "models", "use", "standard")
    assert used.returncode == 1
    assert "is not on this machine" in used.stderr
    assert "models pull standard" in used.stderr
    assert "Traceback" not in used.stderr
