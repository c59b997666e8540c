"""What is installed: exact versions with hashes, and a list of it that scanners read."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.compose_file import ROOT

NAME = re.compile(r"([\w.-]+)(?:\[[\w, .-]+\])?==([\w.+!-]+)")


def locked(name: str) -> dict[tuple[str, str], int]:
    """Return the number of hashes of each package and version in a lock file; a version may be for some Pythons."""
    entries = re.split(r"^(?=\w)", (ROOT / name).read_text(), flags=re.MULTILINE)[1:]
    named = [(NAME.match(entry), entry) for entry in entries]
    return {(match[1], match[2]): entry.count("--hash=sha256:") for match, entry in named if match is not None}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_package_is_locked_by_version_and_hash(name: str) -> None:
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith((" ", "#"))]
    assert len(locked(name)) == len(lines)
    assert all(locked(name).values())


def test_the_bill_of_materials_names_what_is_locked(tmp_path: Path) -> None:
    """As `make sbom` writes it."""
    recipe = (ROOT / "Makefile").read_text().split("\nsbom:")[1].split("\n\t")[1].split("\n")[0]
    words = [str(tmp_path / word) if word == "vitrine.cdx.json" else word for word in recipe.split()]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    described = json.loads((tmp_path / "vitrine.cdx.json").read_text())
    components = {(component["name"], component["version"]) for component in described["components"]}
    assert components == set(locked("requirements.lock"))
    assert all(
        reference["hashes"] for component in described["components"] for reference in component["externalReferences"]
    )
    assert described["metadata"]["component"]["name"] == "vitrine"
