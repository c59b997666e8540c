"""The standard encoders at full size, on seeded weights in the true checkpoint formats.

The expected rows are plain forward passes written here, on torchvision, open_clip and transformers themselves with
their own preprocessing, one picture or text at a time.
"""

import dataclasses
import hashlib
import json
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

from lib.embedding.clip import ClipEncoder
from lib.embedding.loading import load_image_encoder, load_text_encoder
from lib.embedding.resnet import ResNet34Encoder
from lib.embedding.runtime import Runtime
from lib.errors import WeightsMissing, WeightsRefused
from lib.images.background import on_white
from lib.models.registry import CLIP_LAION2B, CLIP_MULTILINGUAL, RESNET34, WeightFile

CPU = torch.device("cpu")
TEXTS = ["a dog", "", "a photo of 2 black birds, sitting on a wire!", "a very long text " * 100]
RUSSIAN = ["собака", "кот и собака", "", "Собака на траве " * 60, "一只狗"]
PIECES = ["▁", "соба", "ка", "▁кот", "▁и", "▁на", "▁трав", "е", "С", "▁a", "▁dog", *"абвгдеиклнорстуы"]


def installed(spec, home, **written):
    """Return the spec with the hashes of the files that were written into its folder."""
    folder = home / "models" / spec.name
    weights = tuple(
        WeightFile(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in sorted(folder.iterdir())
    )
    return dataclasses.replace(spec, weights=weights, **written)


def folder_of(spec, home):
    folder = home / "models" / spec.name
    folder.mkdir(parents=True)
    return folder


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
    folder = folder_of(CLIP_MULTILINGUAL, home)
    vocabulary = write_small_tokenizer(folder)
    write_text_config(folder, vocabulary)
    torch.manual_seed(2)
    text_cfg = open_clip.get_model_config("xlm-roberta-base-ViT-B-32")["text_cfg"]
    text_cfg |= {"hf_model_name": str(folder), "hf_model_pretrained": False}
    vision_cfg = open_clip.get_model_config("xlm-roberta-base-ViT-B-32")["vision_cfg"]
    reference = open_clip.CustomTextCLIP(embed_dim=512, vision_cfg=vision_cfg, text_cfg=text_cfg).eval()
    # The published file was written by a transformers that stored the positions, too.
    positions = {"text.transformer.embeddings.position_ids": torch.arange(514)[None]}
    torch.save(reference.state_dict() | positions, folder / "open_clip_pytorch_model.bin")
    return reference, load_text_encoder(installed(CLIP_MULTILINGUAL, home), home, "cpu", "f32")


def write_text_config(folder, vocabulary):
    """Write xlm-roberta-base's configuration as its hub has it, but for the size of the vocabulary."""
    config = {"model_type": "xlm-roberta", "architectures": ["XLMRobertaForMaskedLM"], "vocab_size": vocabulary}
    config |= {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
    config |= {"max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "hidden_act": "gelu"}
    config |= {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 512}')


def write_small_tokenizer(folder):
    """Write a tokenizer of XLM-RoBERTa's kind (unigram pieces, <s> … </s>), and return the size of its vocabulary."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    special = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [(piece, 0.0) for piece in special] + [(piece, -float(len(PIECES[:i]))) for i, piece in enumerate(PIECES)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer.add_special_tokens([*special, "<mask>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer.get_vocab_size()


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


def test_texts_are_cut_at_the_tokens_that_the_longest_of_them_has(english, multilingual, monkeypatch):
    for _, encoder in (english, multilingual):
        widths = []
        forward = encoder._text.forward
        monkeypatch.setattr(encoder._text, "forward", lambda tokens, f=forward, w=widths: w.append(tokens.shape) or f(tokens))
        encoder.encode_texts(["a dog", "dog"])
        assert [columns <= 5 for _, columns in widths] == [True]
