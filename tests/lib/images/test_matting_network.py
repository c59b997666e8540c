"""The runtimes that a matting network may run on."""

import sys
from pathlib import Path

import numpy as np
import pytest

from lib.images import matting_network
from lib.images.background import network_input
from lib.images.matting_network import MAX_STREAMS, OpenVINONetwork, RembgNetwork, available_cores, load_network
from lib.models.registry import model_spec
from lib.models.weights import locate
from tests.lib.images.test_background import read_picture

SPEC = model_spec("matting", "packaged")
ONNX = locate(SPEC, Path("nowhere"))[f"{SPEC.name}.onnx"]
INPUTS = [network_input(read_picture(name), SPEC.preprocessing) for name in ("dog", "truck", "crow")]

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def openvino():
    return OpenVINONetwork(ONNX, threads=2)


def test_both_runtimes_predict_the_same_but_for_rounding(openvino):
    rembg = RembgNetwork(SPEC.name, ONNX, device="cpu", threads=1)
    for ours, theirs in zip(openvino.predictions(INPUTS), rembg.predictions(INPUTS), strict=True):
        assert ours.shape == (1, 1, 320, 320)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-3)  # predictions are probabilities


def test_an_input_that_fails_leaves_the_network_usable(openvino):
    def broken():
        yield INPUTS[0]
        raise ValueError("the second picture")

    with pytest.raises(ValueError, match="second picture"):
        openvino.predictions(broken())
    assert len(openvino.predictions(INPUTS[:2])) == 2
    assert openvino.predictions([]) == []


@pytest.mark.parametrize(("threads", "streams"), [(1, 1), (8, min(available_cores(), MAX_STREAMS))])
def test_each_stream_has_a_thread_and_many_cores_share_the_streams(threads, streams):
    assert OpenVINONetwork(ONNX, threads).streams == streams


def test_without_openvino_rembgs_own_runtime_takes_over(monkeypatch):
    assert isinstance(load_network(SPEC.name, ONNX, device="cpu", threads=1), OpenVINONetwork)
    monkeypatch.setitem(sys.modules, "openvino", None)  # what a platform without a package looks like
    assert not matting_network.has_openvino()
    assert isinstance(load_network(SPEC.name, ONNX, device="cpu", threads=1), RembgNetwork)
