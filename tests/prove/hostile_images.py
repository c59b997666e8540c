"""Pictures that mean harm: made here, out of Pillow's tests, and by mutation; and what the decoder makes of them."""

import io
import random
import struct
import subprocess
import sys
import tarfile
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import psutil
from PIL import Image

from lib.errors import ImageError
from lib.images.decoding import Decoder
from tests.prove.table import Results

MOST_S, MOST_BYTES = 10.0, 1 << 30
Picture: TypeAlias = tuple[str, bytes]
_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")
_KIB = 1024
_HEADER_BYTES = 32


def ordinary(seed: int = 0) -> list[Picture]:
    """Return one picture of every format that is read, and some of their rarer kinds."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
    picture = Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC)
    kinds: list[tuple[str, Image.Image, dict[str, object]]] = [(format_, picture, {}) for format_ in _FORMATS]
    kinds += [
        ("JPEG", picture, {"progressive": True, "quality": 95}),
        ("JPEG", picture.convert("CMYK"), {}),
        ("PNG", picture.convert("P"), {"transparency": 3}),
        ("PNG", picture, {"save_all": True, "append_images": [picture.rotate(90)] * 3}),
        ("GIF", picture, {"save_all": True, "append_images": [picture.rotate(turn) for turn in (10, 20, 30)]}),
        ("WEBP", picture, {"lossless": True}),
        ("TIFF", picture, {"compression": "tiff_lzw"}),
        ("TIFF", picture, {"compression": "tiff_deflate"}),
        ("TIFF", picture.convert("1"), {"compression": "group4"}),
    ]
    return [(f"{kind[0].lower()}-{index}", _saved(*kind)) for index, kind in enumerate(kinds)]


def _saved(format_: str, image: Image.Image, how: dict[str, object]) -> bytes:
    out = io.BytesIO()
    image.save(out, format_, **how)
    return out.getvalue()


def generated(seed: int = 0) -> Iterator[Picture]:
    """Yield cut, lying, exploding and two-faced pictures, some 1,300."""
    pictures = ordinary(seed)
    for name, content in pictures:
        for kept in range(0, len(content), _KIB):
            yield f"{name} cut at {kept}", content[:kept]
        for place in range(min(_HEADER_BYTES, len(content))):
            for value in (0x00, 0x7F, 0xFF):
                yield f"{name} byte {place} = {value}", content[:place] + bytes([value]) + content[place + 1 :]
    yield from _bombs(dict(pictures))
    yield from _two_faced(pictures)


def _bombs(pictures: dict[str, bytes]) -> Iterator[Picture]:
    for side in (10_000, 60_000, 0x7FFFFFFF):
        yield f"png {side} square, black", png(side, side, zlib.compress(bytes(20_000_000), 9))
        yield f"png {side} square, empty", png(side, side, zlib.compress(b""))
    expanding = zlib.compress(bytes(200_000_000), 9)
    yield "png, 200 MB of profile", png(8, 8, zlib.compress(bytes(8 * 9)), (b"iCCP", b"x\0\0" + expanding))
    yield "png, 200 MB of text", png(8, 8, zlib.compress(bytes(8 * 9)), (b"zTXt", b"x\0\0" + expanding))
    yield "png, 200 MB of pixels in one row", png(8, 8, expanding)
    jpeg = pictures["jpeg-0"]
    frame = jpeg.index(b"\xff\xc0")
    for height, width in ((65_500, 65_500), (1, 65_535), (0, 160)):
        yield f"jpeg {width} x {height}", jpeg[: frame + 5] + struct.pack(">HH", height, width) + jpeg[frame + 9 :]
    progressive = pictures["jpeg-7"]
    scan, end = progressive.rindex(b"\xff\xda"), progressive.rindex(b"\xff\xd9")
    yield "jpeg of 20,000 scans", progressive[:end] + progressive[scan:end] * 20_000 + b"\xff\xd9"
    yield "jpeg, 40,000 comments", jpeg[:2] + b"\xff\xfe\x00\x10bomb-bomb-bomb" * 40_000 + jpeg[2:]
    gif = pictures["gif-4"]
    yield "gif, a canvas of 65,535", gif[:6] + b"\xff\xff\xff\xff" + gif[10:]
    yield "gif of 100,000 frames", _gif_of_frames(gif, 100_000)
    yield "tiff whose pages go in a circle", _tiff(next_page=8)
    yield "tiff of 4 billion pixels", _tiff(width=0xFFFF, height=0xFFFF)
    yield "tiff, one strip of 4 GB", _tiff(strip_bytes=0xFFFFFFFF)
    yield "tiff, a strip behind its end", _tiff(strip_at=0x7FFFFFFF)
    yield (
        "webp, a canvas of 16,777,216",
        b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0" + b"\xff" * 6 + b"ANIM\6\0\0\0" + bytes(6),
    )
    bmp = pictures["bmp-5"]
    for width, height in ((0x7FFFFFFF, 1), (1, -0x7FFFFFFF), (-1, 5), (0, 0)):
        yield f"bmp {width} x {height}", bmp[:18] + struct.pack("<ii", width, height) + bmp[26:]


def png(width: int, height: int, pixels: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG file of grey pixels, right or not, with further chunks before them."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


def _gif_of_frames(gif: bytes, count: int) -> bytes:
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\x00"
    palette = gif[:13][10] & 7
    return gif[: 13 + 3 * 2 ** (palette + 1)] + frame * count + b"\x3b"


def _tiff(*, width: int = 4, height: int = 4, strip_at: int = 8, strip_bytes: int = 16, next_page: int = 0) -> bytes:
    entries = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: strip_at, 277: 1, 278: height, 279: strip_bytes}
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + directory + struct.pack("<I", next_page)


def _two_faced(pictures: Sequence[Picture]) -> Iterator[Picture]:
    page = b"<html><script>alert(1)</script></html>"
    other = {
        "page": page,
        "zip": b"PK\x03\x04" + bytes(26),
        "pdf": b"%PDF-1.7\n1 0 obj\n",
        "shell": b"#!/bin/sh\nid\n",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    }
    for name, content in pictures:
        for kind, data in other.items():
            yield f"{name}, then {kind}", content + data
            yield f"{kind}, then {name}", data + content
        for other_name, another in pictures:
            yield f"{name}, its first bytes on {other_name}", content[:16] + another[16:]


def mutants(pictures: Sequence[Picture], count: int, chance: random.Random) -> Iterator[Picture]:
    """Yield pictures with bytes changed, cut out, doubled, or taken from another."""
    for index in range(count):
        name, content = chance.choice(pictures)
        yield f"mutant {index} of {name}", _mutated(bytearray(content), chance.choice(pictures)[1], chance)


def _mutated(content: bytearray, other: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, 8)):
        if not content:
            break
        start = chance.randrange(len(content)) if chance.random() < 0.7 else chance.randrange(min(64, len(content)))
        stop = min(len(content), start + chance.choice((1, 1, 1, 2, 4, 16, 256)))
        match chance.randrange(5):
            case 0:
                content[start] = chance.randrange(256)
            case 1:
                content[start:stop] = chance.choice((b"\0", b"\xff", b"\x7f")) * (stop - start)
            case 2:
                del content[start:stop]
            case 3:
                content[start:start] = content[start:stop] * chance.choice((1, 1, 100))
            case _:
                content[start:stop] = other[start:stop]
    return bytes(content)


def pillows_own(folder: Path) -> list[Picture]:
    """Return the pictures of Pillow's own test suite, out of its source distribution, which pip downloads."""
    wanted = f"pillow=={Image.__version__}"
    options = ["--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "download", *options, wanted], check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        members = [member for member in files if member.isfile() and "/Tests/images/" in member.name]
        read = [(member.name.partition("/Tests/images/")[2], files.extractfile(member)) for member in members]
        return [(name, content.read()) for name, content in read if content is not None]


@dataclass(frozen=True)
class Trial:
    """What became of a picture; ``outcome`` is ``read``, an error's reason, or ``untyped``.

    ``peak_bytes`` is the most memory that the child had had by then; 0 where the picture ended it.
    """

    name: str
    outcome: str
    seconds: float
    peak_bytes: int


def tried(decoder: Decoder, path: Path, picture: Picture) -> Trial:
    """Decode a picture, written to ``path``, and say what became of it."""
    name, content = picture
    path.write_bytes(content)
    started = time.monotonic()
    try:
        decoder.decode(path)
        outcome = "read"
    except ImageError as error:
        outcome = error.reason
    except Exception as error:  # noqa: BLE001  that there is none is what is proven
        outcome = f"untyped {type(error).__name__}"
    return Trial(name, outcome, time.monotonic() - started, _peak_bytes())


def _peak_bytes() -> int:
    """Return the most memory that the decoder's child has had so far; 0 if it is gone."""
    for child in psutil.Process().children():
        with suppress(psutil.Error, OSError):
            if "lib.images.decoding_worker" in child.cmdline():
                status = Path(f"/proc/{child.pid}/status").read_text()
                return next(int(line.split()[1]) * _KIB for line in status.splitlines() if line.startswith("VmHWM"))
    return 0


def count(results: Results, kind: str, trials: Sequence[Trial]) -> None:
    """Count the trials of one kind of picture."""
    for trial in trials:
        results.count(f"{kind}: read, or refused by a reason", failed=trial.outcome.startswith("untyped"))
        results.count(f"{kind}: within {MOST_S:.0f} s", failed=trial.seconds > MOST_S)
        results.count(f"{kind}: at most 1 GiB of memory", failed=trial.peak_bytes > MOST_BYTES)
