"""How the C library hands out memory to a process of many threads."""

import ctypes
import os

M_ARENA_MAX = -8  # <malloc.h>
ARENAS = 2


def share_arenas() -> bool:
    """Let all threads allocate from two arenas, and return whether the C library can be told so (glibc can).

    Unasked, glibc gives threads an arena each, up to eight a core, and what was freed in one is no use to another: with
    forty threads at work on pictures, memory was a quarter larger and still grew after half an hour. An owner's own
    ``MALLOC_ARENA_MAX`` stays. To be called before there are threads. See mallopt(3).
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    return bool(mallopt(M_ARENA_MAX, ARENAS))
