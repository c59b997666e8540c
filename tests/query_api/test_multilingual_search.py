"""Words in Russian, where the library's model knows the language: open_clip's XLM-RoBERTa at full size.

Its weights are seeded ones, so what it finds is arbitrary; that it is what the vectors say is not.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from lib.embedding.loading import load_image_encoder
from lib.images.decoding import Decoder
from lib.images.working_copy import read_working_copy
from lib.models.registry import ModelSpec, model_by_spec_id, model_specs
from lib.settings import Settings
from lib.storage import models, sources
from lib.storage.embeddings import put_embedding
from query_api import serving_models
from query_api.app import create_app
from tests.lib.embedding.checkpoints import write_multilingual
from tests.query_api.conftest import PICTURES, READY_TIMEOUT_S, SITE, empty_library, wait_for

JSON = {"accept": "application/json"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ModelSpec, Path]]:
    """The spec and the home of a multilingual CLIP; removed at the end, for it takes over a gigabyte."""
    home = tmp_path_factory.mktemp("multilingual")
    _, spec = write_multilingual(home)
    yield spec, home
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def library(
    server_url: str, decoder: Decoder, weights: tuple[ModelSpec, Path]
) -> Iterator[tuple[TestClient, ModelSpec, dict[str, np.ndarray]]]:
    """A client of the API in this process over six photographs, the model, and the photographs' vectors by name."""
    spec, home = weights
    known = pytest.MonkeyPatch()
    known.setattr(serving_models, "model_by_spec_id", lambda i: spec if i == spec.spec_id else model_by_spec_id(i))
    with empty_library(server_url, decoder, "multilingual_tests") as seed:
        (seed.home / "models").symlink_to(home / "models")
        encoder = load_image_encoder(spec, home, "cpu", "f32")
        vectors: dict[str, np.ndarray] = {}
        with seed.database.session() as session:
            sources.upsert_source(session, "test", SITE.model_dump(mode="json"), enabled=True)
            for each in (spec, *(other for other in model_specs("packaged") if other.role != "clip")):
                models.add_model(session, each)
            session.commit()
        for path in sorted(PICTURES.glob("*.png"))[:6]:
            image = seed.add(path.name, path.read_bytes())
            rgba = read_working_copy(seed.objects.read(image.working_copy_sha256))
            vectors[image.img_name] = encoder.encode_images([rgba])[0]
            with seed.database.session() as session:
                put_embedding(session, "clip", image.id, spec.spec_id, vectors[image.img_name])
                session.commit()
        settings = Settings(home=seed.home, database_url=seed.database_url, device="cpu", precision="f32")
        with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
            wait_for(lambda: client.get("/readyz").is_success, READY_TIMEOUT_S)
            yield client, spec, vectors
    known.undo()


@pytest.mark.parametrize("text", ["собака", "кот и собака на траве"])
def test_russian_words_are_searched_for_without_a_note(
    library: tuple[TestClient, ModelSpec, dict[str, np.ndarray]], weights: tuple[ModelSpec, Path], text: str
) -> None:
    client, spec, vectors = library
    answer = client.post("/v1/search", json={"text": text}, headers=JSON).raise_for_status().json()
    assert (answer["language_unsupported"], answer["unsupported_texts"]) == (False, [])
    assert answer["parts"]["meaning"]["model"]["name"] == spec.name
    wanted = load_image_encoder(spec, weights[1], "cpu", "f32").encode_texts([text])[0]
    distances = {name: 1 - float(vector @ wanted) for name, vector in vectors.items()}
    found = {result["img_name"]: result["parts"]["meaning"]["distance"] for result in answer["results"]}
    assert list(found) == sorted(distances, key=distances.__getitem__)
    assert found == pytest.approx(distances, abs=1e-4)
    legacy = client.post("/get_top_25_clip_similar", json={"text_query": text}, headers=JSON).raise_for_status()
    assert legacy.json()["language_unsupported"] is False


def test_a_language_that_it_was_not_taught_is_answered_with_a_note(
    library: tuple[TestClient, ModelSpec, dict[str, np.ndarray]],
) -> None:
    client, spec, _ = library
    assert "ru" in spec.languages
    assert "am" not in spec.languages
    answer = client.post("/v1/search", json={"text": "ውሻ"}, headers=JSON).raise_for_status().json()
    assert answer["language_unsupported"] is True
