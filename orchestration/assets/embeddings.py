"""Images -> vectors: one space for look (ResNet), one shared with words (CLIP)."""

from collections.abc import Sequence
from functools import partial

import dagster as dg
import numpy as np
from sqlalchemy.orm import Session

from lib.arrays import FloatArray
from lib.embedding.encoder import ImageEncoder
from lib.embedding.loading import load_image_encoder
from lib.errors import ImageError
from lib.models.registry import ModelSpec
from lib.storage.embeddings import EmbeddingRole, put_embeddings
from lib.storage.ledger import Claim
from lib.storage.library import Library
from orchestration.assets.derived import DerivedConfig, derived_asset
from orchestration.resources import LibraryResource
from orchestration.stage import Picture, Stage, materialize_stage


class EmbeddingWorker:
    """Encodes pictures in batches."""

    def __init__(self, role: EmbeddingRole, spec: ModelSpec, encoder: ImageEncoder) -> None:
        self._role, self._spec, self._encoder = role, spec, encoder

    def compute(self, pictures: Sequence[Picture]) -> Sequence[FloatArray]:
        """Return a unit vector, shape (D,), for each picture."""
        return list(self._encoder.encode_images([picture.rgba for picture in pictures]))

    def store(self, session: Session, claims: Sequence[Claim], results: Sequence[FloatArray]) -> None:
        """Write the rows. Raises ImageError for a vector that is not finite: it would poison every search."""
        vectors = np.stack(results)
        if not np.isfinite(vectors).all():
            raise ImageError("not_finite", "the encoder returned a vector with NaN or infinity")
        put_embeddings(session, self._role, self._spec.spec_id, [claim.image_id for claim in claims], vectors)


def load_encoder(role: EmbeddingRole, library: Library, spec: ModelSpec) -> EmbeddingWorker:
    """Load an image encoder."""
    settings = library.settings
    encoder = load_image_encoder(spec, settings.home_path, settings.device, settings.precision)
    return EmbeddingWorker(role, spec, encoder)


RESNET = Stage(role="resnet", batch_size=16, load=partial(load_encoder, "resnet"))
CLIP = Stage(role="clip", batch_size=16, load=partial(load_encoder, "clip"))


@derived_asset(group="embed", kinds={"torch", "pgvector"}, role="resnet", pool="torch", deps=["scraped_images"])
def resnet_embeddings(
    context: dg.AssetExecutionContext, config: DerivedConfig, library: LibraryResource
) -> dg.MaterializeResult[None]:
    """Visual vectors of the pictures as viewed. Adds the missing ones; never recomputes a stored one."""
    return materialize_stage(context, library.library, RESNET, force=config.force)


@derived_asset(group="embed", kinds={"open_clip", "pgvector"}, role="clip", pool="torch", deps=["scraped_images"])
def clip_embeddings(
    context: dg.AssetExecutionContext, config: DerivedConfig, library: LibraryResource
) -> dg.MaterializeResult[None]:
    """Vectors in the space shared with words. Adds the missing ones; never recomputes a stored one."""
    return materialize_stage(context, library.library, CLIP, force=config.force)
