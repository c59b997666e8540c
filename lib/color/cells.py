"""The least CIEDE2000 between one colour and any colour of a cell, proven; and walking a tree of cells by it.

Belongs here: what a cell is, the bound with its proof, the compiled walk. Which colours lie in which cell: index.py.

Notes
-----
A cell is a box in L*, a*, b* that is also a range of chroma C* and an arc of hue. Let 1 be the query and 2 any colour
of the cell; numbers in brackets are the equations of `difference.ciede2000`.

**Lightness.** f(L2) = (L2 − L1) / S_L rises with L2 while |L2 − L1| <= 100: S_L >= 1 and, by (18), changes by less than
0.0082 a unit of L2, so f' > (1 − 0.82 / S_L) / S_L > 0. Its least magnitude is at the end of the cell nearer to L1.

**The plane of chroma and hue.** With k = 1 the two terms are c = ΔC'/S_C and h = ΔH'/S_H and the form (22) adds
c² + h² + R_T·c·h, where −√3 < R_T <= 0. Two bounds hold, and the greater one counts.

1. ΔC'² + ΔH'² = |p1' − p2'|², the squared distance of the points (a', b) (law of cosines), and S_H < S_C, since T < 3.
   So the form is at least (1 − |R_T|/2) · ((1 + G)²Δa² + Δb²) / S_C², each factor at its least.
2. c and h one by one, for G at the middle of its range [G0, G1] with half width w (G falls with chroma):

   * A hue turns with G at a rate −sin h' cos h' / (1 + G), so a difference D of two hues changes at a rate of at most
     D: it is at least D(middle)·exp(−w). The mean hue moves by at most w/2.
   * C' changes with G at the rate a·cos h', so C2' − C1' at the rate a2·cos h2' − a1·cos h1', which is at most
     |a2 − a1| + |a1|·(D + w).
   * δ / (1 + 0.0225·(2·C1' ± δ)) is |c| for |ΔC'| = δ; it rises with δ and falls with C1'.
   * √(xy) / (1 + 0.0075·(x + y)·T) is |h| but for 2·sin(D/2), with x = C1', y = C2'. It rises and then falls with x,
     and with y, so over ranges it is least at a corner. Greater T makes it less. T over an arc is at most
     T(m) + |T'(m)|·r + 3.61·r² around its middle m, since |T''| < 7.22, and at most 1.93.
   * With |c| >= c0 and |h| >= h0: where c and h have different signs R_T·c·h >= 0 and the form is at least c0² + h0².
     With one sign, moving towards the origin makes the form less until c = c0 or h = h0; on these lines it is least at
     h = max(h0, −R_T·c0/2), or c = max(c0, −R_T·h0/2).
   * If the gap of hues may pass 180°, the mean hue may lie on either side: T is taken as 1.93 and R_T as −√3·…(17).

Rounding (float64, some fifty operations) stays far below `ROUNDING`, which is taken off in the end.
"""

import math

import numpy as np
from numpy.typing import NDArray

from lib.arrays import FloatArray
from lib.color.compiled import compiled, inlined

ROUNDING = 1e-7
COLUMNS = 10  # L*, a*, b* from and to, C* from and to, middle and half width of the arc of hues in radians
T_MAX = 1.93
SIN_60 = math.sqrt(3) / 2

_25_POW_7 = 25.0**7
_HUE_275 = math.radians(275)
_BELL = math.radians(25)


@inlined
def _saturation(chroma):  # type: ignore[no-untyped-def]
    seventh = chroma**7
    return math.sqrt(seventh / (seventh + _25_POW_7))


@inlined
def _turned(angle):  # type: ignore[no-untyped-def]
    """Return an angle within (-2π, 4π) brought into (-π, π]."""
    if angle > math.pi:
        angle -= 2 * math.pi
    if angle > math.pi:
        angle -= 2 * math.pi
    return angle + 2 * math.pi if angle <= -math.pi else angle


@inlined
def _outside(value, low, high):  # type: ignore[no-untyped-def]
    """Return how far a value lies outside a range."""
    return max(low - value, value - high, 0.0)


@inlined
def _lightness(L, low, high):  # type: ignore[no-untyped-def]
    near = min(max(L, low), high)
    offset = ((L + near) / 2 - 50) ** 2
    return (near - L) / (1 + 0.015 * offset / math.sqrt(20 + offset))


@inlined
def _greatest_t(middle, half):  # type: ignore[no-untyped-def]
    """Return a bound of T (15) over an arc."""
    value = (
        1
        - 0.17 * math.cos(middle - math.radians(30))
        + 0.24 * math.cos(2 * middle)
        + 0.32 * math.cos(3 * middle + math.radians(6))
        - 0.20 * math.cos(4 * middle - math.radians(63))
    )
    slope = (
        0.17 * math.sin(middle - math.radians(30))
        - 0.48 * math.sin(2 * middle)
        - 0.96 * math.sin(3 * middle + math.radians(6))
        + 0.80 * math.sin(4 * middle - math.radians(63))
    )
    return min(T_MAX, value + abs(slope) * half + 3.61 * half * half)


@inlined
def _greatest_turn(middle, half):  # type: ignore[no-untyped-def]
    """Return a bound of sin 2Δθ (16), (21) over an arc."""
    off = max(abs(_turned(middle - _HUE_275)) - half, 0.0) / _BELL
    return math.sin(math.radians(60) * math.exp(-off * off))


@inlined
def _least_form(c, h, R):  # type: ignore[no-untyped-def]
    """Return the least c² + h² + R·c·h from c and h up, for -2 < R <= 0 and one sign."""
    h_flat, c_flat = max(h, -R * c / 2), max(c, -R * h / 2)
    return min(c * c + h_flat * h_flat + R * c * h_flat, c_flat * c_flat + h * h + R * c_flat * h)


@inlined
def _least_hue(x0, x1, y0, y1, T):  # type: ignore[no-untyped-def]
    k = 0.0075 * T
    least = math.sqrt(x0 * y0) / (1 + k * (x0 + y0))
    least = min(least, math.sqrt(x0 * y1) / (1 + k * (x0 + y1)))
    least = min(least, math.sqrt(x1 * y0) / (1 + k * (x1 + y0)))
    return min(least, math.sqrt(x1 * y1) / (1 + k * (x1 + y1)))


@inlined
def _primed(hue, stretch):  # type: ignore[no-untyped-def]
    return math.atan2(math.sin(hue), stretch * math.cos(hue))


@compiled
def least_difference(L, a, b, cell):  # type: ignore[no-untyped-def]
    """Return a number that no colour of ``cell`` (COLUMNS,) is nearer to the colour L, a, b than, as float64."""
    C = math.hypot(a, b)
    G1 = 0.5 * (1 - _saturation((C + cell[6]) / 2))
    G0 = 0.5 * (1 - _saturation((C + cell[7]) / 2))
    w = (G1 - G0) / 2
    stretch = 1 + (G0 + G1) / 2
    grown, shrunk = (1 + G1) / stretch, (1 + G0) / stretch

    # C1' and C2' at the middle G: the box and the range of chroma each say something of C2'.
    x = math.hypot(stretch * a, b)
    a_far, b_far = max(abs(cell[2]), abs(cell[3])), max(abs(cell[4]), abs(cell[5]))
    a_near, b_near = _outside(0.0, cell[2], cell[3]), _outside(0.0, cell[4], cell[5])
    cosine = math.cos(cell[8]) ** 2
    gain = stretch * stretch - 1
    y0 = max(math.hypot(stretch * a_near, b_near), cell[6] * math.sqrt(1 + gain * max(cosine - cell[9], 0.0)))
    y1 = min(math.hypot(stretch * a_far, b_far), cell[7] * math.sqrt(1 + gain * min(cosine + cell[9], 1.0)))
    mean_most = (x + y1) * grown / 2

    # The differences of hue, from D0 to D1, seen from the query.
    hue = math.atan2(b, stretch * a)
    if cell[9] < math.pi / 2 - 1e-6:
        start = _primed(cell[8] - cell[9], stretch)
        D0 = _turned(start - hue)
        D1 = D0 + (_primed(cell[8] + cell[9], stretch) - start) % (2 * math.pi)
        across = D1 + w >= math.pi or D0 - w <= -math.pi
        D = 0.0 if D0 <= 0 <= D1 else min(abs(D0), abs(_turned(D1))) * math.exp(-w)
        D_most = min(max(abs(D0), abs(D1)), math.pi)
        middle, half = hue + (D0 + D1) / 4, (D1 - D0) / 4 + w / 2
        same_sign = 1 if D0 > 0 else -1 if D1 < 0 else 0
    else:
        D0 = D1 = D = middle = half = 0.0
        D_most, across, same_sign = math.pi, True, 0
    T, turn = (T_MAX, SIN_60) if across else (_greatest_t(middle, half), _greatest_turn(middle, half))
    R = -2 * _saturation(mean_most) * turn

    slack = w * (max(abs(cell[2] - a), abs(cell[3] - a)) + abs(a) * min(D_most + w, 2.0))
    nearer, farther = x - y1 - slack, y0 - x - slack
    C1 = x * grown
    if farther > 0:
        c, sign = farther / (1 + 0.0225 * (2 * C1 + farther)), 1
    elif nearer > 0:
        c, sign = nearer / (1 + 0.0225 * (2 * C1 - nearer)), -1
    else:
        c, sign = 0.0, 0
    h = 2 * math.sin(D / 2) * _least_hue(x * shrunk, C1, y0 * shrunk, y1 * grown, T)
    opposed = not across and same_sign * sign < 0
    two_ways = c * c + h * h if opposed else _least_form(c, h, R)

    da, db = (1 + G0) * _outside(a, cell[2], cell[3]), _outside(b, cell[4], cell[5])
    one_way = (1 + R / 2) * (da * da + db * db) / (1 + 0.045 * mean_most) ** 2
    light = _lightness(L, cell[0], cell[1])
    return max(math.sqrt(light * light + max(one_way, two_ways)) - ROUNDING, 0.0)


@compiled
def nearest_subtree(L, a, b, cells, last):  # type: ignore[no-untyped-def]
    """Return the node from `last` on that a walk from the root to the nearer child each time comes to."""
    node = 1
    while node < last:
        left, right = cells[2 * node], cells[2 * node + 1]
        near_left, near_right = least_difference(L, a, b, left), least_difference(L, a, b, right)
        if near_left == near_right:
            near_left = abs(left[0] + left[1] - 2 * L) + abs(left[2] + left[3] - 2 * a) + abs(left[4] + left[5] - 2 * b)
            near_right = abs(right[0] + right[1] - 2 * L) + abs(right[2] + right[3] - 2 * a)
            near_right += abs(right[4] + right[5] - 2 * b)
        node = 2 * node if near_left <= near_right else 2 * node + 1
    return node


@compiled
def leaves_within(L, a, b, cells, limit, found, bounds):  # type: ignore[no-untyped-def]
    """Write the leaves whose bound is at most ``limit`` to ``found``; return how many, and how many bounds it took.

    ``cells`` (2·n, COLUMNS) is a full binary tree, node i with children 2i and 2i + 1, leaves from n on.
    """
    leaf_count = cells.shape[0] // 2
    stack = np.empty(128, np.int64)
    stack[0] = 1
    depth, count, looked = 1, 0, 0
    while depth:
        depth -= 1
        node = stack[depth]
        bound = least_difference(L, a, b, cells[node])
        looked += 1
        if bound > limit:
            continue
        if node >= leaf_count:
            found[count], bounds[count] = node - leaf_count, bound
            count += 1
        else:
            stack[depth], stack[depth + 1] = 2 * node, 2 * node + 1
            depth += 2
    return count, looked


@compiled
def least_differences(queries, cells, out):  # type: ignore[no-untyped-def]
    """Fill ``out`` (Q, M) with the bound from each of Q colours to each of M cells."""
    for i in range(queries.shape[0]):
        for j in range(cells.shape[0]):
            out[i, j] = least_difference(queries[i, 0], queries[i, 1], queries[i, 2], cells[j])


def cells_around(lab: FloatArray, starts: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the cell of each run of colours: float64 (runs, COLUMNS).

    ``lab`` (N, 3) is cut before each of ``starts``, which begins with 0 and rises.
    """
    points = lab.astype(np.float64)
    chroma = np.hypot(points[:, 1], points[:, 2])
    hue = np.arctan2(points[:, 2], points[:, 1])
    low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    middle = np.arctan2(np.add.reduceat(points[:, 2], starts), np.add.reduceat(points[:, 1], starts))
    runs = np.diff(np.append(starts, len(points)))
    off = np.abs((hue - np.repeat(middle, runs) + np.pi) % (2 * np.pi) - np.pi)
    half = np.maximum.reduceat(np.where(chroma > 0, off, 0), starts)
    ends = [np.minimum.reduceat(chroma, starts) * (1 - 1e-12), np.maximum.reduceat(chroma, starts) * (1 + 1e-12)]
    box = np.stack([low, high], axis=-1).reshape(-1, 6)
    return np.column_stack([box, *ends, middle, np.minimum(half + 1e-9, np.pi)])


def merged_cells(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cells (n, COLUMNS) around each pair of neighbours of (2·n, COLUMNS)."""
    left, right = cells[::2], cells[1::2]
    merged = np.where(np.arange(COLUMNS) % 2, np.maximum(left, right), np.minimum(left, right))
    gap = (right[:, 8] - left[:, 8] + np.pi) % (2 * np.pi) - np.pi
    low, high = np.minimum(-left[:, 9], gap - right[:, 9]), np.maximum(left[:, 9], gap + right[:, 9])
    middle = left[:, 8] + (low + high) / 2
    merged[:, 8] = (middle + np.pi) % (2 * np.pi) - np.pi
    merged[:, 9] = np.minimum((high - low) / 2 + 1e-9, np.pi)
    return merged
