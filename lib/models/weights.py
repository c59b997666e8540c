"""Weight files: where they lie, whether they are the right ones, and fetching them once.

Packaged weights lie inside installed packages. Fetched ones lie in ``<home>/models/<model name>/``. Every file is
checked against its SHA-256 before it is handed out. Where the registry knows no full hash, the one of the first
download is kept in ``<home>/models/hashes.json`` and demanded from then on: that does not prove the first
download right, but nothing can change it unseen afterwards.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from functools import lru_cache
from http.client import HTTPException, HTTPResponse
from importlib.util import find_spec
from pathlib import Path
from ssl import SSLError
from typing import cast
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from lib.errors import FetchFailed, InsufficientSpace, WeightsMissing
from lib.models.registry import ModelSpec, WeightFile

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 60
FULL_HASH = 64  # hex digits of a SHA-256
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416

# (file name, bytes on disk so far, bytes in all where known)
Progress = Callable[[str, int, int | None], None]


def weights_dir(home: Path) -> Path:
    """Return the folder that holds fetched weights."""
    return home / "models"


def locate(spec: ModelSpec, home: Path) -> dict[str, Path]:
    """Return the checked path of each of a model's files, by file name.

    Raises WeightsMissing where one is absent or is not the file that the registry means; the message names the
    command that fetches it.
    """
    return {file.name: _located(spec, file, home) for file in spec.weights}


def pull(spec: ModelSpec, home: Path, progress: Progress | None = None) -> dict[str, Path]:
    """Fetch what a model lacks, and return the checked path of each of its files.

    A download that was cut off is resumed where it stopped, within this call for as long as each attempt brings
    bytes, and by the next call after that. A file gets its name only after its hash was checked.

    Raises
    ------
    FetchFailed
        The server answers with an error, breaks off without sending anything, or sends another file.
    InsufficientSpace
        The disk cannot hold the file.
    WeightsMissing
        A file belongs to a Python package that is not installed whole.
    """
    for file in spec.weights:
        if file.package is None and not _is_right(spec, file, home):
            _fetch(spec, file, home, progress or (lambda *_: None))
    return locate(spec, home)


def _located(spec: ModelSpec, file: WeightFile, home: Path) -> Path:
    if _is_right(spec, file, home):
        return _path(spec, file, home)
    if file.package is not None:
        raise WeightsMissing(f"{file.name} of {spec.name}: reinstall the Python package {file.package}")
    state = "is damaged" if _path(spec, file, home).exists() else "is not on this machine"
    raise WeightsMissing(
        f"{file.name} of {spec.name} {state}; fetch it by `python -m lib.cli models pull {spec.profile}`, "
        "or use the models that need no download: `python -m lib.cli models use packaged`"
    )


def _path(spec: ModelSpec, file: WeightFile, home: Path) -> Path:
    if file.package is None:
        return weights_dir(home) / spec.name / file.name
    found = find_spec(file.package)  # finds the folder without running the package
    folders = list(found.submodule_search_locations or ()) if found else []
    return Path(folders[0] if folders else f"<{file.package}>", file.path or file.name)


def _is_right(spec: ModelSpec, file: WeightFile, home: Path) -> bool:
    path = _path(spec, file, home)
    if not path.is_file():
        return False
    # A hash once computed holds until size or time change: a process checks each file once.
    status = path.stat()
    return _sha256(path, (status.st_size, status.st_mtime_ns)) == _demanded(spec, file, home)


def _demanded(spec: ModelSpec, file: WeightFile, home: Path) -> str:
    """Return the hash that a file must have: the published one, else the recorded one, else the digits known."""
    published = file.sha256 or ""
    if len(published) == FULL_HASH:
        return published
    return _recorded(home).get(_key(spec, file), published)


def _key(spec: ModelSpec, file: WeightFile) -> str:
    return f"{spec.name}/{file.name}"


@lru_cache
def _sha256(path: Path, _version: tuple[int, int]) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _recorded(home: Path) -> dict[str, str]:
    path = weights_dir(home) / "hashes.json"
    return cast("dict[str, str]", json.loads(path.read_text())) if path.exists() else {}


def _record(home: Path, key: str, sha256: str) -> None:
    path = weights_dir(home) / "hashes.json"
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(_recorded(home) | {key: sha256}, indent=1, sort_keys=True))
    draft.replace(path)


def _fetch(spec: ModelSpec, file: WeightFile, home: Path, progress: Progress) -> None:
    target = _path(spec, file, home)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    _download(file, part, progress)
    _verify(spec, file, home, part)
    part.replace(target)


def _verify(spec: ModelSpec, file: WeightFile, home: Path, part: Path) -> None:
    """Check a whole download, and drop it when it is wrong; raises FetchFailed."""
    with part.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    with part.open("rb") as stream:
        # Some publishers state an MD5 only: enough against damage, and the SHA-256 is demanded beside it.
        md5 = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    demanded = _demanded(spec, file, home)
    if not sha256.startswith(demanded) or file.md5 not in (md5, None):
        part.unlink()
        expected = demanded or f"MD5 {file.md5}"
        raise FetchFailed("weights_hash", f"{file.url} sent SHA-256 {sha256}, expected {expected}; it was dropped")
    if len(demanded) < FULL_HASH:
        _record(home, _key(spec, file), sha256)


def _download(file: WeightFile, part: Path, progress: Progress) -> None:
    """Bring ``part`` to its full length, resuming as long as each attempt brings bytes; raises FetchFailed."""
    while (before := _size(part)) != file.size_bytes:
        try:
            if _attempt(file, part, before, progress):
                return
            trouble = "the connection ended early"
        except HTTPError as error:
            if error.code == RANGE_NOT_SATISFIABLE and before:
                return  # nothing is left to send: the hash says whether this is the file
            raise FetchFailed(f"http_{error.code}", f"{file.url} answered {error.code} {error.reason}") from error
        except (URLError, HTTPException, ConnectionError, TimeoutError, SSLError) as error:
            trouble = str(error)
        if _size(part) <= before:
            raise FetchFailed("network", f"{file.url}: {trouble}; run the command again to resume")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _attempt(file: WeightFile, part: Path, offset: int, progress: Progress) -> bool:
    """Append what one request brings to ``part``, and return whether the file is whole."""
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    request = Request(file.url or "", headers=headers)  # noqa: S310 - the address is the registry's
    with urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310 - the address is the registry's
        resumed = response.status == PARTIAL_CONTENT
        start = offset if resumed else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else file.size_bytes
        _check_space(part.parent, (total or 0) - start)
        with part.open("ab" if resumed else "wb") as sink:
            for chunk in _chunks(response):
                sink.write(chunk)
                progress(file.name, sink.tell(), total)
            sink.flush()
            os.fsync(sink.fileno())
    return total is None or _size(part) >= total


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    while chunk := response.read(CHUNK_BYTES):
        yield chunk


def _check_space(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        raise InsufficientSpace(f"{folder} needs {needed_bytes:,} bytes for model weights and has {free:,} free")
