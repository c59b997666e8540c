"""ResNet34 as a visual descriptor: what the network sees just before it names a class.

K. He, X. Zhang, S. Ren, J. Sun (2016). "Deep residual learning for image recognition". CVPR.
doi:10.1109/CVPR.2016.90
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lib.arrays import Embeddings, RGBAImage
from lib.embedding.encoder import torch_device, unit_rows
from lib.embedding.preprocessing import model_input
from lib.models.registry import ModelSpec, Preprocessing
from lib.models.weights import locate

# Pictures per forward pass: on a CPU, activations of more do not stay in the cache.
FORWARD_CPU, FORWARD_GPU = 4, 64


class ResNet34Encoder:
    """Encodes pictures into the 512 pooled features of torchvision's ResNet34."""

    def __init__(self, spec: ModelSpec, network: Any, device: Any) -> None:
        if spec.preprocessing is None or spec.dimension is None:
            raise ValueError(f"{spec.name} does not encode pictures")
        self.spec = spec
        self._dimension = spec.dimension
        self._preprocessing: Preprocessing = spec.preprocessing
        self._network = network
        self._device = device

    @classmethod
    def load(cls, spec: ModelSpec, home: Path, device: str) -> "ResNet34Encoder":
        """Read the weights, a plain torchvision state dict; raises WeightsMissing."""
        import torch
        from torchvision.models import resnet34

        (path,) = locate(spec, home).values()
        network = resnet34(weights=None)
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        network.fc = torch.nn.Identity()  # the pooled features, not the class scores
        target = torch_device(device)
        return cls(spec, network.eval().to(target), target)

    def encode_images(self, images: Sequence[RGBAImage]) -> Embeddings:
        """Return one unit row per picture, (N, 512)."""
        if not images:
            return np.empty((0, self._dimension), np.float32)
        return unit_rows(np.concatenate([self._forward(part) for part in self._parts(images)]))

    def _parts(self, images: Sequence[RGBAImage]) -> list[Sequence[RGBAImage]]:
        size = FORWARD_CPU if self._device.type == "cpu" else FORWARD_GPU
        return [images[start : start + size] for start in range(0, len(images), size)]

    def _forward(self, images: Sequence[RGBAImage]) -> np.ndarray[Any, np.dtype[np.float32]]:
        import torch

        with torch.inference_mode():
            batch = torch.from_numpy(model_input(images, self._preprocessing)).to(self._device)
            features: np.ndarray[Any, np.dtype[np.float32]] = self._network(batch).float().cpu().numpy()
        return features
