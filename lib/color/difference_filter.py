"""CIEDE2000 in single precision, compiled: fast enough to look at everything, trusted only to leave out.

Belongs here: the compiled formula and loops over it. What the filter lets through is decided by `difference.ciede2000`.

Notes
-----
The filter never exceeds the true difference by more than its margin (`at_least`), so what it puts beyond a limit lies
beyond that limit. Why:

* Angles appear as vectors. With p1 = (a1', b1), p2 = (a2', b2) the bisector of both is C2' p1 + C1' p2, whose direction
  is the mean hue of equation 14; ΔH' (11) is √2·|p1 × p2| / √(C1'C2' + |p1·p2|), or √2·√(C1'C2' + |p1·p2|) for a gap
  over 90°, both free of cancellation. T (15) follows by multiple-angle identities.
* Every step but one then keeps a relative error of a few units of 2⁻²⁴ (the polynomials for arctangent and exponential:
  4·10⁻⁶), on chroma below 260 and lightness within 100. Each of ΔL'/S_L, ΔC'/S_C, ΔH'/S_H is off by less than 10⁻⁴ plus
  a 2·10⁻⁵th of itself. |R_T| < √3, so the quadratic form (22) has no eigenvalue under 1 − √3/2 = 0.134, and what those
  errors and R_T's own make of ΔE stays under 3·10⁻⁴ plus a 10⁻⁴th of it. The margin is some three times that.
* The exception is a hue gap near 180°, where the mean hue turns by 180° within a rounding error, and ΔE jumps by up to
  0.7. Within 1.2° of it the filter takes the least that either side could give: T at its greatest and the rotation term
  at its most negative.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lib.color.compiled import compiled, inlined

MARGIN, RELATIVE_MARGIN = 1e-3, 3e-4
BLOCK = 32  # places that are compared before it is looked at whether that is enough
T_MAX = 1.93  # 1 + 0.17 + 0.24 + 0.32 + 0.20

_Singles = NDArray[np.float32]

_F = np.float32
_ZERO, _HALF, _ONE, _TWO, _MINUS_ONE = _F(0), _F(0.5), _F(1), _F(2), _F(-1)
_TINY = _F(1e-30)
_25_POW_7 = _F(25.0**7)
_FIFTY, _TWENTY = _F(50), _F(20)
_K_LIGHT, _K_CHROMA, _K_HUE = _F(0.015), _F(0.045), _F(0.015)
_T1C, _T1S = _F(0.17 * math.cos(math.radians(30))), _F(0.17 * math.sin(math.radians(30)))
_T2 = _F(0.24)
_T3C, _T3S = _F(0.32 * math.cos(math.radians(6))), _F(0.32 * math.sin(math.radians(6)))
_T4C, _T4S = _F(0.20 * math.cos(math.radians(63))), _F(0.20 * math.sin(math.radians(63)))
_T_MAX = _F(T_MAX)
_C275, _S275 = _F(math.cos(math.radians(275))), _F(math.sin(math.radians(275)))
_SIN_60 = _F(math.sqrt(3) / 2)
_SIXTY = _F(math.radians(60))
# (2·arctan z in degrees / 25)² / 16, the exponent of (16) cut in sixteen.
_EXPONENT = _F((2 * math.degrees(1) / 25) ** 2 / 16)
_AMBIGUOUS = _F((2 * math.sin(math.radians(0.6))) ** 2)

# Least greatest error on [-1, 1]: 1.7e-6.
_A0, _A1, _A2 = _F(0.9999772179), _F(-0.3326228035), _F(0.1935402315)
_A3, _A4, _A5 = _F(-0.1164261357), _F(0.0526469910), _F(-0.0117189999)
# exp(-t) on [0, 0.82], relative error 2.1e-7.
_E0, _E1, _E2 = _F(0.9999997945), _F(-0.9999838195), _F(0.4997847613)
_E3, _E4, _E5 = _F(-0.1655884425), _F(0.0391519926), _F(-0.0054973088)
_S3, _S5, _S7, _S9 = _F(-1 / 6), _F(1 / 120), _F(-1 / 5040), _F(1 / 362880)


@inlined
def _saturation(chroma):  # type: ignore[no-untyped-def]
    """Return √(C⁷ / (C⁷ + 25⁷)) of (4) and (17)."""
    square = chroma * chroma
    seventh = square * square * square * chroma
    return math.sqrt(seventh / (seventh + _25_POW_7))


@inlined
def _sine_of_rotation(cosine, sine):  # type: ignore[no-untyped-def]
    """Return sin 2Δθ (16), (21) for the mean hue with that cosine and sine."""
    along = cosine * _C275 + sine * _S275
    across = sine * _C275 - cosine * _S275
    # Over 90° from 275° the exponential is below 3e-6 and left out; tan of half the angle is then at most 1.
    z = across / (_ONE + max(along, _ZERO))
    t = z * z
    arc = z * (_A0 + t * (_A1 + t * (_A2 + t * (_A3 + t * (_A4 + t * _A5)))))
    e = arc * arc * _EXPONENT
    bell = _E0 + e * (_E1 + e * (_E2 + e * (_E3 + e * (_E4 + e * _E5))))
    bell = bell * bell
    bell = bell * bell
    bell = bell * bell
    x = _SIXTY * bell * bell
    x2 = x * x
    value = x * (_ONE + x2 * (_S3 + x2 * (_S5 + x2 * (_S7 + x2 * _S9))))
    return value if along > _ZERO else _ZERO


@inlined
def _difference(L1, a1, b1, L2, a2, b2):  # type: ignore[no-untyped-def]
    """Return ΔE00 of two colours, all float32; numbers in brackets are the equations of `difference.ciede2000`."""
    C_bar = (math.sqrt(a1 * a1 + b1 * b1) + math.sqrt(a2 * a2 + b2 * b2)) * _HALF
    stretch = _ONE + _HALF * (_ONE - _saturation(C_bar))  # 1 + G, (4)
    a1p, a2p = a1 * stretch, a2 * stretch
    C1p, C2p = math.sqrt(a1p * a1p + b1 * b1), math.sqrt(a2p * a2p + b2 * b2)
    product, dot, cross = C1p * C2p, a1p * a2p + b1 * b2, a1p * b2 - a2p * b1

    long = product + abs(dot)
    root = math.sqrt(_TWO / max(long, _TINY))
    hue_gap = root * (abs(cross) if dot > _ZERO else long)  # |ΔH'|, (11)
    x, y = a1p * C2p + a2p * C1p, b1 * C2p + b2 * C1p
    square = x * x + y * y
    inverse = _ONE / math.sqrt(max(square, _TINY))
    cosine, sine = x * inverse, y * inverse
    ambiguous = square < _AMBIGUOUS * product * product

    cos_2, sin_2 = _TWO * cosine * cosine - _ONE, _TWO * sine * cosine
    cos_3, sin_3 = cos_2 * cosine - sin_2 * sine, sin_2 * cosine + cos_2 * sine
    cos_4, sin_4 = _TWO * cos_2 * cos_2 - _ONE, _TWO * sin_2 * cos_2
    T = _ONE - (_T1C * cosine + _T1S * sine) + _T2 * cos_2
    T = T + (_T3C * cos_3 - _T3S * sin_3) - (_T4C * cos_4 + _T4S * sin_4)  # (15)
    T = _T_MAX if ambiguous else T

    Cp_bar = (C1p + C2p) * _HALF
    offset = (L1 + L2) * _HALF - _FIFTY
    offset = offset * offset
    S_L = _ONE + _K_LIGHT * offset / math.sqrt(_TWENTY + offset)  # (18)
    lightness = (L2 - L1) / S_L
    chroma = (C2p - C1p) / (_ONE + _K_CHROMA * Cp_bar)
    hue = hue_gap / (_ONE + _K_HUE * Cp_bar * T)
    R_C = _TWO * _saturation(Cp_bar)  # (17)
    # Over all hue terms from `hue` up, the form is least where it is flat, or at `hue` itself.
    hue = max(hue, _HALF * R_C * _SIN_60 * abs(chroma)) if ambiguous else hue
    turn = _SIN_60 if ambiguous else _sine_of_rotation(cosine, sine)
    aligned = -abs(chroma) if ambiguous else (-chroma if cross > _ZERO else chroma)
    rotation = R_C * turn * aligned * hue  # R_T ΔC' ΔH' / (S_C S_H), (21)
    return math.sqrt(max(lightness * lightness + chroma * chroma + hue * hue + rotation, _ZERO))


@compiled
def _pairs(one, other, out):  # type: ignore[no-untyped-def]
    L1, a1, b1 = one[0], one[1], one[2]
    L2, a2, b2 = other[0], other[1], other[2]
    for i in range(out.shape[0]):
        out[i] = _difference(L1[i], a1[i], b1[i], L2[i], a2[i], b2[i])


@compiled
def _from_one(one, other, out):  # type: ignore[no-untyped-def]
    L1, a1, b1 = one[0], one[1], one[2]
    L2, a2, b2 = other[0], other[1], other[2]
    for i in range(out.shape[0]):
        out[i] = _difference(L1, a1, b1, L2[i], a2[i], b2[i])


def at_most(lab_1: ArrayLike, lab_2: ArrayLike) -> _Singles:
    """Return a number never above the CIEDE2000 of two lists of colours, nor far below it as a rule.

    Parameters
    ----------
    lab_1, lab_2 : array_like, shape (N, 3), or (3,) for ``lab_1``
        As for `difference.ciede2000`; taken as float32. L* in [0, 100], chroma up to 260.

    Returns
    -------
    ndarray of float32, shape (N,)
        The difference less `MARGIN` and `RELATIVE_MARGIN` of it, and not negative. Within 1.2° of a hue gap of 180° it
        can lie far below.
    """
    return lowered(single_precision(_planes(lab_1), _planes(lab_2)))


def single_precision(one: _Singles, other: _Singles) -> _Singles:
    """Return the difference before its margin: float32 (N,) of planes (3, N), or (3,) against (3, N)."""
    out = np.empty(other.shape[1], np.float32)
    (_from_one if one.ndim == 1 else _pairs)(one, other, out)
    return out


def lowered(difference: _Singles) -> _Singles:
    """Return what the true difference reaches at least."""
    return np.asarray(np.maximum(difference * _F(1 - RELATIVE_MARGIN) - _F(MARGIN), _ZERO))


def _planes(lab: ArrayLike) -> _Singles:
    return np.ascontiguousarray(np.asarray(lab, dtype=np.float32).T)


@compiled
def raise_sums(query, shown, planes, visible, rows, bounds, codes, most, sums):  # type: ignore[no-untyped-def]
    """Raise ``sums`` (rows,), bounds of the sum of differences over places, until each is sure to pass ``most``.

    ``query`` is (3, places), ``planes`` (N, 3, places), both single precision; ``shown`` (places,) and ``visible``
    (N, places) hold 1 for places that count, which must do so in both. ``sums`` begin as the sums of
    ``bounds[place, codes[row, place]]``. A block of places at a time, these give way to what the formula says at least.
    """
    places = query.shape[1]
    differences = np.empty(BLOCK, np.float32)
    for n in range(len(rows)):
        L, a, b = planes[rows[n], 0], planes[rows[n], 1], planes[rows[n], 2]
        both, code = visible[rows[n]], codes[rows[n]]
        first = 0
        while first < places and sums[n] <= most[n]:
            for i in range(BLOCK):
                at = first + i
                differences[i] = _difference(query[0, at], query[1, at], query[2, at], L[at], a[at], b[at])
            least, known = 0.0, 0.0
            for i in range(BLOCK):
                counts = both[first + i] & shown[first + i]
                least += counts * max(differences[i] * (1 - RELATIVE_MARGIN) - MARGIN, 0.0)
                known += bounds[first + i, code[first + i]]
            sums[n] += max(least - known, 0.0)
            first += BLOCK
