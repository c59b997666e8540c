"""ResNet34 as a visual descriptor: what the network sees just before it names a class.

K. He, X. Zhang, S. Ren, J. Sun (2016). "Deep residual learning for image recognition". CVPR.
doi:10.1109/CVPR.2016.90
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lib.arrays import Embeddings, RGBAImage
from lib.embedding.checkpoint import load_state_dict, without_weights
from lib.embedding.encoder import unit_rows
from lib.embedding.preprocessing import model_input
from lib.embedding.runtime import Runtime
from lib.models.registry import ModelSpec, Preprocessing
from lib.models.weights import locate

# Pictures per forward pass: on a CPU, activations of more do not stay in the cache.
FORWARD_CPU, FORWARD_GPU = 4, 64


class ResNet34Encoder:
    """Encodes pictures into the 512 pooled features of torchvision's ResNet34."""

    def __init__(self, spec: ModelSpec, network: Any, runtime: Runtime) -> None:
        if spec.preprocessing is None or spec.dimension is None:
            raise ValueError(f"{spec.name} does not encode pictures")
        self.spec = spec
        self._dimension = spec.dimension
        self._preprocessing: Preprocessing = spec.preprocessing
        self._runtime = runtime
        self._network = runtime.place(network)
        self._pass_size = FORWARD_CPU if runtime.device.type == "cpu" else FORWARD_GPU
        self.pictures_at_once = self._pass_size * runtime.side_by_side

    @classmethod
    def load(cls, spec: ModelSpec, home: Path, runtime: Runtime) -> "ResNet34Encoder":
        """Read the weights, a plain torchvision state dict; raises WeightsMissing or WeightsRefused."""
        from torch.nn import Identity
        from torchvision.models import resnet34

        (path,) = locate(spec, home).values()
        with without_weights():
            network = resnet34(weights=None)
        load_state_dict(network, path)
        network.fc = Identity()  # the pooled features, not the class scores
        return cls(spec, network, runtime)

    def encode_images(self, images: Sequence[RGBAImage]) -> Embeddings:
        """Return one unit row per picture, (N, 512)."""
        if not images:
            return np.empty((0, self._dimension), np.float32)
        return unit_rows(self._runtime.run(self._forward, images, self._pass_size))

    def _forward(self, images: Sequence[RGBAImage]) -> Any:
        return self._network(self._runtime.pictures(model_input(images, self._preprocessing)))
