import numpy as np
import pytest

from lib.embedding.packaged import class_texts, orthogonal_map, top_posteriors
from lib.models.registry import CLASS_VECTORS
from lib.models.weights import locate

pytestmark = pytest.mark.models


@pytest.fixture(params=["lite2", "conse"])
def encoder(request):
    return request.getfixturevalue(request.param)


def test_rows_have_the_dimension_of_the_spec_and_unit_norm(encoder, pictures):
    rows = encoder.encode_images(list(pictures.values()))
    assert (rows.shape, rows.dtype) == ((4, encoder.spec.dimension), np.float32)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_a_batch_gives_the_rows_that_its_pictures_give_one_by_one(encoder, pictures):
    encoder.network._remembered.clear()
    together = encoder.encode_images(list(pictures.values()))
    encoder.network._remembered.clear()
    alone = np.concatenate([encoder.encode_images([picture]) for picture in pictures.values()])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_no_pictures_give_no_rows(encoder):
    assert encoder.encode_images([]).shape == (0, 512)


@pytest.mark.parametrize("shape", [(1, 1), (1, 1024), (1024, 1)])
def test_pictures_of_extreme_shapes_have_a_vector(encoder, shape):
    image = np.full((*shape, 4), 200, np.uint8)
    assert np.isfinite(encoder.encode_images([image])).all()


def test_hidden_colour_under_transparent_pixels_changes_nothing(encoder, pictures):
    image = pictures["dog"].copy()
    image[image[..., 3] == 0, :3] = (255, 0, 255)
    np.testing.assert_allclose(*encoder.encode_images([image, pictures["dog"]]), atol=1e-6)


@pytest.mark.parametrize(("text", "name"), [("a dog", "dog"), ("black bird", "crow"), ("fruit", "strawberry")])
def test_words_find_the_picture_that_shows_what_they_say(conse, pictures, text, name):
    similarity = conse.encode_texts([text]) @ conse.encode_images(list(pictures.values())).T
    assert list(pictures)[int(similarity.argmax())] == name


def test_a_text_longer_than_the_context_is_cut_not_refused(conse):
    rows = conse.encode_texts(["dog " * 5000, ""])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_both_encoders_share_one_forward_pass_for_a_picture(lite2, conse):
    image = np.random.default_rng(0).integers(0, 256, (40, 30, 4), dtype=np.uint8)
    before = lite2.network.forwarded
    lite2.encode_images([image, image])
    conse.encode_images([image])
    assert lite2.network.forwarded == before + 1


def test_the_carried_class_vectors_are_those_of_the_text_model(conse, tmp_path):
    carried = np.load(locate(conse.spec, tmp_path)[CLASS_VECTORS.name])
    some = slice(0, 1000, 97)
    np.testing.assert_allclose(carried[some], conse.encode_texts(class_texts()[some])[:, :384], atol=5e-4)


def test_the_orthogonal_map_is_orthonormal_and_the_same_for_ever():
    projection = orthogonal_map(1280, 512, 20_261_124)
    np.testing.assert_allclose(projection.T @ projection, np.eye(512), atol=1e-5)
    np.testing.assert_allclose(projection[0, :3], [-0.0018998, 0.0312994, -0.0456111], atol=1e-6)


def test_the_orthogonal_map_does_not_depend_on_the_signs_that_a_linear_algebra_library_chooses():
    normals = np.random.RandomState(7).standard_normal((20, 8))
    assert (np.diag(orthogonal_map(20, 8, 7).T @ normals) > 0).all()


def test_only_the_most_certain_classes_keep_their_softmax():
    scores = np.log(np.float32([[3, 1, 4, 2]]))
    np.testing.assert_allclose(top_posteriors(scores, 1.0, 2), [[0.3, 0, 0.4, 0]], atol=1e-6)


def test_twenty_of_a_thousand_classes_are_kept():
    scores = np.random.default_rng(0).normal(size=(3, 1000)).astype(np.float32)
    assert (top_posteriors(scores, 2.0, 20) > 0).sum(axis=1).tolist() == [20, 20, 20]
