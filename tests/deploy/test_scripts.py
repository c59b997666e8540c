"""The shell scripts of deploy/: the generated password, and which packages an image gets."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

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


def command_in(tree: Path) -> Path:
    """Put the command where install.sh puts it, beside a `python` that runs this environment's."""
    bin_folder = tree / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    (tree / "lib").symlink_to(ROOT / "lib")
    python = bin_folder / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return Path(shutil.copy(ROOT / "deploy" / "vitrine", bin_folder))


def test_the_command_finds_its_tree_from_anywhere_and_through_links(tmp_path: Path) -> None:
    command = command_in(tmp_path / "a tree")
    (tmp_path / "bin").mkdir()
    link = tmp_path / "bin" / "vitrine"
    link.symlink_to("../a tree/.venv/bin/vitrine")
    for program in (command, link):
        done = subprocess.run([program, "search", "--help"], cwd="/", capture_output=True, text=True, check=True)
        assert "Usage: vitrine search" in done.stdout


def test_the_command_completes_what_is_typed(tmp_path: Path) -> None:
    """Bash asks so once `vitrine --install-completion` has been run."""
    asked = {"_VITRINE_COMPLETE": "complete_bash", "COMP_WORDS": "vitrine sc", "COMP_CWORD": "1"}
    environment = {**os.environ, **asked}
    done = subprocess.run(
        [command_in(tmp_path)], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["scrape"]


def install_in(tree: Path, lock: str, **environment: str) -> None:
    """Run install.sh in a tree whose packages and browser are there already."""
    shutil.copytree(ROOT / "deploy", tree / "deploy")
    (tree / lock).write_text("")
    command_in(tree).unlink()
    checksum = subprocess.run(["cksum"], input="", capture_output=True, text=True, check=True).stdout.strip()
    (tree / ".venv" / ".installed").write_text(f"{lock} {checksum}\n")
    subprocess.run(
        [shutil.which("sh") or "sh", "deploy/install.sh", lock],
        cwd=tree, env={**os.environ, "VITRINE_BROWSER": "sh", **environment}, check=True, capture_output=True,
    )  # fmt: skip


def test_installing_puts_the_command_beside_the_packages(tmp_path: Path) -> None:
    install_in(tmp_path, "requirements.lock")
    done = subprocess.run(
        [tmp_path / ".venv" / "bin" / "vitrine", "--help"], capture_output=True, text=True, check=True
    )
    assert "A visual library that you own" in done.stdout


@pytest.mark.parametrize(("lock", "wanted"), [("requirements.lock", False), ("requirements-dev.lock", True)])
def test_developers_get_strace_where_it_can_be_had(tmp_path: Path, lock: str, wanted: bool) -> None:
    programs, tree = tmp_path / "programs", tmp_path / "tree"
    programs.mkdir()
    for name in ("sh", "cksum", "grep", "cmp", "cp", "chmod", "mv", "id", "env", "touch"):
        (programs / name).symlink_to(shutil.which(name) or name)
    (programs / "sudo").write_text('#!/bin/sh\nshift; exec "$@"\n')
    (programs / "apt-get").write_text('#!/bin/sh\necho "$@" >>"$RECORD"\n')
    for name in ("sudo", "apt-get"):
        (programs / name).chmod(0o755)
    record = tmp_path / "record"
    record.touch()
    install_in(tree, lock, PATH=str(programs), RECORD=str(record))
    assert ("strace" in record.read_text()) is wanted
