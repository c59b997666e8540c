from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lib.arrays import RGBAImage
from lib.embedding.loading import load_image_encoder
from lib.embedding.packaged import ConseEncoder, Lite2Encoder
from lib.models.registry import model_spec

PICTURES = Path(__file__).parents[2] / "data" / "pictures"
NAMES = ("dog", "crow", "strawberry", "truck")


def read_picture(name: str) -> RGBAImage:
    with Image.open(PICTURES / f"{name}.png") as picture:
        return np.asarray(picture.convert("RGBA"))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Two torch threads on a busy two-core machine wait for each other."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="session")
def pictures() -> dict[str, RGBAImage]:
    return {name: read_picture(name) for name in NAMES}


@pytest.fixture(scope="session")
def lite2(tmp_path_factory: pytest.TempPathFactory) -> Lite2Encoder:
    encoder = load_image_encoder(model_spec("resnet", "packaged"), tmp_path_factory.getbasetemp(), "cpu")
    assert isinstance(encoder, Lite2Encoder)
    return encoder


@pytest.fixture(scope="session")
def conse(tmp_path_factory: pytest.TempPathFactory) -> ConseEncoder:
    encoder = load_image_encoder(model_spec("clip", "packaged"), tmp_path_factory.getbasetemp(), "cpu")
    assert isinstance(encoder, ConseEncoder)
    return encoder
