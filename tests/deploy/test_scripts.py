"""The shell scripts of deploy/: the generated password, and which packages an image gets."""

import os
import stat
import subprocess
from pathlib import Path

from tests.deploy.compose_file import ROOT


def make_env(file: Path) -> str:
    subprocess.run(["sh", ROOT / "deploy" / "make-env.sh", file], check=True, capture_output=True)
    return file.read_text()


def test_the_password_is_generated_long_and_private(tmp_path: Path) -> None:
    first, second = make_env(tmp_path / "one"), make_env(tmp_path / "two")
    name, _, password = first.strip().partition("=")
    assert name == "VITRINE_DB_PASSWORD"
    assert len(password) == 48
    assert password.isalnum()
    assert first != second
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o600


def test_what_env_has_already_stays(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("VITRINE_API_PORT=9000")  # no newline at its end
    once = make_env(file)
    assert once.startswith("VITRINE_API_PORT=9000\nVITRINE_DB_PASSWORD=")
    assert make_env(file) == once


def test_an_empty_password_is_none(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("VITRINE_DB_PASSWORD=\n")
    assert make_env(file).splitlines()[1].startswith("VITRINE_DB_PASSWORD=")


def installed(folder: Path, *arguments: str) -> list[str]:
    """Run install-packages.sh with a `pip` that writes down what it is asked for; return that, one line a call."""
    pip = folder / "pip"
    pip.write_text(
        '#!/bin/sh\necho "$@" >>"$RECORD"\n'
        'while [ $# -gt 0 ]; do [ "$1" = -r ] && cp "$2" "$RECORD.lock"; shift; done; exit 0\n'
    )
    pip.chmod(0o755)
    record = folder / "record"
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "RECORD": str(record)}
    script = ["sh", str(ROOT / "deploy" / "install-packages.sh"), *arguments]
    subprocess.run(script, cwd=ROOT, env=environment, check=True, capture_output=True)
    return record.read_text().splitlines()


def packages(lock: Path) -> dict[str, str]:
    """Return the packages of a lock file with their versions."""
    pins = [line.split()[0].partition("==") for line in lock.read_text().splitlines() if line[:1].isalpha()]
    return {name.partition("[")[0]: version for name, _, version in pins}


def test_an_image_has_the_locked_packages_checked_against_their_hashes(tmp_path: Path) -> None:
    assert installed(tmp_path) == ["install --disable-pip-version-check --require-hashes -r requirements.lock"]


def test_pytorch_from_another_index_has_the_locked_version_and_no_cuda(tmp_path: Path) -> None:
    rest, torch = installed(tmp_path, "https://index.example/cpu")
    locked = packages(ROOT / "requirements.lock")
    assert "--require-hashes" in rest
    assert torch.endswith(
        f"--index-url https://index.example/cpu torch=={locked['torch']} torchvision=={locked['torchvision']}"
    )
    left_out = locked.keys() - packages(tmp_path / "record.lock").keys()
    assert {"torch", "torchvision", "triton"} <= left_out
    assert {name.partition("-")[0] for name in left_out} == {"torch", "torchvision", "triton", "cuda", "nvidia"}
    assert (tmp_path / "record.lock").read_text().count("--hash=") > len(locked)
