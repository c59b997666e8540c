"""The decoder's child process: reads pictures that may be hostile, under limits that it sets on itself.

Belongs here: everything that touches bytes from outside, and the child's end of the pipe. Run as
``python -m lib.images.decoding_worker MEMORY_BYTES``; it ends when its input is closed. The parent's end, with the
description of the protocol, is in decoding.py.

Only the first frame of an animation or of a multi-page file is read. A camera's multi-picture JPEG (MPO) is its first
picture, reported as JPEG: phones write their photographs so, and the others are previews or gain maps.
"""

import json
import os
import resource
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from lib.errors import DecoderDied, ImageError, ImageTooLarge, UndecodableImage, UnsupportedFormat
from lib.images.color_management import srgb_image
from lib.images.decoding_protocol import HEADER, Request
from lib.images.perceptual_hash import phash64
from lib.images.working_copy import encode_working_copy, scaled, working_size

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")

_STRIP_ROWS = 256
_EXIF_ORIENTATION = 0x0112

# EXIF 2.32, tag 0x0112: what turns the stored picture into the viewed one.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_ON_ITS_SIDE = (_TURNS[5], _TURNS[6], _TURNS[7], _TURNS[8])  # these swap width and height

# What Pillow's readers raise for broken files; each was seen, or is raised in their sources.
_BROKEN = (OSError, ValueError, SyntaxError, RuntimeError, EOFError, LookupError, TypeError, ArithmeticError,
           AttributeError, struct.error, zlib.error)  # fmt: skip

# (offset, bytes, name) of pictures and documents that are known and not read.
_REFUSED = (
    (0, b"%!PS", "EPS"),
    (0, b"\xc5\xd0\xd3\xc6", "EPS"),
    (0, b"%PDF", "PDF"),
    (0, b"8BPS", "PSD"),
    (0, b"\x00\x00\x01\x00", "ICO"),
    (0, b"\x00\x00\x02\x00", "CUR"),
    (0, b"icns", "ICNS"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (0, b"gimp xcf", "XCF"),
    (0, b"DDS ", "DDS"),
    (0, b"qoif", "QOI"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftyphev", "HEIC"),
)


@dataclass(frozen=True)
class Reading:
    """What was read: the picture as viewed, in sRGB, as RGB or RGBA, and what the file said of itself."""

    image: Image.Image
    format: str
    width_px: int
    height_px: int


def main() -> None:
    """Answer requests until the input ends."""
    answers = _private_output()
    _limit_process(int(sys.argv[1]))
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    while head := sys.stdin.buffer.read(HEADER.size):
        request = Request(**json.loads(sys.stdin.buffer.read(HEADER.unpack(head)[0])))
        if not answer(request, answers):
            return


def answer(request: Request, out: BinaryIO) -> bool:
    """Write the answer to one request; return whether the process is still fit for another."""
    try:
        _renew_cpu_limit(request.cpu_s)
        reading = read(request)
        header, payload = _working_copy(reading) if request.wanted == "working_copy" else _pixels(reading)
    except ImageError as error:
        _send(out, {"error": type(error).__name__, "reason": error.reason, "detail": error.detail[:300]})
    except MemoryError:
        # What was half built stays allocated, perhaps for good: better a fresh process.
        _send(out, {"error": DecoderDied.__name__, "reason": "decoder_memory", "detail": "more memory than allowed"})
        return False
    else:
        _send(out, header)
        for part in payload:
            out.write(part)
        out.flush()
    return True


def read(request: Request) -> Reading:
    """Read the first frame of a picture, at its working size unless the full one is wanted.

    A JPEG decoder scales down as it reads, as far as it can.

    Raises UndecodableImage, UnsupportedFormat or ImageTooLarge, or MemoryError at the process's limit.
    """
    Image.MAX_IMAGE_PIXELS = request.max_pixels
    try:
        with open(request.path, "rb") as file:  # noqa: PTH123  pathlib is not worth its start-up time here
            _refuse_known(file.read(512))
            file.seek(0)
            with Image.open(file, formats=FORMATS) as image:
                return _read_opened(image, request)
    except UnidentifiedImageError as error:
        raise UndecodableImage(
            "not_a_picture", "no picture of a known format, or broken from its first bytes"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge("too_many_pixels", str(error)) from error
    except _BROKEN as error:
        raise UndecodableImage(_breakage(error), f"{type(error).__name__}: {error}") from error


def _read_opened(image: Image.Image, request: Request) -> Reading:
    format_ = "JPEG" if image.format == "MPO" else str(image.format)
    if format_ not in FORMATS:
        raise UnsupportedFormat("unsupported_format", format_)
    stored, full = image.size, request.wanted == "full_pixels"
    _refuse_large(image, request)
    if not full and format_ == "JPEG":
        image.draft(None, working_size(*stored))
    image.load()
    shrunk = image.size != stored and format_ == "JPEG"
    turn = _TURNS.get(_orientation(image))
    viewed = srgb_image(image)
    # Before turning, which then moves fewer pixels; the working size of a turned picture is the turned size.
    viewed = viewed if full else scaled(viewed)
    width, height = stored if shrunk else image.size
    if turn is not None:
        viewed = viewed.transpose(turn)
        width, height = (height, width) if turn in _ON_ITS_SIDE else (width, height)
    return Reading(viewed, format_, width, height)


def _refuse_known(head: bytes) -> None:
    for offset, magic, name in _REFUSED:
        if head.startswith(magic, offset):
            raise UnsupportedFormat("unsupported_format", name)
    if b"<svg" in head.lower():
        raise UnsupportedFormat("unsupported_format", "SVG")
    if not head:
        raise UndecodableImage("empty", "the file has no bytes")


def _refuse_large(image: Image.Image, request: Request) -> None:
    """Count pixels before any is decoded, over all frames: an animation is paid for by whoever plays it."""
    width, height = image.size
    if max(width, height) > request.max_side:
        raise ImageTooLarge("too_many_pixels", f"{width} × {height}, a side over {request.max_side}")
    frames = 1 if image.format in ("JPEG", "MPO") else int(getattr(image, "n_frames", 1))
    if frames > 1:
        image.seek(0)
    if width * height * frames > request.max_pixels:
        raise ImageTooLarge("too_many_pixels", f"{width} × {height} × {frames} frames, over {request.max_pixels}")


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 when there is none or the EXIF block is broken, as viewers do."""
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except _BROKEN:
        return 1


def _breakage(error: Exception) -> str:
    message = str(error).lower()
    truncated = isinstance(error, EOFError) or "truncated" in message or "not enough" in message
    return "truncated" if truncated else "corrupt"


def _working_copy(reading: Reading) -> tuple[dict[str, Any], list[bytes]]:
    rgba = np.asarray(reading.image.convert("RGBA"))
    working_copy = encode_working_copy(rgba)
    header = {
        "format": reading.format,
        "width_px": reading.width_px,
        "height_px": reading.height_px,
        "payload_bytes": len(working_copy),
        "has_alpha": bool((rgba[..., 3] < 255).any()),
        "phash": phash64(rgba),
    }
    return header, [working_copy]


def _pixels(reading: Reading) -> tuple[dict[str, Any], Iterator[bytes]]:
    width, height = reading.image.size
    return {"width_px": width, "height_px": height, "payload_bytes": width * height * 4}, _strips(reading.image)


def _strips(image: Image.Image) -> Iterator[bytes]:
    """Yield the picture as RGBA rows, strip by strip: a whole second copy may not fit the memory limit."""
    for top in range(0, image.height, _STRIP_ROWS):
        strip = image.crop((0, top, image.width, min(top + _STRIP_ROWS, image.height)))
        yield strip.convert("RGBA").tobytes()


def _send(out: BinaryIO, header: dict[str, Any]) -> None:
    body = json.dumps(header).encode()
    out.write(HEADER.pack(len(body)) + body)
    out.flush()


def _private_output() -> BinaryIO:
    """Keep the pipe to ourselves: whatever a C library prints must not mix into the answers."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _limit_process(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it has nothing to write; pipes are not files
    if sys.platform != "darwin":  # macOS knows the constant and refuses the call
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _renew_cpu_limit(cpu_s: float) -> None:
    """Allow ``cpu_s`` more seconds than were used so far; past them the kernel ends the process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(usage.ru_utime + usage.ru_stime + cpu_s) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


if __name__ == "__main__":
    main()
