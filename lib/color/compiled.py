"""Compiling loops over numbers to machine code, kept on disk where a folder for that can be written.

Belongs here: the one decorator. A cached function is compiled anew when its own file changes, and only then: compiled
functions that call each other must share a file.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numba

# No division traps, so that loops become vector instructions; a product and a sum may share one rounding.
_compile: Callable[..., Any] = partial(numba.njit, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function over arrays and numbers at its first call; it runs without the interpreter's lock."""
    try:
        return _compile(cache=True)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return _compile()(function)  # type: ignore[no-any-return]


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function for use within compiled functions of the same file only."""
    return _compile(inline="always")(function)  # type: ignore[no-any-return]
