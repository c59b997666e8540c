"""CLIP models run by open_clip from local files: one space for pictures and words.

A. Radford et al. (2021). "Learning transferable visual models from natural language supervision". ICML.
The network is built from the configuration in the spec, so that neither a hub nor a newer open_clip can change it.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lib.arrays import Embeddings, RGBAImage
from lib.embedding.encoder import torch_device, unit_rows
from lib.embedding.preprocessing import model_input
from lib.models.registry import ModelSpec, Preprocessing
from lib.models.weights import locate

FORWARD = 32  # pictures or texts per forward pass
CHECKPOINT_SUFFIXES = (".safetensors", ".bin")


class ClipEncoder:
    """Encodes pictures and texts into one space of unit vectors."""

    def __init__(self, spec: ModelSpec, network: Any, tokenizer: Any, device: Any) -> None:
        if spec.preprocessing is None or spec.dimension is None:
            raise ValueError(f"{spec.name} does not encode pictures")
        self.spec = spec
        self._dimension = spec.dimension
        self._preprocessing: Preprocessing = spec.preprocessing
        self._network = network
        self._tokenizer = tokenizer
        self._device = device

    @classmethod
    def load(cls, spec: ModelSpec, home: Path, device: str) -> "ClipEncoder":
        """Read checkpoint and tokenizer from local files, never running pickled code; raises WeightsMissing."""
        import open_clip

        paths = locate(spec, home)
        (checkpoint,) = (path for name, path in paths.items() if name.endswith(CHECKPOINT_SUFFIXES))
        network = _network(spec, checkpoint.parent)
        open_clip.load_checkpoint(network, str(checkpoint), weights_only=True)
        target = torch_device(device)
        return cls(spec, network.eval().to(target), _tokenizer(spec, checkpoint.parent), target)

    def encode_images(self, images: Sequence[RGBAImage]) -> Embeddings:
        """Return one unit row per picture, (N, spec.dimension)."""
        import torch

        def forward(part: Sequence[RGBAImage]) -> Any:
            batch = torch.from_numpy(model_input(part, self._preprocessing))
            return self._network.encode_image(batch.to(self._device))

        return self._encode(images, forward)

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Return one unit row per text, (N, spec.dimension); a text is cut at the context length (77 tokens)."""
        return self._encode(texts, lambda part: self._network.encode_text(self._tokenizer(list(part)).to(self._device)))

    def _encode(self, items: Sequence[Any], forward: Any) -> Embeddings:
        import torch

        if not items:
            return np.empty((0, self._dimension), np.float32)
        parts = [items[start : start + FORWARD] for start in range(0, len(items), FORWARD)]
        with torch.inference_mode():
            return unit_rows(torch.cat([forward(part).float().cpu() for part in parts]).numpy())


def _reads_text_by_transformers(spec: ModelSpec) -> bool:
    return "hf_model_name" in spec.parameters["text_cfg"]


def _network(spec: ModelSpec, folder: Path) -> Any:
    from open_clip.model import CLIP, CustomTextCLIP

    text_cfg = copy.deepcopy(dict(spec.parameters["text_cfg"]))
    architecture = CLIP
    if _reads_text_by_transformers(spec):
        architecture = CustomTextCLIP
        # The folder holds the text model's config.json; its weights come with the checkpoint.
        text_cfg |= {"hf_model_name": str(folder), "hf_model_pretrained": False}
    return architecture(
        embed_dim=spec.parameters["embed_dim"], vision_cfg=dict(spec.parameters["vision_cfg"]), text_cfg=text_cfg
    )


def _tokenizer(spec: ModelSpec, folder: Path) -> Any:
    from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

    length = spec.parameters["context_length"]
    if _reads_text_by_transformers(spec):
        return HFTokenizer(str(folder), context_length=length, local_files_only=True)
    return SimpleTokenizer(context_length=length)
