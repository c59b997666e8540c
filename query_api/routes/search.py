"""Search: by a picture's look, by words, by colour. A collage by default, JSON for who asks for it."""

from bisect import bisect_right
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from lib.arrays import RGBAImage
from lib.embedding.language import language_supported
from lib.search import by_color, by_vector
from lib.search.by_color import ColorMatch
from query_api.answers import color_results, vector_answer
from query_api.collages import Shown, collage_response
from query_api.cursors import cursor_after, read_cursor
from query_api.dependencies import PageCursor, QueryPicture, QuerySubject, ServiceDep, SessionDep, WantsJson
from query_api.schemas.requests import TextQuery
from query_api.schemas.searches import ColorSearchAnswer, VectorSearchAnswer
from query_api.service import Service

router = APIRouter(prefix="/v1/search", tags=["search"])
LOOK_TILES, WORDS_TILES, COLOR_TILES = 24, 25, 24
PICTURE_OR_JSON: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}


class ColorMatching(StrEnum):
    """How colours are compared."""

    palette = "palette"
    layout = "layout"


DELTA_E, OFF_COMPLEMENT, PLACES_WITHOUT = "ΔE00", "hue off the complement, 1 is 180°", "share of places that differ"
LABELS: dict[str, Callable[[float], str]] = {
    DELTA_E: "{:.1f}".format,
    OFF_COMPLEMENT: lambda distance: f"{180 * distance:.0f}°",
    PLACES_WITHOUT: "{:.0%}".format,
}
Limit: TypeAlias = Annotated[int, Query(ge=1, le=200)]
Matching: TypeAlias = Annotated[
    ColorMatching, Query(description="`palette`: colours wherever they are. `layout`: place against place.")
]
ColorSearch: TypeAlias = Callable[[Session, RGBAImage], list[ColorMatch]]
SIMILAR: dict[ColorMatching, ColorSearch] = {
    ColorMatching.palette: by_color.similar_by_palette,
    ColorMatching.layout: by_color.similar_by_layout,
}
COMPLEMENTARY: dict[ColorMatching, ColorSearch] = {
    ColorMatching.palette: by_color.complementary_by_palette,
    ColorMatching.layout: by_color.complementary_by_layout,
}


@router.post("/look", response_model=VectorSearchAnswer, responses=PICTURE_OR_JSON)
def by_look(
    service: ServiceDep, session: SessionDep, as_json: WantsJson, picture: QueryPicture, limit: Limit = LOOK_TILES
) -> object:
    """Return the images that look most like the uploaded one, nearest first."""
    found = by_vector.by_picture(session, service.models.image_encoder("resnet"), picture, k=limit)
    if as_json:
        return vector_answer(session, found)
    shown = [Shown(neighbor.image_id, f"{neighbor.distance:.3f}") for neighbor in found.neighbors]
    return collage_response(
        session,
        service.objects,
        picture,
        shown,
        title=f"Similar look · {found.spec.name} · cosine distance",
        headers={"X-Vitrine-Model": found.spec.name},
    )


@router.post("/words", response_model=VectorSearchAnswer, responses=PICTURE_OR_JSON)
def by_words(
    body: TextQuery, service: ServiceDep, session: SessionDep, as_json: WantsJson, limit: Limit = WORDS_TILES
) -> object:
    """Return the images nearest to the words, nearest first; says so if the model does not know their language."""
    encoder = service.models.text_encoder()
    unsupported = not language_supported(body.text_query, encoder.spec.languages)
    found = by_vector.by_words(session, encoder, body.text_query, k=limit)
    if as_json:
        return vector_answer(session, found, language_unsupported=unsupported)
    note = " · it does not know this language" if unsupported else ""
    return collage_response(
        session,
        service.objects,
        body.text_query,
        [Shown(neighbor.image_id, f"{neighbor.distance:.3f}") for neighbor in found.neighbors],
        title=f"Words · {found.spec.name}{note} · cosine distance",
        headers={"X-Vitrine-Model": found.spec.name, "X-Vitrine-Language-Unsupported": str(unsupported).lower()},
    )


@router.post("/similar-colors", response_model=ColorSearchAnswer, responses=PICTURE_OR_JSON)
def similar_colors(
    service: ServiceDep,
    session: SessionDep,
    as_json: WantsJson,
    subject: QuerySubject,
    match: Matching = ColorMatching.palette,
    limit: Limit = COLOR_TILES,
    cursor: PageCursor = None,
) -> object:
    """Return the images of similar colours (CIELAB, CIEDE2000), nearest first; transparent pixels never count."""
    found = SIMILAR[match](session, subject)
    answer = ColorSearchAnswer(relation="similar", match=match, unit=DELTA_E, total=len(found), results=[], next=None)
    page = _page(found, cursor, limit)
    return _color_answer(service, session, subject, answer, found, page, as_json=as_json)


@router.post("/complementary-colors", response_model=ColorSearchAnswer, responses=PICTURE_OR_JSON)
def complementary_colors(
    service: ServiceDep,
    session: SessionDep,
    as_json: WantsJson,
    subject: QuerySubject,
    match: Matching = ColorMatching.palette,
    limit: Limit = COLOR_TILES,
    cursor: PageCursor = None,
) -> object:
    """Return the images whose hues are complementary in HSV, nearest first; transparent pixels never count."""
    found = COMPLEMENTARY[match](session, subject)
    answer = ColorSearchAnswer(
        relation="complementary",
        match=match,
        unit=OFF_COMPLEMENT if match is ColorMatching.palette else PLACES_WITHOUT,
        query_has_no_hue=by_color.has_no_hue(subject),
        total=len(found),
        results=[],
        next=None,
    )
    page = _page(found, cursor, limit)
    return _color_answer(service, session, subject, answer, found, page, as_json=as_json)


def _page(found: list[ColorMatch], cursor: str | None, limit: int) -> slice:
    """Return where a page lies: behind the (distance, id) that the cursor names."""
    if cursor is None:
        return slice(0, limit)
    distance, image_id = read_cursor(cursor, 2)
    start = bisect_right(found, (distance, image_id), key=lambda match: (match.distance, match.image_id))
    return slice(start, start + limit)


def _color_answer(
    service: Service,
    session: Session,
    subject: RGBAImage,
    answer: ColorSearchAnswer,
    found: list[ColorMatch],
    page: slice,
    *,
    as_json: bool,
) -> object:
    matches = found[page]
    if as_json:
        answer.results = color_results(session, matches, first_rank=page.start + 1)
        if matches and page.stop < len(found):
            answer.next = cursor_after(matches[-1].distance, matches[-1].image_id)
        return answer
    note = " · the query has no colour" if answer.query_has_no_hue else ""
    return collage_response(
        session,
        service.objects,
        subject,
        [Shown(match.image_id, LABELS[answer.unit](match.distance), as_cutout=match.of_subject) for match in matches],
        title=f"{answer.relation.capitalize()} colours by {answer.match}{note} · {answer.unit}",
        headers={"X-Vitrine-Total": str(answer.total)},
    )
