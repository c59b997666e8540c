"""Decoding of pictures from outside, in a child process that may die without harm.

Belongs here: the parent's side: limits, the pipe, the death and rebirth of the child. The reading itself happens in
decoding_worker.py, which no other module should call in this process.

The pipe carries, in both directions, a 4-byte big-endian length and that much JSON. After an answer without ``error``
follow ``payload_bytes`` bytes: the working copy, or rows of pixels (RGBA).
"""

import contextlib
import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from lib.arrays import RGBAImage
from lib.errors import DecoderDied, ImageError, ImageTooLarge, UndecodableImage, UnsupportedFormat
from lib.images.decoding_protocol import HEADER, Request, Wanted
from lib.images.working_copy import read_working_copy

__all__ = ["DecodeLimits", "DecodedImage", "Decoder", "read_working_copy"]

_ERRORS: dict[str, type[ImageError]] = {
    error.__name__: error for error in (UndecodableImage, UnsupportedFormat, ImageTooLarge, DecoderDied)
}

# Image libraries leak a little; a fresh child now and then keeps the memory limit meaningful.
_PICTURES_PER_CHILD = 1000

# A pipe of the usual 64 KiB wakes both sides dozens of times for one picture. This much Linux allows everybody.
_PIPE_BYTES = 1 << 20

_TREE = Path(__file__).resolve().parents[2]
_PASSED_ON = ("PATH", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH")


@dataclass(frozen=True)
class DecodeLimits:
    """What one picture may cost.

    ``max_bytes`` of file; ``max_pixels`` over all frames; ``max_side`` in pixels; ``memory_bytes`` of address space
    and ``cpu_s`` of processor time in the child (not enforced for memory on macOS); ``timeout_s`` of wall time.
    """

    max_bytes: int = 50_000_000
    max_pixels: int = 120_000_000
    max_side: int = 65_500
    memory_bytes: int = 2 << 30
    cpu_s: float = 20.0
    timeout_s: float = 20.0


@dataclass(frozen=True)
class DecodedImage:
    """A picture as Vitrine keeps it.

    ``format`` is one of JPEG, PNG, WEBP, AVIF, GIF, BMP, TIFF; ``width_px`` and ``height_px`` are those of the
    original as viewed (EXIF orientation applied); ``has_alpha`` says that some pixel of the working copy is not
    opaque; ``working_copy`` is what `lib.images.working_copy` writes; ``phash`` is its perceptual hash, an unsigned
    64-bit integer.
    """

    format: str
    width_px: int
    height_px: int
    has_alpha: bool
    working_copy: bytes
    phash: int


class Decoder:
    """Decodes pictures one at a time in a child process with limits; a context manager, safe to share by threads.

    The child starts with the first picture. When a picture kills it, that call raises DecoderDied and the next call
    gets a new child.
    """

    def __init__(self, limits: DecodeLimits | None = None) -> None:
        self._limits = limits or DecodeLimits()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._served = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def decode(self, path: Path) -> DecodedImage:
        """Return what is to be kept of the picture at ``path``.

        Raises UndecodableImage (reasons ``unreadable``, ``empty``, ``not_a_picture``, ``corrupt``, ``truncated``),
        UnsupportedFormat (``unsupported_format``), ImageTooLarge (``too_many_bytes``, ``too_many_pixels``) or
        DecoderDied (``decoder_timeout``, ``decoder_memory``, ``decoder_died``), and nothing else.
        """
        header, payload = self._ask(path, "working_copy")
        return DecodedImage(
            format=header["format"],
            width_px=header["width_px"],
            height_px=header["height_px"],
            has_alpha=header["has_alpha"],
            working_copy=payload.tobytes(),
            phash=header["phash"],
        )

    def decode_pixels(self, path: Path) -> RGBAImage:
        """Return the pixels of the working copy that `decode` would make, for who keeps none; raises as it does."""
        return self._pixels(path, "working_pixels")

    def decode_full(self, path: Path) -> RGBAImage:
        """Return the picture at ``path`` at full size, as viewed, in sRGB; raises as `decode` does."""
        return self._pixels(path, "full_pixels")

    def _pixels(self, path: Path, wanted: Wanted) -> RGBAImage:
        header, payload = self._ask(path, wanted)
        return payload.reshape(header["height_px"], header["width_px"], 4)

    def close(self) -> None:
        """End the child process, if there is one; a later call starts a new one."""
        with self._lock:
            self._end_child()

    def _ask(self, path: Path, wanted: Wanted) -> tuple[dict[str, Any], RGBAImage]:
        limits = self._limits
        _refuse_large_file(path, limits.max_bytes)
        request = Request(str(path.absolute()), wanted, limits.max_pixels, limits.max_side, limits.cpu_s)
        with self._lock:
            child = self._living_child()
            try:
                header, payload = _exchange(child, request, deadline=time.monotonic() + limits.timeout_s)
            except TimeoutError as error:
                child.kill()
                self._end_child()
                raise DecoderDied("decoder_timeout", f"not read within {limits.timeout_s:g} s") from error
            except (EOFError, BrokenPipeError) as error:
                self._end_child()
                raise _death(child.returncode, limits) from error
            except BaseException:  # an interrupt, say: half an answer may be left in the pipe
                child.kill()
                self._end_child()
                raise
            if header.get("error") == DecoderDied.__name__:
                self._end_child()  # it said so with its last breath
        if "error" in header:
            raise _ERRORS[header["error"]](header["reason"], header["detail"])
        return header, payload

    def _living_child(self) -> subprocess.Popen[bytes]:
        if self._child is not None and (self._served >= _PICTURES_PER_CHILD or self._child.poll() is not None):
            self._end_child()
        if self._child is None:
            self._child = _start_child(self._limits.memory_bytes)
            self._served = 0
        self._served += 1
        return self._child

    def _end_child(self) -> None:
        """Close the pipes, upon which an idle child ends by itself, and wait for it."""
        child, self._child = self._child, None
        if child is None:
            return
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            child.wait(timeout=2)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _refuse_large_file(path: Path, max_bytes: int) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise UndecodableImage("unreadable", str(error)) from error
    if size > max_bytes:
        raise ImageTooLarge("too_many_bytes", f"{size} bytes, over {max_bytes}")


def _start_child(memory_bytes: int) -> subprocess.Popen[bytes]:
    """Start a child that knows none of our secrets: a hostile picture may take it over."""
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # A thread pool for arithmetic would reserve address space that the limit counts.
    environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(
        [sys.executable, "-m", "lib.images.decoding_worker", str(memory_bytes)],
        cwd=_TREE,
        env=environment,
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # codecs chatter about every broken file
    )
    if child.stdout is not None and hasattr(fcntl, "F_SETPIPE_SZ"):  # macOS widens its pipes by itself
        with contextlib.suppress(OSError):  # who has many wide pipes gets no more, and this one works as it is
            fcntl.fcntl(child.stdout, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return child


def _exchange(child: subprocess.Popen[bytes], request: Request, *, deadline: float) -> tuple[dict[str, Any], RGBAImage]:
    if child.stdin is None or child.stdout is None:
        raise EOFError("the child has no pipes")
    body = json.dumps(asdict(request)).encode()
    child.stdin.write(HEADER.pack(len(body)) + body)  # far smaller than a pipe's buffer, so it cannot block
    pipe = child.stdout.fileno()
    length = HEADER.unpack(_receive(pipe, HEADER.size, deadline).tobytes())[0]
    header: dict[str, Any] = json.loads(_receive(pipe, length, deadline).tobytes())
    return header, _receive(pipe, header.get("payload_bytes", 0), deadline)


def _receive(pipe: int, size: int, deadline: float) -> RGBAImage:
    """Return exactly ``size`` bytes; raises TimeoutError at the deadline and EOFError when the child is gone."""
    received = np.empty(size, dtype=np.uint8)
    view, filled = received.data, 0
    with selectors.DefaultSelector() as ready:
        ready.register(pipe, selectors.EVENT_READ)
        while filled < size:
            if not ready.select(timeout=max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            count = os.readv(pipe, [view[filled:]])
            if count == 0:
                raise EOFError
            filled += count
    return received


def _death(returncode: int, limits: DecodeLimits) -> DecoderDied:
    if returncode == -signal.SIGXCPU:
        return DecoderDied("decoder_timeout", f"more than {limits.cpu_s:g} s of processor time")
    return DecoderDied("decoder_died", f"the decoder process ended with status {returncode}")
