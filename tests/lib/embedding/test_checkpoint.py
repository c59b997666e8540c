"""Filling networks from files: what is held in memory, and what other threads see of it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from lib.embedding.checkpoint import load_clip_checkpoint, load_state_dict, without_weights


class Tower(torch.nn.Module):
    """A layer, and a buffer that no checkpoint holds."""

    logit_bias = None  # which open_clip looks for in every network

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)
        self.register_buffer("mask", torch.full((2,), 7.0), persistent=False)


def test_a_network_without_weights_takes_those_of_the_file_and_keeps_its_buffers(tmp_path: Path) -> None:
    trained = Tower()
    with without_weights():
        empty = Tower()
    assert empty.layer.weight.is_meta
    assert not empty.mask.is_meta
    torch.save({name: tensor.half() for name, tensor in trained.state_dict().items()}, tmp_path / "tower.pth")
    load_state_dict(empty, tmp_path / "tower.pth")
    assert empty.layer.weight.dtype == torch.float32
    assert torch.equal(empty.layer.weight, trained.layer.weight.half().float())
    assert empty.mask.tolist() == [7, 7]


def test_another_thread_meanwhile_builds_as_ever() -> None:
    with without_weights(), ThreadPoolExecutor(1) as another:
        assert not another.submit(Tower).result().layer.weight.is_meta
    assert not Tower().layer.weight.is_meta


def test_the_tensors_of_a_safetensors_file_are_not_copied(tmp_path: Path) -> None:
    """Pages of the mapped file count as its memory: the maps of this process name the file."""
    path = tmp_path / "tower.safetensors"
    trained = Tower()
    save_file(trained.state_dict(), path)
    with without_weights():
        network = Tower()
    load_clip_checkpoint(network, path)
    assert str(path) in Path("/proc/self/maps").read_text()
    assert np.array_equal(network.layer.weight.detach().numpy(), trained.layer.weight.detach().numpy())
