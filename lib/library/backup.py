"""Backup and restore: the database and the files that it names, at one moment.

The database is dumped at a snapshot, and the objects copied are those that this snapshot names. Objects never change
and none is removed meanwhile, so files and rows fit together while the library goes on working. A backup is a folder,
whose objects a later backup need not copy again, or one tar file:

    manifest.json    what it is of, written last: without it a backup is not whole
    library.dump     the database, in pg_dump's own format
    objects/ab/…     the files by their SHA-256

Model weights are not in it (`vitrine models pull` has them), and neither is Dagster's history of runs.
"""

import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lib.errors import AlreadyExists, NotFound, ObjectMissing, StorageError
from lib.library.garbage import objects_kept
from lib.library.postgres_dump import dump, load
from lib.settings import Settings
from lib.storage import takedowns
from lib.storage.database import database_urls, prepare
from lib.storage.images import count_images, live_object_hashes
from lib.storage.library import Library
from lib.storage.objects import ObjectStore
from lib.storage.tables import Image
from lib.storage.takedowns import Target

FORMAT = 1
MANIFEST, DUMP, OBJECTS = "manifest.json", "library.dump", "objects"
RESTORED = ("objects", "staging", "library", "postgres")  # the folders of a home that a restore makes
OnFile = Callable[[int, int], object]  # objects done, objects in all


class BackupUnreadable(StorageError):
    """What should be restored is no whole backup, or one of a newer version."""


@dataclass(frozen=True)
class Manifest:
    """What a backup is of."""

    format: int
    created_at: str
    schema: str  # the revision of the tables
    images: int
    objects: int
    object_bytes: int


def is_tar(path: Path) -> bool:
    """Return whether a backup of that name is one file.

    >>> is_tar(Path("backup.tar")), is_tar(Path("backups/monday"))
    (True, False)
    """
    return path.suffix == ".tar"


def back_up(library: Library, target: Path, *, on_file: OnFile | None = None) -> Manifest:
    """Write a backup to the folder or tar file ``target``; a folder with an older backup is brought up to date.

    Raises
    ------
    AlreadyExists
        If a file of that name exists, or a folder that holds something else.
    ObjectMissing
        If a file that a row names is not there; `vitrine verify` says more.
    Busy
        If somebody collects garbage right now.
    """
    _require_target(target)
    tell = on_file or (lambda *_: None)
    with objects_kept(library.database), _snapshot(library) as (session, name):
        digests = sorted(live_object_hashes(session))
        _require_objects(library.objects, digests)
        tell(0, len(digests))
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".vitrine-backup-", dir=target.parent) as folder:
            dumped = Path(folder, DUMP)
            dump(library.urls.library, dumped, snapshot=name)
            manifest = _manifest(session, library.objects, digests)
            if is_tar(target):
                _write_tar(library.objects, digests, dumped, manifest, target, tell)
            else:
                _write_folder(library.objects, digests, dumped, manifest, target, tell)
    return manifest


def _require_target(target: Path) -> None:
    if target.is_dir() and any(target.iterdir()) and not (target / OBJECTS).is_dir():
        raise AlreadyExists(f"{target} holds something that is no backup: name a new folder")
    if target.is_file() or (is_tar(target) and target.exists()):
        raise AlreadyExists(f"{target} exists already: name a new file")


@contextmanager
def _snapshot(library: Library) -> Iterator[tuple[Session, str]]:
    engine = library.database.engine.execution_options(isolation_level="REPEATABLE READ")
    with Session(engine) as session:
        yield session, str(session.scalar(sa.text("SELECT pg_export_snapshot()")))


def _require_objects(objects: ObjectStore, digests: Sequence[str]) -> None:
    lost = [digest for digest in digests if not objects.path(digest).exists()]
    if lost:
        raise ObjectMissing(
            f"{len(lost)} files that rows name are not there, {lost[0]} for one: `vitrine verify --repair` mends what "
            "can be mended, then back up again"
        )


def _manifest(session: Session, objects: ObjectStore, digests: Sequence[str]) -> Manifest:
    return Manifest(
        format=FORMAT,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        schema=str(session.scalar(sa.text("SELECT version_num FROM alembic_version"))),
        images=count_images(session),
        objects=len(digests),
        object_bytes=sum(objects.path(digest).stat().st_size for digest in digests),
    )


def _write_folder(
    objects: ObjectStore, digests: Sequence[str], dumped: Path, manifest: Manifest, target: Path, tell: OnFile
) -> None:
    target.mkdir(exist_ok=True)
    (target / MANIFEST).unlink(missing_ok=True)  # until all is there again, this is no backup
    store = _FolderOfObjects(target / OBJECTS)
    for number, digest in enumerate(digests, start=1):
        store.keep(objects.path(digest))
        tell(number, len(digests))
    store.drop_all_but(digests)
    shutil.copyfile(dumped, target / DUMP)
    (target / MANIFEST).write_text(_as_json(manifest))


class _FolderOfObjects:
    """The objects of a backup in a folder; those of an earlier backup are kept where they are still named."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, source: Path) -> None:
        """Copy an object, unless an earlier backup has it; a copy that was cut off never has its name."""
        path = self._folder / source.name[:2] / source.name
        if path.exists() and path.stat().st_size == source.stat().st_size:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}")
        shutil.copyfile(source, partial)
        partial.replace(path)

    def drop_all_but(self, digests: Sequence[str]) -> None:
        wanted = set(digests)
        for path in self._folder.glob("*/*"):
            if path.name not in wanted:
                path.unlink()


def _write_tar(
    objects: ObjectStore, digests: Sequence[str], dumped: Path, manifest: Manifest, target: Path, tell: OnFile
) -> None:
    partial = dumped.with_name(target.name)
    with tarfile.open(partial, "w") as tar:
        for number, digest in enumerate(digests, start=1):
            tar.add(objects.path(digest), f"{OBJECTS}/{digest[:2]}/{digest}", recursive=False)
            tell(number, len(digests))
        tar.add(dumped, DUMP, recursive=False)
        (dumped.parent / MANIFEST).write_text(_as_json(manifest))
        tar.add(dumped.parent / MANIFEST, MANIFEST, recursive=False)
    partial.replace(target)


def _as_json(manifest: Manifest) -> str:
    return json.dumps(asdict(manifest), indent=2) + "\n"


def restore(
    settings: Settings, source: Path, *, taken_down: Sequence[Target] = (), on_file: OnFile | None = None
) -> Manifest:
    """Make the library of ``settings`` out of a backup; its schema is brought up to date.

    What was ``taken_down`` since the backup is listed and hidden.

    Raises
    ------
    AlreadyExists
        If there is a library already: nothing is ever written over one.
    BackupUnreadable
        If ``source`` is no whole backup, or one file in it is harmed.
    NotFound
        If there is nothing at ``source``.
    """
    if not source.exists():
        raise NotFound(f"there is no backup at {source}")
    home = settings.home_path
    _require_empty_home(home)
    with _opened(source, near=home) as folder:
        manifest = _read_manifest(folder)
        home.mkdir(parents=True, exist_ok=True)
        with _removed_on_failure(home), database_urls(settings) as urls:
            _require_empty_database(urls.library)
            _bring_objects(ObjectStore(home), folder / OBJECTS, manifest, on_file or (lambda *_: None))
            load(urls.library, folder / DUMP)
            prepare(urls.library)
            _finish(urls.library, ObjectStore(home), taken_down, settings.restore_days)
    return manifest


def _require_empty_home(home: Path) -> None:
    taken = [path for name in RESTORED if (path := home / name).exists() and any(path.iterdir())]
    if taken:
        raise AlreadyExists(f"{home} holds a library already: restore into a new home, --home NEW")


@contextmanager
def _removed_on_failure(home: Path) -> Iterator[None]:
    """Leave a home that was empty empty again, so that the next attempt may begin."""
    try:
        yield
    except BaseException:
        for name in RESTORED:
            shutil.rmtree(home / name, ignore_errors=True)
        raise


def _require_empty_database(url: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    if sa.inspect(engine).get_table_names():
        raise AlreadyExists("the database has tables already: restore into an empty one")


@contextmanager
def _opened(source: Path, *, near: Path) -> Iterator[Path]:
    if source.is_dir():
        yield source
        return
    near.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".vitrine-restore-", dir=near.parent) as folder:
        try:
            with tarfile.open(source) as tar:
                tar.extractall(folder, filter="data")
        except tarfile.TarError as error:
            raise BackupUnreadable(f"{source} is no backup: {error}") from error
        yield Path(folder)


def _read_manifest(folder: Path) -> Manifest:
    try:
        manifest = Manifest(**json.loads((folder / MANIFEST).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise BackupUnreadable(f"{folder} is no whole backup: its {MANIFEST} cannot be read") from error
    if manifest.format > FORMAT:
        raise BackupUnreadable("this backup was made by a newer Vitrine: update this one")
    return manifest


def _bring_objects(objects: ObjectStore, folder: Path, manifest: Manifest, tell: OnFile) -> None:
    paths = sorted(folder.glob("*/*"))
    if len(paths) != manifest.objects:
        raise BackupUnreadable(f"the backup should hold {manifest.objects} files and holds {len(paths)}")
    for number, path in enumerate(paths, start=1):
        with path.open("rb") as file, objects.stage(path.stat().st_size) as staged:
            while chunk := file.read(1 << 20):
                staged.write(chunk)
            if staged.sha256 != path.name:
                raise BackupUnreadable(f"the backup is harmed: {path.name} is not what its name says")
            objects.publish(staged)
        tell(number, len(paths))


def _finish(url: str, objects: ObjectStore, taken_down: Sequence[Target], restore_days: int) -> None:
    """Hide what was taken down, and give the files their names."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with Session(engine) as session:
        if taken_down:
            takedowns.take_down(session, taken_down, reason=None, restore_days=restore_days)
            session.commit()
        for sha256, img_path in session.execute(sa.select(Image.sha256, Image.img_path)):
            objects.link(sha256, img_path)
