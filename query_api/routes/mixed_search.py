"""One search for everything: words, pictures and colours in any mix, wanted or not, among images that filters leave."""

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from sqlalchemy.orm import Session

from lib.arrays import RGBAImage
from lib.search.parts import VectorPart
from lib.storage.images import image_by_id
from query_api.collages import Shown, collage_response
from query_api.cutouts import compared_picture
from query_api.dependencies import ServiceDep, SessionDep, WantsJson
from query_api.mixed_search import MixedPage, answer, find, is_weak, judge, no_good_match, search_recall
from query_api.routes.search import swatches
from query_api.schemas.mixed_searches import EXAMPLE_ANSWER, MixedSearch, MixedSearchAnswer, Space
from query_api.search_forms import AskedSearch, AskedSearchDep, request_body
from query_api.service import Service

router = APIRouter(prefix="/v1/search", tags=["search"])
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"example": EXAMPLE_ANSWER}, "image/png": {}}}
}


@router.post("", response_model=MixedSearchAnswer, responses=ANSWERS, openapi_extra={"requestBody": request_body()})
def search(service: ServiceDep, session: SessionDep, as_json: WantsJson, asked: AskedSearchDep) -> object:
    """Return the images that match a mix of words, pictures and colours, best first; images named in it are left out.

    Within one space (`meaning`: words, and pictures by meaning; `look`) the terms are added by weight into one
    direction. Several spaces are joined by the mean of their distances, each in the scale that it has in this library.
    """
    page = find(service, session, asked)
    return answer(session, page) if as_json else _sheet(service, session, asked, page)


def _sheet(service: Service, session: Session, asked: AskedSearch, page: MixedPage) -> Response:
    """Return a page as a collage; a match that is weak says so."""
    judgements = list(judge(session, page).values())
    weak = [is_weak(judgements, row) for row in range(len(page.found.ids))]
    recall = search_recall(session, page)
    shown = [
        Shown(int(image_id), f"{_distance(page, float(score))}{' · weak' if is_weak_ else ''}")
        for image_id, score, is_weak_ in zip(page.found.ids, page.found.scores, weak, strict=True)
    ]
    headers = {
        "X-Vitrine-Model": ", ".join(_models(page)),
        "X-Vitrine-Language-Unsupported": str(bool(page.unsupported_texts)).lower(),
        "X-Search-Recall": "exact" if page.found.exact else "unknown" if recall is None else f"{recall:.3f}",
    }
    headers |= {} if page.next is None else {"X-Vitrine-Next": page.next}
    query = _query_picture(service, session, asked)
    title = _title(page, good=not no_good_match(weak))
    return collage_response(session, service.objects, query, shown, title=title, headers=headers)


def _distance(page: MixedPage, score: float) -> str:
    if len(page.parts) > 1:
        return f"{score:+.2f}"
    return f"{score:.1f}" if Space.colors in page.parts else f"{score:.3f}"


def _title(page: MixedPage, *, good: bool) -> str:
    notes = " · it does not know this language" if page.unsupported_texts else ""
    notes += "" if good else " · no good match"
    unit = "mean distance, in spreads" if len(page.parts) > 1 else "distance"
    return " · ".join([f"Search by {', '.join(page.parts)}", *_models(page), unit]) + notes


def _models(page: MixedPage) -> list[str]:
    return [part.spec.name for part in page.parts.values() if isinstance(part, VectorPart)]


def _query_picture(service: Service, session: Session, asked: AskedSearch) -> RGBAImage | str:
    """Return what stands first in a collage: the one picture or the colours that were asked by, else words."""
    search = asked.search
    if search.colors and not search.text and not search.images:
        return swatches(search.color_query())
    if len(search.images) == 1 and not search.text and not search.colors:
        (image,) = search.images
        if image.upload is not None:
            return asked.uploads[image.upload]
        return compared_picture(service.objects, image_by_id(session, image.id or 0), None)
    return " · ".join(_words(search))


def _words(search: MixedSearch) -> Iterator[str]:
    for term in search.text:
        yield term.text if term.weight > 0 else f"not {term.text}"
    for image in search.images:
        name = f"image {image.id}" if image.id else f"the picture {image.upload}"
        yield f"{'like' if image.weight > 0 else 'not like'} {name}"
    for color in search.colors:
        yield color.hex or "L* {:.0f} a* {:.0f} b* {:.0f}".format(*color.coordinates())
