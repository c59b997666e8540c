"""Names of colours that people agree on."""

import numpy as np
import pytest
from PIL import ImageColor

from lib.color.names import css_name, plain_name
from lib.color.spaces import lab_from_srgb


def lab(code):
    return lab_from_srgb(np.array(ImageColor.getrgb(code)) / 255)


@pytest.mark.parametrize("name", ["rebeccapurple", "tomato", "whitesmoke", "black", "lightgoldenrodyellow"])
def test_a_css_colour_has_its_own_name(name):
    assert css_name(lab(name)) == name


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("#ffffff", "white"), ("#000000", "black"), ("#7f7f7f", "gray"), ("#d01020", "red"), ("#10204f", "dark blue"),
        ("#a8d0f0", "light blue"), ("#6b4226", "brown"), ("#ffd700", "yellow"), ("#ff7f00", "orange"),
        ("#2f8f4f", "green"), ("#ff9fc0", "pink"), ("#7a20a0", "purple"), ("#40e0d0", "turquoise"),
    ],
)  # fmt: skip
def test_plain_words_are_what_a_person_would_say(code, name):
    assert plain_name(lab(code)) == name
