"""Encoders of the standard profile's shapes with seeded weights, in the files that their publishers use.

How fast a network runs does not depend on what it has learned. CLIP's text tower, which no picture passes, is small
unless it is asked for.
"""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from lib.models.registry import CLIP_LAION2B, RESNET34, VIT_B_32_VISION, ModelSpec, WeightFile

_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 1, "layers": 1}


def seeded_resnet34(home: Path) -> tuple[ModelSpec, Any]:
    """Write a checkpoint below ``home``; return its spec and the plain torchvision network."""
    import torch
    from torchvision.models import resnet34

    torch.manual_seed(0)
    network = resnet34().eval()
    torch.save(network.state_dict(), _folder(home, RESNET34) / RESNET34.weights[0].name)
    network.fc = torch.nn.Identity()
    return _installed(RESNET34, home), network


def seeded_clip(home: Path, *, whole: bool = False) -> tuple[ModelSpec, Any]:
    """Write a checkpoint below ``home``; return its spec and the plain open_clip network (ViT-B-32).

    A ``whole`` one has the published model's text tower.
    """
    import open_clip
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    text = dict(CLIP_LAION2B.parameters["text_cfg"]) if whole else dict(_TEXT)
    network = open_clip.CLIP(embed_dim=512, vision_cfg=dict(VIT_B_32_VISION), text_cfg=text).eval()
    save_file(network.state_dict(), _folder(home, CLIP_LAION2B) / "open_clip_model.safetensors")
    parameters = {**CLIP_LAION2B.parameters, "text_cfg": text}
    return dataclasses.replace(_installed(CLIP_LAION2B, home), parameters=parameters), network


def _folder(home: Path, spec: ModelSpec) -> Path:
    folder = home / "models" / spec.name
    folder.mkdir(parents=True)
    return folder


def _installed(spec: ModelSpec, home: Path) -> ModelSpec:
    paths = sorted((home / "models" / spec.name).iterdir())
    files = tuple(WeightFile(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths)
    return dataclasses.replace(spec, weights=files)
