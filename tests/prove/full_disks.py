"""Disks that fill up while pictures are taken in, by `vitrine add`'s own function, into a real library.

The library's files lie on a small tmpfs in a mount namespace of its own, its database elsewhere. Something else fills
the disk up to a random rest, of room or of inodes; when that has gone, everything that did not fit must go in.
"""

import hashlib
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from PIL import Image as PillowImage

from lib.errors import InsufficientSpace
from lib.images.decoding import Decoder
from lib.library.folders import add_files
from lib.library.verification import verify
from lib.settings import Settings
from lib.storage.database import Database, DatabaseUrls, database_urls, prepare
from lib.storage.declarative import Base
from lib.storage.library import Library, use_profile_if_new
from lib.storage.objects import ObjectStore
from lib.storage.tables import Image, ImageUrl
from tests.prove.table import Results

Say = Callable[[str], None]
DISKS_A_TRY = 2
DISK_BYTES, DISK_INODES = 8_000_000, 400
PICTURES, SIDE_PX = 16, 90  # noise, which nothing compresses: some 25 kB each, and as much for the working copy
BYTES_A_PICTURE, INODES_A_PICTURE = 50_000, 4
TYPED = "full disk: it is told by an error that names it"
KEPT = "full disk: every row has its files, what was acknowledged has its row, none is there twice"
GOES_ON = "full disk: with room again, the rest goes in"


class NoSmallDisk(Exception):
    """This machine lets nobody mount a tmpfs of their own."""


def full_disks(results: Results, tries: int, seed: int, say: Say) -> None:
    """Fill two disks a try."""
    some_disks(results, DISKS_A_TRY * tries, seed, say)


def some_disks(results: Results, count: int, seed: int, say: Say) -> None:
    """Fill so many disks, one after the other."""
    try:
        with small_disk():
            pass
    except NoSmallDisk as error:
        results.not_tried(KEPT, str(error))
        return
    with tempfile.TemporaryDirectory() as folder, _database() as (database, urls), Decoder() as decoder:
        pictures = _pictures(Path(folder), random.Random(seed))
        for number in range(count):
            with small_disk() as disk:
                _empty(database)
                library = Library(_settings(disk / "home"), database, ObjectStore(disk / "home"), urls)
                trial = Trial(library, decoder, pictures, disk / "filler")
                trial.run(random.Random(f"{seed} {number}"))
            for name, wrong in trial.wrong.items():
                results.count(name, failed=bool(wrong))
            told = [line for lines in trial.wrong.values() for line in lines]
            ends = "".join(f"; {line}" for line in told)
            say(f"disk {number + 1}: {trial.taken_in} of {len(pictures)} pictures until {trial.short_of} ran out{ends}")


@contextmanager
def small_disk() -> Iterator[Path]:
    """Yield a new tmpfs, which is gone afterwards, and if we are killed. Raises NoSmallDisk.

    Who is not root mounts it as the root of a user namespace.
    """
    namespaces = ["--mount"] if os.geteuid() == 0 else ["--mount", "--map-root-user"]
    options = f"size={DISK_BYTES},nr_inodes={DISK_INODES}"
    with tempfile.TemporaryDirectory() as place:
        script = f"mount -t tmpfs -o {options} tmpfs {place} && chmod 755 {place} && echo mounted && read -r _"
        try:
            holder = subprocess.Popen(
                ["unshare", *namespaces, "sh", "-c", script],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise NoSmallDisk("unshare is not installed") from error
        with holder:
            if holder.stdout is None or holder.stdout.readline() != "mounted\n":
                raise NoSmallDisk(holder.communicate()[1].strip() or "a tmpfs cannot be mounted")
            # Others reach the mounts of a process below its folder in /proc. It ends when its input does.
            yield Path(f"/proc/{holder.pid}/root{place}")


@dataclass
class Trial:
    """One disk: what is to go in, and what went wrong, by property."""

    library: Library
    decoder: Decoder
    pictures: list[Path]
    filler: Path
    wrong: dict[str, list[str]] = field(default_factory=lambda: {TYPED: [], KEPT: [], GOES_ON: []})
    taken_in: int = 0
    short_of: str = ""

    def run(self, choice: random.Random) -> None:
        """Fill the disk but for a random rest, take in what fits, make room, and take in the others."""
        self._fill(choice)
        acknowledged: list[Path] = []
        try:
            report = add_files(
                self.library, self.pictures[0].parent, self.pictures,
                name="pictures", decoder=self.decoder, on_file=acknowledged.append,
            )  # fmt: skip
            self.wrong[TYPED].append(f"nothing was said of it: {report}")
        except InsufficientSpace:
            pass
        except OSError as error:
            self.wrong[TYPED].append(repr(error))
        self.taken_in = len(acknowledged)
        self.wrong[KEPT] += self._differences(acknowledged)
        shutil.rmtree(self.filler)
        report = add_files(self.library, self.pictures[0].parent, self.pictures, name="pictures", decoder=self.decoder)
        self.wrong[GOES_ON] += [*map(str, report.by_reason), *self._differences(self.pictures)]

    def _fill(self, choice: random.Random) -> None:
        """Leave room, or inodes, for some of the pictures only."""
        self.filler.mkdir()
        some = choice.random() * 0.9 * len(self.pictures)
        self.short_of = choice.choice(("room", "inodes"))
        if self.short_of == "inodes":
            for number in range(os.statvfs(self.filler).f_ffree - int(some * INODES_A_PICTURE)):
                (self.filler / str(number)).touch()
        else:
            free = shutil.disk_usage(self.filler).free
            (self.filler / "0").write_bytes(bytes(free - int(some * BYTES_A_PICTURE)))

    def _differences(self, acknowledged: list[Path]) -> Iterator[str]:
        found = verify(self.library)
        if not found.is_whole:
            yield str(found)
        with self.library.database.session() as session:
            rows = list(session.scalars(sa.select(Image.sha256)))
            urls = list(session.scalars(sa.select(ImageUrl.url).where(ImageUrl.status == "ok")))
        if len(set(rows)) < len(rows) or len(set(urls)) < len(urls):
            yield "a row is there twice"
        for path in acknowledged:
            if hashlib.sha256(path.read_bytes()).hexdigest() not in rows:
                yield f"{path.name} was acknowledged and has no row"


@contextmanager
def _database() -> Iterator[tuple[Database, DatabaseUrls]]:
    home = Path(tempfile.mkdtemp(prefix="vitrine-prove-"))
    home.chmod(0o755)  # the database server's own user passes through
    try:
        with database_urls(_settings(home)) as urls:
            prepare(urls.library)
            database = Database(urls.library)
            try:
                yield database, urls
            finally:
                database.dispose()
    finally:
        shutil.rmtree(home)


def _settings(home: Path) -> Settings:
    return Settings(home=home, min_free_bytes=0, database_url=None)


def _empty(database: Database) -> None:
    with database.session() as session:
        names = ", ".join(table.name for table in Base.metadata.sorted_tables if table.name != "models")
        session.execute(sa.text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
        session.commit()
    use_profile_if_new(database, "packaged")


def _pictures(folder: Path, choice: random.Random) -> list[Path]:
    noise = np.random.default_rng(choice.randrange(1 << 32))
    paths = [folder / f"{number:02}.png" for number in range(PICTURES)]
    for path in paths:
        PillowImage.fromarray(noise.integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)).save(path)
    return paths
