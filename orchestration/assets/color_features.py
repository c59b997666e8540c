"""Cut-outs -> colours: palette, spatial layout and hue histogram of each picture's subject."""

from collections.abc import Sequence

import dagster as dg
from sqlalchemy.orm import Session

from lib.color.harmony import hue_histogram
from lib.color.layout import color_layout
from lib.color.palette import palette
from lib.images.background import apply_mask
from lib.models.registry import ModelSpec
from lib.storage.features import ColorRecord, put_colors
from lib.storage.ledger import Claim
from lib.storage.library import Library
from orchestration.assets.derived import DerivedConfig, derived_asset
from orchestration.resources import LibraryResource
from orchestration.stage import Picture, Stage, materialize_stage


class ColorWorker:
    """Describes the colours of the subject, or of the whole picture as long as there is no mask."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    def compute(self, pictures: Sequence[Picture]) -> list[ColorRecord]:
        """Return one record for each picture."""
        return [self._describe(picture) for picture in pictures]

    def _describe(self, picture: Picture) -> ColorRecord:
        rgba = picture.rgba if picture.mask is None else apply_mask(picture.rgba, picture.mask)
        colors = palette(rgba)
        return ColorRecord(
            image_id=picture.claim.image_id,
            of_subject=picture.mask is not None,
            palette_lab=colors.lab,
            palette_weights=colors.weights,
            layout=color_layout(rgba),
            hue_histogram=hue_histogram(rgba),
        )

    def store(self, session: Session, _claims: Sequence[Claim], results: Sequence[ColorRecord]) -> None:
        """Write the rows."""
        for record in results:
            put_colors(session, self._spec.spec_id, record)


def load_colors(_library: Library, spec: ModelSpec) -> ColorWorker:
    """Return a worker; colours need no weights."""
    return ColorWorker(spec)


COLORS = Stage(role="color", batch_size=32, load=load_colors)


@derived_asset(group="derive", kinds={"opencv", "numpy"}, role="color", pool=None, deps=["scraped_images", "cutouts"])
def color_features(
    context: dg.AssetExecutionContext, config: DerivedConfig, library: LibraryResource
) -> dg.MaterializeResult[None]:
    """Colours of each subject. Those of the whole picture, written at scraping, are replaced when a mask arrives."""
    return materialize_stage(context, library.library, COLORS, force=config.force)
