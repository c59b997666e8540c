"""The true alpha of the demo's subjects: ``python -m bench.subject_alphas /path/to/corpus`` writes ``bench/subjects``.

Most of the demo's pictures are opaque: a subject was pasted on a ground. The alpha that the subject came with, small
and without its colours, says again which pixels are the subject's, in truth and not by a model's opinion.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo.catalog import Picture
from demo.making.recipes import SUBJECTS

ALPHAS = Path(__file__).parent / "subjects"
LONG_SIDE_PX = 160


def true_alpha(picture: Picture) -> NDArray[np.uint8]:
    """Return the alpha that a picture's subject has in truth: uint8 (height, width), as viewed."""
    left, top, right, bottom = picture.subject_box
    with Image.open(ALPHAS / picture.subject) as stored:
        alpha = stored.resize((right - left, bottom - top), Image.Resampling.BICUBIC)
    if picture.name.endswith("-b"):  # demo.making.recipes mirrors these
        alpha = alpha.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    canvas = Image.new("L", (picture.width, picture.height))
    canvas.paste(alpha, (left, top))
    return np.asarray(canvas)


def main() -> None:
    """Write the alpha of every subject, cut to it and made small."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    corpus = parser.parse_args().corpus
    for name in SUBJECTS:
        with Image.open(corpus / "images" / f"{name}.png") as picture:
            alpha = picture.convert("RGBA").getchannel("A")
        alpha = alpha.crop(alpha.getbbox())
        alpha.thumbnail((LONG_SIDE_PX, LONG_SIDE_PX), Image.Resampling.LANCZOS)
        alpha.save(ALPHAS / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
