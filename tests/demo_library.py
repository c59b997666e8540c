"""The library that `make demo` makes, made once for all tests that look at it."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Demo:
    """A library that the demo made, and what the demo printed."""

    home: Path
    printed: str

    @property
    def site_port(self) -> int:
        """The port that the demo keeps for its web site."""
        return int((self.home / "site_port").read_text())


def run_demo(home: Path) -> str:
    """Run the demo as `make demo` does, and return what it printed."""
    environment = {**os.environ, "VITRINE_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "demo"], env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def open_folder(name: str) -> Iterator[Path]:
    """Yield a new folder that the embedded server's own user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="vitrine-test-"))
    folder.chmod(0o755)
    yield folder / name
    shutil.rmtree(folder)
