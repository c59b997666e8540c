"""Ranked layouts, against the distance to every one of them."""

import numpy as np
import pytest

from lib.color.layout import layout_distance
from lib.color.layout_search import layout_stack, rank_layouts
from lib.color.ranking import Window
from lib.color.spaces import lab_from_srgb


@pytest.fixture(scope="module")
def layouts():
    rng = np.random.default_rng(1)
    blocks = rng.random((800, 4, 4, 3)).repeat(4, axis=1).repeat(4, axis=2)
    lab = lab_from_srgb(np.clip(0.7 * blocks + rng.normal(0.15, 0.05, (800, 16, 16, 3)), 0, 1))
    alpha = rng.random((800, 16, 16, 1)) > rng.random((800, 1, 1, 1))
    made = np.concatenate([np.where(alpha, lab, 0), alpha], axis=-1).astype(np.float16)
    made[-30:] = made[:30]
    return made


@pytest.mark.parametrize("window", [Window(24), Window(100), Window(6, (22.0, 100)), Window(9, within=20.0)])
def test_a_stretch_is_that_of_the_full_ranking(layouts, window):
    ids = np.random.default_rng(2).permutation(800)
    for query in layouts[[0, 7, 300]]:
        distances = layout_distance(query, layouts)
        reach = np.isfinite(distances) & (distances <= window.within)
        order = [n for n in np.lexsort((ids, distances)) if reach[n]]
        ahead = [] if window.after is None else [n for n in order if (distances[n], ids[n]) <= window.after]
        found = rank_layouts(query, layout_stack(layouts), ids, np.arange(800), window)
        assert found.rows.tolist() == order[len(ahead) : len(ahead) + window.k]
        assert (found.before, found.total) == (len(ahead), len(order))


def test_layouts_come_back_as_they_were(layouts):
    np.testing.assert_array_equal(layout_stack(layouts).layouts(np.array([5, 3])), layouts[[5, 3]].astype(np.float32))
