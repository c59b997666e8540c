"""Pictures brought to another's frame."""

import numpy as np
from PIL import Image

from lib.images.alignment import contain, cover

RED, BLUE = (200, 30, 30, 255), (30, 60, 200, 255)


def flat(color, height, width):
    return np.full((height, width, 4), color, np.uint8)


def smooth(height, width):
    y, x = np.mgrid[:height, :width]
    planes = [127 + 120 * np.sin(x / 9), 127 + 120 * np.cos(y / 11), (x + y) % 256, np.full_like(x, 255)]
    return np.stack(planes, axis=-1).astype(np.uint8)


def test_covering_keeps_the_middle_undistorted():
    wide = np.concatenate([flat(BLUE, 10, 10), flat(RED, 10, 10), flat(BLUE, 10, 10)], axis=1)
    np.testing.assert_allclose(cover(wide, 10, 10).astype(int), flat(RED, 10, 10), atol=1)


def test_strips_scale_as_the_whole_picture_does():
    picture = smooth(900, 700)
    expected = Image.fromarray(picture).resize((1050, 1350), Image.Resampling.LANCZOS)
    np.testing.assert_allclose(cover(picture, 1350, 1050).astype(int), np.asarray(expected).astype(int), atol=1)
    smaller = Image.fromarray(picture).resize((350, 450), Image.Resampling.LANCZOS)
    np.testing.assert_allclose(cover(picture, 450, 350).astype(int), np.asarray(smaller).astype(int), atol=1)


def test_any_two_sizes_meet():
    for height, width in [(1, 1), (1, 999), (777, 1), (33, 71)]:
        for other in [(1, 1), (500, 90), (3, 2000)]:
            assert cover(flat(RED, *other), height, width).shape == (height, width, 4)
            assert contain(flat(RED, *other), height, width).shape == (height, width, 4)


def test_a_contained_picture_is_whole_and_in_the_middle_of_nothing():
    frame = contain(flat(RED, 10, 20), 40, 40)
    np.testing.assert_array_equal(frame[10:30], flat(RED, 20, 40))
    assert (frame[:10] == 0).all()
    assert (frame[30:] == 0).all()


def test_a_picture_of_the_right_size_is_not_touched():
    picture = smooth(5, 7)
    assert cover(picture, 5, 7) is picture
    assert contain(picture, 5, 7) is picture


def test_hidden_colours_do_not_bleed_into_what_is_seen():
    picture = np.concatenate([flat(RED, 40, 20), flat((0, 255, 0, 0), 40, 20)], axis=1)
    scaled = cover(picture, 100, 100)
    assert scaled[scaled[..., 3] > 8][:, 1].max() <= 40
