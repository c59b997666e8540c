"""Merges: known results, and seam tiles that agree with a blend of the whole frame bit for bit."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.images import blending, seam_tiles
from lib.images.blending import default_levels, merge
from lib.images.pyramids import build_gaussian, build_laplacian, collapse
from lib.images.seam_tiles import reach_px
from lib.images.seams import SplitMask, split_mask

RED, BLUE = (200, 30, 30, 255), (30, 60, 200, 255)


def flat(color, height=64, width=64):
    return np.full((height, width, 4), color, np.uint8)


def noise(height, width, seed, *, opaque=True):
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    if opaque:
        picture[..., 3] = 255
    return picture


def ellipse(height, width):
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (width // 2, height // 2), (width // 5 + 1, height // 6 + 1), 20, 0, 360, 255, -1)
    return mask


def blend_of_the_whole_frame(a, b, mask, levels):
    """The blend with no tiles: every pixel from the pyramids of the whole pictures, in float32."""
    weights = build_gaussian(mask / np.float32(255), levels)
    planes = []
    for p, q in zip(premultiplied(a), premultiplied(b), strict=True):
        residuals = build_laplacian(p - q, levels)
        planes.append(q + collapse([r * w for r, w in zip(residuals, weights, strict=True)]))
    alpha = np.clip(planes[3], 0, 255)
    scale = np.where(alpha > 0.5, 255 / np.maximum(alpha, 0.5), 0).astype(np.float32)
    straight = np.stack([*(plane * scale for plane in planes[:3]), alpha], axis=-1)
    return np.rint(np.clip(straight, 0, 255)).astype(np.uint8)


def premultiplied(picture):
    alpha = picture[..., 3].astype(np.float32)
    return [picture[..., 0] * (alpha / 255), picture[..., 1] * (alpha / 255), picture[..., 2] * (alpha / 255), alpha]


def blend_by_the_paper(a, b, mask, levels):
    """Burt and Adelson (1983), section 3, in float64: two pyramids, and each level a weighted mean of the two."""
    weights = [mask / 255.0]
    for _ in range(levels):
        weights.append(cv2.pyrDown(weights[-1]))
    mixed = []
    for k, (la, lb) in enumerate(zip(laplacian_64(a, levels), laplacian_64(b, levels), strict=True)):
        weight = weights[k].reshape(la.shape[:2])[..., None]
        mixed.append(weight * la + (1 - weight) * lb)
    picture = mixed[-1]
    for level in reversed(mixed[:-1]):
        picture = level + cv2.pyrUp(picture, dstsize=level.shape[1::-1])
    return picture


def laplacian_64(picture, levels):
    gaussian = [picture[..., :3].astype(np.float64)]
    for _ in range(levels):
        gaussian.append(cv2.pyrDown(gaussian[-1]))
    fine = [g - cv2.pyrUp(h, dstsize=g.shape[1::-1]) for g, h in pairwise(gaussian)]
    return [*fine, gaussian[-1]]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 700),
    st.integers(1, 700),
    st.integers(0, 6),
    st.sampled_from(["left_right", "top_bottom", "slanted", "soft", "ellipse", "speckled"]),
    st.sampled_from([True, False]),
    st.integers(0, 99),
)
def test_the_tiles_make_the_whole_frames_blend_bit_for_bit(height, width, levels, kind, opaque, seed):
    a, b = noise(height, width, seed, opaque=opaque), noise(height, width, seed + 1)
    a[: height // 3, : width // 2] = 0 if not opaque else 255
    mask = {
        "left_right": lambda: split_mask(height, width, position=0.3),
        "top_bottom": lambda: split_mask(height, width, angle_deg=90),
        "slanted": lambda: split_mask(height, width, angle_deg=30, softness=0.05),
        "soft": lambda: split_mask(height, width, softness=0.4),
        "ellipse": lambda: ellipse(height, width),
        "speckled": lambda: (noise(height, width, 7)[..., 0] > 254).astype(np.uint8) * 255,
    }[kind]()
    np.testing.assert_array_equal(merge(a, b, mask=mask, levels=levels), blend_of_the_whole_frame(a, b, mask, levels))


@pytest.mark.parametrize("tile_px", [16, 200, 5000])
def test_the_size_of_the_tiles_changes_no_pixel(monkeypatch, tile_px):
    a, b, mask = noise(1300, 1500, 1), noise(1300, 1500, 2, opaque=False), ellipse(1300, 1500)
    expected = merge(a, b, mask=mask, levels=4)
    monkeypatch.setattr(seam_tiles, "TILE_PX", tile_px)
    np.testing.assert_array_equal(merge(a, b, mask=mask, levels=4), expected)


@pytest.mark.parametrize("threads", [1, 3, 64])
def test_the_number_of_threads_changes_no_pixel(monkeypatch, threads):
    a, b = noise(1900, 900, 1), noise(1900, 900, 2)
    expected = blend_of_the_whole_frame(a, b, split_mask(1900, 900), 5)
    monkeypatch.setattr(blending.os, "cpu_count", lambda: threads)
    np.testing.assert_array_equal(merge(a, b, levels=5), expected)


@pytest.mark.parametrize(("angle_deg", "softness"), [(0, 0), (90, 0.3), (30, 0), (200, 1)])
def test_a_mask_that_is_computed_where_it_is_looked_at_is_the_same_mask(angle_deg, softness):
    a, b, split = noise(700, 900, 1), noise(700, 900, 2), SplitMask(700, 900, angle_deg, 0.4, softness)
    np.testing.assert_array_equal(merge(a, b, mask=split), merge(a, b, mask=split[:, :].copy()))


def test_a_narrow_seam_is_cut_into_few_long_tiles_one_for_each_thread():
    near = np.zeros((47, 63), bool)
    near[:, 27:36] = True
    tiles = list(seam_tiles.seam_tiles(near, (3000, 4000), 6, at_once=2))
    assert [(tile.rows, tile.columns) for tile in tiles] == [((0, 1536), (1728, 2304)), ((1536, 3000), (1728, 2304))]


def test_only_what_the_pyramid_reaches_is_computed(monkeypatch):
    computed = []
    monkeypatch.setattr(blending, "blend_tile", lambda *given: computed.append(given[-1]))
    merge(noise(900, 2000, 1), noise(900, 2000, 2), levels=5)
    assert min(tile.columns[0] for tile in computed) >= 1000 - reach_px(5) - 32
    assert max(tile.columns[1] for tile in computed) <= 1000 + reach_px(5) + 32
    assert min(tile.rows[0] for tile in computed) == 0
    assert max(tile.rows[1] for tile in computed) == 900


def test_beyond_the_reach_every_pixel_is_copied_from_its_source():
    a, b = noise(400, 1200, 1), noise(400, 1200, 2)
    merged = merge(a, b, levels=4)
    np.testing.assert_array_equal(merged[:, : 600 - reach_px(4)], a[:, : 600 - reach_px(4)])
    np.testing.assert_array_equal(merged[:, 600 + reach_px(4) :], b[:, 600 + reach_px(4) :])
    assert (merged[:, 600 - 8 : 600] != a[:, 600 - 8 : 600]).any()


def test_a_merge_is_the_papers_to_a_rounding():
    a, b, mask = noise(301, 407, 1), noise(301, 407, 2), ellipse(301, 407)
    exact = np.clip(blend_by_the_paper(a, b, mask, 5), 0, 255)
    merged = merge(a, b, mask=mask, levels=5)[..., :3]
    assert np.abs(merged - exact).max() <= 0.5 + 1e-3


def test_a_picture_merged_with_itself_is_itself():
    picture = noise(53, 37, 0, opaque=False)
    picture[picture[..., 3] == 0] = 0
    np.testing.assert_array_equal(merge(picture, picture, mask=ellipse(53, 37)), picture)


def test_across_the_seam_colours_pass_smoothly():
    row = merge(flat(RED, 64, 256), flat(BLUE, 64, 256), levels=4)[32, :, 0].astype(int)
    assert (np.diff(row) <= 0).all()
    assert np.abs(np.diff(row)).max() < 20


def test_no_levels_is_a_hard_cut():
    merged = merge(flat(RED, 4, 4), flat(BLUE, 4, 4), levels=0)
    np.testing.assert_array_equal(merged[:, :2], flat(RED, 4, 2))
    np.testing.assert_array_equal(merged[:, 2:], flat(BLUE, 4, 2))


def test_a_white_mask_takes_the_first_picture_and_a_black_one_the_second():
    np.testing.assert_array_equal(merge(flat(RED), flat(BLUE), mask=np.full((64, 64), 255, np.uint8)), flat(RED))
    np.testing.assert_array_equal(merge(flat(RED), flat(BLUE), mask=np.zeros((64, 64), np.uint8)), flat(BLUE))


def test_a_transparent_edge_keeps_its_colour_and_is_not_darkened():
    merged = merge(flat(RED), flat((0, 0, 0, 0)))
    seen = merged[merged[..., 3] > 0]
    assert len(seen) < 64 * 64
    np.testing.assert_allclose(seen[:, :3].astype(int), np.broadcast_to(RED[:3], seen[:, :3].shape), atol=1)


def test_colours_hidden_under_transparency_never_show():
    merged = merge(flat(RED), flat((0, 255, 0, 0)))
    np.testing.assert_array_equal(merged, merge(flat(RED), flat((0, 0, 0, 0))))
    assert (merged[merged[..., 3] == 0] == 0).all()


def test_one_pixel_merges_with_one_pixel():
    np.testing.assert_array_equal(merge(flat(RED, 1, 1), flat(BLUE, 1, 1))[0, 0], [115, 45, 115, 255])


@pytest.mark.parametrize("levels", [-1, 9])
def test_a_number_of_levels_that_makes_no_sense_is_refused(levels):
    with pytest.raises(ValueError, match="levels must be from 0 to 8"):
        merge(flat(RED), flat(BLUE), levels=levels)


def test_more_levels_than_a_picture_can_be_halved_do_no_harm():
    merged = merge(flat(RED, 3, 5), flat(RED, 3, 5), levels=8)
    np.testing.assert_array_equal(merged, flat(RED, 3, 5))


def test_pictures_or_masks_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match="no common size"):
        merge(flat(RED), flat(BLUE), mask=np.zeros((3, 3), np.uint8))
    with pytest.raises(ValueError, match="no common size"):
        merge(flat(RED), flat(BLUE, 3, 3))


def test_the_levels_chosen_leave_a_coarsest_side_of_8_px():
    assert [default_levels(4000, 3000), default_levels(64, 4000), default_levels(7, 7)] == [6, 3, 0]
