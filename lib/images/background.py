"""What stands behind the subject: masks by rembg's models, masks from a picture's own alpha, cut-outs.

Belongs here: everything that tells subject from background, and the flattening of transparent pixels. A mask is
kept at the resolution that the model works at, and is resized to the picture only when a cut-out is made.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lib.arrays import Mask, RGBAImage, RGBImage
from lib.images.matting_network import load_network
from lib.models.registry import ModelSpec, Preprocessing

OPAQUE = 255
HALF = 128
OWN_ALPHA_SHARE = 0.01
# Longer than this, a picture is a line to the model: resizing such a one would only cost memory.
MAX_ASPECT = 64


class SubjectMasker:
    """Finds the subject of pictures with one of rembg's models.

    Parameters
    ----------
    spec : ModelSpec
        A model of role ``matting``.
    weights : mapping of file name to path
        What ``lib.models.weights.locate`` returns; nothing is ever downloaded here.
    device : str
        ``cuda`` uses onnxruntime's CUDA provider, anything else the CPU.
    threads : int
        Threads for inference in all; 0 is one per core.
    """

    def __init__(self, spec: ModelSpec, weights: Mapping[str, Path], device: str = "cpu", threads: int = 0) -> None:
        if spec.preprocessing is None:
            raise ValueError(f"{spec.name} is not a matting model")
        self.spec = spec
        self._preprocessing: Preprocessing = spec.preprocessing
        self._network = load_network(spec.name, weights[f"{spec.name}.onnx"], device=device, threads=threads)

    def masks(self, images: Sequence[RGBAImage]) -> list[Mask]:
        """Return the mask of each picture, square, at the model's resolution (320 for u2netp, 1024 for isnet).

        The published onnx files have a fixed batch of one, so a picture's mask does not depend on its company.
        """
        inputs = (network_input(image, self._preprocessing) for image in images)
        return [mask_from_prediction(prediction[0, 0]) for prediction in self._network.predictions(inputs)]


def network_input(image: RGBAImage, preparation: Preprocessing) -> NDArray[np.float32]:
    """Return a picture as rembg gives it to its networks: (1, 3, side, side), brightest value scaled to 1."""
    picture = Image.fromarray(on_white(_without_extreme_aspect(image)))
    side = (preparation.side, preparation.side)
    pixels = np.asarray(picture.resize(side, Image.Resampling.LANCZOS))
    mean, std = np.array(preparation.mean, np.float32), np.array(preparation.std, np.float32)
    scale = np.float32(1 / max(int(pixels.max()), 1e-6))
    values = (pixels * scale - mean) / std
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None], dtype=np.float32)


def on_white(image: RGBAImage) -> RGBImage:
    """Return the picture flattened on white.

    The colour under transparent pixels is arbitrary, often black, and never meant to be seen; cut-out pictures on
    the web are made for light pages, and the models' training pictures of single things are mostly on white.

    >>> on_white(np.array([[[0, 0, 0, 0], [10, 20, 30, 255]]], np.uint8)).tolist()
    [[[255, 255, 255], [10, 20, 30]]]
    """
    import cv2

    alpha = image[..., 3:]
    if alpha.size and alpha.min() == OPAQUE:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGBA2RGB), dtype=np.uint8)
    weight = alpha.astype(np.float32) / OPAQUE
    flat = image[..., :3] * weight + OPAQUE * (1 - weight)
    return np.rint(flat).astype(np.uint8)


def has_own_alpha(image: RGBAImage) -> bool:
    """Say whether the picture's transparency marks its subject already.

    True where at least 1 % of the pixels are mostly transparent (alpha below 128), and at least 1 % are not: softened
    corners are less, and a picture with nothing visible marks no subject.
    """
    share = float(np.mean(image[..., 3] < HALF))
    return OWN_ALPHA_SHARE <= share <= 1 - OWN_ALPHA_SHARE


def mask_from_alpha(image: RGBAImage, side: int) -> Mask:
    """Return the picture's own alpha as a (side, side) mask."""
    return _resized(image[..., 3], (side, side))


def apply_mask(image: RGBAImage, mask: Mask) -> RGBAImage:
    """Return the cut-out: the picture with its alpha multiplied by the mask, resized to the picture."""
    height, width = image.shape[:2]
    matte = _resized(mask, (width, height)).astype(np.uint16)
    cutout = image.copy()
    cutout[..., 3] = (image[..., 3] * matte + OPAQUE // 2) // OPAQUE
    return cutout


def subject_box(mask: Mask) -> tuple[float, float, float, float]:
    """Return (x0, y0, x1, y1) around the subject as fractions of width and height, y downwards.

    The subject is where the mask is at least 128; with none, the box is the whole picture.

    >>> subject_box(np.array([[0, 0, 0, 0], [0, 255, 255, 0]], np.uint8))
    (0.25, 0.5, 0.75, 1.0)
    """
    subject = mask >= HALF
    if not subject.any():
        return (0.0, 0.0, 1.0, 1.0)
    height, width = mask.shape
    rows, columns = np.flatnonzero(subject.any(axis=1)), np.flatnonzero(subject.any(axis=0))
    return (
        float(columns[0] / width),
        float(rows[0] / height),
        float((columns[-1] + 1) / width),
        float((rows[-1] + 1) / height),
    )


def coverage(mask: Mask) -> float:
    """Return the share of the picture that is subject, soft edges counted in part, in [0, 1].

    >>> coverage(np.array([[0, 255]], np.uint8))
    0.5
    """
    return float(mask.mean(dtype=np.float64) / OPAQUE)


def encode_mask_png(mask: Mask) -> bytes:
    """Return the mask as an 8-bit grey PNG; the same mask gives the same bytes."""
    sink = io.BytesIO()
    Image.fromarray(mask).save(sink, "PNG", compress_level=1)  # masks are flat: higher levels gain little
    return sink.getvalue()


def decode_mask_png(png: bytes) -> Mask:
    """Return the mask that ``encode_mask_png`` wrote."""
    with Image.open(io.BytesIO(png), formats=("PNG",)) as picture:
        return np.asarray(picture.convert("L"))


def mask_from_prediction(prediction: np.ndarray[Any, np.dtype[np.float32]]) -> Mask:
    """Stretch to 0..255 as rembg does; a flat prediction has no subject."""
    low, high = float(prediction.min()), float(prediction.max())
    if not high > low:
        return np.zeros(prediction.shape, np.uint8)
    return ((prediction - low) / (high - low) * OPAQUE).astype(np.uint8)


def _resized(plane: Mask, size: tuple[int, int]) -> Mask:
    return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC))


def _without_extreme_aspect(image: RGBAImage) -> RGBAImage:
    height, width = image.shape[:2]
    longest = MAX_ASPECT * min(height, width)
    top, left = max(0, height - longest) // 2, max(0, width - longest) // 2
    return image[top : top + longest, left : left + longest]
