"""Checkpoints of the standard models as they are published, with seeded weights in them."""

import dataclasses
import hashlib
import json

import open_clip
import torch

from lib.models.registry import CLIP_MULTILINGUAL, WeightFile

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


def write_multilingual(home):
    """Write open_clip's xlm-roberta-base-ViT-B-32 with a small vocabulary; return it, and its spec."""
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
    return reference, installed(CLIP_MULTILINGUAL, home)


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
