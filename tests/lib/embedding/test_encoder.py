import subprocess
import sys

import numpy as np
import pytest

from lib.embedding.encoder import unit_rows
from lib.embedding.language import language_supported
from lib.embedding.loading import load_image_encoder, load_text_encoder
from lib.errors import ModelNotFound, WeightsMissing
from lib.models.registry import model_spec


def test_importing_models_and_encoders_imports_no_heavy_library():
    program = (
        "import sys, lib.models.registry, lib.models.weights, lib.embedding.encoder, lib.embedding.resnet, "
        "lib.embedding.clip, lib.embedding.packaged, lib.embedding.language, lib.images.background\n"
        "print(*{'torch', 'onnxruntime', 'rembg', 'transformers', 'open_clip', 'numba', 'timm'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_missing_weights_name_the_command_and_the_other_profile(tmp_path):
    with pytest.raises(WeightsMissing, match=r"models pull standard.*models use packaged"):
        load_image_encoder(model_spec("resnet", "standard"), tmp_path, "cpu")


def test_a_model_that_makes_no_vectors_is_no_encoder(tmp_path):
    with pytest.raises(ModelNotFound, match="u2netp"):
        load_image_encoder(model_spec("matting", "packaged"), tmp_path, "cpu")


@pytest.mark.models
def test_a_visual_model_is_no_text_encoder(tmp_path):
    with pytest.raises(ModelNotFound, match="does not encode text"):
        load_text_encoder(model_spec("resnet", "packaged"), tmp_path, "cpu")


@pytest.mark.parametrize("row", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_a_vector_without_direction_is_refused(row):
    with pytest.raises(ValueError, match="zero or not finite"):
        unit_rows(np.array([row], np.float32))


@pytest.mark.parametrize(
    ("text", "languages", "supported"),
    [
        ("a dog", ["en"], True),
        ("собака на траве", ["en"], False),
        ("собака на траве", ["en", "ru"], True),
        ("狗", ["en"], False),
        ("犬 です", ["ja"], True),
        ("Σκύλος", ["en", "ru"], False),
        ("a собака dog", ["en"], False),
        ("1234 !?", ["en"], True),
        ("a dog", [], False),
    ],
)
def test_a_language_is_supported_when_its_script_is(text, languages, supported):
    assert language_supported(text, languages) is supported
