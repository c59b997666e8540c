"""What the decoder and its child process say to each other: shared by decoding.py and decoding_worker.py."""

import struct
from dataclasses import dataclass

HEADER = struct.Struct(">I")  # the length of the JSON that follows


@dataclass(frozen=True)
class Request:
    """One picture to read: at full size or as a working copy, within the limits of `DecodeLimits`."""

    path: str
    full: bool
    max_pixels: int
    max_side: int
    cpu_s: float
