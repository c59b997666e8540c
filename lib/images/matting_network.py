"""The networks behind background removal: rembg's .onnx files, run by whichever runtime suits the machine.

Belongs here: from prepared inputs to raw predictions. What goes in and what the numbers mean is in background.py.

On a CPU it is OpenVINO, one thread for each of several pictures at once: two threads on one picture wait for each
other at every one of a hundred layers. With CUDA, and where OpenVINO cannot be imported, it is rembg's own session.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Plane: TypeAlias = NDArray[np.float32]

# Each stream keeps activations of its own, some hundred megabytes; more cores than this share the streams.
MAX_STREAMS = 4


class MattingNetwork(Protocol):
    """A loaded network; not to be shared by threads."""

    def predictions(self, inputs: Iterable[Plane]) -> list[Plane]:
        """Return the first output, (1, 1, side, side), for each input, (1, 3, side, side), in order."""


def load_network(name: str, onnx: Path, *, device: str, threads: int) -> MattingNetwork:
    """Load rembg's model ``name`` from its file.

    ``device`` is ``cuda`` or anything else for the CPU; ``threads`` are those of the CPU in all, 0 for one per core.
    """
    if device != "cuda" and has_openvino():
        return OpenVINONetwork(onnx, threads or available_cores())
    return RembgNetwork(name, onnx, device=device, threads=threads)


def has_openvino() -> bool:
    """Return whether OpenVINO runs here; it has no packages for some platforms."""
    try:
        import openvino  # noqa: F401
    except ImportError:
        return False
    return True


def available_cores() -> int:
    """Return how many cores this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class OpenVINONetwork:
    """One network, several pictures at once, each in a stream of its own."""

    def __init__(self, onnx: Path, threads: int) -> None:
        import openvino

        core = openvino.Core()
        model = core.read_model(onnx)
        # rembg looks at the first output only: the others are losses of the training.
        model = openvino.Model([model.outputs[0]], model.get_parameters())
        self._compiled = core.compile_model(model, "CPU", _configuration(threads))
        self._queue = openvino.AsyncInferQueue(self._compiled, self.streams)
        self._found: dict[int, Plane] = {}
        self._queue.set_callback(self._keep)

    @property
    def streams(self) -> int:
        """How many pictures are worked on at once."""
        return int(self._compiled.get_property("NUM_STREAMS"))

    def predictions(self, inputs: Iterable[Plane]) -> list[Plane]:
        """Return the predictions in order; the next input is prepared while earlier ones are computed."""
        self._found = {}
        try:
            for index, prepared in enumerate(inputs):
                self._queue.start_async({0: prepared}, index)
        finally:
            self._queue.wait_all()
        return [self._found[index] for index in range(len(self._found))]

    def _keep(self, request: Any, index: int) -> None:
        self._found[index] = request.get_output_tensor(0).data.copy()


def _configuration(threads: int) -> dict[str, Any]:
    return {
        "NUM_STREAMS": min(threads, MAX_STREAMS),
        "INFERENCE_NUM_THREADS": threads,
        # The same mask on every machine: where a CPU has bf16, OpenVINO would use it unasked.
        "INFERENCE_PRECISION_HINT": "f32",
        # Two processes that pin themselves choose the same cores.
        "ENABLE_CPU_PINNING": False,
    }


class RembgNetwork:
    """rembg's session, which runs on onnxruntime, picture by picture."""

    def __init__(self, name: str, onnx: Path, *, device: str, threads: int) -> None:
        self._session = rembg_session(name, onnx, device=device, threads=threads).inner_session
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name

    def predictions(self, inputs: Iterable[Plane]) -> list[Plane]:
        """Return the predictions in order."""
        return [self._session.run([self._output], {self._input: prepared})[0] for prepared in inputs]


def rembg_session(name: str, onnx: Path, *, device: str = "cpu", threads: int = 0) -> Any:
    """Return a session to give to ``rembg.remove``; it downloads nothing. ``threads`` 0 leaves it to onnxruntime."""
    import onnxruntime

    # rembg looks for its models here, and fetches what it does not find.
    os.environ["U2NET_HOME"] = str(onnx.parent)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    providers = ["CUDAExecutionProvider"] if device == "cuda" else []
    return _rembg().new_session(name, sess_opts=options, providers=[*providers, "CPUExecutionProvider"])


def _rembg() -> Any:
    """Import rembg without compiling pymatting.

    rembg imports pymatting for its alpha matting, which is not used here, and pymatting compiles itself with numba
    at its first import: over a minute on a busy machine that has only just been set up.
    """
    import numba

    config: Any = numba.config
    before, config.DISABLE_JIT = config.DISABLE_JIT, True
    try:
        import rembg
    finally:
        config.DISABLE_JIT = before
    return rembg
