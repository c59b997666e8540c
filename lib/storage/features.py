"""What was derived from images: cut-outs and colours. Writing a row again under the same spec replaces it.

Colours are read one by one, or all at once as columns, with what has changed since.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from lib.arrays import FloatArray
from lib.storage.tables import ColorChange, ColorFeatures, Cutout, Image, Model

LAYOUT_SIDE = 16
PALETTE_COLORS = 8
HUE_BINS = 36


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


@dataclass(frozen=True)
class ColorColumns:
    """The colours of N images as columns: ``ids`` int64 (N,), ``of_subject`` bool (N,).

    ``lab`` float32 (N, 8, 3) and ``weights`` float32 (N, 8) hold the palettes, 0 beyond their ends; weights sum to 1,
    or to 0 where a picture is transparent all over. ``hue_histograms`` is float32 (N, bins).
    """

    ids: NDArray[np.int64]
    of_subject: NDArray[np.bool_]
    lab: NDArray[np.float32]
    weights: NDArray[np.float32]
    hue_histograms: NDArray[np.float32]


@dataclass(frozen=True)
class ColorChanges:
    """What changed since an earlier look: the images, or None for any of all; and from where to look next time."""

    image_ids: list[int] | None
    horizon: int


def color_changes(session: Session, since: int) -> ColorChanges:
    """Return the images whose live colours may have changed in transactions from ``since`` on, a former ``horizon``.

    The horizon is the oldest transaction under way (pg_snapshot_xmin): what commits later is seen by the next look, in
    whatever order transactions commit. Changes under way can be reported twice.
    """
    horizon: sa.ColumnElement[int] = sa.literal_column("pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
    changed = sa.select(sa.func.array_agg(ColorChange.image_id.distinct())).where(ColorChange.changed_in >= since)
    now, image_ids = session.execute(sa.select(horizon, changed.scalar_subquery())).one()
    ids = list(image_ids or [])
    # A database restored from a copy has gone back in time.
    return ColorChanges(None if None in ids or now < since else ids, now)


def color_columns(session: Session, image_ids: Collection[int] | None = None) -> ColorColumns:
    """Return the colours of all live images under the active colour spec, or of those among ``image_ids``."""
    # Arrays come in PostgreSQL's binary form, which numpy reads without a Python object per number.
    send = sa.func.array_send
    rows = session.execute(
        _live_colors(
            ColorFeatures.image_id,
            ColorFeatures.of_subject,
            send(ColorFeatures.palette_lab, type_=sa.LargeBinary),
            send(ColorFeatures.palette_weights, type_=sa.LargeBinary),
            send(ColorFeatures.hue_histogram, type_=sa.LargeBinary),
            image_ids=image_ids,
        )
    ).all()
    ids, of_subject, lab, weights, histograms = zip(*rows, strict=True) if rows else ((),) * 5
    sizes = np.array([_length(value) for value in weights], dtype=np.intp)
    return ColorColumns(
        ids=np.array(ids, dtype=np.int64),
        of_subject=np.array(of_subject, dtype=np.bool_),
        lab=_padded(_reals(lab).reshape(-1, 3), sizes),
        weights=_padded(_reals(weights)[:, None], sizes)[..., 0],
        hue_histograms=_reals(histograms).reshape(len(rows), -1) if rows else np.empty((0, HUE_BINS), np.float32),
    )


def stored_layouts(
    session: Session, image_ids: Collection[int] | None = None, *, batch: int = 2000
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
    """Yield the ids (n,) and layouts (n, side, side, 4) of the same images, some at a time."""
    statement = _live_colors(ColorFeatures.image_id, ColorFeatures.layout, image_ids=image_ids)
    for part in session.execute(statement, execution_options={"yield_per": batch}).partitions():
        layouts = np.frombuffer(b"".join(row[1] for row in part), dtype="<f2")
        ids = np.array([row[0] for row in part], dtype=np.int64)
        yield ids, layouts.reshape(-1, LAYOUT_SIDE, LAYOUT_SIDE, 4)


def _live_colors(*columns: sa.ColumnElement[Any] | Any, image_ids: Collection[int] | None) -> sa.Select[Any]:
    statement = (
        sa.select(*columns)
        .join(Image, Image.id == ColorFeatures.image_id)
        .join(Model, Model.spec_id == ColorFeatures.spec_id)
        .where(Image.cleared_in.is_(None), Model.state == "active")
        .order_by(ColorFeatures.image_id)
    )
    if image_ids is None:
        return statement
    return statement.where(ColorFeatures.image_id == sa.any_(sa.cast(list(image_ids), sa.ARRAY(sa.BigInteger))))


# PostgreSQL's binary form of a one-dimensional array: dimensions, flags, type, then its length and lower bound; each
# element is its length in bytes and its value, big-endian. An empty array ends before its length.
_HEADER_BYTES, _LENGTH_AT = 20, slice(12, 16)


def _length(value: bytes) -> int:
    return int.from_bytes(value[_LENGTH_AT], "big") if len(value) >= _HEADER_BYTES else 0


def _reals(values: Sequence[bytes]) -> NDArray[np.float32]:
    """Return the elements of some real[] values, one after the other."""
    data = b"".join(value[_HEADER_BYTES:] for value in values)
    return np.frombuffer(data, dtype=[("size", ">i4"), ("value", ">f4")])["value"].astype(np.float32)


def _padded(values: NDArray[np.float32], sizes: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return runs of ``sizes`` rows as (runs, PALETTE_COLORS, columns), 0 beyond their ends."""
    padded = np.zeros((len(sizes), PALETTE_COLORS, values.shape[1]), np.float32)
    padded[np.arange(PALETTE_COLORS) < sizes[:, None]] = values
    return padded


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
