"""What each stage reads: the input whose hash decides whether a result is still good."""

import sqlalchemy as sa

from lib.storage.tables import Cutout, Image, Model

COLOR_STAGE = "color_features"


def current_inputs(stage: str) -> sa.Select[int, str, str, str, str]:
    """Select each live image with the hash of what ``stage`` reads now.

    Colours read the mask where the active matting model has made one, else the whole working copy; a mask that arrives
    later (or a different one) makes the colours pending again, an equal mask does not.
    """
    mask = sa.null().label("mask_sha256")
    if stage != COLOR_STAGE:
        return sa.select(
            Image.id.label("image_id"),
            Image.sha256,
            Image.working_copy_sha256,
            sa.cast(mask, sa.String).label("mask_sha256"),
            Image.working_copy_sha256.label("input_hash"),
        ).where(Image.cleared_in.is_(None))
    active_matting = sa.select(Model.spec_id).where(Model.role == "matting", Model.state == "active").scalar_subquery()
    return (
        sa.select(
            Image.id.label("image_id"),
            Image.sha256,
            Image.working_copy_sha256,
            Cutout.mask_sha256,
            sa.func.coalesce(Cutout.mask_sha256, Image.working_copy_sha256).label("input_hash"),
        )
        .outerjoin(Cutout, sa.and_(Cutout.image_id == Image.id, Cutout.spec_id == active_matting))
        .where(Image.cleared_in.is_(None))
    )
