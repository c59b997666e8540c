"""Search: by a picture's look, by words, by colour. A collage by default, JSON for who asks for it."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

import numpy as np
from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError
from sqlalchemy.orm import Session

from lib.arrays import RGBAImage
from lib.color.harmony import TOLERANCE, Harmony
from lib.color.palette_index import ColorQuery
from lib.color.ranking import Window
from lib.color.spaces import srgb_from_lab
from lib.color.wheels import Wheel
from lib.embedding.language import language_supported
from lib.search import by_color, by_vector
from lib.search.by_color import ColorPage
from query_api.answers import color_results, vector_answer
from query_api.collages import Shown, collage_response
from query_api.cursors import cursor_after, read_cursor
from query_api.dependencies import PageCursor, QueryPicture, QuerySubject, ServiceDep, SessionDep, WantsJson
from query_api.schemas.color_queries import MOST_TOLERANCE_DELTA_E, ColorMatchKind, ColorSearch
from query_api.schemas.requests import TextQuery
from query_api.schemas.searches import ColorSearchAnswer, VectorSearchAnswer
from query_api.service import Service

router = APIRouter(prefix="/v1/search", tags=["search"])
LOOK_TILES, WORDS_TILES, COLOR_TILES = 24, 25, 24
SWATCH_PX = 240
PICTURE_OR_JSON: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}


class ColorMatching(StrEnum):
    """How colours are compared."""

    palette = "palette"
    layout = "layout"


DELTA_E, OFF_HARMONY, PLACES_WITHOUT = "ΔE00", "hue off the harmony, 1 is 180°", "share of places that differ"
LABELS: dict[str, Callable[[float], str]] = {
    DELTA_E: "{:.1f}".format,
    OFF_HARMONY: lambda distance: f"{180 * distance:.0f}°",
    PLACES_WITHOUT: "{:.0%}".format,
}
Limit: TypeAlias = Annotated[int, Query(ge=1, le=200)]
Matching: TypeAlias = Annotated[
    ColorMatching, Query(description="`palette`: colours wherever they are. `layout`: place against place.")
]
DeltaE: TypeAlias = Annotated[
    float | None,
    Query(gt=0, le=MOST_TOLERANCE_DELTA_E, allow_inf_nan=False, description="Only up to this distance, in ΔE00."),
]
Degrees: TypeAlias = Annotated[
    float | None,
    Query(
        gt=0,
        le=180,
        allow_inf_nan=False,
        description="Degrees of hue that still match: on average (`palette`), or at one place (`layout`).",
    ),
]


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
    tolerance: DeltaE = None,
    limit: Limit = COLOR_TILES,
    cursor: PageCursor = None,
) -> object:
    """Return the images of similar colours (CIELAB, CIEDE2000), nearest first; transparent pixels never count."""
    window = _window(limit, cursor, tolerance)
    by_color.require_visible(subject)
    if match is ColorMatching.palette:
        page = by_color.similar_by_palette(service.colors(session), by_color.picture_query(subject), window)
    else:
        page = by_color.similar_by_layout(service.colors(session, layouts=True), subject, window)
    answer = ColorSearchAnswer(
        relation="similar", match=match, unit=DELTA_E, tolerance=tolerance, total=page.total, results=[], next=None
    )
    return _color_answer(service, session, subject, answer, page, as_json=as_json)


@router.post("/complementary-colors", response_model=ColorSearchAnswer, responses=PICTURE_OR_JSON)
def complementary_colors(
    service: ServiceDep,
    session: SessionDep,
    as_json: WantsJson,
    subject: QuerySubject,
    match: Matching = ColorMatching.palette,
    harmony: Annotated[Harmony, Query(description="How hues go together.")] = Harmony.complementary,
    wheel: Annotated[
        Wheel, Query(description="`hsv`: of screens. `ryb`: of paint. `oklch`: of perception, for `palette` only.")
    ] = Wheel.hsv,
    tolerance: Degrees = None,
    limit: Limit = COLOR_TILES,
    cursor: PageCursor = None,
) -> object:
    """Return the images whose hues are complementary in HSV, or in another harmony or circle, nearest first.

    Transparent pixels never count, grey ones have no hue; a grey query matches nothing, and the answer says so.
    """
    if match is ColorMatching.layout and wheel is Wheel.oklch:
        raise RequestValidationError(
            [{"loc": ("query", "wheel"), "msg": "wheel=oklch goes with match=palette", "type": "value_error"}]
        )
    by_color.require_visible(subject)
    by_palette = match is ColorMatching.palette
    search = by_color.harmonious_by_palette if by_palette else by_color.harmonious_by_layout
    colors = service.colors(session, layouts=not by_palette)
    page = search(colors, subject, _window(limit, cursor), harmony, wheel, tolerance)
    answer = ColorSearchAnswer(
        relation=harmony,
        match=match,
        unit=OFF_HARMONY if by_palette else PLACES_WITHOUT,
        wheel=wheel,
        tolerance=TOLERANCE[harmony] if tolerance is None else tolerance,
        query_has_no_hue=by_color.has_no_hue(subject, wheel),
        total=page.total,
        results=[],
        next=None,
    )
    return _color_answer(service, session, subject, answer, page, as_json=as_json)


@router.post("/colors", response_model=ColorSearchAnswer, responses=PICTURE_OR_JSON)
def wanted_colors(
    body: ColorSearch,
    service: ServiceDep,
    session: SessionDep,
    as_json: WantsJson,
    limit: Limit = COLOR_TILES,
    cursor: PageCursor = None,
) -> object:
    """Return the images nearest to some colours in some proportions, without a picture to ask by."""
    query, window, colors = body.query(), _window(limit, cursor, body.tolerance), service.colors(session)
    if body.match is ColorMatchKind.main:
        page = by_color.similar_main_color(colors, query.lab[0], window)
    else:
        page = by_color.similar_by_palette(colors, query, window)
    answer = ColorSearchAnswer(
        relation="similar",
        match=body.match,
        unit=DELTA_E,
        tolerance=body.tolerance,
        total=page.total,
        results=[],
        next=None,
    )
    return _color_answer(service, session, swatches(query), answer, page, as_json=as_json)


def swatches(query: ColorQuery) -> RGBAImage:
    """Return a picture of wanted colours, side by side by weight; where anything may be, it is transparent."""
    shares = np.append(np.asarray(query.weights) * (1 - query.anything), query.anything)
    rgb = np.rint(255 * srgb_from_lab(query.lab)).astype(np.uint8)
    colors = np.concatenate([np.column_stack([rgb, np.full(len(rgb), 255)]), np.zeros((1, 4))]).astype(np.uint8)
    stripes = colors[np.searchsorted(np.cumsum(shares)[:-1], (np.arange(SWATCH_PX) + 0.5) / SWATCH_PX)]
    return np.broadcast_to(stripes, (SWATCH_PX, SWATCH_PX, 4)).copy()


def _window(limit: int, cursor: str | None, within: float | None = None) -> Window:
    """Return the stretch wanted: behind the (distance, id) that the cursor names."""
    reach = np.inf if within is None else within
    if cursor is None:
        return Window(limit, within=reach)
    distance, image_id = read_cursor(cursor, 2)
    return Window(limit, (float(distance), int(image_id)), reach)


def _color_answer(
    service: Service,
    session: Session,
    query: RGBAImage,
    answer: ColorSearchAnswer,
    page: ColorPage,
    *,
    as_json: bool,
) -> object:
    if as_json:
        answer.results = color_results(session, page.matches, first_rank=page.before + 1)
        if page.matches and not page.is_last:
            answer.next = cursor_after(page.matches[-1].distance, page.matches[-1].image_id)
        return answer
    note = " · the query has no colour" if answer.query_has_no_hue else ""
    label = LABELS[answer.unit]
    return collage_response(
        session,
        service.objects,
        query,
        [Shown(match.image_id, label(match.distance), as_cutout=match.of_subject) for match in page.matches],
        title=f"{answer.relation.capitalize()} colours by {answer.match}{note} · {answer.unit}",
        headers={"X-Vitrine-Total": str(answer.total)},
    )
