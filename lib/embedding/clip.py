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
from lib.embedding.checkpoint import load_clip_checkpoint, without_weights
from lib.embedding.clip_text import CausalText, MaskedText, TextTower
from lib.embedding.encoder import unit_rows
from lib.embedding.preprocessing import model_input
from lib.embedding.runtime import Runtime
from lib.models.registry import ModelSpec, Preprocessing
from lib.models.weights import locate

# Pictures per forward pass. The weights are read from memory once a pass: one picture alone waits mostly for them.
FORWARD_CPU, FORWARD_GPU = 8, 32
TEXTS_AT_ONCE = 32
CHECKPOINT_SUFFIXES = (".safetensors", ".bin")


class ClipEncoder:
    """Encodes pictures and texts into one space of unit vectors."""

    def __init__(self, spec: ModelSpec, network: Any, tokenizer: Any, runtime: Runtime) -> None:
        if spec.preprocessing is None or spec.dimension is None:
            raise ValueError(f"{spec.name} does not encode pictures")
        self.spec = spec
        self._dimension = spec.dimension
        self._preprocessing: Preprocessing = spec.preprocessing
        self._runtime = runtime
        self._network = runtime.place(network)
        self._pass_size = FORWARD_CPU if runtime.device.type == "cpu" else FORWARD_GPU
        self.pictures_at_once = self._pass_size * runtime.side_by_side
        text: type[TextTower] = MaskedText if _reads_text_by_transformers(spec) else CausalText
        self._text = text(self._network, tokenizer)

    @classmethod
    def load(cls, spec: ModelSpec, home: Path, runtime: Runtime) -> "ClipEncoder":
        """Read checkpoint and tokenizer from local files, running no code of theirs.

        Raises WeightsMissing or WeightsRefused.
        """
        paths = locate(spec, home)
        (checkpoint,) = (path for name, path in paths.items() if name.endswith(CHECKPOINT_SUFFIXES))
        with without_weights():
            network = _network(spec, checkpoint.parent)
        load_clip_checkpoint(network, checkpoint)
        return cls(spec, network, _tokenizer(spec, checkpoint.parent), runtime)

    def encode_images(self, images: Sequence[RGBAImage]) -> Embeddings:
        """Return one unit row per picture, (N, spec.dimension)."""
        if not images:
            return np.empty((0, self._dimension), np.float32)
        return unit_rows(self._runtime.run(self._forward, images, self._pass_size))

    def _forward(self, images: Sequence[RGBAImage]) -> Any:
        return self._network.encode_image(self._runtime.pictures(model_input(images, self._preprocessing)))

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Return one unit row per text, (N, spec.dimension); a text is cut at the context length (77 tokens)."""
        if not texts:
            return np.empty((0, self._dimension), np.float32)
        tokens = self._text.tokens(texts)
        # Side by side with its like, a short text is not filled up to the length of a long one.
        order = np.argsort(self._text.lengths(tokens), kind="stable")
        rows = self._runtime.run(self._text_forward, tokens[order], TEXTS_AT_ONCE)
        return unit_rows(rows[np.argsort(order)])

    def _text_forward(self, tokens: Any) -> Any:
        longest = int(self._text.lengths(tokens).max())
        return self._text.forward(tokens[:, :longest].to(self._runtime.device))


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
