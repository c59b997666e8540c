"""Pictures of any mode and colour profile, turned into 8-bit sRGB.

Belongs here: what Pillow's modes and ICC profiles mean. Opening files is in decoding_worker.py.
"""

import io

import numpy as np
from PIL import Image, ImageCms

_SRGB = ImageCms.createProfile("sRGB")

# Perceptual rendering needs tables that most RGB profiles lack; this is what viewers do instead.
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION

_DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
_ALPHA_MODES = ("RGBA", "LA", "PA", "La", "RGBa")


def srgb_image(image: Image.Image) -> Image.Image:
    """Return a loaded picture as sRGB, mode RGBA where it can be transparent and RGB where not.

    Handles 1-bit, grey, palette with tRNS, CMYK, YCbCr, Lab and deep greys. An ICC profile is applied; a broken one,
    or one for another kind of picture, is ignored, as viewers do: the picture is then taken for sRGB.
    """
    profile = _profile(image)
    if image.mode in _DEEP_MODES:
        image = _eight_bit(image)
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return _managed_rgba(rgba, profile) if profile else rgba
    if image.mode == "LAB":
        return _converted(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    if image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    if profile:
        return _converted(image, profile)
    return image.convert("RGB")


def _profile(image: Image.Image) -> ImageCms.ImageCmsProfile | None:
    """Return the embedded profile, or None where there is none, it is broken, or it is sRGB anyway."""
    icc = image.info.get("icc_profile")
    if not icc:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        name = ImageCms.getProfileDescription(profile)
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return None
    return None if name.startswith("sRGB") else profile


def _converted(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    try:
        converted = ImageCms.profileToProfile(image, profile, _SRGB, _INTENT, "RGB", flags=_FLAGS)
    except (OSError, ValueError, ImageCms.PyCMSError):
        converted = None
    return converted or image.convert("RGB")


def _managed_rgba(rgba: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    managed = _converted(rgba.convert("RGB"), profile)
    managed.putalpha(rgba.getchannel("A"))
    return managed


def _eight_bit(image: Image.Image) -> Image.Image:
    """Return a deep grey picture as L, or as LA where one 16-bit grey is marked transparent.

    Integers are read as 16 bits. Floats are read as [0, 1], or stretched over their own range where they leave it.
    """
    values = np.asarray(image, dtype=np.float64)
    if image.mode == "F":
        values = np.nan_to_num(values)
        low, high = (0.0, 1.0) if values.min() >= 0 and values.max() <= 1 else (values.min(), values.max())
        values = (values - low) / max(high - low, 1e-12) * 65535
    grey = Image.fromarray((np.clip(values, 0, 65535) / 257 + 0.5).astype(np.uint8))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return grey
