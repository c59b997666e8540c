"""Whether a library is what its rows say: every file there and unharmed, every result where the ledger has one.

`verify` only looks. `repair` mends what can be mended from what is left: a working copy is made again from its
original, derived things are forgotten so that the next run computes them, and lost originals are asked for again where
they came from.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lib.errors import ImageError, ObjectMissing
from lib.images.decoding import Decoder
from lib.library.garbage import GRACE_S, objects_kept, orphans, trash_orphans
from lib.models.registry import STAGE_OF_ROLE
from lib.storage.library import Library
from lib.storage.objects import ObjectStore
from lib.storage.stage_inputs import current_inputs
from lib.storage.tables import (
    ClipEmbedding,
    ColorFeatures,
    Cutout,
    Image,
    ImageUrl,
    Merge,
    Model,
    ResnetEmbedding,
    StageResult,
)

Kind: TypeAlias = Literal["original", "working copy", "mask", "merge"]
OnObject: TypeAlias = Callable[[str], object]
Result: TypeAlias = type[Cutout] | type[ColorFeatures] | type[ResnetEmbedding] | type[ClipEmbedding]
RESULTS: dict[str, Result] = {
    "cutouts": Cutout,
    "color_features": ColorFeatures,
    "resnet_embeddings": ResnetEmbedding,
    "clip_embeddings": ClipEmbedding,
}
THREADS = 2
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class NamedObject:
    """An object that a row names: of which kind, and the id of that row's image (or of the merge)."""

    sha256: str
    kind: Kind
    row_id: int


@dataclass(frozen=True)
class Findings:
    """What is not as it should be.

    ``damaged`` objects are not what their name says; ``missing`` ones are named by rows and not there; ``orphans`` are
    there and named by none; ``nameless`` are images without their name in ``library/``; ``lost_results`` have an entry
    in the ledger and no row, by stage; ``stale`` were computed from what has changed since, by stage.
    """

    checked: int
    checked_bytes: int
    damaged: Sequence[str] = ()
    missing: Sequence[NamedObject] = ()
    orphans: Sequence[str] = ()
    nameless: Sequence[int] = ()
    lost_results: dict[str, int] = field(default_factory=dict)
    stale: dict[str, int] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is lost or harmed; orphans cost room and stale results are computed by the next run."""
        return not (self.damaged or self.missing or self.nameless or self.lost_results)


def named_objects(session: Session) -> list[NamedObject]:
    """Return every object that a row names, cleared images included, since they can come back."""
    queries: dict[Kind, sa.Select[str, int]] = {
        "original": sa.select(Image.sha256, Image.id),
        "working copy": sa.select(Image.working_copy_sha256, Image.id),
        "mask": sa.select(Cutout.mask_sha256, Cutout.image_id),
        "merge": sa.select(Merge.object_sha256, Merge.id),
    }
    return [
        NamedObject(sha256, kind, row_id)
        for kind, query in queries.items()
        for sha256, row_id in session.execute(query)
    ]


def verify(library: Library, *, grace_s: float = GRACE_S, on_object: OnObject | None = None) -> Findings:
    """Read every object and compare; changes nothing. ``on_object`` is called with each hash that was computed."""
    objects = library.objects
    stored = list(objects.hashes())
    damaged = list(_damaged(objects, stored, on_object or (lambda _: None)))
    with library.database.session() as session:
        named = named_objects(session)
        present = set(stored)
        missing = [one for one in named if one.sha256 not in present and not objects.path(one.sha256).exists()]
        return Findings(
            checked=len(stored),
            checked_bytes=sum(_size(objects, digest) for digest in stored),
            damaged=damaged,
            missing=missing,
            orphans=orphans(session, objects, grace_s=grace_s),
            nameless=_nameless(session, objects),
            lost_results=_lost_results(session),
            stale=_stale(session),
        )


def _damaged(objects: ObjectStore, stored: Sequence[str], on_object: OnObject) -> Iterator[str]:
    with ThreadPoolExecutor(THREADS) as pool:
        for digest, is_right in zip(stored, pool.map(lambda one: _is_right(objects, one), stored), strict=True):
            on_object(digest)
            if not is_right:
                yield digest


def _is_right(objects: ObjectStore, digest: str) -> bool:
    try:
        with objects.path(digest).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except FileNotFoundError:
        return True  # erased since it was listed; if a row still names it, it counts as missing


def _size(objects: ObjectStore, digest: str) -> int:
    try:
        return objects.path(digest).stat().st_size
    except FileNotFoundError:
        return 0


def _nameless(session: Session, objects: ObjectStore) -> list[int]:
    statement = sa.select(Image.id, Image.sha256, Image.img_path).where(Image.cleared_in.is_(None)).order_by(Image.id)
    rows = session.execute(statement)
    return [image_id for image_id, sha256, img_path in rows if not _has_name(objects, sha256, img_path)]


def _has_name(objects: ObjectStore, sha256: str, img_path: str) -> bool:
    name, stored = objects.home / img_path, objects.path(sha256)
    return name.exists() and (not stored.exists() or name.samefile(stored))


def _lost_results(session: Session) -> dict[str, int]:
    return {stage: count for stage in RESULTS if (count := len(_entries_without_row(session, stage)))}


def _entries_without_row(session: Session, stage: str) -> Sequence[tuple[int, str]]:
    """Return the (image, spec) of each entry of the ledger that says ``ok`` for a result that is not there."""
    table = RESULTS[stage]
    row = sa.exists().where(table.image_id == StageResult.image_id, table.spec_id == StageResult.spec_id)
    statement = sa.select(StageResult.image_id, StageResult.spec_id).where(
        StageResult.stage == stage, StageResult.status == "ok", ~row
    )
    return [(image_id, spec_id) for image_id, spec_id in session.execute(statement)]


def _stale(session: Session) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for role, stage in STAGE_OF_ROLE.items():
        inputs = current_inputs(stage).subquery()
        working = sa.select(Model.spec_id).where(Model.role == role, Model.state != "retired")
        counts[stage] = session.scalar(
            sa.select(sa.func.count())
            .select_from(StageResult)
            .join(inputs, inputs.c.image_id == StageResult.image_id)
            .where(StageResult.stage == stage, StageResult.status == "ok", StageResult.spec_id.in_(working))
            .where(StageResult.input_hash != inputs.c.input_hash)
        ) or 0  # fmt: skip
    return {stage: count for stage, count in counts.items() if count}


@dataclass
class Repairs:
    """What was mended, and what could not be: objects of which only the hash is left."""

    from_trash: int = 0
    remade: int = 0
    forgotten: int = 0
    asked_again: int = 0
    named: int = 0
    trashed: int = 0
    lost: list[NamedObject] = field(default_factory=list)


def repair(library: Library, found: Findings, decoder: Decoder, *, grace_s: float = GRACE_S) -> Repairs:
    """Mend what `verify` found. Safe beside running scrapes. Raises Busy when somebody else collects garbage."""
    repairs = Repairs()
    objects = library.objects
    with objects_kept(library.database), library.database.session() as session:
        for digest in found.damaged:
            objects.delete(digest)
        damaged = set(found.damaged)
        gone = [*found.missing, *(one for one in named_objects(session) if one.sha256 in damaged)]
        # Originals first: working copies are made from them.
        for one in sorted(gone, key=lambda one: one.kind != "original"):
            if objects.path(one.sha256).exists():
                continue
            _mend(session, objects, decoder, one, repairs)
            session.commit()
        repairs.forgotten += _forget_lost_results(session)
        repairs.named = _name_again(session, objects)
        session.commit()
        repairs.trashed = len(trash_orphans(session, objects, grace_s=grace_s))
    return repairs


def _mend(session: Session, objects: ObjectStore, decoder: Decoder, one: NamedObject, repairs: Repairs) -> None:
    if objects.untrash(one.sha256):
        if _is_right(objects, one.sha256):
            repairs.from_trash += 1
            return
        objects.delete(one.sha256)
    if one.kind == "original":
        repairs.asked_again += _ask_again(session, one.row_id)
        repairs.lost.append(one)
    elif one.kind == "mask":
        repairs.forgotten += _forget_cutout(session, one)
    elif one.kind == "merge":
        session.execute(sa.delete(Merge).where(Merge.id == one.row_id))
        repairs.lost.append(one)
    elif _remake(session, objects, decoder, one.row_id):
        repairs.remade += 1
    else:
        repairs.lost.append(one)


def _ask_again(session: Session, image_id: int) -> int:
    """Make an image's URLs due, without validators: the next scrape, or `vitrine add`, brings the file back."""
    statement = sa.update(ImageUrl).where(ImageUrl.image_id == image_id, ImageUrl.cleared_in.is_(None))
    renewed = session.execute(statement.values(status="new", etag=None, last_modified=None).returning(ImageUrl.id))
    return len(renewed.all())


def _forget_cutout(session: Session, mask: NamedObject) -> int:
    lost = session.execute(
        sa.delete(Cutout)
        .where(Cutout.image_id == mask.row_id, Cutout.mask_sha256 == mask.sha256)
        .returning(Cutout.spec_id)
    )
    specs = list(lost.scalars())
    entries = sa.and_(StageResult.stage == "cutouts", StageResult.image_id == mask.row_id)
    session.execute(sa.delete(StageResult).where(entries, StageResult.spec_id.in_(specs)))
    return len(specs)


def _remake(session: Session, objects: ObjectStore, decoder: Decoder, image_id: int) -> bool:
    image = session.get_one(Image, image_id)
    try:
        decoded = decoder.decode(objects.path(image.sha256))
    except (ImageError, ObjectMissing):
        return False  # the original is gone or harmed as well
    image.working_copy_sha256 = objects.put(decoded.working_copy)
    return True


def _forget_lost_results(session: Session) -> int:
    count = 0
    for stage in RESULTS:
        for image_id, spec_id in _entries_without_row(session, stage):
            key = {"stage": stage, "image_id": image_id, "spec_id": spec_id}
            session.execute(sa.delete(StageResult).filter_by(**key))
            count += 1
    return count


def _name_again(session: Session, objects: ObjectStore) -> int:
    count = 0
    for image_id in _nameless(session, objects):
        image = session.get_one(Image, image_id)
        if objects.path(image.sha256).exists():
            objects.link(image.sha256, image.img_path)
            count += 1
    return count
