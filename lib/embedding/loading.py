"""From a spec to a loaded model, one object per process.

torch is imported when a model is loaded, not before: whoever only needs the names and types stays light.
"""

from functools import lru_cache
from pathlib import Path

from lib.embedding.encoder import ImageEncoder, TextEncoder
from lib.embedding.runtime import Runtime
from lib.errors import ModelNotFound
from lib.models.registry import ModelSpec
from lib.settings import Precision


def load_image_encoder(
    spec: ModelSpec, home: Path, device: str = "auto", precision: Precision = "auto"
) -> ImageEncoder:
    """Return the loaded encoder of a ``resnet`` or ``clip`` model; one object per process, however often asked.

    Parameters
    ----------
    spec : ModelSpec
    home : Path
        The library's home, under which fetched weights lie.
    device : str
        ``auto`` (CUDA, then Apple's MPS, then CPU), ``cpu``, ``cuda`` or ``mps``.
    precision : Precision
        ``auto`` (bfloat16 on a CPU that multiplies it, float32 elsewhere), ``f32`` or ``bf16``. The packaged models
        always run in float32.

    Raises
    ------
    WeightsMissing
        Its weights are not here; the message names the command that fetches them.
    WeightsRefused
        A checkpoint is not the plain tensors of this architecture.
    ConfigurationError
        This machine has no such device.
    ModelNotFound
        The spec is not of a model that encodes pictures.
    """
    encoder = _load(spec, home, device, precision)
    if not isinstance(encoder, ImageEncoder):
        raise ModelNotFound(f"{spec.name} does not encode pictures")
    return encoder


def load_text_encoder(spec: ModelSpec, home: Path, device: str = "auto", precision: Precision = "auto") -> TextEncoder:
    """Return the loaded text encoder of a ``clip`` model, the same object as its image encoder.

    Parameters and errors are those of ``load_image_encoder``.
    """
    encoder = _load(spec, home, device, precision)
    if not isinstance(encoder, TextEncoder):
        raise ModelNotFound(f"{spec.name} does not encode text")
    return encoder


@lru_cache(maxsize=8)
def _load(spec: ModelSpec, home: Path, device: str, precision: Precision) -> object:
    if spec.architecture.startswith("open_clip"):
        from lib.embedding.clip import ClipEncoder

        return ClipEncoder.load(spec, home, Runtime.choose(device, precision))
    if spec.architecture.startswith("torchvision ResNet34"):
        from lib.embedding.resnet import ResNet34Encoder

        return ResNet34Encoder.load(spec, home, Runtime.choose(device, precision))
    if spec.role in ("resnet", "clip"):
        from lib.embedding.packaged import load_packaged

        return load_packaged(spec, home, Runtime.choose(device, "f32"))
    raise ModelNotFound(f"{spec.name} is a {spec.role} model: it makes no vectors")
