"""The API does what its description says, whatever it is asked: some thousand requests that nobody thought of."""

import hashlib
from pathlib import Path

import pytest

from lib.images.decoding import Decoder
from tests.query_api.conftest import READY_TIMEOUT_S, empty_library, library_settings, running_api, wait_for
from tests.query_api.contract import cases_in, fill, run
from tests.query_api.fake_dagster import FakeDagster

CASES = 2000


@pytest.mark.models
@pytest.mark.timeout(600)
def test_every_answer_is_as_described(server_url: str, decoder: Decoder, dagster: FakeDagster, tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    with empty_library(server_url, decoder, "contract_tests") as seed:
        fill(seed)
        with running_api(library_settings(seed, dagster.url), log=log) as client:
            wait_for(lambda: client.get("/readyz").is_success, READY_TIMEOUT_S)
            described = client.get("/openapi.json").content
            # The same requests as long as the description is the same, others once it has changed.
            draw = int(hashlib.sha256(described).hexdigest()[:6], 16)
            done = run(str(client.base_url).rstrip("/"), examples=5, seed=draw)
    assert done.returncode == 0, done.stdout + done.stderr
    assert cases_in(done.stdout) >= CASES, done.stdout
    assert "Traceback" not in log.read_text()
