"""Files on this machine, taken in as the pictures of a site are: the same gate, the same rows, and nothing twice.

A folder is a source that no scrape visits; each folder in it that holds pictures is a page, and each file a picture
URL, ``file://localhost/…``, whose size and time of change say whether it is read again.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lib.errors import AlreadyExists, FetchError, FetchFailed, ImageError, StorageError
from lib.images.decoding import Decoder
from lib.scraping.formats import SNIFFED_BYTES, require_decodable
from lib.scraping.site import Site
from lib.scraping.urls import IMAGE_SUFFIXES, file_name, file_url
from lib.storage import sources
from lib.storage.intake import Origin, take_in
from lib.storage.library import Library
from lib.storage.tables import ImageUrl, Source

CHUNK_BYTES = 1 << 20
OnFile = Callable[[Path], object]


@dataclass
class FolderReport:
    """What became of the files: ``known`` were read and are in the library already, ``unchanged`` were not read."""

    new: int = 0
    known: int = 0
    unchanged: int = 0
    by_reason: Counter[str] = field(default_factory=Counter)

    @property
    def refused(self) -> int:
        """How many files gave no picture."""
        return self.by_reason.total()


def picture_files(root: Path) -> list[Path]:
    """Return the files below ``root`` that are named like pictures, in order; hidden ones and links to folders are not.

    A file is returned alone, whatever its name.
    """
    if root.is_file():
        return [root]
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))  # walked in this order
        found += [Path(folder, name) for name in sorted(names) if _is_named_like_a_picture(name)]
    return [path for path in found if path.is_file()]


def _is_named_like_a_picture(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES


def add_files(
    library: Library, root: Path, files: Sequence[Path], *, name: str, decoder: Decoder, on_file: OnFile | None = None
) -> FolderReport:
    """Take in ``files``, which lie below the absolute ``root``, for the source ``name``; made if it is new.

    What has not changed since it was taken in is not read. ``on_file`` is called with each file when it is done with.

    Raises
    ------
    AlreadyExists
        If that source is something else.
    InsufficientSpace
        If the disk is nearly full.
    StorageError
        If the library's disk or database fails; what was taken in stays, and the rest can be added again.
    """
    library.objects.require_space(library.settings.min_free_bytes)
    library.objects.sweep_staging()
    source = _source_of(library, name, root if root.is_dir() else root.parent)
    adding = _Adding(library, source, decoder, FolderReport(), on_file or (lambda _: None))
    with sources.sole_scraper(library.database, source):
        for folder, inside in _by_folder(files):
            adding.add(folder, inside, is_whole=root.is_dir())
    return adding.report


def _by_folder(files: Sequence[Path]) -> Iterator[tuple[Path, list[Path]]]:
    for folder in dict.fromkeys(path.parent for path in files):
        yield folder, [path for path in files if path.parent == folder]


def _source_of(library: Library, name: str, root: Path) -> Source:
    site = Site(name=name, start_urls=(_folder_url(root),), enabled=False, min_side_px=1)
    with library.database.session() as session:
        known = session.scalar(sa.select(Source).where(Source.name == name))
        if known is not None and tuple(known.rules["start_urls"]) != site.start_urls:
            raise AlreadyExists(
                f"there is a source {name} already, at {known.rules['start_urls'][0]}: "
                "give this one another name with --name"
            )
        sources.upsert_source(session, name, site.model_dump(mode="json"), enabled=False)
        session.commit()
        return sources.source_by_name(session, name)


def _folder_url(folder: Path) -> str:
    return file_url(folder).rstrip("/") + "/"


@dataclass(frozen=True)
class _Adding:
    """One adding of files to a source."""

    library: Library
    source: Source
    decoder: Decoder
    report: FolderReport
    on_file: OnFile

    def add(self, folder: Path, files: Sequence[Path], *, is_whole: bool) -> None:
        """Take in the pictures of one folder; ``is_whole`` says that these are all that it has."""
        urls = {path: file_url(path) for path in files}
        known = self._record(folder, urls, is_whole=is_whole)
        for path, url in urls.items():
            if _is_unchanged(path, known.get(url)):
                self.report.unchanged += 1
            else:
                self._take(path, url)
            self.on_file(path)

    def _record(self, folder: Path, urls: dict[Path, str], *, is_whole: bool) -> dict[str, str | None]:
        """Write down what lies in a folder; return the validator of each file that was taken in before."""
        seen = [sources.SeenImage(url, _words(url), position) for position, url in enumerate(urls.values())]
        visit = sources.PageVisit(_folder_url(folder), "ok", title=folder.name, images=seen)
        with self.library.database.session() as session:
            before = sources.last_visit(session, self.source.id, visit.url)
            changed = is_whole and (before is None or before.differs_from(visit))
            sources.record_page(session, self.source.id, visit, changed=changed)
            known = _validators(session, list(urls.values()))
            session.commit()
        return known

    def _take(self, path: Path, url: str) -> None:
        try:
            gained = self._read(path, url)
        except FetchFailed as error:
            self._miss(sources.ImageVisit(url, "failed", error.reason, error.detail))
        except (FetchError, ImageError) as error:
            self._miss(sources.ImageVisit(url, "refused", error.reason, error.detail))
        except OSError as error:
            raise StorageError(
                f"{self.library.objects.home} takes no more files ({error.strerror}): "
                "see to its disk, then add these again"
            ) from error
        else:
            self.report.new += gained
            self.report.known += not gained

    def _read(self, path: Path, url: str) -> bool:
        with _opened(path) as file, self.library.objects.stage(self.library.settings.max_image_bytes) as staged:
            validator = _validator(os.fstat(file.fileno()))
            first_bytes = _read(file, SNIFFED_BYTES)
            require_decodable(first_bytes)
            staged.write(first_bytes)
            while chunk := _read(file, CHUNK_BYTES):
                staged.write(chunk)
            staged.flush()
            decoded = self.decoder.decode(staged.path)
            _, gained = take_in(
                self.library, staged, decoded, Origin(self.source.name, url, file_name(url), etag=validator)
            )
        return gained

    def _miss(self, visit: sources.ImageVisit) -> None:
        self.report.by_reason[visit.reason or "unreadable"] += 1
        with self.library.database.session() as session:
            sources.record_image_url(session, visit)
            session.commit()


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreadable(error) from error


def _read(file: BinaryIO, byte_count: int) -> bytes:
    try:
        return file.read(byte_count)
    except OSError as error:
        raise _unreadable(error) from error


def _unreadable(error: OSError) -> FetchFailed:
    """Say that it is the file's disk, not the library's, that has failed."""
    return FetchFailed("unreadable", error.strerror or "")


def _validators(session: Session, urls: Sequence[str]) -> dict[str, str | None]:
    rows = sa.select(ImageUrl.url, ImageUrl.etag).where(
        ImageUrl.url.in_(urls), ImageUrl.status == "ok", ImageUrl.cleared_in.is_(None)
    )
    return dict(session.execute(rows).all())


def _validator(status: os.stat_result) -> str:
    return f'"{status.st_size}-{status.st_mtime_ns}"'


def _is_unchanged(path: Path, validator: str | None) -> bool:
    try:
        return validator is not None and validator == _validator(path.stat())
    except OSError:
        return False


def _words(url: str) -> str:
    """Return a file's name as words, which stand in for those beside a picture on a page.

    >>> _words("file://localhost/home/me/Snowy_owl-3.jpg")
    'Snowy owl 3'
    """
    return " ".join(PurePosixPath(file_name(url)).stem.replace("_", " ").replace("-", " ").split())
