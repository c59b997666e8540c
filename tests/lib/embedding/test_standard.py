"""The standard encoders at full size, on seeded weights in the true checkpoint formats.

The expected rows are plain forward passes written here, on torchvision, open_clip and transformers themselves with
their own preprocessing, one picture or text at a time.
"""

import contextlib
import pickle
import shutil
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import ResNet34_Weights, resnet34

from lib.embedding.loading import load_image_encoder, load_text_encoder
from lib.embedding.resnet import ResNet34Encoder
from lib.embedding.runtime import Runtime
from lib.errors import WeightsMissing, WeightsRefused
from lib.images.background import on_white
from lib.models.registry import CLIP_LAION2B, CLIP_MULTILINGUAL, RESNET34
from tests.lib.embedding.checkpoints import folder_of, installed, write_multilingual

CPU = torch.device("cpu")
# For checkpoints that are refused before a weight is read.
SMALL = {
    "vision_cfg": {"layers": 1, "width": 64, "image_size": 224, "patch_size": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 64, "width": 32, "heads": 1, "layers": 1},
}
TEXTS = ["a dog", "", "a photo of 2 black birds, sitting on a wire!", "a very long text " * 100]
RUSSIAN = ["собака", "кот и собака", "", "Собака на траве " * 60, "一只狗"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A library's home that is removed at the end: its weights take over a gigabyte."""
    path = tmp_path_factory.mktemp("standard")
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def resnet(home):
    """torchvision's ResNet34, and the encoder that was loaded from its checkpoint."""
    torch.manual_seed(0)
    reference = resnet34().eval()
    for name, buffer in reference.named_buffers():  # a trained network's statistics are not 0 and 1
        if name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.5, 1.5) if name.endswith("var") else buffer.normal_(0, 0.1)
    folder = folder_of(RESNET34, home)
    torch.save(reference.state_dict(), folder / "resnet34-b627a593.pth")
    reference.fc = torch.nn.Identity()
    return reference, load_image_encoder(installed(RESNET34, home), home, "cpu", "f32")


@pytest.fixture(scope="module")
def english(home):
    """open_clip's ViT-B-32, and the encoder that was loaded from its safetensors file."""
    torch.manual_seed(1)
    reference = open_clip.create_model("ViT-B-32", pretrained=None).eval()
    save_file(reference.state_dict(), folder_of(CLIP_LAION2B, home) / "open_clip_model.safetensors")
    return reference, load_image_encoder(installed(CLIP_LAION2B, home), home, "cpu", "f32")


@pytest.fixture(scope="module")
def multilingual(home):
    """open_clip's xlm-roberta-base-ViT-B-32 with a small vocabulary, and the encoder loaded from its .bin file."""
    reference, spec = write_multilingual(home)
    return reference, load_text_encoder(spec, home, "cpu", "f32")


def flattened(pictures):
    return [Image.fromarray(on_white(picture)) for picture in pictures.values()]


def one_by_one(forward, inputs):
    """Return the unit rows of a plain float32 forward pass, an input at a time."""
    with torch.inference_mode():
        rows = torch.cat([forward(item[None]) for item in inputs])
    return torch.nn.functional.normalize(rows, dim=1).numpy()


def clip_transform(model, tag):
    cfg = open_clip.get_pretrained_cfg(model, tag)
    return open_clip.image_transform(
        224, is_train=False, mean=cfg["mean"], std=cfg["std"], interpolation=cfg["interpolation"]
    )


def test_resnet34_vectors_are_the_pooled_features_of_torchvision(resnet, pictures):
    reference, encoder = resnet
    transform = ResNet34_Weights.IMAGENET1K_V1.transforms()
    expected = one_by_one(reference, map(transform, flattened(pictures)))
    np.testing.assert_allclose(encoder.encode_images(list(pictures.values())), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "model", "tag"),
    [
        ("english", "ViT-B-32", "laion2b_s34b_b79k"),
        ("multilingual", "xlm-roberta-base-ViT-B-32", "laion5b_s13b_b90k"),
    ],
)
def test_clip_picture_vectors_are_those_of_open_clip_and_its_own_preprocessing(request, pictures, name, model, tag):
    reference, encoder = request.getfixturevalue(name)
    expected = one_by_one(reference.encode_image, map(clip_transform(model, tag), flattened(pictures)))
    np.testing.assert_allclose(encoder.encode_images(list(pictures.values())), expected, atol=1e-5)


def test_clip_text_vectors_are_those_of_open_clip_filled_up_to_its_context(english):
    reference, encoder = english
    expected = one_by_one(reference.encode_text, open_clip.get_tokenizer("ViT-B-32")(TEXTS))
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), expected, atol=1e-5)


def test_multilingual_text_vectors_are_the_mean_states_of_xlm_roberta(multilingual, home):
    from transformers import XLMRobertaTokenizerFast

    reference, encoder = multilingual
    folder = home / "models" / CLIP_MULTILINGUAL.name
    tokenizer = XLMRobertaTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    tokens = tokenizer(RUSSIAN, max_length=77, padding="max_length", truncation=True, return_tensors="pt").input_ids

    def forward(row):
        seen = row != 1
        states = reference.text.transformer(input_ids=row, attention_mask=seen.long()).last_hidden_state
        return reference.text.proj(states[seen].mean(0, keepdim=True))

    np.testing.assert_allclose(encoder.encode_texts(RUSSIAN), one_by_one(forward, tokens), atol=1e-5)


def test_a_text_costs_as_many_tokens_as_it_has(english, multilingual):
    layers = [english[1]._network.transformer, multilingual[1]._network.text.transformer.encoder]
    for (_, encoder), layer in zip((english, multilingual), layers, strict=True):
        shapes = []
        hook = layer.register_forward_pre_hook(lambda _, arguments, seen=shapes: seen.append(arguments[0].shape))
        encoder.encode_texts(["a dog", "dog"])
        hook.remove()
        assert [shape[:2] for shape in shapes] == [(2, 4)]  # start, two words, end


def test_rows_come_in_the_order_of_the_texts_whatever_their_lengths(english):
    _, encoder = english
    texts = [*TEXTS, *(f"{'very ' * (i * 7 % 40)}old house {i}" for i in range(36))]
    alone = np.concatenate([encoder.encode_texts([text]) for text in texts])
    np.testing.assert_allclose(encoder.encode_texts(texts), alone, atol=1e-5)


def test_a_batch_on_several_threads_gives_the_rows_that_its_pictures_give_one_by_one(resnet, pictures):
    reference, encoder = resnet
    threaded = ResNet34Encoder(encoder.spec, reference, Runtime(CPU, threads=2))
    several = list(pictures.values()) * 3
    np.testing.assert_allclose(threaded.encode_images(several), encoder.encode_images(several), atol=1e-6)


def cosines(rows, others):
    return (rows * others).sum(axis=1)


def test_bfloat16_vectors_have_a_cosine_of_at_least_0_999_to_float32(resnet, english, multilingual, home, pictures):
    """Emulated where the CPU has no bfloat16: the same numbers, slowly; so one picture at a time."""
    half = Runtime(CPU, bf16=True)
    some = list(pictures.values())[:2]
    for _, encoder in (resnet, english):
        rows = type(encoder).load(encoder.spec, home, half).encode_images(some)
        assert cosines(rows, encoder.encode_images(some)).min() >= 0.999
    for (_, encoder), texts in ((english, TEXTS[:3]), (multilingual, RUSSIAN[:3])):
        rows = type(encoder).load(encoder.spec, home, half).encode_texts(texts)
        assert cosines(rows, encoder.encode_texts(texts)).min() >= 0.999


@pytest.mark.parametrize("role", ["resnet", "english", "multilingual"])
def test_network_and_pictures_are_both_on_the_device_that_was_asked_for(request, home, pictures, role):
    """On torch's device without memory every layer runs, if all its inputs are there, and only reading fails.

    Not so the tower of transformers, which looks at the values of its mask.
    """
    _, encoder = request.getfixturevalue(role)
    elsewhere = type(encoder).load(encoder.spec, home, Runtime(torch.device("meta")))
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        elsewhere.encode_images(list(pictures.values()))
    if role == "english":
        with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
            elsewhere.encode_texts(["dog"])


@pytest.mark.parametrize("role", ["resnet", "english", "multilingual"])
def test_a_checkpoint_with_one_flipped_bit_is_refused(request, role, home, tmp_path):
    spec = request.getfixturevalue(role)[1].spec
    folder = folder_of(spec, tmp_path)
    for path in (home / "models" / spec.name).iterdir():
        (folder / path.name).hardlink_to(path)
    checkpoint = max(folder.iterdir(), key=lambda path: path.stat().st_size)
    body = bytearray(checkpoint.read_bytes())
    body[len(body) // 2] ^= 1
    checkpoint.unlink()  # the copy's name: the bytes themselves are shared with the whole one
    checkpoint.write_bytes(body)
    with pytest.raises(WeightsMissing, match=f"{checkpoint.name}.*is damaged.*models pull standard"):
        load_image_encoder(spec, tmp_path, "cpu", "f32")


class Payload:
    """What a malicious checkpoint holds: unpickling it writes a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.write_text, (self.target, "ran")


@pytest.mark.parametrize(
    ("spec", "name"), [(RESNET34, "resnet34.pth"), (CLIP_LAION2B, "open_clip_pytorch_model.bin")], ids=["pth", "bin"]
)
@pytest.mark.parametrize("write", [torch.save, lambda what, path: path.write_bytes(pickle.dumps(what, protocol=2))])
def test_the_code_in_a_malicious_checkpoint_never_runs(spec, name, write, tmp_path):
    proof = tmp_path / "proof"
    folder = folder_of(spec, tmp_path)
    write({"conv1.weight": torch.zeros(1), "payload": Payload(proof)}, folder / name)
    with contextlib.suppress(RuntimeError):  # a bare pickle is no checkpoint, which is noticed after it ran
        torch.load(folder / name, weights_only=False)
    assert proof.read_text() == "ran"  # the payload works on whoever unpickles it
    proof.unlink()
    parameters = dict(spec.parameters) | (SMALL if spec.parameters else {})
    with pytest.raises(WeightsRefused, match=f"{name} is not the plain tensors"):
        load_image_encoder(installed(spec, tmp_path, parameters=parameters), tmp_path, "cpu", "f32")
    assert not proof.exists()


@pytest.mark.parametrize("body", [b"", b"not a checkpoint at all", (8).to_bytes(8, "little") + b"{not so}"])
@pytest.mark.parametrize("name", ["model.safetensors", "model.bin"])
def test_a_file_that_is_no_checkpoint_is_refused_and_named(body, name, tmp_path):
    folder = folder_of(CLIP_LAION2B, tmp_path)
    (folder / name).write_bytes(body)
    parameters = dict(CLIP_LAION2B.parameters) | SMALL
    with pytest.raises(WeightsRefused, match=name):
        load_image_encoder(installed(CLIP_LAION2B, tmp_path, parameters=parameters), tmp_path, "cpu", "f32")


def test_the_checkpoint_of_another_network_is_refused(tmp_path):
    folder = folder_of(RESNET34, tmp_path)
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, folder / "resnet34.pth")
    with pytest.raises(WeightsRefused, match=r"resnet34\.pth"):
        load_image_encoder(installed(RESNET34, tmp_path), tmp_path, "cpu", "f32")
