"""Models that requests share: the same vectors as for one request alone, and no text encoded twice."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lib.arrays import Embeddings, RGBAImage
from lib.embedding.loading import load_image_encoder
from lib.models.registry import ModelSpec, model_spec
from query_api.serving_models import SharedModel

pytestmark = pytest.mark.models


class Counting:
    """The packaged encoder of words and pictures, and how many it was given at a time."""

    def __init__(self, home: Path) -> None:
        self._model = load_image_encoder(model_spec("clip", "packaged"), home, "cpu")
        self.spec: ModelSpec = self._model.spec
        self.pictures_at_once = max(2, self._model.pictures_at_once)
        self.sizes: list[int] = []

    def encode_images(self, images: Sequence[RGBAImage]) -> Embeddings:
        """Count, and encode."""
        self.sizes.append(len(images))
        return self._model.encode_images(images)

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Count, and encode."""
        self.sizes.append(len(texts))
        rows: Embeddings = self._model.encode_texts(texts)  # type: ignore[attr-defined]
        return rows


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Counting:
    return Counting(tmp_path_factory.mktemp("models"))


def test_vectors_are_those_of_one_request_alone(model: Counting) -> None:
    generator = np.random.default_rng(5)
    pictures = [generator.integers(0, 256, (40 + 8 * i, 90, 4), dtype=np.uint8) for i in range(12)]
    alone = np.concatenate([model.encode_images([picture]) for picture in pictures])
    model.sizes.clear()
    shared = SharedModel(model)
    with ThreadPoolExecutor(12) as threads:
        together = np.concatenate(list(threads.map(lambda picture: shared.encode_images([picture]), pictures)))
    assert max(model.sizes) > 1
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_a_text_is_encoded_once(model: Counting) -> None:
    shared = SharedModel(model)
    first = shared.encode_texts(["a dog"])
    model.sizes.clear()
    np.testing.assert_array_equal(shared.encode_texts(["a dog"]), first)
    assert model.sizes == []
    assert shared.encode_texts(["a cat"]).shape == (1, 512)
    assert model.sizes == [1]


def test_nothing_has_no_rows(model: Counting) -> None:
    assert SharedModel(model).encode_texts([]).shape == (0, 512)
