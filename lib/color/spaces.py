"""Conversions between colour spaces: sRGB, linear light, XYZ, CIELAB, LCh, OKLCh and HSV.

Belongs here: the conversions, their constants, and the white point. Every function takes and returns floating arrays
whose last axis holds the three coordinates; the result is float32 for float32 input and float64 otherwise. sRGB and HSV
coordinates lie in [0, 1], except hue, which is in degrees. How colours differ is in difference.py.

References
----------
IEC 61966-2-1:1999 (sRGB): transfer function and primaries.
CIE 15:2018, section 8.2.1: CIELAB. The white is D65 of the 2-degree observer, as everywhere in this project.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lib.arrays import FloatArray, RGBAImage

# XYZ of D65 for Y = 1: the chromaticity (0.3127, 0.3290) that IEC 61966-2-1 gives for the sRGB white.
WHITE_D65 = np.array([0.3127 / 0.3290, 1.0, (1 - 0.3127 - 0.3290) / 0.3290])

# Chromaticities x, y, z of the sRGB primaries, one row each.
_PRIMARIES = np.array([[0.64, 0.33, 0.03], [0.30, 0.60, 0.10], [0.15, 0.06, 0.79]])

# Derived rather than copied: the rounded matrices in print give a white that is slightly coloured in Lab.
XYZ_FROM_LINEAR = (_PRIMARIES * np.linalg.solve(_PRIMARIES.T, WHITE_D65)[:, None]).T
LINEAR_FROM_XYZ = np.linalg.inv(XYZ_FROM_LINEAR)

# The two matrices of Oklab, from XYZ by way of cone responses (see `oklch_from_lab`).
_CONES_FROM_XYZ = np.array(
    [
        [0.8189330101, 0.3618667424, -0.1288597137],
        [0.0329845436, 0.9293118715, 0.0361456387],
        [0.0482003018, 0.2643662691, 0.6338517070],
    ]
)
_OKLAB_FROM_CONES = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)

_DELTA = 6 / 29  # CIE 15: below delta cubed the cube root becomes a straight line
FULL_TURN = 360.0


def _floats(values: ArrayLike) -> FloatArray:
    array = np.asarray(values)
    return array if array.dtype == np.float32 else array.astype(np.float64)


def _triples(values: ArrayLike) -> FloatArray:
    array = _floats(values)
    if array.ndim == 0 or array.shape[-1] != 3:
        raise ValueError(f"the last axis must hold 3 coordinates, got shape {array.shape}")
    return array


def linear_from_srgb(srgb: ArrayLike) -> FloatArray:
    """Return linear light in [0, 1] of sRGB values in [0, 1], any shape (IEC 61966-2-1).

    >>> round(float(linear_from_srgb(0.5)), 4)
    0.214
    """
    encoded = _floats(srgb)
    curve = ((np.maximum(encoded, 0) + 0.055) / 1.055) ** 2.4
    return np.where(encoded <= 0.04045, encoded / 12.92, curve).astype(encoded.dtype, copy=False)


def srgb_from_linear(linear: ArrayLike) -> FloatArray:
    """Return sRGB values of linear light, any shape: the inverse of `linear_from_srgb`."""
    light = _floats(linear)
    curve = 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, light * 12.92, curve).astype(light.dtype, copy=False)


def xyz_from_linear(linear: ArrayLike) -> FloatArray:
    """Return CIE XYZ (Y = 1 for white) of linear sRGB, shape (..., 3)."""
    light = _triples(linear)
    return np.asarray(light @ XYZ_FROM_LINEAR.T.astype(light.dtype))


def linear_from_xyz(xyz: ArrayLike) -> FloatArray:
    """Return linear sRGB of CIE XYZ, shape (..., 3); outside [0, 1] for colours that sRGB cannot show."""
    tristimulus = _triples(xyz)
    return np.asarray(tristimulus @ LINEAR_FROM_XYZ.T.astype(tristimulus.dtype))


def lab_from_xyz(xyz: ArrayLike) -> FloatArray:
    """Return CIELAB of CIE XYZ (Y = 1 for white), shape (..., 3): L* in [0, 100], white D65."""
    tristimulus = _triples(xyz)
    ratio = tristimulus / WHITE_D65.astype(tristimulus.dtype)
    line = ratio / (3 * _DELTA**2) + 4 / 29
    f = np.where(ratio > _DELTA**3, np.cbrt(ratio), line)
    f_x, f_y, f_z = np.moveaxis(f, -1, 0)
    return np.stack([116 * f_y - 16, 500 * (f_x - f_y), 200 * (f_y - f_z)], axis=-1)


def xyz_from_lab(lab: ArrayLike) -> FloatArray:
    """Return CIE XYZ (Y = 1 for white) of CIELAB, shape (..., 3): the inverse of `lab_from_xyz`."""
    coordinates = _triples(lab)
    L_star, a_star, b_star = np.moveaxis(coordinates, -1, 0)
    f_y = (L_star + 16) / 116
    f = np.stack([f_y + a_star / 500, f_y, f_y - b_star / 200], axis=-1)
    ratio = np.where(f > _DELTA, f**3, 3 * _DELTA**2 * (f - 4 / 29))
    return np.asarray(ratio * WHITE_D65.astype(coordinates.dtype))


def lab_from_srgb(srgb: ArrayLike) -> FloatArray:
    """Return CIELAB of sRGB in [0, 1], shape (..., 3).

    >>> lab_from_srgb([1.0, 1.0, 1.0]).round(6) + 0.0  # white is exactly neutral
    array([100.,   0.,   0.])
    """
    return lab_from_xyz(xyz_from_linear(linear_from_srgb(srgb)))


def srgb_from_lab(lab: ArrayLike) -> FloatArray:
    """Return sRGB of CIELAB, shape (..., 3), clipped to [0, 1] where sRGB cannot show the colour."""
    linear = linear_from_xyz(xyz_from_lab(lab))
    return np.asarray(np.clip(srgb_from_linear(linear), 0, 1))


def lch_from_lab(lab: ArrayLike) -> FloatArray:
    """Return L*, chroma C* and hue h in degrees [0, 360) of CIELAB, shape (..., 3); the hue of grey is 0."""
    L_star, a_star, b_star = np.moveaxis(_triples(lab), -1, 0)
    return np.stack([L_star, np.hypot(a_star, b_star), _turn(np.degrees(np.arctan2(b_star, a_star)))], axis=-1)


def lab_from_lch(lch: ArrayLike) -> FloatArray:
    """Return CIELAB of L*, C* and h in degrees, shape (..., 3)."""
    L_star, chroma, hue = np.moveaxis(_triples(lch), -1, 0)
    angle = np.radians(hue)
    return np.stack([L_star, chroma * np.cos(angle), chroma * np.sin(angle)], axis=-1)


def oklch_from_lab(lab: ArrayLike) -> FloatArray:
    """Return OKLCh of CIELAB, shape (..., 3): lightness in [0, 1], chroma, hue in degrees [0, 360).

    References
    ----------
    B. Ottosson (2020). "A perceptual color space for image processing". https://bottosson.github.io/posts/oklab/

    >>> oklch_from_lab(lab_from_srgb([1.0, 0.0, 0.0])).round(2)
    array([ 0.63,  0.26, 29.23])
    """
    xyz = xyz_from_lab(lab)
    cones = np.cbrt(xyz @ _CONES_FROM_XYZ.T.astype(xyz.dtype))
    lightness, a, b = np.moveaxis(cones @ _OKLAB_FROM_CONES.T.astype(xyz.dtype), -1, 0)
    return np.stack([lightness, np.hypot(a, b), _turn(np.degrees(np.arctan2(b, a)))], axis=-1)


def hsv_from_srgb(srgb: ArrayLike) -> FloatArray:
    """Return hue in degrees [0, 360), saturation and value in [0, 1] of sRGB in [0, 1], shape (..., 3).

    Grey has no hue; it gets 0, as its saturation of 0 tells.

    References
    ----------
    A. R. Smith (1978). "Color gamut transform pairs". SIGGRAPH '78. doi:10.1145/800248.807361

    >>> hsv_from_srgb([0.0, 0.5, 0.5])
    array([180. ,   1. ,   0.5])
    """
    rgb = _triples(srgb)
    value, chroma = rgb.max(axis=-1), np.ptp(rgb, axis=-1)
    divisor = np.where(chroma > 0, chroma, 1)
    red, green, blue = np.moveaxis(rgb, -1, 0)
    sector = np.where(
        value == red,
        (green - blue) / divisor,
        np.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    saturation = chroma / np.where(value > 0, value, 1)
    return np.stack([_turn(60 * sector), saturation, value], axis=-1)


def srgb_from_hsv(hsv: ArrayLike) -> FloatArray:
    """Return sRGB of hue in degrees (any turn), saturation and value in [0, 1], shape (..., 3).

    >>> srgb_from_hsv([240.0, 1.0, 1.0])
    array([0., 0., 1.])
    """
    hue, saturation, value = np.moveaxis(_triples(hsv), -1, 0)
    # Each channel is a trapezoid over the wheel, shifted: 5, 3, 1 sectors for red, green, blue.
    sectors = (np.asarray([5, 3, 1], dtype=hue.dtype) + (hue / 60)[..., None]) % 6
    ramp = np.clip(np.minimum(sectors, 4 - sectors), 0, 1)
    return np.asarray(value[..., None] * (1 - saturation[..., None] * ramp))


def _turn(degrees: FloatArray) -> FloatArray:
    wrapped = degrees % FULL_TURN
    # A tiny negative angle rounds up to exactly one full turn, which is 0.
    return np.where(wrapped >= FULL_TURN, 0, wrapped).astype(degrees.dtype, copy=False)


_LINEAR_OF_BYTE = linear_from_srgb(np.arange(256) / 255).astype(np.float32)


def linear_from_bytes(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return linear light, float32 in [0, 1], of 8-bit sRGB, any shape; a table, hence fast on whole pictures."""
    return np.take(_LINEAR_OF_BYTE, pixels)


def lab_from_rgba(rgba: RGBAImage) -> NDArray[np.float32]:
    """Return the CIELAB of every pixel, float32 (H, W, 3); alpha is not looked at."""
    return lab_from_xyz(xyz_from_linear(linear_from_bytes(rgba[..., :3]))).astype(np.float32, copy=False)
