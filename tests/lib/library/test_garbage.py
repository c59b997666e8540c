"""What no row names goes, through the trash; what somebody is about to name stays."""

import os
import time

import pytest

from lib.errors import Busy
from lib.library.garbage import collect, look, objects_kept
from lib.storage.clearing import collect_garbage
from lib.storage.library import Library
from tests.conftest import AddImage

HOUR_S = 3600.0


def orphan(library: Library, data: bytes, *, age_s: float) -> str:
    digest = library.objects.put(data)
    then = time.time() - age_s
    os.utime(library.objects.path(digest), (then, then))
    return digest


def test_looking_touches_nothing(library: Library, add_image: AddImage) -> None:
    image = add_image("red")
    digest = orphan(library, b"left by a crash", age_s=2 * HOUR_S)
    found = look(library)
    assert (found.orphans, found.orphan_bytes) == (1, len(b"left by a crash"))
    assert library.objects.path(digest).exists()
    assert library.objects.path(image.sha256).exists()


def test_an_orphan_goes_into_the_trash_and_later_for_good(library: Library, add_image: AddImage) -> None:
    image = add_image("red")
    digest = orphan(library, b"left by a crash", age_s=2 * HOUR_S)
    assert collect(library).orphans == 1
    assert not library.objects.path(digest).exists()
    assert [path.name for path in library.objects.trashed()] == [digest]
    assert collect(library, kept_s=0).trashed == 1
    assert library.objects.trashed() == []
    assert library.objects.path(image.sha256).exists()
    assert library.objects.path(image.working_copy_sha256).exists()


def test_a_file_that_a_scrape_has_just_published_is_spared(library: Library) -> None:
    digest = orphan(library, b"its row comes in a moment", age_s=0)
    assert collect(library).orphans == 0
    assert library.objects.path(digest).exists()


def test_an_old_orphan_that_is_stored_again_counts_as_young(library: Library) -> None:
    digest = orphan(library, b"met again", age_s=2 * HOUR_S)
    library.objects.put(b"met again")
    assert collect(library).orphans == 0
    assert library.objects.path(digest).exists()


def test_what_is_stored_again_while_it_goes_stays(library: Library) -> None:
    """The moment between the look and the move: whoever stored it then is about to write its row."""
    digest = orphan(library, b"met again", age_s=0)
    assert not library.objects.trash(digest, untouched_for_s=HOUR_S)
    assert library.objects.path(digest).exists()


def test_two_never_collect_at_once_and_a_backup_keeps_the_nightly_job_away(library: Library) -> None:
    digest = orphan(library, b"left by a crash", age_s=2 * HOUR_S)
    with objects_kept(library.database):
        with pytest.raises(Busy):
            collect(library)
        with library.database.session() as session:
            assert collect_garbage(session, library.objects, min_age_s=-1) == 0
        assert library.objects.path(digest).exists()
    with library.database.session() as session:
        assert collect_garbage(session, library.objects, min_age_s=-1) == 1
