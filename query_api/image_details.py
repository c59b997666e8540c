"""All that is known of one image, gathered for an answer."""

import json
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from lib.color.names import css_name, plain_name
from lib.color.spaces import srgb_from_lab
from lib.models.registry import STAGE_OF_ROLE
from lib.storage import models
from lib.storage.features import ColorRecord, active_cutout, colors_of
from lib.storage.images import image_by_path, scrapped_image, sightings_of
from lib.storage.tables import Cutout, Image, StageResult
from query_api.schemas.images import (
    ColorInfo,
    CutoutInfo,
    ImageDetail,
    ImageSummary,
    LegacyImage,
    ModelInfo,
    PaletteColor,
    SightingInfo,
)


def image_detail(session: Session, image: Image) -> ImageDetail:
    """Return an image with its sightings, cut-out, colours, and which models have seen it."""
    cutout, colors = active_cutout(session, image.id), colors_of(session, image.id)
    return ImageDetail(
        **ImageSummary.of(image).model_dump(),
        sightings=[SightingInfo(**vars(sighting)) for sighting in sightings_of(session, image.id)],
        cutout=None if cutout is None else _cutout_info(cutout),
        colors=None if colors is None else _color_info(colors),
        models=_models(session, image.id),
    )


def legacy_image(session: Session, img_path: str) -> LegacyImage:
    """Return the row of ``scrapped_images`` with that path, and the details besides. Raises ImageNotFound."""
    row = scrapped_image(session, img_path)
    detail = image_detail(session, image_by_path(session, img_path))
    return LegacyImage(
        **detail.model_dump(),
        img_hash=row["img_hash"],
        is_highlighted=row["is_highlighted"],
        embedding_resnet=_vector(row["embedding_resnet"]),
        embedding_clip=_vector(row["embedding_clip"]),
    )


def _vector(value: Any) -> list[float] | None:
    """Return a vector that came as pgvector's text, ``[0.1,0.2]``."""
    return None if value is None else [float(part) for part in json.loads(value)]


def _cutout_info(cutout: Cutout) -> CutoutInfo:
    return CutoutInfo(origin=cutout.origin, box=cutout.box, coverage=cutout.coverage, mask_sha256=cutout.mask_sha256)


def _color_info(colors: ColorRecord) -> ColorInfo:
    rgb = np.rint(255 * np.clip(srgb_from_lab(colors.palette_lab), 0, 1)).astype(int)
    palette = [
        PaletteColor(
            hex="#{:02x}{:02x}{:02x}".format(*(int(part) for part in color)),
            name=plain_name(lab),
            css_name=css_name(lab),
            lab=[round(float(part), 2) for part in lab],
            weight=round(float(weight), 4),
        )
        for color, lab, weight in zip(rgb, colors.palette_lab, colors.palette_weights, strict=True)
    ]
    return ColorInfo(of_subject=colors.of_subject, palette=palette)


def _models(session: Session, image_id: int) -> dict[str, ModelInfo]:
    return {
        model.role: ModelInfo(
            name=model.name,
            spec_id=model.spec_id,
            profile=model.profile,
            computed=_is_computed(session, STAGE_OF_ROLE[model.role], model.spec_id, image_id),
        )
        for model in models.all_models(session)
        if model.state == "active"
    }


def _is_computed(session: Session, stage: str, spec_id: str, image_id: int) -> bool:
    result = session.get(StageResult, (stage, spec_id, image_id))
    return result is not None and result.status == "ok"
