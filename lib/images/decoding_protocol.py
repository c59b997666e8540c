"""What the decoder and its child process say to each other: shared by decoding.py and decoding_worker.py."""

import struct
from dataclasses import dataclass
from typing import Literal, TypeAlias

Wanted: TypeAlias = Literal["working_copy", "working_pixels", "full_pixels"]

HEADER = struct.Struct(">I")  # the length of the JSON that follows


@dataclass(frozen=True)
class Request:
    """One picture to read: a working copy to be kept, its pixels alone, or those at full size.

    The limits are those of `DecodeLimits`.
    """

    path: str
    wanted: Wanted
    max_pixels: int
    max_side: int
    cpu_s: float
