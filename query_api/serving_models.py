"""The models in memory: loaded in the background, kept equal to the library's active ones, one batch at a time.

An answer is always found among the vectors of the very model that encoded the query: while a newly active model is
being loaded, the one before it goes on answering.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from lib.arrays import Embeddings, Mask, RGBAImage
from lib.embedding.encoder import ImageEncoder, TextEncoder
from lib.embedding.loading import load_image_encoder
from lib.errors import ModelNotFound, ModelsLoading, NotFound, NotReady, WeightsMissing
from lib.models.registry import ModelSpec, Role, model_by_spec_id
from lib.models.weights import locate
from lib.settings import Precision
from query_api.batching import Batcher

log = structlog.get_logger()
# Past eight pictures a batch is no faster a picture, only later. A server has 40 threads: those that wait for a model
# must leave some to the requests that need none.
MOST_PICTURES, MOST_TEXTS, MOST_WAITING = 8, 32, 24
REMEMBERED_TEXTS = 4096
SERVING_ROLES: tuple[Role, ...] = ("clip", "resnet", "matting")


class SharedModel:
    """A loaded model that requests share: their pictures, or their texts, go in together.

    A second inference beside the first would halve its speed, so there is one at a time. The vector of a text that was
    asked for before is remembered.
    """

    def __init__(self, model: Any) -> None:
        """``model`` is an encoder, or a SubjectMasker."""
        self.spec: ModelSpec = model.spec
        at_once = model.pictures_at_once if isinstance(model, ImageEncoder) else MOST_PICTURES
        self.pictures_at_once = min(MOST_PICTURES, at_once)
        self._one_at_a_time = threading.Lock()
        self._images: Batcher[RGBAImage, Any] = self._batcher(
            lambda images: model.encode_images(images), self.pictures_at_once
        )
        self._texts: Batcher[str, Any] = self._batcher(lambda texts: model.encode_texts(texts), MOST_TEXTS)
        self._masks: Batcher[RGBAImage, Mask] = self._batcher(lambda images: model.masks(images), MOST_PICTURES)
        self._text_row = lru_cache(REMEMBERED_TEXTS)(lambda text: self._texts([text])[0])

    def _batcher(self, work: Callable[[Sequence[Any]], Sequence[Any]], most_at_once: int) -> Batcher[Any, Any]:
        def alone(items: Sequence[Any]) -> Sequence[Any]:
            with self._one_at_a_time:
                return work(items)

        return Batcher(alone, most_at_once=most_at_once, most_waiting=MOST_WAITING)

    @property
    def waiting(self) -> int:
        """How many pictures and texts wait."""
        return self._images.waiting + self._texts.waiting + self._masks.waiting

    def encode_images(self, images: Sequence[RGBAImage]) -> Embeddings:
        """Return one unit row per picture, (N, D). Raises Overloaded where too many wait."""
        return self._rows(self._images(images))

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Return one unit row per text, (N, D). Raises Overloaded where too many wait."""
        return self._rows([self._text_row(texts[0])] if len(texts) == 1 else self._texts(texts))

    def _rows(self, rows: Sequence[Any]) -> Embeddings:
        return np.array(rows, np.float32).reshape(len(rows), self.spec.dimension or 0)

    def masks(self, images: Sequence[RGBAImage]) -> list[Mask]:
        """Return one mask per picture, at the model's resolution. Raises Overloaded where too many wait."""
        return self._masks(images)


class ServingModels:
    """The models of the roles that answer queries."""

    def __init__(self, home: Path, device: str, precision: Precision = "auto") -> None:
        self._home, self._device, self._precision = home, device, precision
        self._loaded: dict[Role, SharedModel] = {}
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
            self._loaded[role] = SharedModel(self._read(role, model_by_spec_id(spec_id)))
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

    def masker(self) -> SharedModel:
        """Return the model that finds subjects; raises as ``image_encoder``."""
        return self._ready("matting")

    def require_all(self) -> dict[str, str]:
        """Return the name of each role's model, once all are ready; raises as ``image_encoder``."""
        return {role: self._ready(role).spec.name for role in SERVING_ROLES}

    def waiting(self) -> dict[Role, int | None]:
        """Return how many pictures and texts wait for each role's model; None where it is not loaded."""
        return {role: None if (model := self._loaded.get(role)) is None else model.waiting for role in SERVING_ROLES}

    def _ready(self, role: Role) -> SharedModel:
        model = self._loaded.get(role)
        if model is None:
            raise self._troubles.get(role, ModelsLoading(f"the {role} model is being loaded"))
        return model
