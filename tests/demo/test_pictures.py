"""The pictures agree with what the manifest says of them."""

import io
import struct
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageOps

from demo import catalog
from demo.catalog import PICTURES, Picture, all_pictures, picture_named
from demo.make_pictures import Scene, mean_color
from demo.making.recipes import SUBJECTS, THRICE, recipes, slug_of

EVERY = pytest.mark.parametrize("picture", all_pictures(), ids=lambda picture: picture.file)
PLAIN = [picture for picture in all_pictures() if picture.ground == "plain"]
CORNER_PX = 6
# Lossy formats move a plain colour a little; chroma subsampling and 8-bit YCbCr cost at most this much.
COLOR_TOLERANCE = 6


def opened(picture: Picture) -> Image.Image:
    return ImageOps.exif_transpose(Image.open(io.BytesIO(picture.data)))


def channels(color: str) -> np.ndarray:
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])


@EVERY
def test_a_file_is_what_its_entry_says(picture):
    stored = Image.open(io.BytesIO(picture.data))
    assert stored.format == picture.format
    assert opened(picture).size == (picture.width, picture.height)
    assert getattr(stored, "n_frames", 1) == picture.frames
    assert stored.getexif().get(0x0112, 1) == picture.orientation
    assert len(picture.data) == picture.size_bytes


@EVERY
def test_a_caption_is_written_in_both_languages(picture):
    assert picture.caption.strip()
    assert picture.caption_ru.strip()


@pytest.mark.parametrize("picture", PLAIN, ids=lambda picture: picture.file)
def test_a_plain_ground_has_its_colour_in_the_corners(picture):
    pixels = np.asarray(opened(picture).convert("RGB"), dtype=int)
    for corner in (pixels[:CORNER_PX, :CORNER_PX], pixels[-CORNER_PX:, -CORNER_PX:]):
        assert abs(np.median(corner, axis=(0, 1)) - channels(picture.ground_colors[0])).max() <= COLOR_TOLERANCE


@EVERY
def test_alpha_is_kept_for_cut_outs_and_for_nothing_else(picture):
    alpha = np.asarray(opened(picture).convert("RGBA"))[..., 3]
    if picture.ground == "transparent":
        left, top, right, bottom = picture.subject_box
        assert alpha[top:bottom, left:right].max() > 250
        alpha = alpha.copy()
        alpha[top:bottom, left:right] = 0
        assert alpha.max() == 0
    else:
        assert alpha.min() == 255


def test_the_manifest_and_the_folder_hold_the_same_files():
    beside = {"manifest.jsonl", "NOTICE", "COPYING"}
    assert {path.name for path in PICTURES.iterdir()} - beside == {picture.file for picture in all_pictures()}


def test_the_licence_stands_beside_the_pictures():
    assert "Bill Kendrick" in (PICTURES / "NOTICE").read_text()
    assert "GNU GENERAL PUBLIC LICENSE" in (PICTURES / "COPYING").read_text()


def test_no_two_pictures_have_the_same_bytes():
    assert len({picture.sha256 for picture in all_pictures()}) == len(all_pictures())


def test_all_pictures_together_weigh_at_most_six_megabytes():
    assert sum(picture.size_bytes for picture in all_pictures()) <= 6_000_000


def test_every_format_and_every_kind_of_ground_occurs():
    assert {picture.format for picture in all_pictures()} == set(catalog.CONTENT_TYPES)
    grounds = Counter(picture.ground for picture in all_pictures())
    assert all(grounds[kind] >= 20 for kind in ("transparent", "plain", "gradient", "texture"))


def test_twelve_subjects_or_more_are_shown_at_least_twice_in_open_rooms():
    shown = Counter(picture.subject for picture in all_pictures() if "private" not in picture.place)
    assert sum(times >= 2 for times in shown.values()) >= 12


def test_the_jpeg_of_four_inks_has_four_channels():
    assert Image.open(io.BytesIO(picture_named("clownfish").data)).mode == "CMYK"


def test_the_sixteen_bit_png_says_sixteen_bits():
    header = picture_named("uranus").data[16:26]
    assert struct.unpack(">IIBB", header)[2:] == (16, 2)  # bit depth; colour type 2 is RGB


def test_the_palette_png_keeps_its_transparency_in_a_table():
    data = picture_named("green-fedora").data
    assert Image.open(io.BytesIO(data)).mode == "P"
    assert b"tRNS" in data


def test_the_animation_moves():
    animation = Image.open(io.BytesIO(picture_named("toy-train").data))
    first = np.asarray(animation.convert("RGB"), dtype=int)
    animation.seek(1)
    assert abs(np.asarray(animation.convert("RGB"), dtype=int) - first).max() > 100


def test_the_same_recipe_gives_the_same_bytes():
    subject = Image.new("RGBA", (120, 90), (200, 40, 30, 255))
    colors = {name: mean_color(subject) for name in SUBJECTS}
    textured = next(recipe for recipe in recipes(colors) if recipe.ground == "texture")
    assert Scene(textured, subject).encoded() == Scene(textured, subject).encoded()


def test_subjects_have_distinct_short_names():
    slugs = [slug_of(subject) for subject in SUBJECTS]
    assert len(set(slugs)) == len(slugs)
    assert set(slugs) >= THRICE
