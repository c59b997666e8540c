"""Collages of answers: which stored pictures to show, and the PNG that shows them."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from fastapi.responses import Response
from sqlalchemy.orm import Session

from lib.arrays import RGBAImage
from lib.images.collage import REDUCING_GAP, TILE_PX, Tile, collage, encode_png, fitted
from lib.storage.features import active_cutouts
from lib.storage.images import images_by_id
from lib.storage.objects import ObjectStore
from query_api.cutouts import compared_picture

READERS = 2  # threads; they hold no lock while they decompress and scale
LEAST_PX = round(REDUCING_GAP * TILE_PX)


@dataclass(frozen=True)
class Shown:
    """An image to show: what stands under it, and whether as a cut-out."""

    image_id: int
    label: str
    as_cutout: bool = False


def collage_response(
    session: Session,
    objects: ObjectStore,
    query: RGBAImage | str,
    shown: Sequence[Shown],
    *,
    title: str,
    headers: Mapping[str, str],
) -> Response:
    """Return the PNG of a query and what was found for it."""
    sheet = collage(query, _tiles(session, objects, shown), title=title)
    return Response(encode_png(sheet), media_type="image/png", headers={"Vary": "Accept", **headers})


def _tiles(session: Session, objects: ObjectStore, shown: Sequence[Shown]) -> list[Tile]:
    images = images_by_id(session, [one.image_id for one in shown])
    cutouts = active_cutouts(session, [one.image_id for one in shown if one.as_cutout])
    session.close()  # the connection is free while files are read and drawn
    # An image that was cleared in this very moment has no tile.
    present = [one for one in shown if one.image_id in images]

    def picture(one: Shown) -> RGBAImage:
        image, cutout = images[one.image_id], cutouts.get(one.image_id)
        return fitted(compared_picture(objects, image, cutout, least_px=LEAST_PX))

    with ThreadPoolExecutor(READERS) as pool:
        return [Tile(image, one.label) for image, one in zip(pool.map(picture, present), present, strict=True)]
