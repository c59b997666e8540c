"""Compiling loops over numbers to machine code, kept on disk where a folder for that can be written.

Belongs here: the one decorator. A cached function is compiled anew when its own file changes, and only then: compiled
functions that call each other must share a file.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])

# No division traps, so that loops become vector instructions; a product and a sum may share one rounding.
_OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}}


def compiled(function: _Function) -> _Function:
    """Compile a function over arrays and numbers at its first call; it runs without the interpreter's lock."""
    try:
        return cast("_Function", numba.njit(cache=True, **_OPTIONS)(function))
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return cast("_Function", numba.njit(**_OPTIONS)(function))


def inlined(function: _Function) -> _Function:
    """Compile a function for use within compiled functions of the same file only."""
    return cast("_Function", numba.njit(inline="always", **_OPTIONS)(function))
