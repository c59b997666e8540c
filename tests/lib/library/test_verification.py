"""A library that was harmed says so, and mends what can be mended."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from lib.images.decoding import Decoder
from lib.library.folders import add_files
from lib.library.verification import Findings, Repairs, repair, verify
from lib.models.registry import model_spec
from lib.storage import ledger
from lib.storage.features import NewCutout, put_cutout
from lib.storage.images import image_by_id
from lib.storage.library import Library
from lib.storage.tables import Cutout, Image, StageResult
from tests.conftest import AddImage
from tests.lib.library.conftest import Write

MATTING = model_spec("matting", "packaged").spec_id


def mend(library: Library, decoder: Decoder) -> tuple[Findings, Repairs]:
    """Repair, and return what is still found afterwards."""
    repairs = repair(library, verify(library), decoder)
    return verify(library), repairs


def harm(path: Path) -> None:
    """Flip one bit, as a disk would."""
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def cut_out(library: Library, image: Image) -> str:
    """Give an image a cut-out as its stage would."""
    mask = library.objects.put(b"the mask of " + image.sha256.encode())
    with library.database.session() as session:
        put_cutout(session, image.id, MATTING, NewCutout(mask, "model", (0.0, 0.0, 1.0, 1.0), 0.5))
        ledger.record_on_request(session, ledger.Work("cutouts", MATTING, ""), image.id, image.working_copy_sha256)
        session.commit()
    return mask


def test_a_library_that_is_whole_is_told_so(library: Library, add_image: AddImage) -> None:
    cut_out(library, add_image("red"))
    found = verify(library)
    assert found.is_whole
    assert (found.checked, found.orphans, found.stale) == (3, [], {})


def test_a_flipped_bit_is_found(library: Library, add_image: AddImage) -> None:
    image = add_image("red")
    harm(library.objects.path(image.sha256))
    found = verify(library)
    assert found.damaged == [image.sha256]
    assert not found.is_whole


def test_a_working_copy_is_made_again_from_its_original(
    library: Library, decoder: Decoder, add_image: AddImage
) -> None:
    image = add_image("red")
    library.objects.delete(image.working_copy_sha256)
    assert [(one.kind, one.row_id) for one in verify(library).missing] == [("working copy", image.id)]
    found, repairs = mend(library, decoder)
    assert found.is_whole
    assert repairs.remade == 1
    with library.database.session() as session:
        copy = image_by_id(session, image.id).working_copy_sha256
    assert copy == image.working_copy_sha256  # decoding is deterministic: nothing has to be derived again


def test_a_lost_mask_is_forgotten_so_that_the_next_run_makes_it(
    library: Library, decoder: Decoder, add_image: AddImage
) -> None:
    image = add_image("red")
    library.objects.delete(cut_out(library, image))
    assert [one.kind for one in verify(library).missing] == ["mask"]
    found, repairs = mend(library, decoder)
    assert (found.is_whole, repairs.forgotten, repairs.lost) == (True, 1, [])
    with library.database.session() as session:
        assert ledger.open_work(session, ledger.Work("cutouts", MATTING, "")) == 1


def test_a_lost_original_is_read_again_from_its_folder(
    library: Library, decoder: Decoder, folder: Path, write: Write
) -> None:
    path = write("owl.png")
    add_files(library, folder, [path], name="mine", decoder=decoder)
    with library.database.session() as session:
        image = session.scalars(sa.select(Image)).one()
    harm(library.objects.path(image.sha256))
    found, repairs = mend(library, decoder)
    assert [one.kind for one in found.missing] == ["original"]
    assert (repairs.asked_again, [one.kind for one in repairs.lost]) == (1, ["original"])
    add_files(library, folder, [path], name="mine", decoder=decoder)
    assert verify(library).is_whole


def test_what_was_thrown_away_by_mistake_comes_back_from_the_trash(
    library: Library, decoder: Decoder, add_image: AddImage
) -> None:
    image = add_image("red")
    library.objects.trash(image.sha256, untouched_for_s=-1)
    assert [one.kind for one in verify(library).missing] == ["original"]
    found, repairs = mend(library, decoder)
    assert (found.is_whole, repairs.from_trash) == (True, 1)


def test_what_was_harmed_in_the_trash_stays_lost(library: Library, decoder: Decoder, add_image: AddImage) -> None:
    image = add_image("red")
    harm(library.objects.path(image.working_copy_sha256))
    library.objects.trash(image.working_copy_sha256, untouched_for_s=-1)
    found, repairs = mend(library, decoder)
    assert (found.is_whole, repairs.from_trash, repairs.remade) == (True, 0, 1)


@pytest.mark.parametrize("lost", ["unlinked", "another file"])
def test_a_picture_gets_its_name_in_the_library_folder_back(
    library: Library, decoder: Decoder, add_image: AddImage, lost: str
) -> None:
    image = add_image("red")
    name = library.objects.home / image.img_path
    name.unlink()
    if lost == "another file":
        name.write_bytes(b"somebody's own")
    assert verify(library).nameless == [image.id]
    found, repairs = mend(library, decoder)
    assert (found.is_whole, repairs.named) == (True, 1)
    assert name.samefile(library.objects.path(image.sha256))


def test_a_result_that_only_the_ledger_knows_is_computed_again(
    library: Library, decoder: Decoder, add_image: AddImage
) -> None:
    cut_out(library, add_image("red"))
    with library.database.session() as session:
        session.execute(sa.delete(Cutout))
        session.commit()
    assert verify(library).lost_results == {"cutouts": 1}
    found, repairs = mend(library, decoder)
    assert (found.is_whole, repairs.forgotten) == (True, 1)


def test_results_of_what_has_changed_since_are_counted(library: Library, add_image: AddImage) -> None:
    cut_out(library, add_image("red"))
    with library.database.session() as session:
        session.execute(sa.update(StageResult).values(input_hash="of another picture"))
        session.commit()
    found = verify(library)
    assert found.stale == {"cutouts": 1}
    assert found.is_whole  # the next run computes it: nothing is lost
