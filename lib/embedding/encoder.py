"""What makes a vector: the two protocols that every model fills, and what all of them need.

From a spec to a loaded model is loading.py, where and how fast it runs is runtime.py.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from lib.arrays import Embeddings, FloatArray, RGBAImage
from lib.models.registry import ModelSpec


@runtime_checkable
class ImageEncoder(Protocol):
    """Turns pictures into vectors."""

    @property
    def spec(self) -> ModelSpec:
        """The model that the vectors belong to."""

    @property
    def pictures_at_once(self) -> int:
        """How many pictures keep this machine busy: more in one call take as much longer."""

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
