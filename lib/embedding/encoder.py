"""What makes a vector: the two protocols that every model fills, and the way from a spec to a loaded model.

torch is imported when a model is loaded, not before: whoever only needs the names and types stays light.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from lib.arrays import Embeddings, FloatArray, RGBAImage
from lib.errors import ModelNotFound
from lib.models.registry import ModelSpec


@runtime_checkable
class ImageEncoder(Protocol):
    """Turns pictures into vectors."""

    @property
    def spec(self) -> ModelSpec:
        """The model that the vectors belong to."""

    def encode_images(self, images: Sequence[RGBAImage]) -> Embeddings:
        """Return one unit row per picture, (N, spec.dimension); pictures may differ in size, N may be 0.

        Transparent pixels count as white. A picture's row does not depend on its neighbours in the batch, up to
        float32 rounding (1e-5).
        """


@runtime_checkable
class TextEncoder(Protocol):
    """Turns texts into vectors of the same space as the pictures of its model."""

    @property
    def spec(self) -> ModelSpec:
        """The model that the vectors belong to."""

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Return one unit row per text, (N, spec.dimension); what exceeds the model's context length is cut off."""


def load_image_encoder(spec: ModelSpec, home: Path, device: str = "auto") -> ImageEncoder:
    """Return the loaded encoder of a ``resnet`` or ``clip`` model; one object per process, however often asked.

    Parameters
    ----------
    spec : ModelSpec
    home : Path
        The library's home, under which fetched weights lie.
    device : str
        ``auto`` (CUDA, then Apple's MPS, then CPU), ``cpu``, ``cuda`` or ``mps``.

    Raises
    ------
    WeightsMissing
        Its weights are not here; the message names the command that fetches them.
    ModelNotFound
        The spec is not of a model that encodes pictures.
    """
    encoder = _load(spec, home, device)
    if not isinstance(encoder, ImageEncoder):
        raise ModelNotFound(f"{spec.name} does not encode pictures")
    return encoder


def load_text_encoder(spec: ModelSpec, home: Path, device: str = "auto") -> TextEncoder:
    """Return the loaded text encoder of a ``clip`` model, the same object as its image encoder.

    Parameters and errors are those of ``load_image_encoder``.
    """
    encoder = _load(spec, home, device)
    if not isinstance(encoder, TextEncoder):
        raise ModelNotFound(f"{spec.name} does not encode text")
    return encoder


def unit_rows(rows: FloatArray) -> Embeddings:
    """Return rows scaled to unit L2 norm, float32.

    Raises ValueError where a row is zero or not finite: stored, it would be near nothing and break every distance.

    >>> unit_rows(np.array([[3.0, 4.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929]]
    """
    norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    if not (np.isfinite(norms) & (norms > 0)).all():
        raise ValueError("a vector is zero or not finite")
    unit: Embeddings = np.asarray(rows / norms, np.float32)
    return unit


def torch_device(device: str) -> Any:
    """Return the torch device that a setting means; ``auto`` takes the fastest that this machine has."""
    import torch

    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@lru_cache(maxsize=8)
def _load(spec: ModelSpec, home: Path, device: str) -> object:
    if spec.architecture.startswith("open_clip"):
        from lib.embedding.clip import ClipEncoder

        return ClipEncoder.load(spec, home, device)
    if spec.architecture.startswith("torchvision ResNet34"):
        from lib.embedding.resnet import ResNet34Encoder

        return ResNet34Encoder.load(spec, home, device)
    if spec.role in ("resnet", "clip"):
        from lib.embedding.packaged import load_packaged

        return load_packaged(spec, home, device)
    raise ModelNotFound(f"{spec.name} is a {spec.role} model: it makes no vectors")
