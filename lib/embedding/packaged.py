"""The encoders that Python packages carry: EfficientNet-Lite2 for looks, ConSE over MiniLM for words.

They are stand-ins for machines that cannot fetch ResNet34 and CLIP, under names of their own. ConSE needs no
training: a picture's vector is the sum of the text vectors of the classes that a classifier sees in it, weighted by
how sure it is, and a query's vector is its own text vector.

M. Norouzi et al. (2014). "Zero-shot learning by convex combination of semantic embeddings". ICLR. arXiv:1312.5650
M. Tan, Q. V. Le (2019). "EfficientNet: Rethinking model scaling for convolutional neural networks". ICML.
"""

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lib.arrays import Embeddings, RGBAImage
from lib.embedding.checkpoint import load_state_dict
from lib.embedding.encoder import unit_rows
from lib.embedding.preprocessing import model_pixels, normalized
from lib.embedding.runtime import Runtime
from lib.models.registry import CLASS_VECTORS, LITE2_PREPROCESSING, LITE2_WEIGHTS, ModelSpec
from lib.models.weights import locate

Rows: TypeAlias = NDArray[np.float32]  # (N, D)

# Pictures per forward pass. The widest activations of one are 7 MB; those of several do not stay in a CPU's cache.
FORWARD_CPU, FORWARD_GPU = 1, 64
REMEMBERED_PICTURES = 4096  # 5 KB each
TEXTS_AT_ONCE = 64


class Lite2Network:
    """EfficientNet-Lite2 up to its pooled features.

    The visual and the word encoder both start from the same features. The last few thousand are remembered by the
    pixels that made them, so that encoding a picture for both costs one forward pass. ``forwarded`` counts the
    pictures that went through the network.
    """

    def __init__(self, checkpoint: Path, runtime: Runtime) -> None:
        from efficientnet_lite_pytorch import EfficientNet

        network = EfficientNet.from_name("efficientnet-lite2")
        load_state_dict(network, checkpoint)
        self.class_weight: Rows = network._fc.weight.detach().numpy()  # (1000, 1280)
        self.class_bias: Rows = network._fc.bias.detach().numpy()  # (1000,)
        self.forwarded = 0
        self._runtime = runtime
        self._network = runtime.place(network)
        self._pass_size = FORWARD_CPU if runtime.device.type == "cpu" else FORWARD_GPU
        self.pictures_at_once = self._pass_size * runtime.side_by_side
        self._remembered: OrderedDict[bytes, Rows] = OrderedDict()
        self._lock = threading.Lock()

    def features(self, images: Sequence[RGBAImage]) -> Rows:
        """Return the pooled features, (N, 1280), all at least 0."""
        pixels = [model_pixels(image, LITE2_PREPROCESSING) for image in images]
        keys = [hashlib.blake2b(picture.tobytes(), digest_size=16).digest() for picture in pixels]
        with self._lock:
            known = {key: self._remembered[key] for key in keys if key in self._remembered}
            missing = {key: picture for key, picture in zip(keys, pixels, strict=True) if key not in known}
            made = dict(zip(missing, self._forward(list(missing.values())), strict=True))
            self._remember(made)
        return np.stack([known[key] if key in known else made[key] for key in keys])

    def _remember(self, made: dict[bytes, Rows]) -> None:
        self._remembered.update(made)
        while len(self._remembered) > REMEMBERED_PICTURES:
            self._remembered.popitem(last=False)

    def _forward(self, pixels: list[NDArray[np.uint8]]) -> Rows:
        if not pixels:
            return np.empty((0, self.class_weight.shape[1]), np.float32)
        self.forwarded += len(pixels)
        return self._runtime.run(self._pooled, pixels, self._pass_size)

    def _pooled(self, pixels: Sequence[NDArray[np.uint8]]) -> Any:
        batch = self._runtime.pictures(normalized(np.stack(pixels), LITE2_PREPROCESSING))
        return self._network.extract_features(batch).mean((2, 3))


class Lite2Encoder:
    """Encodes pictures by their pooled features, turned into 512 dimensions by a fixed orthogonal map."""

    def __init__(self, spec: ModelSpec, network: Lite2Network) -> None:
        self.spec = spec
        self.network = network
        self.pictures_at_once = network.pictures_at_once
        self._dimension = spec.dimension or 0
        parameters = spec.parameters
        self._projection = orthogonal_map(parameters["features"], self._dimension, parameters["projection_seed"])

    def encode_images(self, images: Sequence[RGBAImage]) -> Embeddings:
        """Return one unit row per picture, (N, 512)."""
        if not images:
            return np.empty((0, self._dimension), np.float32)
        return unit_rows(self.network.features(images) @ self._projection)


class ConseEncoder:
    """Encodes pictures and texts into MiniLM's space of meanings, zeros appended up to 512 dimensions."""

    def __init__(self, spec: ModelSpec, network: Lite2Network, text_model: "MiniLM", classes: Embeddings) -> None:
        self.spec = spec
        self.network = network
        self.pictures_at_once = network.pictures_at_once
        self._dimension = spec.dimension or 0
        self._text_model = text_model
        self._classes = classes

    def encode_images(self, images: Sequence[RGBAImage]) -> Embeddings:
        """Return one unit row per picture, (N, 512)."""
        if not images:
            return np.empty((0, self._dimension), np.float32)
        scores = self.network.features(images) @ self.network.class_weight.T + self.network.class_bias
        weights = top_posteriors(scores, self.spec.parameters["temperature"], self.spec.parameters["top"])
        return self._padded(unit_rows(weights @ self._classes))

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Return one unit row per text, (N, 512); a text is cut at 256 tokens."""
        if not texts:
            return np.empty((0, self._dimension), np.float32)
        return self._padded(self._text_model.encode(texts))

    def _padded(self, rows: Embeddings) -> Embeddings:
        return np.pad(rows, ((0, 0), (0, self._dimension - rows.shape[1])))


class MiniLM:
    """all-MiniLM-L6-v2: texts to 384-d unit vectors, the mean of its token vectors."""

    def __init__(self, folder: Path, context_length: int, runtime: Runtime) -> None:
        # transformers asks the hub about local folders too unless it is told not to before it is imported.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # 103 tensors of a local file need none

        self._context_length = context_length
        self._runtime = runtime
        self._tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        model = AutoModel.from_pretrained(str(folder), local_files_only=True, use_safetensors=True)
        self._model = runtime.place(model)

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Return one unit row per text, (N, 384)."""
        return unit_rows(self._runtime.run(self._mean, texts, TEXTS_AT_ONCE))

    def _mean(self, texts: Sequence[str]) -> Any:
        tokens = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=self._context_length, return_tensors="pt"
        ).to(self._runtime.device)
        states = self._model(**tokens).last_hidden_state
        seen = tokens["attention_mask"].unsqueeze(-1).float()
        return (states * seen).sum(1) / seen.sum(1)


def load_packaged(spec: ModelSpec, home: Path, runtime: Runtime) -> Lite2Encoder | ConseEncoder:
    """Return the packaged encoder that a spec means; both share one network per process. Raises WeightsMissing."""
    paths = locate(spec, home)
    network = _shared_network(paths[LITE2_WEIGHTS.name], runtime)
    if spec.role == "resnet":
        return Lite2Encoder(spec, network)
    text_model = MiniLM(paths["model.safetensors"].parent, spec.parameters["context_length"], runtime)
    classes = np.load(paths[CLASS_VECTORS.name], allow_pickle=False)
    return ConseEncoder(spec, network, text_model, classes.astype(np.float32))


def top_posteriors(scores: Rows, temperature: float, top: int) -> Rows:
    """Return softmax(scores / temperature) with all but each row's ``top`` largest set to 0; (N, C)."""
    heated = np.exp((scores - scores.max(axis=1, keepdims=True)) / temperature)
    posteriors = heated / heated.sum(axis=1, keepdims=True)
    smallest_kept = np.partition(posteriors, -top, axis=1)[:, [-top]]
    return np.where(posteriors >= smallest_kept, posteriors, np.float32(0)).astype(np.float32)


def orthogonal_map(rows: int, columns: int, seed: int) -> Rows:
    """Return a (rows, columns) matrix of orthonormal columns, the same everywhere for the same seed.

    Angles are kept nearly, by the Johnson-Lindenstrauss lemma. RandomState, and not a Generator: NumPy promises
    that its stream never changes.

    F. Mezzadri (2007). "How to generate random matrices from the classical compact groups". Notices AMS 54(5).
    """
    normals = np.random.RandomState(seed).standard_normal((rows, columns))
    q, r = np.linalg.qr(normals)
    return (q * np.sign(np.diag(r))).astype(np.float32)  # the signs make the decomposition unique


@lru_cache(maxsize=2)
def _shared_network(checkpoint: Path, runtime: Runtime) -> Lite2Network:
    return Lite2Network(checkpoint, runtime)


def class_texts() -> list[str]:
    """Return a text for each of ImageNet's 1000 classes, in their order: its names, then what it is."""
    from timm.data.imagenet_info import ImageNetInfo

    info = ImageNetInfo()
    return [info.index_to_description(index, detailed=True) for index in range(1000)]


def write_class_vectors(text_model: MiniLM, path: Path) -> None:
    """Write the vectors of the class texts, (1000, 384) float16, as the package carries them.

    Carried, because a slow machine takes half a minute to compute them, and they follow from the weights alone.
    """
    np.save(path, text_model.encode(class_texts()).astype(np.float16))
