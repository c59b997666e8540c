from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.images.background import (
    SubjectMasker,
    apply_mask,
    coverage,
    decode_mask_png,
    encode_mask_png,
    has_own_alpha,
    mask_from_alpha,
    mask_from_prediction,
    on_white,
    subject_box,
)
from lib.images.matting_network import rembg_session
from lib.models.registry import model_spec
from lib.models.weights import locate

PICTURES = Path(__file__).parents[2] / "data" / "pictures"
SPEC = model_spec("matting", "packaged")
WEIGHTS = locate(SPEC, Path("nowhere"))  # the packaged model lies in its package
ONNX = WEIGHTS[f"{SPEC.name}.onnx"]


def read_picture(name):
    with Image.open(PICTURES / f"{name}.png") as picture:
        return np.asarray(picture.convert("RGBA"))


@pytest.fixture(scope="module")
def masker():
    return SubjectMasker(SPEC, WEIGHTS, "cpu", threads=2)


def on_texture(subject, *, margin=0.4):
    """Return the subject pasted on a soft green texture, opaque, and its true (H, W) alpha."""
    height, width = subject.shape[:2]
    top, left = int(height * margin), int(width * margin)
    size = (height + 2 * top, width + 2 * left)
    noise = np.random.default_rng(3).integers(60, 110, (size[0] // 8 + 1, size[1] // 8 + 1, 3), dtype=np.uint8)
    ground = np.asarray(Image.fromarray(noise).resize((size[1], size[0]), Image.Resampling.BICUBIC)).copy()
    ground[..., 1] += 60
    alpha = np.zeros(size, np.uint8)
    alpha[top : top + height, left : left + width] = subject[..., 3]
    inside = ground[top : top + height, left : left + width]
    share = subject[..., 3:] / 255
    inside[:] = (subject[..., :3] * share + inside * (1 - share)).astype(np.uint8)
    return np.dstack([ground, np.full(size, 255, np.uint8)]), alpha


@pytest.mark.models
@pytest.mark.parametrize("name", ["dog", "strawberry"])
def test_the_mask_of_a_subject_on_a_texture_is_its_true_alpha(masker, name):
    image, alpha = on_texture(read_picture(name))
    (mask,) = masker.masks([image])
    assert mask.shape == (320, 320)
    found, true = apply_mask(image, mask)[..., 3] >= 128, alpha >= 128
    assert (found & true).sum() / (found | true).sum() >= 0.8


@pytest.mark.models
def test_the_mask_equals_that_of_rembg(masker):
    from rembg import remove

    image = read_picture("truck")[:, :128]
    expected = remove(
        Image.fromarray(on_white(image)).resize((320, 320), Image.Resampling.LANCZOS),
        session=rembg_session(SPEC.name, ONNX),
        only_mask=True,
    )
    (mask,) = masker.masks([np.dstack([np.asarray(on_white(image)), np.full(image.shape[:2], 255, np.uint8)])])
    np.testing.assert_allclose(mask.astype(int), np.asarray(expected).astype(int), atol=2)


@pytest.mark.models
def test_a_mask_does_not_depend_on_the_company(masker):
    images = [read_picture(name) for name in ("dog", "truck", "strawberry")]
    together = masker.masks([*images, *images])
    for image, first, second in zip(images, together[:3], together[3:], strict=True):
        (alone,) = masker.masks([image])
        np.testing.assert_array_equal(alone, first)
        np.testing.assert_array_equal(alone, second)


@pytest.mark.models
@pytest.mark.parametrize("shape", [(1, 1), (1, 1024), (1024, 3)])
@pytest.mark.parametrize("alpha", [0, 255])
def test_pictures_without_a_subject_have_a_mask_all_the_same(masker, shape, alpha):
    (mask,) = masker.masks([np.full((*shape, 4), alpha, np.uint8)])
    assert mask.shape == (320, 320)
    assert 0 <= coverage(mask) <= 1


def test_a_flat_prediction_has_no_subject():
    assert coverage(mask_from_prediction(np.full((4, 4), 0.7, np.float32))) == 0


def test_own_alpha_is_a_share_of_both_seen_and_unseen_pixels():
    assert has_own_alpha(read_picture("dog"))
    opaque = np.full((50, 50, 4), 255, np.uint8)
    assert not has_own_alpha(opaque)
    rounded = opaque.copy()
    rounded[:4, :4, 3] = 0  # 16 of 2500: a softened corner
    assert not has_own_alpha(rounded)
    assert not has_own_alpha(np.zeros((50, 50, 4), np.uint8))


def test_a_cut_out_from_a_pictures_own_alpha_keeps_its_shape():
    image = read_picture("dog")
    opaque = image.copy()
    opaque[..., 3] = 255
    cutout = apply_mask(opaque, mask_from_alpha(image, 320))
    assert np.mean((cutout[..., 3] >= 128) == (image[..., 3] >= 128)) > 0.98


def test_a_full_mask_changes_nothing_and_an_empty_one_hides_all():
    image = read_picture("crow")
    np.testing.assert_array_equal(apply_mask(image, np.full((9, 9), 255, np.uint8)), image)
    assert apply_mask(image, np.zeros((9, 9), np.uint8))[..., 3].max() == 0


def test_the_box_of_an_empty_mask_is_the_whole_picture():
    assert subject_box(np.zeros((4, 4), np.uint8)) == (0.0, 0.0, 1.0, 1.0)


def test_a_mask_survives_its_png_and_its_bytes_are_always_the_same():
    mask = np.random.default_rng(0).integers(0, 256, (320, 320), dtype=np.uint8)
    assert encode_mask_png(mask) == encode_mask_png(mask.copy())
    np.testing.assert_array_equal(decode_mask_png(encode_mask_png(mask)), mask)
