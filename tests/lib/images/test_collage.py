"""Collages, by what can be seen in them."""

import io

import numpy as np
import pytest
from PIL import Image

from lib.images.collage import Tile, collage, encode_png, fitted

ACCENT = (214, 73, 51)
GREEN = (20, 160, 60)


def flat(color, height=90, width=90):
    return np.full((height, width, 4), (*color, 255), np.uint8)


def places_of(sheet, color):
    """Bounding box (top, left, bottom, right) and count of pixels of exactly that colour."""
    ys, xs = np.nonzero((sheet[..., :3] == color).all(axis=-1))
    return (ys.min(), xs.min(), ys.max() + 1, xs.max() + 1), len(ys)


@pytest.mark.parametrize(("count", "columns"), [(0, 5), (1, 5), (4, 5), (5, 5), (24, 5), (34, 5), (35, 6), (100, 10)])
def test_any_number_of_tiles_makes_a_grid_that_fits_a_screen(count, columns):
    sheet = collage(flat((9, 9, 9)), [Tile(flat(GREEN, 8, 8), str(i)) for i in range(count)])
    one_row = collage(flat((9, 9, 9)), []).shape[0]
    rows = -(-(count + 1) // columns)
    assert sheet.shape == (one_row + (rows - 1) * (220 + 34 + 16), 56 + columns * 236 - 16, 4)
    assert (sheet[..., 3] == 255).all()


def test_the_query_comes_first_inside_a_frame():
    sheet = collage(flat(GREEN), [Tile(flat((0, 0, 255)), "1")])
    (top, left, bottom, right), _ = places_of(sheet, ACCENT)
    (inner_top, inner_left, inner_bottom, inner_right), _ = places_of(sheet, GREEN)
    assert (top, left) == (28, 28)
    assert top < inner_top
    assert left < inner_left
    assert inner_bottom < bottom
    assert inner_right < right == 28 + 220


@pytest.mark.parametrize(("height", "width"), [(1, 1), (20, 900), (900, 20), (700, 300), (5, 4)])
def test_a_picture_is_never_distorted(height, width):
    sheet = collage(flat((0, 0, 0)), [Tile(flat(GREEN, height, width), "")])
    (top, left, bottom, right), count = places_of(sheet, GREEN)
    assert count == (bottom - top) * (right - left)
    assert max(bottom - top, right - left) == 200
    assert min(bottom - top, right - left) == pytest.approx(200 * min(height, width) / max(height, width), abs=0.5)


@pytest.mark.parametrize("alpha", [255, 100])
def test_a_picture_made_ready_before_looks_the_same(alpha):
    picture = np.random.default_rng(0).integers(0, 256, (90, 70, 4), dtype=np.uint8)
    picture[..., 3] = alpha
    ready = collage("words", [Tile(fitted(picture), "")])
    np.testing.assert_array_equal(ready, collage("words", [Tile(picture, "")]))


def test_a_large_picture_is_scaled_as_finely_as_the_eye_asks():
    """Against Pillow's Lanczos filter over every pixel."""
    blurred = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))
    picture = np.asarray(blurred.resize((1000, 750), Image.Resampling.BICUBIC).convert("RGBA"))
    exact = np.asarray(Image.fromarray(picture).resize((200, 150), Image.Resampling.LANCZOS)).astype(float)
    assert 10 * np.log10(255**2 / np.mean((fitted(picture) - exact) ** 2)) > 40


def test_transparent_parts_show_a_neutral_ground():
    picture = flat(GREEN)
    picture[:, :45, 3] = 0
    sheet = collage("words", [Tile(picture, "")])
    ground = sheet[28 + 20 : 28 + 200, 28 + 236 + 20 : 28 + 236 + 90, :3]
    assert (ground == ground[..., :1]).all()
    assert ground.min() >= 220
    assert len(np.unique(ground)) == 2


def test_words_are_drawn_on_the_query_card():
    blank, latin, russian = (collage(text, [])[33:240, 40:240] for text in ("", "strawberry", "клубника"))
    assert (latin != blank).any()
    assert (russian != latin).any()


def test_every_letter_of_the_russian_alphabet_has_a_shape_of_its_own():
    """A font without a letter would draw the same box for each."""
    drawn = {collage(letter, []).tobytes() for letter in "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"}
    assert len(drawn) == 33


@pytest.mark.parametrize("words", ["x" * 10_000, "word " * 2_000, "a\nb\x00c\t", "\u202e", " "])
def test_any_words_stay_within_their_card(words):
    sheet = collage(words, [])
    np.testing.assert_array_equal(sheet[:, 300:600], collage("x", [])[:, 300:600])
    assert (sheet[28:33, 60:200, :3] == ACCENT).all()


def test_an_empty_answer_says_so():
    nothing = collage(flat(GREEN), [])
    assert (nothing[28:240, 260:400, :3] < 160).all(axis=-1).any()


def test_ranks_and_labels_stand_under_the_tile():
    with_label = collage("q", [Tile(flat(GREEN), "0.123")])
    without = collage("q", [Tile(flat(GREEN), "")])
    changed = np.nonzero((with_label != without).any(axis=-1))
    assert changed[0].min() >= 28 + 220
    assert changed[1].min() >= 28 + 236 + 20  # the rank stands left of it
    assert changed[1].max() < 28 + 236 + 220


def test_a_long_label_stays_under_its_tile():
    long = collage("q", [Tile(flat(GREEN), "0.123 and much more to say about it than fits")])
    short = collage("q", [Tile(flat(GREEN), "")])
    columns = np.nonzero((long != short).any(axis=-1))[1]
    assert 28 + 236 + 10 < columns.min() <= columns.max() < 28 + 236 + 220


def test_png_leaves_out_an_alpha_channel_that_says_nothing():
    picture = np.random.default_rng(0).integers(0, 256, (9, 14, 4), dtype=np.uint8)
    picture[..., 3] = 255
    with Image.open(io.BytesIO(encode_png(picture))) as image:
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(image), picture[..., :3])


def test_png_keeps_pixels_and_alpha():
    picture = np.random.default_rng(0).integers(0, 256, (13, 7, 4), dtype=np.uint8)
    with Image.open(io.BytesIO(encode_png(picture))) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), picture)
