import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.embedding.runtime import Runtime, chooses_bf16, chosen_device, cores, part_bounds
from lib.errors import ConfigurationError


@pytest.mark.parametrize(
    ("setting", "cuda", "mps", "device"),
    [
        ("auto", True, False, "cuda"),
        ("auto", False, True, "mps"),
        ("auto", True, True, "cuda"),
        ("auto", False, False, "cpu"),
        ("cpu", True, True, "cpu"),
        ("cuda", True, False, "cuda"),
        ("cuda:1", True, False, "cuda:1"),
        ("mps", False, True, "mps"),
    ],
)
def test_auto_takes_the_fastest_device_and_a_setting_is_obeyed(setting, cuda, mps, device):
    assert chosen_device(setting, cuda=cuda, mps=mps) == device


@pytest.mark.parametrize("setting", ["cuda", "cuda:0", "mps", "gpu", ""])
def test_a_device_that_is_not_there_is_named_with_those_that_are(setting):
    with pytest.raises(ConfigurationError, match=f"VITRINE_DEVICE={setting}:.*can be auto, cpu"):
        chosen_device(setting, cuda=False, mps=False)


# What torch.cpu.get_capabilities() says of a Zen 3 (AVX2 only), a Zen 4 and a Sapphire Rapids.
ZEN_3 = {"avx2": True, "avx512_bf16": False, "amx_bf16": False}
ZEN_4 = {"avx2": True, "avx512_bf16": True, "amx_bf16": False}
SAPPHIRE_RAPIDS = {"avx2": True, "avx512_bf16": True, "amx_bf16": True}


@pytest.mark.parametrize(
    ("precision", "device", "cpu", "bf16"),
    [
        ("auto", "cpu", ZEN_3, False),
        ("auto", "cpu", ZEN_4, True),
        ("auto", "cpu", SAPPHIRE_RAPIDS, True),
        ("auto", "cpu", {}, False),
        ("auto", "cuda", SAPPHIRE_RAPIDS, False),
        ("auto", "mps", ZEN_4, False),
        ("f32", "cpu", ZEN_4, False),
        ("bf16", "cpu", ZEN_3, True),
        ("bf16", "cuda", ZEN_3, True),
    ],
)
def test_bfloat16_is_chosen_where_the_cpu_multiplies_it_or_by_force(precision, device, cpu, bf16):
    assert chooses_bf16(precision, device, cpu) is bf16


def test_this_machine_runs_in_bfloat16_if_and_only_if_torch_finds_the_instructions():
    has = torch.cpu._is_avx512_bf16_supported() or torch.cpu.get_capabilities().get("amx_bf16", False)
    assert Runtime.choose("cpu", "auto").bf16 is has


@pytest.mark.parametrize(("asked", "threads"), [("3", 3), ("4,2", 4)])
def test_inference_uses_as_many_threads_as_the_environment_allows(monkeypatch, asked, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert (cores(), Runtime.choose("cpu").threads) == (threads, threads)


@pytest.mark.parametrize(("asked", "policy"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_that_wait_for_each_other_sleep_unless_told_otherwise(asked, policy):
    """OpenMP itself says what it was told (OMP_DISPLAY_ENV, OpenMP 4.0)."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_DISPLAY_ENV": "TRUE"} | ({} if asked is None else {"OMP_WAIT_POLICY": asked})
    command = "from lib.embedding.runtime import Runtime; Runtime.choose('cpu')"
    told = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True)
    assert f"OMP_WAIT_POLICY = '{policy}'" in told.stderr


@pytest.mark.parametrize("threads", [1, 2])
def test_parts_come_back_in_order_each_under_its_own_pass(threads):
    def forward(part):
        assert torch.is_inference_mode_enabled()
        assert len(part) <= 3
        assert torch.get_num_threads() == 1
        return torch.tensor([[item, -item] for item in part])

    rows = Runtime(torch.device("cpu"), threads=threads).run(forward, list(range(1, 11)), 3)
    assert rows.tolist() == [[item, -item] for item in range(1, 11)]


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 5))
def test_parts_hold_every_item_once_and_give_every_thread_as_much(count, size, threads):
    bounds = part_bounds(count, size, threads)
    assert [item for first, last in bounds for item in range(first, last)] == list(range(count))
    sizes = [last - first for first, last in bounds]
    assert 1 <= min(sizes) <= max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) % threads == 0 or len(sizes) == count


def test_bfloat16_is_for_products_alone():
    runtime = Runtime(torch.device("cpu"), bf16=True)
    network = runtime.place(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LayerNorm(2)))
    assert [module.weight.dtype for module in network] == [torch.bfloat16, torch.float32]
    assert runtime.run(lambda part: network(torch.tensor(part)), [[1.0, 2.0]], 1).dtype == "float32"
