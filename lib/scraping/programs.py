"""Finding a Chromium or Chrome on this machine."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from lib.errors import ConfigurationError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
MAC_PROGRAMS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
LINUX_PROGRAMS = ("/usr/lib/chromium/chromium", "/snap/bin/chromium", "/opt/google/chrome/chrome")
# Where `playwright install chromium` puts its own.
PLAYWRIGHT_FOLDERS = ("~/.cache/ms-playwright", "~/Library/Caches/ms-playwright")
PLAYWRIGHT_PROGRAMS = (
    "chromium-*/chrome-linux*/chrome",
    "chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
)


def find_browser(configured: Path | None = None) -> Path:
    """Return the program of a Chromium-based browser: the configured one, else the first that is found.

    Raises
    ------
    ConfigurationError
        If the configured one cannot be run, or none is found; the message has the line that installs one.
    """
    if configured is not None:
        program = configured.expanduser()
        if not _is_program(program):
            raise ConfigurationError(f"VITRINE_BROWSER: {program} is not a program that can be run")
        return program
    for program in _candidates():
        if _is_program(program):
            return program
    raise ConfigurationError(f"no Chromium or Chrome was found; install one with: {_install_line()}")


def _candidates() -> Iterator[Path]:
    yield from (Path(found) for name in NAMES if (found := shutil.which(name)))
    yield from (Path(program) for program in (*LINUX_PROGRAMS, *MAC_PROGRAMS))
    for folder in PLAYWRIGHT_FOLDERS:
        for pattern in PLAYWRIGHT_PROGRAMS:
            yield from sorted(Path(folder).expanduser().glob(pattern), reverse=True)


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _install_line() -> str:
    if sys.platform == "darwin":
        return "brew install --cask chromium (or set VITRINE_BROWSER to a browser you have)"
    return "sudo apt-get install chromium (or set VITRINE_BROWSER to a browser you have)"
