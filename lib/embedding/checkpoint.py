"""Checkpoints as plain tensors: published files are read without running any code that they carry."""

import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from lib.errors import WeightsRefused

_ONE_AT_A_TIME = threading.Lock()


def load_state_dict(network: Any, path: Path) -> None:
    """Give a torch module the tensors of a state dict file (``.pth``, ``.bin``), as float32; raises WeightsRefused."""
    import torch

    with refusing_all_but_tensors(path):
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), assign=True)
    network.float()


def load_clip_checkpoint(network: Any, path: Path) -> None:
    """Fill an open_clip module with a published file (``.bin``, ``.safetensors``), as float32; raises WeightsRefused.

    A ``.safetensors`` file stays mapped and becomes the network's memory: its pages are shared by every process that
    uses the model, and those of a tower that is never asked are never read.
    """
    import open_clip

    with refusing_all_but_tensors(path), _taking_tensors_over(network):
        open_clip.load_checkpoint(network, str(path), weights_only=True)
    network.float()


@contextmanager
def without_weights() -> Iterator[None]:
    """Build modules whose parameters have shapes and no memory, for a checkpoint whose tensors become theirs.

    Buffers stay as they are built: those that no checkpoint holds (masks, positions) have no other source. What other
    threads build meanwhile is built as ever.
    """
    import torch

    builder = threading.get_ident()

    def register_shape(module: Any, name: str, parameter: Any) -> None:
        if parameter is not None and threading.get_ident() == builder:
            parameter = torch.nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)
        register(module, name, parameter)

    with _ONE_AT_A_TIME:
        register = torch.nn.Module.register_parameter
        torch.nn.Module.register_parameter = register_shape  # type: ignore[method-assign,assignment]
        try:
            yield
        finally:
            torch.nn.Module.register_parameter = register  # type: ignore[method-assign]


@contextmanager
def _taking_tensors_over(network: Any) -> Iterator[None]:
    # open_clip does not pass ``assign`` on; without it every tensor is copied, and both copies are there at once.
    network.load_state_dict = partial(network.load_state_dict, assign=True)
    try:
        yield
    finally:
        del network.load_state_dict


@contextmanager
def refusing_all_but_tensors(path: Path) -> Iterator[None]:
    """Turn what torch and safetensors say about a file that they cannot or will not read into WeightsRefused."""
    from safetensors import SafetensorError

    try:
        yield
    # torch says RuntimeError both of broken archives and of tensors that do not fit, pickle EOFError of a cut file.
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError) as error:
        reason = (str(error).splitlines() or ["it is empty or cut off"])[0]
        raise WeightsRefused(f"{path} is not the plain tensors of this network and was not loaded: {reason}") from error
