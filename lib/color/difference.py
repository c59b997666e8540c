"""CIEDE2000: how different two colours look.

Belongs here: the formula and its use on long lists of colours. Conversions are in spaces.py.
"""

import numpy as np
from numpy.typing import ArrayLike

from lib.arrays import FloatArray

_25_POW_7 = 25.0**7

# 2**16 pairs keep some thirty float64 temporaries of the formula within a processor's cache.
CHUNK_PAIRS = 65_536


def ciede2000(lab_1: ArrayLike, lab_2: ArrayLike) -> FloatArray:
    """Return the CIEDE2000 colour difference between CIELAB colours.

    Parameters
    ----------
    lab_1, lab_2 : array_like, shape (..., 3)
        L* in [0, 100]; a* and b* roughly in [-128, 127] for sRGB; D65 white. Leading axes broadcast, so one query
        colour compares with a whole palette in one call.

    Returns
    -------
    ndarray of float64, shape (...)
        0 for equal colours; about 1 is just visible side by side. The weights k_L, k_C and k_H are 1.

    Raises
    ------
    ValueError
        If either last axis does not have length 3.

    Notes
    -----
    Symmetric but not a metric: the triangle inequality can fail, so no index can prune on it as it stands.

    References
    ----------
    G. Sharma, W. Wu, E. N. Dalal (2005). "The CIEDE2000 color-difference formula". Color Research & Application 30(1),
    21-30. doi:10.1002/col.20070
    """
    L1, a1, b1 = _split_lab(lab_1)
    L2, a2, b2 = _split_lab(lab_2)

    # Names follow the paper, a trailing p for its prime; (n) is the paper's equation n.
    C_bar = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2  # (2), (3)
    G = 0.5 * (1 - np.sqrt(C_bar**7 / (C_bar**7 + _25_POW_7)))  # (4)
    a1p, a2p = (1 + G) * a1, (1 + G) * a2  # (5)
    C1p, C2p = np.hypot(a1p, b1), np.hypot(a2p, b2)  # (6)
    h1p, h2p = np.arctan2(b1, a1p) % (2 * np.pi), np.arctan2(b2, a2p) % (2 * np.pi)  # (7)

    delta_Lp = L2 - L1  # (8)
    delta_Cp = C2p - C1p  # (9)
    grey = C1p * C2p == 0
    gap = h2p - h1p
    wrapped = np.where(gap > np.pi, gap - 2 * np.pi, np.where(gap < -np.pi, gap + 2 * np.pi, gap))
    delta_hp = np.where(grey, 0.0, wrapped)  # (10)
    delta_Hp = 2 * np.sqrt(C1p * C2p) * np.sin(delta_hp / 2)  # (11)

    Lp_bar = (L1 + L2) / 2  # (12)
    Cp_bar = (C1p + C2p) / 2  # (13)
    h_sum = h1p + h2p
    across_zero = np.where(h_sum < 2 * np.pi, h_sum + 2 * np.pi, h_sum - 2 * np.pi)
    hp_bar = np.where(grey, h_sum, np.where(np.abs(gap) > np.pi, across_zero, h_sum) / 2)  # (14)

    T = (
        1
        - 0.17 * np.cos(hp_bar - np.radians(30))
        + 0.24 * np.cos(2 * hp_bar)
        + 0.32 * np.cos(3 * hp_bar + np.radians(6))
        - 0.20 * np.cos(4 * hp_bar - np.radians(63))
    )  # (15)
    delta_theta = np.radians(30) * np.exp(-(((np.degrees(hp_bar) - 275) / 25) ** 2))  # (16)
    R_C = 2 * np.sqrt(Cp_bar**7 / (Cp_bar**7 + _25_POW_7))  # (17)
    S_L = 1 + 0.015 * (Lp_bar - 50) ** 2 / np.sqrt(20 + (Lp_bar - 50) ** 2)  # (18)
    S_C = 1 + 0.045 * Cp_bar  # (19)
    S_H = 1 + 0.015 * Cp_bar * T  # (20)
    R_T = -np.sin(2 * delta_theta) * R_C  # (21)

    lightness, chroma, hue = delta_Lp / S_L, delta_Cp / S_C, delta_Hp / S_H
    squared = lightness**2 + chroma**2 + hue**2 + R_T * chroma * hue  # (22)
    # Rounding can leave the rotated quadratic form a hair below zero for nearly equal colours.
    return np.asarray(np.sqrt(np.maximum(squared, 0)))


def ciede2000_pairs(lab_1: ArrayLike, lab_2: ArrayLike) -> FloatArray:
    """Return `ciede2000` of every row of ``lab_1`` (N, 3) with every row of ``lab_2`` (M, 3), as float64 (N, M).

    The same values as one broadcast call; worked through in blocks, so that memory stays flat for long lists.
    """
    rows, columns = np.asarray(lab_1, dtype=np.float64), np.asarray(lab_2, dtype=np.float64)
    step = max(1, CHUNK_PAIRS // max(1, len(columns)))
    table = np.empty((len(rows), len(columns)))
    for start in range(0, len(rows), step):
        table[start : start + step] = ciede2000(rows[start : start + step, None], columns)
    return table


def _split_lab(lab: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    coordinates = np.asarray(lab, dtype=np.float64)
    if coordinates.ndim == 0 or coordinates.shape[-1] != 3:
        raise ValueError(f"the last axis must hold L*, a*, b*, got shape {coordinates.shape}")
    return coordinates[..., 0], coordinates[..., 1], coordinates[..., 2]
