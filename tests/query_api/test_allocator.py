"""The API's threads share glibc's arenas, whatever their number."""

import os
import platform
import subprocess
import sys

import pytest

ARENAS_AFTER_THREADS = """
import ctypes, threading
from query_api.allocator import share_arenas
share_arenas()
barrier = threading.Barrier(12)
def work():
    kept = [bytes(100_000) for _ in range(20)]
    barrier.wait()
threads = [threading.Thread(target=work) for _ in range(12)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, stream)
libc.fflush(stream)
"""


def arenas(**environment: str) -> int:
    """Return how many arenas a process has after twelve threads allocated at once."""
    done = subprocess.run(
        [sys.executable, "-c", ARENAS_AFTER_THREADS],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.count("<heap ")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has no arenas of this kind")
def test_threads_share_two_arenas_unless_the_owner_says_otherwise() -> None:
    assert arenas() <= 2
    assert arenas(MALLOC_ARENA_MAX="6") > 2
