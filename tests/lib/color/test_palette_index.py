"""Ranked palettes, against transport to every one of them."""

import numpy as np
import pytest

from lib.color.palette import Palette, palette_distance
from lib.color.palette_index import ColorQuery, PaletteIndex, rank_palettes
from lib.color.ranking import Window
from lib.color.spaces import lab_from_srgb


def library(rng, count):
    """Return palettes of one to eight colours that hang together, as pictures' do, some of them equal."""
    base = lab_from_srgb(rng.random((count, 1, 3)))
    lab = (0.5 * base + 0.5 * lab_from_srgb(rng.random((count, 8, 3)))).astype(np.float32)
    weights = rng.dirichlet(np.ones(8), count).astype(np.float32)
    weights[np.arange(8) >= rng.integers(1, 9, count)[:, None]] = 0
    lab[weights == 0] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    lab[-20:], weights[-20:] = lab[:20], weights[:20]
    return lab, weights


def query_like(lab, weights, row, rng, anything=0.0):
    used = weights[row] > 0
    wanted = lab[row][used].astype(float) + rng.normal(0, 4, (used.sum(), 3))
    return ColorQuery(
        np.clip(wanted, [0, -128, -128], [100, 128, 128]), weights[row][used] / weights[row][used].sum(), anything
    )


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(1)
    lab, weights = library(rng, 3000)
    return lab, weights, rng.permutation(3000), PaletteIndex.build(lab[:2900], weights[:2900])


@pytest.mark.parametrize("anything", [0.0, 0.6])
@pytest.mark.parametrize(
    "window", [Window(24), Window(5, (14.0, 50)), Window(7, within=15.0), Window(9, (12.0, 0), 18.0)]
)
def test_a_stretch_is_that_of_the_full_ranking(table, window, anything):
    """Palettes that the index has not seen take part like the others."""
    lab, weights, ids, index = table
    rng = np.random.default_rng(2)
    for row in (3, 700, 2950):
        query = query_like(lab, weights, row, rng, anything)
        distances = query.distances(lab, weights)
        order = [n for n in np.lexsort((ids, distances)) if distances[n] <= window.within]
        ahead = [] if window.after is None else [n for n in order if (distances[n], ids[n]) <= window.after]
        found = rank_palettes(query, index, lab, weights, ids, np.arange(3000), window)
        assert found.rows.tolist() == order[len(ahead) : len(ahead) + window.k]
        assert (found.before, found.total) == (len(ahead), len(order))


def test_most_palettes_are_never_solved(table):
    lab, weights, ids, index = table
    query = query_like(lab, weights, 10, np.random.default_rng(3))
    assert rank_palettes(query, index, lab, weights, ids, np.arange(3000), Window(10)).decided < 600


@pytest.mark.parametrize("anything", [0.0, 0.5])
def test_the_bounds_are_bounds(table, anything):
    lab, weights, _, index = table
    query = query_like(lab, weights, 5, np.random.default_rng(4), anything)
    distances = query.distances(lab, weights)
    assert (index.least_distances(query, weights) <= distances).all()
    assert (query.least_distances(lab, weights) <= distances).all()


def test_the_distance_is_that_of_palettes(table):
    lab, weights, *_ = table
    one = Palette(lab[0][weights[0] > 0], weights[0][weights[0] > 0])
    others = [Palette(lab[n][weights[n] > 0], weights[n][weights[n] > 0]) for n in range(20)]
    query = ColorQuery(one.lab.astype(float), one.weights)
    np.testing.assert_allclose(query.distances(lab[:20], weights[:20]), palette_distance(one, others), atol=1e-5)


def test_anything_else_costs_nothing_up_to_its_share():
    """Half red is wanted; beside it the picture may have what it likes, but not less red."""
    red, blue = [53.0, 80, 67], [32.0, 79, -108]
    lab = np.array([[red, blue], [red, blue], [red, blue]], np.float32)
    weights = np.array([[0.5, 0.5], [0.8, 0.2], [0.25, 0.75]], np.float32)
    distances = ColorQuery(np.array([red]), np.ones(1), anything=0.5).distances(lab, weights)
    assert distances[:2] == pytest.approx([0, 0], abs=1e-6)
    assert distances[2] > 20
