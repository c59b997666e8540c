"""The standard encoders on seeded weights in the true checkpoint formats, against plain forward passes."""

import dataclasses
import hashlib
import json

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import ResNet34_Weights, resnet34

from lib.embedding.loading import load_image_encoder, load_text_encoder
from lib.errors import WeightsMissing
from lib.images.background import on_white
from lib.models.registry import CLIP_LAION2B, CLIP_MULTILINGUAL, RESNET34, WeightFile

SMALL_VISION = {"image_size": 224, "layers": 1, "width": 64, "patch_size": 32}
SMALL_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 1, "layers": 1}


def installed(spec, home, **written):
    """Return the spec with the hashes of the files that were written into its folder."""
    folder = home / "models" / spec.name
    weights = tuple(
        WeightFile(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in sorted(folder.iterdir())
    )
    return dataclasses.replace(spec, weights=weights, **written)


@pytest.fixture
def folder(request, tmp_path):
    path = tmp_path / "models" / request.param.name
    path.mkdir(parents=True)
    return path


def unit(rows):
    return torch.nn.functional.normalize(rows, dim=1).numpy()


def flattened(pictures):
    return [Image.fromarray(on_white(picture)) for picture in pictures.values()]


@pytest.mark.parametrize("folder", [RESNET34], indirect=True)
def test_resnet34_vectors_are_the_pooled_features_of_torchvision(folder, tmp_path, pictures):
    torch.manual_seed(0)
    reference = resnet34().eval()
    torch.save(reference.state_dict(), folder / "resnet34.pth")
    encoder = load_image_encoder(installed(RESNET34, tmp_path), tmp_path, "cpu")
    reference.fc = torch.nn.Identity()
    transform = ResNet34_Weights.IMAGENET1K_V1.transforms()
    with torch.inference_mode():
        expected = unit(torch.cat([reference(transform(picture)[None]) for picture in flattened(pictures)]))
    np.testing.assert_allclose(encoder.encode_images(list(pictures.values())), expected, atol=1e-5)


@pytest.fixture
def english(tmp_path):
    """A small CLIP in the published format: its spec, and the plain open_clip model."""
    torch.manual_seed(0)
    reference = open_clip.CLIP(embed_dim=512, vision_cfg=SMALL_VISION, text_cfg=SMALL_TEXT).eval()
    folder = tmp_path / "models" / CLIP_LAION2B.name
    folder.mkdir(parents=True)
    save_file(reference.state_dict(), folder / "open_clip_model.safetensors")
    parameters = {"embed_dim": 512, "vision_cfg": SMALL_VISION, "text_cfg": SMALL_TEXT, "context_length": 77}
    return installed(CLIP_LAION2B, tmp_path, parameters=parameters), reference


def test_clip_picture_vectors_are_those_of_open_clip_and_its_own_preprocessing(english, tmp_path, pictures):
    spec, reference = english
    cfg = open_clip.get_pretrained_cfg("ViT-B-32", "laion2b_s34b_b79k")
    transform = open_clip.image_transform(
        224, is_train=False, mean=cfg["mean"], std=cfg["std"], interpolation=cfg["interpolation"]
    )
    with torch.inference_mode():
        expected = unit(reference.encode_image(torch.stack([transform(picture) for picture in flattened(pictures)])))
    rows = load_image_encoder(spec, tmp_path, "cpu").encode_images(list(pictures.values()))
    np.testing.assert_allclose(rows, expected, atol=1e-5)


def test_clip_text_vectors_are_those_of_open_clip_cut_at_its_context(english, tmp_path):
    spec, reference = english
    texts = ["a dog", "a very long text " * 100]
    with torch.inference_mode():
        expected = unit(reference.encode_text(open_clip.get_tokenizer("ViT-B-32")(texts)))
    np.testing.assert_allclose(load_text_encoder(spec, tmp_path, "cpu").encode_texts(texts), expected, atol=1e-5)


@pytest.mark.parametrize("folder", [CLIP_MULTILINGUAL], indirect=True)
def test_the_multilingual_clip_runs_from_local_files_alone(folder, tmp_path):
    config = {"model_type": "xlm-roberta", "vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 1}
    config |= {"num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 514}
    config |= {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 512}')
    write_small_tokenizer(folder / "tokenizer.json")
    text_cfg = CLIP_MULTILINGUAL.parameters["text_cfg"] | {"hf_model_name": str(folder), "hf_model_pretrained": False}
    torch.manual_seed(0)
    reference = open_clip.CustomTextCLIP(embed_dim=512, vision_cfg=SMALL_VISION, text_cfg=text_cfg).eval()
    torch.save(reference.state_dict(), folder / "open_clip_pytorch_model.bin")
    parameters = {**CLIP_MULTILINGUAL.parameters, "vision_cfg": SMALL_VISION}
    encoder = load_text_encoder(installed(CLIP_MULTILINGUAL, tmp_path, parameters=parameters), tmp_path, "cpu")
    tokens = torch.tensor([[0, 4, 5, 2] + [1] * 73])  # <s> соба ка </s>, padded
    with torch.inference_mode():
        expected = unit(reference.encode_text(tokens))
    np.testing.assert_allclose(encoder.encode_texts(["собака"]), expected, atol=1e-5)


def write_small_tokenizer(path):
    """Write a tokenizer of XLM-RoBERTa's kind (unigram pieces, <s> … </s>) that knows one Russian word."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁соба", -1.0), ("ка", -1.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.save(str(path))


@pytest.mark.parametrize("folder", [RESNET34], indirect=True)
def test_weights_with_another_hash_are_refused(folder, tmp_path):
    (folder / "resnet34-b627a593.pth").write_bytes(b"something else")
    with pytest.raises(WeightsMissing, match="is damaged"):
        load_image_encoder(RESNET34, tmp_path, "cpu")
