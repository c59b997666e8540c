"""What was derived from images: cut-outs and colours. Writing a row again under the same spec replaces it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from lib.arrays import FloatArray
from lib.storage.tables import ColorFeatures, Cutout, Image, Model

LAYOUT_SIDE = 16


@dataclass(frozen=True)
class ColorRecord:
    """The colours of one image, as arrays.

    ``palette_lab`` (n, 3) and ``palette_weights`` (n,), n <= 8; ``layout`` (16, 16, 4) Lab and alpha;
    ``hue_histogram`` (bins,).
    """

    image_id: int
    of_subject: bool
    palette_lab: FloatArray
    palette_weights: FloatArray
    layout: NDArray[np.float16]
    hue_histogram: FloatArray


@dataclass(frozen=True)
class NewCutout:
    """A mask that is safely in the object store. ``box`` holds shares of width and height."""

    mask_sha256: str
    origin: str
    box: tuple[float, float, float, float]
    coverage: float


def put_cutout(session: Session, image_id: int, spec_id: str, new: NewCutout) -> None:
    """Store an image's cut-out under a matting spec."""
    values = {
        "mask_sha256": new.mask_sha256,
        "origin": new.origin,
        "box": list(new.box),
        "coverage": new.coverage,
    }
    statement = insert(Cutout).values(image_id=image_id, spec_id=spec_id, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["image_id", "spec_id"], set_=values))


def active_cutout(session: Session, image_id: int) -> Cutout | None:
    """Return an image's cut-out under the active matting model, if it has been made."""
    return active_cutouts(session, [image_id]).get(image_id)


def active_cutouts(session: Session, image_ids: Sequence[int]) -> dict[int, Cutout]:
    """Return the cut-outs of these images under the active matting model, by image id."""
    rows = session.scalars(
        sa.select(Cutout)
        .join(Model, Model.spec_id == Cutout.spec_id)
        .where(Cutout.image_id.in_(image_ids), Model.state == "active")
    )
    return {cutout.image_id: cutout for cutout in rows}


def put_colors(session: Session, spec_id: str, record: ColorRecord) -> None:
    """Store an image's colours under a colour spec."""
    values = {
        "of_subject": record.of_subject,
        "palette_lab": [float(x) for x in record.palette_lab.ravel()],
        "palette_weights": [float(x) for x in record.palette_weights],
        "layout": record.layout.astype("<f2").tobytes(),
        "hue_histogram": [float(x) for x in record.hue_histogram],
    }
    statement = insert(ColorFeatures).values(image_id=record.image_id, spec_id=spec_id, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["image_id", "spec_id"], set_=values))


def active_colors(session: Session) -> list[ColorRecord]:
    """Return the colours of every live image under the active colour spec, in order of id."""
    return _colors(session, sa.true())


def colors_of(session: Session, image_id: int) -> ColorRecord | None:
    """Return the colours of one live image under the active colour spec, if they have been computed."""
    return next(iter(_colors(session, ColorFeatures.image_id == image_id)), None)


def _colors(session: Session, condition: sa.ColumnElement[bool]) -> list[ColorRecord]:
    rows = session.scalars(
        sa.select(ColorFeatures)
        .join(Image, Image.id == ColorFeatures.image_id)
        .join(Model, Model.spec_id == ColorFeatures.spec_id)
        .where(Image.cleared_in.is_(None), Model.state == "active", condition)
        .order_by(ColorFeatures.image_id)
    )
    return [_record(row) for row in rows]


def _record(row: ColorFeatures) -> ColorRecord:
    return ColorRecord(
        image_id=row.image_id,
        of_subject=row.of_subject,
        palette_lab=np.array(row.palette_lab, dtype=np.float32).reshape(-1, 3),
        palette_weights=np.array(row.palette_weights, dtype=np.float32),
        layout=np.frombuffer(row.layout, dtype="<f2").reshape(LAYOUT_SIDE, LAYOUT_SIDE, 4),
        hue_histogram=np.array(row.hue_histogram, dtype=np.float32),
    )
