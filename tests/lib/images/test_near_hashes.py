"""Near pairs of hashes: exactly those that comparing all with all finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.images.near_hashes import near_pairs


@st.composite
def clustered_hashes(draw: st.DrawFn) -> list[int]:
    """Hashes of which many differ from one another in a few bits, or in none."""
    centers = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4))
    moved = st.tuples(st.sampled_from(centers), st.lists(st.integers(0, 63), max_size=7))
    return [center ^ sum(1 << bit for bit in set(bits)) for center, bits in draw(st.lists(moved, max_size=40))]


@settings(deadline=None)
@given(clustered_hashes(), st.integers(0, 12))
def test_the_pairs_are_those_of_a_full_comparison(numbers: list[int], radius: int) -> None:
    hashes = np.array(numbers, np.uint64)
    expected = [
        (a, b, (numbers[a] ^ numbers[b]).bit_count())
        for a in range(len(numbers))
        for b in range(a + 1, len(numbers))
        if (numbers[a] ^ numbers[b]).bit_count() <= radius
    ]
    pairs, distances = near_pairs(hashes, radius)
    assert [(int(a), int(b), int(d)) for (a, b), d in zip(pairs, distances, strict=True)] == expected


def test_a_large_group_of_equal_pieces_is_compared_whole() -> None:
    hashes = np.zeros(5000, np.uint64)
    hashes[:4998] = (np.arange(4998, dtype=np.uint64) + np.uint64(2)) << np.uint64(40)
    pairs, _ = near_pairs(hashes, 0)
    assert pairs.tolist() == [[4998, 4999]]


@pytest.mark.parametrize("radius", [-1, 32, 64])
def test_a_radius_without_meaning_is_refused(radius: int) -> None:
    with pytest.raises(ValueError, match="radius"):
        near_pairs(np.zeros(2, np.uint64), radius)
