"""One decode for all, against Pillow decoding the file for each consumer.

Peer: five consumers (perceptual hash, background removal, colours, two encoders), each of which opens the file with
Pillow. Ours: the decoder's child process reads the file once, hashes it and writes the working copy (all of which
counts), and the four others read that. Goals: 1.5x at 0.66 megapixels, 3.5x at 12.
"""

import tempfile
from pathlib import Path

import imagehash
import numpy as np
import psutil
from PIL import Image

from bench.paired import Comparison, compare, print_machine, quick
from bench.photographs import write_photographs
from lib.images.decoding import Decoder
from lib.images.working_copy import read_working_copy

READERS = 4
GOALS = {"0.66 MP": 1.5, "12 MP": 3.5}


def pillow_each(paths: list[Path]) -> None:
    """Decode each file for each of five consumers."""
    for path in paths:
        with Image.open(path) as image:
            imagehash.phash(image)
        for _ in range(READERS):
            with Image.open(path) as image:
                np.asarray(image.convert("RGB"))


def decoded_once(decoder: Decoder, paths: list[Path]) -> None:
    """Decode each file once, and read its working copy for each consumer but the hash."""
    for path in paths:
        decoded = decoder.decode(path)
        for _ in range(READERS):
            read_working_copy(decoded.working_copy)


def compared(size: str, *, count: int, rounds: int) -> Comparison:
    """Compare the two at one size of picture."""
    with tempfile.TemporaryDirectory() as folder, Decoder() as decoder:
        paths = write_photographs(Path(folder), size, count)
        return compare(
            f"decode, {size}",
            lambda: pillow_each(paths),
            lambda: decoded_once(decoder, paths),
            items=count,
            rounds=rounds,
            others=lambda: [child.pid for child in psutil.Process().children()],
        )


def main() -> None:
    """Print both sizes."""
    rounds = 2 if quick() else 7
    print_machine()
    compared("0.66 MP", count=24, rounds=rounds).report(GOALS["0.66 MP"])
    compared("12 MP", count=2, rounds=rounds).report(GOALS["12 MP"])


if __name__ == "__main__":
    main()
