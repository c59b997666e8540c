"""Merging two stored images by Laplacian pyramids."""

import threading

import numpy as np
from fastapi import APIRouter
from fastapi.responses import Response
from PIL import Image as Pillow

from lib.arrays import RGBAImage
from lib.images.collage import encode_png
from lib.images.pyramids import merge
from lib.storage.images import image_by_path
from query_api.dependencies import ServiceDep, SessionDep
from query_api.schemas.requests import TwoPaths

router = APIRouter(prefix="/v1/merges", tags=["merges"])
MAX_SIDE_PX = 4096
# A pyramid of float32 planes takes some thirty times the memory of its picture.
ONE_AT_A_TIME = threading.Lock()


@router.post("", response_class=Response, responses={200: {"content": {"image/png": {}}}})
def merge_images(body: TwoPaths, service: ServiceDep, session: SessionDep) -> Response:
    """Blend the left half of the first image into the right half of the second, with no visible seam.

    The result has the size of the first, at most 4096 px on its longer side.
    """
    images = [image_by_path(session, path) for path in (body.img_path_1, body.img_path_2)]
    session.close()
    with ONE_AT_A_TIME:
        first, second = (_bounded(service.decoder.decode_full(service.objects.path(image.sha256))) for image in images)
        blended = merge(first, second)
    return Response(encode_png(blended), media_type="image/png")


def _bounded(picture: RGBAImage) -> RGBAImage:
    if max(picture.shape[:2]) <= MAX_SIDE_PX:
        return picture
    image = Pillow.fromarray(picture)
    image.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Pillow.Resampling.LANCZOS)
    return np.asarray(image)
