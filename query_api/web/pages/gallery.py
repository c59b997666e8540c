"""The gallery: everything, or what a search found; its collage; pictures brought along to search by."""

from collections.abc import Iterator
from typing import Annotated, TypeAlias

import numpy as np
from fastapi import APIRouter, Depends, Form, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from PIL import Image as Pillow
from sqlalchemy.orm import Session

from lib.arrays import RGBAImage
from lib.images.encoding import PictureFormat, encode
from lib.storage.sources import all_sources
from query_api.collages import collage_response
from query_api.dependencies import QueryPicture, ServiceDep, SessionDep
from query_api.schemas.mixed_searches import Likeness
from query_api.web.address import MAX_WORDS, Address
from query_api.web.chips import chips
from query_api.web.examples import COLORS, examples
from query_api.web.page_route import PageRoute
from query_api.web.query_pictures import QueryPictures
from query_api.web.shelves import Shelf, fill, relation_query, tiles
from query_api.web.templating import is_fragment, page

router = APIRouter(include_in_schema=False, route_class=PageRoute)
MOST_TILES = 100
KEPT_HEADERS = {"Cache-Control": "private, max-age=86400", "X-Content-Type-Options": "nosniff"}
CHIP_PX = 256


def query_pictures(service: ServiceDep) -> QueryPictures:
    """Return the pictures that were brought along to this library."""
    return QueryPictures(service.settings.home_path)


QueryPicturesDep: TypeAlias = Annotated[QueryPictures, Depends(query_pictures)]
AddressDep: TypeAlias = Annotated[Address, Query()]


@router.get("/")
def gallery(
    request: Request, address: AddressDep, service: ServiceDep, session: SessionDep, pictures: QueryPicturesDep
) -> Response:
    """Show the pictures that the address asks for; only the cards to htmx, which asks for a page to add."""
    shelf = fill(service, session, pictures, address)
    if is_fragment(request):
        return page(request, "cards.html", address=address, shelf=shelf)
    return page(
        request,
        "gallery.html",
        address=address,
        shelf=shelf,
        chips=chips(address),
        words=address.words,
        sources=[source.name for source in all_sources(session)],
        examples=[] if address.is_search or address.has_filters else examples(shelf.cards),
        colors=COLORS,
    )


@router.get("/collage.png")
def collage(address: AddressDep, service: ServiceDep, session: SessionDep, pictures: QueryPicturesDep) -> Response:
    """Return what a page of the gallery shows as one picture, the query first."""
    shelf = fill(service, session, pictures, address.model_copy(update={"n": min(address.n, MOST_TILES)}))
    query = _query(service, session, pictures, address)
    title = " · ".join(_title(address, shelf))
    return collage_response(session, service.objects, query, tiles(shelf), title=title, headers={})


def _query(service: ServiceDep, session: Session, pictures: QueryPictures, address: Address) -> RGBAImage | str:
    if address.is_relation:
        return relation_query(service, session, pictures, address)
    if address.picture is not None:
        return pictures.read(address.picture)
    return address.q or " · ".join(chip.label for chip in chips(address)) or "Everything"


def _title(address: Address, shelf: Shelf) -> Iterator[str]:
    yield address.q or "Vitrine"
    if shelf.answer is not None:
        yield from (part.model.name for part in shelf.answer.parts.values() if part.model is not None)
    if shelf.unit:
        yield shelf.unit
    if shelf.no_good_match:
        yield "no good match"


@router.post("/pictures")
def bring_picture(
    picture: QueryPicture,
    pictures: QueryPicturesDep,
    q: Annotated[str, Form(max_length=MAX_WORDS)] = "",
    by: Annotated[Likeness, Form()] = Likeness.look,
) -> Response:
    """Keep a picture for a while, and show what is like it, and like the words beside it."""
    return RedirectResponse(Address(q=q, picture=pictures.keep(picture), by=by).href(), 303)


@router.get("/pictures/{digest}")
def brought_picture(digest: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")], pictures: QueryPicturesDep) -> Response:
    """Return a picture that was brought along, small."""
    small = Pillow.fromarray(pictures.read(digest))
    small.thumbnail((CHIP_PX, CHIP_PX))
    return Response(encode(np.asarray(small), PictureFormat.webp), media_type="image/webp", headers=KEPT_HEADERS)
