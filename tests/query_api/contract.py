"""What the API's description promises, tried against a running server: ``python -m tests.query_api.contract``.

Schemathesis makes requests up from the description, right ones and wrong ones, single and in sequences, and compares
every answer with it. The server has a small library of its own with a stand-in for Dagster; nothing leaves loopback.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx

from lib.images.decoding import DecodeLimits, Decoder
from lib.models.registry import model_specs
from lib.settings import Settings
from lib.storage import models, sources
from lib.storage.database import database_urls
from tests.query_api.conftest import (
    PICTURES,
    READY_TIMEOUT_S,
    SITE,
    Seed,
    empty_library,
    library_settings,
    plain,
    running_api,
    wait_for,
)
from tests.query_api.fake_dagster import FakeDagster

# A dry run starts a browser for whatever address was made up; tests/query_api/test_sources.py tries it with real ones.
LEFT_OUT = ("/v1/sources/dry-run",)
COUNTED = re.compile(r"(\d[\d,]*) generated")


def fill(seed: Seed) -> None:
    """Put a few pictures in, every stage done."""
    with seed.database.session() as session:
        for spec in model_specs("packaged"):
            models.add_model(session, spec)
        sources.upsert_source(session, "test", SITE.model_dump(mode="json"), enabled=True)
        session.commit()
    for name in ("dog.png", "truck.png"):
        seed.derive(seed.add(name, (PICTURES / name).read_bytes()))
    seed.derive(seed.add("red.png", plain("red")))


def run(url: str, *, examples: int, seed: int) -> subprocess.CompletedProcess[str]:
    """Run Schemathesis with every check against the server at ``url``, ``examples`` cases an operation and phase."""
    program, config = Path(sys.executable).with_name("st"), Path(__file__).with_name("schemathesis.toml")
    arguments = [
        str(program), "--config-file", str(config), "run", f"{url}/openapi.json", "--checks", "all",
        "--max-examples", str(examples), "--seed", str(seed), "--continue-on-failure", "--request-timeout", "60",
        "--suppress-health-check", "all", "--warnings", "off",
    ]  # fmt: skip
    for path in LEFT_OUT:
        arguments += ["--exclude-path", path]
    plain_text = {**os.environ, "NO_COLOR": "1", "COLUMNS": "160"}
    return subprocess.run(arguments, capture_output=True, text=True, check=False, env=plain_text, timeout=5400)


def cases_in(printed: str) -> int:
    """Return how many cases a run says that it made."""
    return sum(int(number.replace(",", "")) for number in COUNTED.findall(printed))


def main() -> int:
    """Serve, try, print what Schemathesis printed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=400, help="cases an operation and phase (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    with served_library() as (client, log):
        done = run(str(client.base_url).rstrip("/"), examples=wanted.examples, seed=wanted.seed)
    sys.stdout.write(f"{done.stdout}{done.stderr}\n")
    sys.stdout.write(f"{cases_in(done.stdout)} cases; the server's log: {log}\n")
    return done.returncode


@contextmanager
def served_library() -> Iterator[tuple[httpx.Client, Path]]:
    """Serve a small library of its own, and yield a client of it, once it is ready, and the server's log."""
    home = Path(tempfile.mkdtemp(prefix="vitrine-served-"))
    home.chmod(0o755)  # the database server's own user passes through
    with (
        database_urls(Settings(home=home)) as urls,
        Decoder(DecodeLimits()) as decoder,
        empty_library(urls.library, decoder, "served") as seed,
        FakeDagster() as dagster,
    ):
        fill(seed)
        with running_api(library_settings(seed, dagster.url), log=home / "api.log") as client:
            wait_for(lambda: client.get("/readyz").is_success, READY_TIMEOUT_S)
            yield client, home / "api.log"


if __name__ == "__main__":
    sys.exit(main())
