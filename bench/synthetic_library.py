"""Libraries of any size, made in seconds: real rows in every table, small real files under every name that a row gives.

A few hundred distinct pictures go through the product's own code; the server multiplies their rows, hard links their
files. Only the vectors are drawn: clusters in a space of few directions, as the vectors of real pictures are.
"""

import io
import os
from collections.abc import Iterator, Sequence

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from PIL import Image as Pillow
from sqlalchemy.orm import Session

from lib.arrays import Mask, RGBAImage
from lib.color.harmony import hue_histogram
from lib.color.layout import color_layout
from lib.color.palette import palette
from lib.images.background import apply_mask, coverage, encode_mask_png, subject_box
from lib.images.perceptual_hash import phash64
from lib.images.working_copy import make_working_copy
from lib.storage import images, models, sources
from lib.storage.embeddings import TABLES, EmbeddingRole, create_partition
from lib.storage.features import ColorRecord, NewCutout, put_colors, put_cutout
from lib.storage.library import Library

DISTINCT = 256
SIDE_PX, MASK_SIDE = 64, 320
SOURCE = "synthetic"
PICTURES_A_PAGE = 50
CLUSTERS, DIRECTIONS = 400, 24
VECTOR_BATCH = 10_000
HUES = ("red", "orange", "yellow", "green", "cyan", "blue", "violet", "pink")
IMAGE_COLUMNS = "format, byte_count, width_px, height_px, has_alpha, phash"


def build(library: Library, count: int) -> None:
    """Fill an empty library with ``count`` images of which every stage is done, the models' indexes included."""
    rng = np.random.default_rng(1)
    with library.database.session() as session:
        source_id = sources.upsert_source(session, SOURCE, _rules(), enabled=False)
        for index in range(min(count, DISTINCT)):
            add_picture(library, session, disc(rng, index), name=f"{index}")
        _multiply(session, source_id, count)
        for role in TABLES:
            fill_vectors(session, role, count, rng)
        _close_ledger(session)
        session.commit()
        _link_files(library, session)
    _analyze(library)


def add_picture(library: Library, session: Session, rgba: RGBAImage, *, name: str, derived: bool = True) -> int:
    """Store one picture as a scrape does, with mask and colours unless it is to be left to the stages; return its id.

    The mask is a square in the middle.
    """
    png = io.BytesIO()
    Pillow.fromarray(rgba).save(png, "PNG")
    new = images.NewImage(
        sha256=library.objects.put(png.getvalue()),
        byte_count=png.tell(),
        format="PNG",
        width_px=rgba.shape[1],
        height_px=rgba.shape[0],
        has_alpha=False,
        phash=phash64(rgba),
        working_copy_sha256=library.objects.put(make_working_copy(rgba)),
        img_name=f"{name}.png",
        source=SOURCE,
    )
    image, _ = images.add_image(session, new)
    if derived:
        _put_features(library, session, image.id, rgba)
    return image.id


def disc(rng: np.random.Generator, index: int) -> RGBAImage:
    """Return a picture of its own: a disc on a plain ground, hue by ``index``, size and shade drawn."""
    image = Pillow.new("HSV", (SIDE_PX, SIDE_PX), (int(rng.integers(256)), 40, int(rng.integers(120, 250))))
    y, x = np.ogrid[:SIDE_PX, :SIDE_PX]
    inside = (x - SIDE_PX / 2) ** 2 + (y - SIDE_PX / 2) ** 2 < rng.integers(12, 30) ** 2
    pixels = np.asarray(image).copy()
    pixels[inside] = (index * 255 // DISTINCT, int(rng.integers(150, 255)), int(rng.integers(100, 255)))
    return np.asarray(Pillow.fromarray(pixels, "HSV").convert("RGBA"))


def _put_features(library: Library, session: Session, image_id: int, rgba: RGBAImage) -> None:
    mask = square_mask(image_id)
    new = NewCutout(library.objects.put(encode_mask_png(mask)), "model", subject_box(mask), coverage(mask))
    put_cutout(session, image_id, models.require_active(session, "matting").spec_id, new)
    subject = apply_mask(rgba, mask)
    colors = palette(subject)
    record = ColorRecord(image_id, True, colors.lab, colors.weights, color_layout(subject), hue_histogram(subject))
    put_colors(session, models.require_active(session, "color").spec_id, record)


def square_mask(number: int) -> Mask:
    """Return a square in the middle, of one of 64 sizes."""
    mask = np.zeros((MASK_SIDE, MASK_SIDE), dtype=np.uint8)
    margin = 20 + number % 64
    mask[margin:-margin, margin:-margin] = 255
    return mask


def _rules() -> dict[str, object]:
    return {"name": SOURCE, "start_urls": ["http://synthetic.example/"], "labelled": True}


def _multiply(session: Session, source_id: int, count: int) -> None:
    """Give every further image the rows of a picture that was computed, under digests and names of its own."""

    def like(table: str, key: str) -> str:
        return f"generate_series({DISTINCT + 1}, {count}) AS i JOIN {table} ON {key} = (i - 1) % {DISTINCT} + 1"

    colors = "of_subject, palette_lab, palette_weights, layout, hue_histogram"
    hue = f"('{{{','.join(HUES)}}}'::text[])[image_id % {len(HUES)} + 1]"
    statements = [
        f"INSERT INTO images (sha256, first_byte, {IMAGE_COLUMNS}, working_copy_sha256, img_name, img_path) "
        f"SELECT encode(d, 'hex'), get_byte(d, 0), {IMAGE_COLUMNS}, encode(sha256(d), 'hex'), i || '.png', "
        f"'library/{SOURCE}/' || i || '.png' FROM {like('images', 'id')}, "
        "LATERAL (SELECT sha256(('image ' || i)::bytea) AS d) AS digests ORDER BY i",
        "INSERT INTO cutouts SELECT i, spec_id, mask_sha256, origin, box, coverage FROM " + like("cutouts", "image_id"),
        f"INSERT INTO color_features SELECT i, spec_id, {colors} FROM " + like("color_features", "image_id"),
        f"INSERT INTO pages (source_id, url, status) SELECT {source_id}, 'http://synthetic.example/' || i, 'ok' "
        f"FROM generate_series(1, {count // PICTURES_A_PAGE + 1}) AS i",
        "INSERT INTO image_urls (url, status, image_id) SELECT 'http://synthetic.example/' || id || '.png', 'ok', id "
        "FROM images",
        f"INSERT INTO sightings (page_id, image_url_id, alt, position) SELECT image_id / {PICTURES_A_PAGE} + 1, id, "
        f"'a ' || {hue} || ' disc, number ' || image_id, 0 FROM image_urls",
    ]
    for statement in statements:
        session.execute(sa.text(statement.replace(":", r"\:")))


def fill_vectors(session: Session, role: EmbeddingRole, count: int, rng: np.random.Generator) -> None:
    """Load vectors by binary COPY into the model's partition, and build its index over them."""
    model = models.require_active(session, role)
    partition = f"{role}_embeddings_{model.spec_id}"
    dimension = model.dimension or 0
    session.execute(sa.text(f"DROP INDEX ix_{partition}_hnsw"))
    cursor = session.connection().connection.cursor()
    with cursor.copy(f"COPY {partition} FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        for first_id, vectors in _clustered(count, dimension, rng):
            copy.write(_copy_rows(model.spec_id, first_id, vectors))
        copy.write(b"\xff\xff")
    session.execute(sa.text("SET LOCAL maintenance_work_mem = '1GB'"))
    create_partition(session, role, spec_id=model.spec_id, dimension=dimension)


def _clustered(count: int, dimension: int, rng: np.random.Generator) -> Iterator[tuple[int, NDArray[np.float32]]]:
    basis = rng.standard_normal((DIRECTIONS, dimension)).astype(np.float32)
    centers = rng.standard_normal((CLUSTERS, DIRECTIONS)).astype(np.float32)
    for start in range(0, count, VECTOR_BATCH):
        size = min(VECTOR_BATCH, count - start)
        latent = centers[rng.integers(CLUSTERS, size=size)] + 0.5 * rng.standard_normal((size, DIRECTIONS))
        rows = latent @ basis + 0.2 * rng.standard_normal((size, dimension))
        yield start + 1, (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _copy_rows(spec_id: str, first_id: int, vectors: NDArray[np.float32]) -> bytes:
    """Return rows of (spec_id, image_id, halfvec) in COPY's binary form, all fields of fixed length."""
    count, dimension = vectors.shape
    row = np.dtype(
        [
            ("fields", ">i2"), ("spec_size", ">i4"), ("spec", f"S{len(spec_id)}"), ("id_size", ">i4"), ("id", ">i8"),
            ("vector_size", ">i4"), ("dimension", ">i2"), ("unused", ">i2"), ("vector", ">f2", (dimension,)),
        ]
    )  # fmt: skip
    rows = np.zeros(count, dtype=row)
    rows["fields"], rows["spec_size"], rows["spec"] = 3, len(spec_id), spec_id.encode()
    rows["id_size"], rows["id"] = 8, np.arange(first_id, first_id + count)
    rows["vector_size"], rows["dimension"], rows["vector"] = 4 + 2 * dimension, dimension, vectors
    return rows.tobytes()


def _close_ledger(session: Session) -> None:
    """Write that every stage is done for every image, with the input that it would read now."""
    for role, stage in (("matting", "cutouts"), ("resnet", "resnet_embeddings"), ("clip", "clip_embeddings")):
        _mark_done(session, role, stage, "SELECT id, working_copy_sha256 FROM images")
    _mark_done(session, "color", "color_features", "SELECT image_id, mask_sha256 FROM cutouts")


def _mark_done(session: Session, role: str, stage: str, inputs: str) -> None:
    spec_id = models.require_active(session, role).spec_id
    session.execute(
        sa.text(
            "INSERT INTO stage_results (stage, spec_id, image_id, input_hash, status, attempts) "
            f"SELECT :stage, :spec_id, inputs.*, 'ok', 1 FROM ({inputs}) AS inputs ORDER BY 3"
        ),
        {"stage": stage, "spec_id": spec_id},
    )


def _link_files(library: Library, session: Session) -> None:
    rows = session.execute(sa.text("SELECT id, sha256, working_copy_sha256 FROM images ORDER BY id")).all()
    originals = [tuple(row[1:]) for row in rows[:DISTINCT]]
    for folder in range(256):
        library.objects.path(f"{folder:02x}").parent.mkdir(exist_ok=True)
    for image_id, *digests in rows[DISTINCT:]:
        _link(library, originals[(image_id - 1) % DISTINCT], digests)


def _link(library: Library, existing: Sequence[str], wanted: Sequence[str]) -> None:
    for old, new in zip(existing, wanted, strict=True):
        os.link(library.objects.path(old), library.objects.path(new))


def _analyze(library: Library) -> None:
    with library.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
