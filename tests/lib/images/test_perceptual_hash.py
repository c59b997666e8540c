"""The perceptual hash, against the imagehash package."""

import imagehash
import numpy as np
import pytest
from PIL import Image

from lib.images.perceptual_hash import hamming_distance, phash64


def blobs(seed):
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return small.resize((160, 120), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("seed", range(10))
def test_is_bit_for_bit_that_of_imagehash(seed):
    picture = blobs(seed)
    assert phash64(np.asarray(picture.convert("RGBA"))) == int(str(imagehash.phash(picture)), 16)


def test_a_smaller_copy_differs_in_few_bits_and_another_picture_in_many():
    picture, smaller, other = (np.asarray(p.convert("RGBA")) for p in (blobs(1), blobs(1).resize((80, 60)), blobs(2)))
    assert hamming_distance(phash64(picture), phash64(smaller)) <= 4
    assert hamming_distance(phash64(picture), phash64(other)) >= 16


def test_transparency_is_seen_over_white():
    hidden = np.array(blobs(3).convert("RGBA"))
    hidden[:50, :, 3] = 0
    shown = hidden.copy()
    shown[:50] = 255
    assert phash64(hidden) == phash64(shown)
