"""Writing a picture in the file formats of the web.

Belongs here: pixels in, file bytes out, the same bytes for the same pixels and library versions.
"""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

EXIF_ORIENTATION = 0x0112
SUFFIXES = {
    "JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "AVIF": ".avif", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif",
}  # fmt: skip
# One thread: libavif's output otherwise depends on the machine.
OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 82, "optimize": True},
    "PNG": {"optimize": True},
    "WEBP": {"quality": 82, "method": 5},
    "AVIF": {"quality": 68, "speed": 5, "max_threads": 1},
    "GIF": {},
    "BMP": {},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
# What a viewer does for each orientation, undone.
UNDO_ORIENTATION = {
    3: Image.Transpose.ROTATE_180,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}


def encode(image: Image.Image, file_format: str, *, orientation: int = 1, **extra: Any) -> bytes:
    """Return ``image`` (as viewed) as a file; ``orientation`` other than 1 stores it turned, with the EXIF tag."""
    options = OPTIONS[file_format] | extra
    if orientation != 1:
        exif = Image.Exif()
        exif[EXIF_ORIENTATION] = orientation
        image = image.transpose(UNDO_ORIENTATION[orientation])
        options = options | {"exif": exif.tobytes()}
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def encode_cmyk_jpeg(image: Image.Image) -> bytes:
    """Return a JPEG of four inks, as print shops send them."""
    return encode(image.convert("CMYK"), "JPEG")


def encode_palette_png(image: Image.Image) -> bytes:
    """Return a PNG of 128 colours whose transparency is a tRNS table."""
    return encode(image.quantize(128, method=Image.Quantize.FASTOCTREE), "PNG")


def encode_sixteen_bit_png(rgb: NDArray[np.float64]) -> bytes:
    """Return a PNG of 16 bits a channel from sRGB in [0, 1], shape (H, W, 3)."""
    import cv2  # Pillow writes 16 bits for grey only

    bgr = np.round(rgb[..., ::-1] * 65535).astype(np.uint16)
    written, buffer = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    if not written:
        raise ValueError("OpenCV did not write the 16-bit PNG")
    return bytes(buffer.tobytes())


def encode_animation(frames: list[Image.Image]) -> bytes:
    """Return a looping GIF, a third of a second a frame."""
    return encode(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=333, loop=0)
