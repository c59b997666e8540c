"""The models in memory: loaded in the background, kept equal to the library's active ones, one inference at a time.

An answer is always found among the vectors of the very model that encoded the query: while a newly active model is
being loaded, the one before it goes on answering.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from lib.arrays import Embeddings, Mask, RGBAImage
from lib.embedding.encoder import ImageEncoder, TextEncoder
from lib.embedding.loading import load_image_encoder
from lib.errors import ModelNotFound, ModelsLoading, NotFound, NotReady, WeightsMissing
from lib.models.registry import ModelSpec, Role, model_by_spec_id
from lib.models.weights import locate
from lib.settings import Precision

log = structlog.get_logger()
SERVING_ROLES: tuple[Role, ...] = ("clip", "resnet", "matting")


@dataclass(frozen=True)
class OneAtATime:
    """A loaded model that threads share; a second inference waits for the first instead of halving its speed."""

    model: Any
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def spec(self) -> ModelSpec:
        """The model's spec."""
        spec: ModelSpec = self.model.spec
        return spec

    def encode_images(self, images: Sequence[RGBAImage]) -> Embeddings:
        """Return one unit row per picture, (N, D)."""
        with self.lock:
            rows: Embeddings = self.model.encode_images(images)
        return rows

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Return one unit row per text, (N, D)."""
        with self.lock:
            rows: Embeddings = self.model.encode_texts(texts)
        return rows

    def masks(self, images: Sequence[RGBAImage]) -> list[Mask]:
        """Return one mask per picture, at the model's resolution."""
        with self.lock:
            masks: list[Mask] = self.model.masks(images)
        return masks


class ServingModels:
    """The models of the roles that answer queries."""

    def __init__(self, home: Path, device: str, precision: Precision = "auto") -> None:
        self._home, self._device, self._precision = home, device, precision
        self._loaded: dict[Role, OneAtATime] = {}
        self._troubles: dict[Role, NotReady | NotFound] = {}

    def refresh(self, active: Mapping[Role, str]) -> None:
        """Load each active model (role to spec_id) that is not in memory. For one thread at a time; may take long."""
        for role in SERVING_ROLES:
            if role not in active:
                self._troubles[role] = ModelNotFound(
                    f"no {role} model is in use; choose one: python -m lib.cli models use packaged"
                )
            elif role not in self._loaded or self._loaded[role].spec.spec_id != active[role]:
                self._load(role, active[role])

    def _load(self, role: Role, spec_id: str) -> None:
        try:
            self._loaded[role] = OneAtATime(self._read(role, model_by_spec_id(spec_id)))
        except (WeightsMissing, ModelNotFound) as error:
            self._troubles[role] = error
        except Exception:
            # The edge of the loading thread: one model that breaks here must not keep the others from serving.
            self._troubles[role] = ModelsLoading(f"the {role} model cannot be loaded; the server's log says why")
            log.exception("model_not_loaded", role=role, spec_id=spec_id)

    def _read(self, role: Role, spec: ModelSpec) -> Any:
        if role != "matting":
            return load_image_encoder(spec, self._home, self._device, self._precision)
        from lib.images.background import SubjectMasker

        return SubjectMasker(spec, locate(spec, self._home), device=self._device)

    def image_encoder(self, role: Role) -> ImageEncoder:
        """Return the encoder of ``resnet`` or ``clip``. Raises ModelsLoading, WeightsMissing or ModelNotFound."""
        return self._ready(role)

    def text_encoder(self) -> TextEncoder:
        """Return the encoder of words; raises as ``image_encoder``."""
        return self._ready("clip")

    def masker(self) -> OneAtATime:
        """Return the model that finds subjects; raises as ``image_encoder``."""
        return self._ready("matting")

    def require_all(self) -> dict[str, str]:
        """Return the name of each role's model, once all are ready; raises as ``image_encoder``."""
        return {role: self._ready(role).spec.name for role in SERVING_ROLES}

    def _ready(self, role: Role) -> OneAtATime:
        model = self._loaded.get(role)
        if model is None:
            raise self._troubles.get(role, ModelsLoading(f"the {role} model is being loaded"))
        return model
