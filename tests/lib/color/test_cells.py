"""The least difference between a colour and a cell, against the colours of the cell."""

import numpy as np
import pytest

from lib.color.cells import cells_around, least_difference, merged_cells
from lib.color.difference import ciede2000
from lib.color.spaces import lab_from_lch, lab_from_srgb

LIMITS = np.array([[0, -128, -128], [100, 128, 128]])


def colors_and_queries(rng, kind):
    """Return the colours of a cell, from tiny to large, and queries near it, far off, and across the wheel."""
    centre = {
        "any": lambda: lab_from_srgb(rng.random(3)),
        "grey": lambda: np.array([rng.uniform(0, 100), *rng.normal(0, 3, 2)]),
        "blue": lambda: lab_from_lch([rng.uniform(5, 90), rng.uniform(10, 130), rng.normal(275, 20)]),
        "red": lambda: lab_from_lch([rng.uniform(5, 90), rng.uniform(10, 100), rng.normal(0, 5)]),
    }[kind]()
    size = 10 ** rng.uniform(-2, 1.7)
    colors = np.clip(centre + rng.uniform(-1, 1, (40, 3)) * size * rng.random(3), *LIMITS)
    near = centre + rng.normal(0, 2 * size, (6, 3))
    across = centre * [1, -1, -1] * rng.uniform(0.2, 1.5, (4, 1)) + rng.normal(0, size / 4, (4, 3))
    queries = np.concatenate([near, across, lab_from_srgb(rng.random((4, 3))), colors[:2]])
    return np.float32(colors), np.float64(np.float32(np.clip(queries, *LIMITS)))


@pytest.mark.parametrize("kind", ["any", "grey", "blue", "red"])
def test_no_colour_of_a_cell_is_nearer_than_its_bound(kind):
    rng = np.random.default_rng(1)
    for _ in range(150):
        colors, queries = colors_and_queries(rng, kind)
        cell = cells_around(colors, np.array([0]))[0]
        for query in queries:
            assert least_difference(*query, cell) <= ciede2000(query, colors).min()


def test_the_bound_of_a_small_cell_is_close():
    rng = np.random.default_rng(2)
    slack = []
    for _ in range(300):
        colors = np.float32(lab_from_srgb(rng.uniform(0.05, 0.95, 3)) + rng.uniform(-0.5, 0.5, (60, 3)))
        query = colors[0] + rng.normal(0, 4, 3)
        cell = cells_around(colors, np.array([0]))[0]
        slack.append(ciede2000(query, colors).min() - least_difference(*query, cell))
    assert np.median(slack) < 0.3


def test_merged_cells_hold_what_their_parts_hold():
    rng = np.random.default_rng(3)
    colors = np.float32(lab_from_srgb(rng.random((64, 3))))
    merged = merged_cells(cells_around(colors, np.arange(0, 64, 8)))
    assert merged.shape == (4, 10)
    for group, cell in enumerate(merged):
        part = colors[16 * group : 16 * group + 16].astype(np.float64)
        hue = np.arctan2(part[:, 2], part[:, 1])
        assert (np.abs((hue - cell[8] + np.pi) % (2 * np.pi) - np.pi) <= cell[9]).all()
        assert (part.min(axis=0) >= cell[[0, 2, 4]]).all()
        assert (part.max(axis=0) <= cell[[1, 3, 5]]).all()
        chroma = np.hypot(part[:, 1], part[:, 2])
        assert cell[6] <= chroma.min()
        assert chroma.max() <= cell[7]
