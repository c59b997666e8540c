"""From a picture to a model's input array, as the model's spec says.

Done with Pillow, whose filters are the ones that torchvision and open_clip use on pictures, so that vectors equal
those of the original pipelines.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lib.arrays import RGBAImage
from lib.images.background import on_white
from lib.models.registry import Preprocessing

# A picture more stretched than this is cut at its ends before it is scaled: a 1×1024 line would become 256×262144.
MAX_ASPECT = 16

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def model_input(images: Sequence[RGBAImage], preparation: Preprocessing) -> NDArray[np.float32]:
    """Return pictures of any sizes as one (N, 3, side, side) float32 batch, transparent pixels on white."""
    pixels = np.stack([model_pixels(image, preparation) for image in images])
    return normalized(pixels, preparation)


def model_pixels(image: RGBAImage, preparation: Preprocessing) -> NDArray[np.uint8]:
    """Return one picture scaled to the model's (side, side, 3), still in [0, 255]."""
    picture = _without_extreme_aspect(Image.fromarray(on_white(image)))
    fitted = {"shortest": _shortest, "pad": _pad, "stretch": _stretch}[preparation.fit](picture, preparation)
    return np.asarray(fitted)


def normalized(pixels: NDArray[np.uint8], preparation: Preprocessing) -> NDArray[np.float32]:
    """Return (N, side, side, 3) pixels as the (N, 3, side, side) values that the model was trained on."""
    mean, std = np.array(preparation.mean, np.float32), np.array(preparation.std, np.float32)
    values = (pixels.astype(np.float32) / 255 - mean) / std
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2), dtype=np.float32)


def _shortest(picture: Image.Image, preparation: Preprocessing) -> Image.Image:
    """Scale the shorter side, then cut the centre; sizes and offsets are rounded as torchvision rounds them."""
    side, resize_side = preparation.side, preparation.resize_side
    width, height = picture.size
    shorter = min(width, height)
    size = (int(resize_side * width / shorter), int(resize_side * height / shorter))
    scaled = picture.resize(size, _FILTERS[preparation.interpolation])
    left, top = round((scaled.width - side) / 2), round((scaled.height - side) / 2)
    return scaled.crop((left, top, left + side, top + side))


def _pad(picture: Image.Image, preparation: Preprocessing) -> Image.Image:
    side = preparation.side
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    canvas = Image.new("RGB", (side, side), "white")
    scaled = picture.resize(size, _FILTERS[preparation.interpolation])
    canvas.paste(scaled, ((side - size[0]) // 2, (side - size[1]) // 2))
    return canvas


def _stretch(picture: Image.Image, preparation: Preprocessing) -> Image.Image:
    return picture.resize((preparation.side, preparation.side), _FILTERS[preparation.interpolation])


def _without_extreme_aspect(picture: Image.Image) -> Image.Image:
    longest = MAX_ASPECT * min(picture.size)
    width, height = min(picture.width, longest), min(picture.height, longest)
    if (width, height) == picture.size:
        return picture
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))
