"""Images -> cut-outs: a mask of each picture's subject, made by a matting model or taken from its own alpha."""

from collections.abc import Sequence

import dagster as dg
from sqlalchemy.orm import Session

from lib.arrays import Mask
from lib.images.background import (
    SubjectMasker,
    coverage,
    encode_mask_png,
    has_own_alpha,
    mask_from_alpha,
    subject_box,
)
from lib.models.registry import ModelSpec
from lib.models.weights import locate
from lib.storage.features import NewCutout, put_cutout
from lib.storage.ledger import Claim
from lib.storage.library import Library
from lib.storage.objects import ObjectStore
from orchestration.assets.derived import DerivedConfig, derived_asset
from orchestration.resources import LibraryResource
from orchestration.stage import Picture, Stage, materialize_stage

OWN_ALPHA_SIDE = 320


class CutoutWorker:
    """Masks pictures; those with transparency of their own never reach the model."""

    def __init__(self, objects: ObjectStore, spec: ModelSpec, masker: SubjectMasker) -> None:
        self._objects, self._spec, self._masker = objects, spec, masker
        self._side = spec.preprocessing.side if spec.preprocessing else OWN_ALPHA_SIDE

    def compute(self, pictures: Sequence[Picture]) -> list[tuple[str, Mask]]:
        """Return (origin, mask) of each picture."""
        opaque = [picture.rgba for picture in pictures if not has_own_alpha(picture.rgba)]
        from_model = iter(self._masker.masks(opaque) if opaque else [])
        return [
            ("alpha", mask_from_alpha(picture.rgba, self._side))
            if has_own_alpha(picture.rgba)
            else ("model", next(from_model))
            for picture in pictures
        ]

    def store(self, session: Session, claims: Sequence[Claim], results: Sequence[tuple[str, Mask]]) -> None:
        """Publish the masks, then write their rows."""
        cutouts = [self._published(origin, mask) for origin, mask in results]
        for claim, cutout in zip(claims, cutouts, strict=True):
            put_cutout(session, claim.image_id, self._spec.spec_id, cutout)

    def _published(self, origin: str, mask: Mask) -> NewCutout:
        digest = self._objects.put(encode_mask_png(mask))
        return NewCutout(digest, origin=origin, box=subject_box(mask), coverage=coverage(mask))


def load_masker(library: Library, spec: ModelSpec) -> CutoutWorker:
    """Load a matting model."""
    weights = locate(spec, library.settings.home_path)
    masker = SubjectMasker(spec, weights, device=library.settings.device)
    return CutoutWorker(library.objects, spec, masker)


CUTOUTS = Stage(role="matting", batch_size=8, load=load_masker)


@derived_asset(group="derive", kinds={"rembg", "opencv"}, role="matting", pool="matting", deps=["scraped_images"])
def cutouts(
    context: dg.AssetExecutionContext, config: DerivedConfig, library: LibraryResource
) -> dg.MaterializeResult[None]:
    """The subject of each picture as a mask. Adds the missing ones; pictures with alpha of their own keep it."""
    return materialize_stage(context, library.library, CUTOUTS, force=config.force)
