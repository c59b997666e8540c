"""One picture laid on another, and flattened."""

import numpy as np
import pytest
from PIL import Image

from lib.images.compositing import flattened_on_white, lay_over


def noise(seed, height=300, width=40):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)


def test_over_is_what_pillow_makes_of_it():
    front, back = noise(1), noise(2)
    expected = np.asarray(Image.alpha_composite(Image.fromarray(back), Image.fromarray(front))).astype(int)
    lay_over(front, back)
    seen = expected[..., 3] > 16  # below that, a colour is a few levels of its own
    np.testing.assert_allclose(front[seen].astype(int), expected[seen], atol=2)


def test_an_opaque_front_hides_and_an_empty_one_shows_what_is_behind():
    front, back = noise(1), noise(2)
    front[:150, :, 3], front[150:] = 255, 0
    back[..., 3] = 255
    before = front.copy()
    lay_over(front, back)
    np.testing.assert_array_equal(front[:150], before[:150])
    np.testing.assert_array_equal(front[150:], back[150:])


def test_two_sizes_are_refused():
    with pytest.raises(ValueError, match="cannot be laid over"):
        lay_over(noise(1), noise(1, 3, 3))


def test_what_is_transparent_is_white_when_flattened():
    picture = noise(1)
    picture[200:, :, 3] = 0
    assert (flattened_on_white(picture)[200:] == 255).all()
    assert flattened_on_white(picture).shape == (300, 40, 3)
