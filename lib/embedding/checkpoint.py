"""Checkpoints as plain tensors: published files are read without running any code that they carry."""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lib.errors import WeightsRefused


def load_state_dict(network: Any, path: Path) -> None:
    """Fill a torch module with a state dict file (``.pth``, ``.bin``); raises WeightsRefused."""
    import torch

    with refusing_all_but_tensors(path):
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))


def load_clip_checkpoint(network: Any, path: Path) -> None:
    """Fill an open_clip module with a published file (``.bin``, ``.safetensors``); raises WeightsRefused."""
    import open_clip

    with refusing_all_but_tensors(path):
        open_clip.load_checkpoint(network, str(path), weights_only=True)


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
