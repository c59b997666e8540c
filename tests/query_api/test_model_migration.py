"""Moving a library to another model while the API answers: real processes, real Postgres, two real vector spaces."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import dagster as dg
import httpx2 as httpx
import numpy as np
import pytest
import torch

from lib.embedding.clip import _network
from lib.embedding.encoder import TextEncoder
from lib.embedding.loading import load_text_encoder
from lib.images.decoding import Decoder
from lib.models.registry import ModelSpec, model_spec, model_specs
from lib.storage import models, sources
from lib.storage.embeddings import embeddings
from orchestration.definitions import defs
from orchestration.partitions import ALL_BUCKETS_TAGS
from tests.query_api.conftest import (
    PICTURES,
    PLAIN,
    REPOSITORY,
    Seed,
    empty_library,
    library_settings,
    plain,
    running_api,
    wait_for,
)
from tests.query_api.fake_dagster import FakeDagster

pytestmark = [pytest.mark.models, pytest.mark.timeout(1800)]
PATIENCE_S = 600.0  # seconds on an idle machine
IMAGES = len(PLAIN) + len([*PICTURES.glob("*.png")])
PAUSE_S = 0.1  # the server shares its cores with the migration
TEXTS = ("a dog", "a red thing", "a truck on the road")
OLD = model_spec("clip", "packaged")
# The one model of the registry whose hash is that of the first download: so weights of our own can stand in its place.
NEW = next(spec for spec in model_specs() if any(file.sha256 is None for file in spec.weights))


def write_seeded_weights(spec: ModelSpec, home: Path) -> None:
    """Put a checkpoint of the model's true architecture and format, with seeded weights, where a download would be."""
    folder = home / "models" / spec.name
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    (file,) = spec.weights
    halves = {name: value.half() for name, value in _network(spec, folder).state_dict().items()}
    torch.save(halves, folder / file.name)
    with (folder / file.name).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    (home / "models" / "hashes.json").write_text(json.dumps({f"{spec.name}/{file.name}": digest}))


@pytest.fixture(scope="module")
def filled(server_url: str, decoder: Decoder) -> Iterator[Seed]:
    """A library on the packaged models, every vector stored; the new model's weights are at hand."""
    with empty_library(server_url, decoder, "migration_tests") as seed:
        with seed.database.session() as session:
            for spec in model_specs("packaged"):
                models.add_model(session, spec)
            sources.upsert_source(session, "test", {}, enabled=True)
            session.commit()
        for path in sorted(PICTURES.glob("*.png")):
            seed.derive(seed.add(path.name, path.read_bytes()))
        for name, color in PLAIN.items():
            seed.derive(seed.add(f"{name}.png", plain(color)))
        write_seeded_weights(NEW, seed.home)
        yield seed


@dataclasses.dataclass
class Asking:
    """Questions asked of the API again and again, and every answer."""

    client: httpx.Client
    answers: list[tuple[str, int, Any]] = dataclasses.field(default_factory=list)
    stopping: threading.Event = dataclasses.field(default_factory=threading.Event)

    def ask(self) -> None:
        """Ask until told to stop."""
        while not self.stopping.is_set():
            for text in TEXTS:
                self.stopping.wait(PAUSE_S)
                reply = self.ask_once(text)
                self.answers.append((text, reply.status_code, reply.json()))

    def ask_once(self, text: str) -> httpx.Response:
        """Ask for what the words say."""
        return self.client.post("/v1/search/words", json={"text_query": text}, headers={"accept": "application/json"})

    def answered_by(self, spec: ModelSpec) -> bool:
        """Return whether the latest answer came from this model."""
        return bool(self.answers) and self.answers[-1][2].get("model", {}).get("spec_id") == spec.spec_id


def vitrine(seed: Seed, *arguments: str) -> str:
    """Run the command on the library, and return what it printed."""
    environment = {**os.environ, **library_settings(seed, ""), "COLUMNS": "250", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "lib.cli", *arguments]
    done = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_jobs(seed: Seed, patch: pytest.MonkeyPatch, *names: str) -> dict[str, Any]:
    """Run Dagster jobs on the library, and return the metadata of the last materialisation."""
    for name, value in library_settings(seed, "").items():
        patch.setenv(name, value)
    with dg.DagsterInstance.ephemeral() as instance:
        for name in names:
            tags = dict(ALL_BUCKETS_TAGS) if name == "embed_clip" else {}
            result = defs.resolve_job_def(name).execute_in_process(instance=instance, tags=tags)
    events = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }
    return {name: value.value for name, value in events["search_index"].items()}


def test_a_library_moves_to_another_model_and_back_while_every_answer_comes_from_one_space(
    filled: Seed, dagster: FakeDagster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_api(library_settings(filled, dagster.url), log=tmp_path / "api.log") as client:
        asking = Asking(client)
        wait_for(lambda: asking.ask_once(TEXTS[0]).is_success, PATIENCE_S)
        thread = threading.Thread(target=asking.ask)
        thread.start()
        try:
            wait_for(lambda: asking.answered_by(OLD), PATIENCE_S)
            assert f"{NEW.name} filling, {IMAGES} images to do" in vitrine(filled, "models", "use", NEW.name)
            assert asking.answered_by(OLD)
            metadata = run_jobs(filled, monkeypatch, "embed_clip", "index")
            assert metadata["promoted"] == NEW.name
            assert f"|clip|{OLD.name}|{NEW.name}|" in metadata["comparison_clip"]
            wait_for(lambda: asking.answered_by(NEW), PATIENCE_S)
            compared = vitrine(filled, "models", "compare", "clip")
            assert f"{OLD.name} answers again, 0 images to do" in vitrine(filled, "models", "rollback", "clip")
            wait_for(lambda: asking.answered_by(OLD), PATIENCE_S)
        finally:
            asking.stopping.set()
            thread.join()
    assert all(word in compared for word in ("images' 10 nearest", "retired", "active")), compared
    assert {status for _, status, _ in asking.answers} == {200}
    spaces = [spec_id for spec_id, _ in groupby(answer["model"]["spec_id"] for _, _, answer in asking.answers)]
    assert spaces == [OLD.spec_id, NEW.spec_id, OLD.spec_id]
    for spec in (OLD, NEW):
        assert_from_one_space(filled, spec, [(text, answer) for text, _, answer in asking.answers])


def assert_from_one_space(seed: Seed, spec: ModelSpec, answers: list[tuple[str, Any]]) -> None:
    """Compute each distance anew, query and image by the very model that the answer names."""
    encoder: TextEncoder = load_text_encoder(spec, seed.home, "cpu")
    queries = dict(zip(TEXTS, encoder.encode_texts(TEXTS), strict=True))
    with seed.database.session() as session:
        ids, vectors = embeddings(session, "clip", spec_id=spec.spec_id)
    seen = 0
    for text, answer in answers:
        if answer["model"]["spec_id"] == spec.spec_id:
            expected = dict(zip(ids, 1 - vectors @ queries[text], strict=True))
            found = {result["image_id"]: result["distance"] for result in answer["results"]}
            assert found.keys() == expected.keys()
            np.testing.assert_allclose([found[image_id] for image_id in ids], [*expected.values()], atol=1e-3)
            seen += 1
    assert seen > 0


def test_there_is_nothing_to_go_back_to_where_one_model_always_answered(filled: Seed) -> None:
    environment = {**os.environ, **library_settings(filled, "")}
    command = [sys.executable, "-m", "lib.cli", "models", "rollback", "resnet"]
    done = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert "there is nothing to go back to" in done.stderr
