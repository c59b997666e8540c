"""Exact nearest colours, against a scan of everything in double precision."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.color.difference import ciede2000, ciede2000_pairs
from lib.color.index import ColorIndex
from lib.color.spaces import lab_from_lch, lab_from_srgb


def scan(lab, ids, query, k):
    """Return the k nearest by comparing with everything: ids and distances, ties by id."""
    distances = ciede2000(np.float32(query), np.float32(lab))
    order = np.lexsort((ids, distances))[:k]
    return np.asarray(ids)[order].tolist(), distances[order]


def assert_as_a_scan(index, lab, ids, query, k):
    found = index.nearest(query, k)
    names, distances = scan(lab, ids, query, k)
    assert found.ids.tolist() == names
    np.testing.assert_array_equal(found.distances, distances)


def adversarial(rng, count):
    """Return colours near grey, around hue 0 and 275, at the ends of lightness, and many that are equal."""
    part = count // 5
    grey = np.append(rng.uniform(0, 100, (part, 1)), rng.normal(0, 0.5, (part, 2)), axis=1)
    wrap = lab_from_lch(np.column_stack([rng.uniform(0, 100, part), rng.uniform(0, 80, part), rng.normal(0, 4, part)]))
    blue = lab_from_lch(
        np.column_stack([rng.uniform(0, 60, part), rng.uniform(0, 130, part), rng.normal(275, 15, part)])
    )
    ends = np.column_stack([rng.choice([0.0, 100.0], part), rng.integers(-2, 3, (part, 2))])
    equal = np.round(lab_from_srgb(rng.random((count - 4 * part, 3))) / 40) * 40
    return np.clip(np.concatenate([grey, wrap, blue, ends, equal]), [0, -128, -128], [100, 128, 128])


def queries(rng, lab):
    """Return colours of the set, colours near some, colours across the wheel from some, and any colours."""
    some = lab[rng.integers(0, len(lab), 12)]
    across = some * [1, -1, -1]
    mixed = np.concatenate([some, some + rng.normal(0, 2, some.shape), across, lab_from_srgb(rng.random((6, 3)))])
    return np.clip(mixed, [0, -128, -128], [100, 128, 128])


@pytest.mark.parametrize("make", [lambda rng, n: lab_from_srgb(rng.random((n, 3))), adversarial])
def test_finds_what_a_scan_finds(make):
    rng = np.random.default_rng(1)
    lab, ids = make(rng, 5000), rng.permutation(5000)
    index = ColorIndex.build(lab, ids)
    for query in queries(rng, lab):
        assert_as_a_scan(index, lab, ids, query, 24)


coordinate = st.floats(-100, 100, width=32) | st.sampled_from([0.0, 0.5, -0.5, 60.0, -60.0])
color = st.tuples(st.floats(0, 100, width=32) | st.sampled_from([0.0, 50.0, 100.0]), coordinate, coordinate)


@settings(max_examples=40, deadline=None)
@given(st.lists(color, min_size=1, max_size=150), color, st.integers(1, 12))
def test_finds_what_a_scan_finds_in_any_colours(lab, query, k):
    ids = np.arange(len(lab))[::-1] // 2  # some ids have two colours
    assert_as_a_scan(ColorIndex.build(lab, ids), np.array(lab), ids, query, k)


def test_equal_colours_come_in_the_order_of_their_ids():
    ids = np.random.default_rng(2).permutation(50_000)
    index = ColorIndex.build(np.broadcast_to([60.0, 10, -20], (50_000, 3)), ids)
    found = index.nearest([60, 10, -20], 5)
    assert found.ids.tolist() == [0, 1, 2, 3, 4]
    assert found.filtered == 1  # it is one colour


def test_looks_at_a_few_of_many():
    """The bench does this with a million; here what is looked at is at most a few leaves either way."""
    rng = np.random.default_rng(3)
    lab = lab_from_srgb(rng.random((100_000, 3)))
    index = ColorIndex.build(lab, np.arange(100_000))
    found = [index.nearest(query, 24) for query in lab_from_srgb(rng.random((100, 3)))]
    assert np.percentile([each.filtered for each in found], 95) < 0.01 * 100_000
    assert np.percentile([each.decided for each in found], 95) < 0.005 * 100_000


def test_fewer_colours_than_asked_for_are_all_of_them():
    index = ColorIndex.build([[50, 0, 0], [60, 0, 0]], [7, 8])
    assert index.nearest([58, 0, 0], 24).ids.tolist() == [8, 7]
    assert ColorIndex.build(np.empty((0, 3)), []).nearest([50, 0, 0], 3).ids.tolist() == []


def test_stays_right_while_colours_come_and_go():
    rng = np.random.default_rng(4)
    lab = {int(name): each for name, each in zip(range(2000), lab_from_srgb(rng.random((2000, 3))), strict=True)}
    index, fresh = ColorIndex.build(np.stack(list(lab.values())), list(lab)), 2000
    for _ in range(60):
        gone = [int(name) for name in rng.choice(list(lab), 40, replace=False)]
        new = {fresh + i: each for i, each in enumerate(lab_from_srgb(rng.random((30, 3))))}
        new |= {name: lab_from_srgb(rng.random(3)) for name in gone[:10]}  # these change
        fresh += 30
        index = index.changed(gone, np.stack(list(new.values())), list(new))
        lab = {name: each for name, each in lab.items() if name not in gone} | new
        assert len(index) == len(lab)
        assert_as_a_scan(index, np.stack(list(lab.values())), list(lab), lab_from_srgb(rng.random(3)), 10)


def test_what_one_thread_holds_does_not_change_under_it():
    rng = np.random.default_rng(5)
    lab = lab_from_srgb(rng.random((5000, 3)))
    index, query = ColorIndex.build(lab, np.arange(5000)), lab_from_srgb(rng.random(3))
    expected, wrong = index.nearest(query, 50).ids.tolist(), []

    def ask():
        wrong.extend(1 for _ in range(100) if index.nearest(query, 50).ids.tolist() != expected)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        index.changed(expected, lab_from_srgb(rng.random((200, 3))), np.arange(200))
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("color", [[101, 0, 0], [50, 200, 0], [np.nan, 0, 0], [50, 0, np.inf]])
def test_colours_beyond_the_proof_are_refused(color):
    with pytest.raises(ValueError, match="must lie in"):
        ColorIndex.build([color], [1])
    with pytest.raises(ValueError, match="must lie in"):
        ColorIndex.build([[50, 0, 0]], [1]).nearest(color, 1)


def test_the_scan_here_is_the_full_table():
    lab = lab_from_srgb(np.random.default_rng(6).random((300, 3)))
    table = ciede2000_pairs(np.float32(lab[:1]), np.float32(lab))[0]
    np.testing.assert_array_equal(scan(lab, np.arange(300), lab[0], 300)[1], np.sort(table))
