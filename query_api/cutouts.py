"""Cut-outs on request: the mask of one image, computed now where the stage has not come to it, and stored alike."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from lib.arrays import Mask, RGBAImage
from lib.images.background import (
    apply_mask,
    coverage,
    decode_mask_png,
    encode_mask_png,
    has_own_alpha,
    mask_from_alpha,
    subject_box,
)
from lib.images.reduced_copy import read_reduced
from lib.images.working_copy import read_working_copy
from lib.models.registry import STAGE_OF_ROLE
from lib.storage import ledger
from lib.storage.features import NewCutout, active_cutout, put_cutout
from lib.storage.objects import ObjectStore
from lib.storage.tables import Cutout, Image
from query_api.service import Service
from query_api.serving_models import SharedModel

OWN_ALPHA_SIDE = 320


@dataclass(frozen=True)
class SubjectMask:
    """A mask and where it came from: ``model``, or the picture's own ``alpha``."""

    origin: str
    mask: Mask


def subject_mask(masker: SharedModel, picture: RGBAImage) -> SubjectMask:
    """Return the mask of a picture's subject; transparency of its own says it better than a model."""
    if has_own_alpha(picture):
        preprocessing = masker.spec.preprocessing
        side = preprocessing.side if preprocessing else OWN_ALPHA_SIDE
        return SubjectMask("alpha", mask_from_alpha(picture, side))
    return SubjectMask("model", masker.masks([picture])[0])


def cutout_of(service: Service, session: Session, image: Image) -> NewCutout:
    """Return an image's cut-out, made and committed first where it is missing, as the bulk stage would.

    Raises ModelsLoading or WeightsMissing where the mask is missing and cannot be made yet.
    """
    stored = active_cutout(session, image.id)
    if stored is not None:
        x0, y0, x1, y1 = stored.box
        return NewCutout(stored.mask_sha256, stored.origin, (x0, y0, x1, y1), stored.coverage)
    session.close()  # gives the connection back while the model works
    masker = service.models.masker()
    found = subject_mask(masker, read_working_copy(service.objects.read(image.working_copy_sha256)))
    new = NewCutout(
        mask_sha256=service.objects.put(encode_mask_png(found.mask)),
        origin=found.origin,
        box=subject_box(found.mask),
        coverage=coverage(found.mask),
    )
    work = ledger.Work(STAGE_OF_ROLE["matting"], masker.spec.spec_id, run_id="")
    # A run that holds this image right now will write its own, equal, result.
    if ledger.record_on_request(session, work, image.id, image.working_copy_sha256):
        put_cutout(session, image.id, masker.spec.spec_id, new)
        session.commit()
    else:
        session.rollback()
    return new


def compared_picture(
    objects: ObjectStore, image: Image, cutout: Cutout | None, *, least_px: int | None = None
) -> RGBAImage:
    """Return an image's working copy, with its background removed where there is a cut-out.

    With ``least_px`` it may be smaller, its long side at least that.
    """
    copy = objects.read(image.working_copy_sha256)
    picture = read_working_copy(copy) if least_px is None else read_reduced(copy, least_px)
    return picture if cutout is None else apply_mask(picture, decode_mask_png(objects.read(cutout.mask_sha256)))
