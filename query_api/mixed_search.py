"""From a search as a client writes it to the parts that lib.search asks, and back to an answer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from lib.arrays import FloatArray
from lib.embedding.language import language_supported
from lib.errors import NotComputedYet
from lib.models.registry import ModelSpec
from lib.search import combined
from lib.search.calibration import Judgement, Scale
from lib.search.combined import Found
from lib.search.parts import ColorPart, Part, Term, VectorPart
from lib.storage.embeddings import EmbeddingRole, embedding_of
from lib.storage.images import image_by_id, images_by_id
from lib.storage.tables import Image
from query_api.cursors import InvalidCursor, cursor_after, read_cursor
from query_api.schemas.images import ImageLinks
from query_api.schemas.mixed_searches import (
    ImageTerm,
    Likeness,
    MixedMatch,
    MixedSearch,
    MixedSearchAnswer,
    PartAsked,
    PartMatch,
    Space,
)
from query_api.schemas.searches import ModelName
from query_api.search_forms import AskedSearch
from query_api.service import Service

COSINE, DELTA_E = "cosine distance", "ΔE00"
MOST_SHOWN = 1_000_000
ROLES: dict[Likeness, EmbeddingRole] = {Likeness.meaning: "clip", Likeness.look: "resnet"}


@dataclass(frozen=True)
class Position:
    """Where a page begins: behind a (score, id), after so many that were shown, in the scales of the first page."""

    after: tuple[float, int] | None = None
    shown: int = 0
    scales: tuple[Scale, ...] = ()


@dataclass(frozen=True, eq=False)
class MixedPage:
    """A page of what was found, and what it was found by."""

    asked: MixedSearch
    parts: dict[Space, Part]
    start: Position
    found: Found
    unsupported_texts: list[int]

    @property
    def next(self) -> str | None:
        """The cursor of the page after."""
        if self.found.is_last:
            return None
        scales = [number for scale in self.found.scales for number in (scale.middle, scale.spread)]
        last = float(self.found.scores[-1]), int(self.found.ids[-1])
        return cursor_after(self.asked.digest(), self.start.shown + len(self.found.ids), *scales, *last)


def find(service: Service, session: Session, asked: AskedSearch) -> MixedPage:
    """Search. Raises ImageNotFound, NotComputedYet, MeaninglessQuery, InvalidCursor, and what missing models raise."""
    search = asked.search
    parts = _parts(service, session, asked)
    start = _position(search, len(parts))
    weights = [getattr(search.balance, space) for space in parts]
    found = combined.search(
        session, list(parts.values()), weights, k=search.limit, after=start.after, scales=start.scales
    )
    return MixedPage(search, parts, start, found, _unsupported(service, search))


def _unsupported(service: Service, search: MixedSearch) -> list[int]:
    if not search.text:
        return []
    languages = service.models.text_encoder().spec.languages
    return [index for index, term in enumerate(search.text) if not language_supported(term.text, languages)]


def _parts(service: Service, session: Session, asked: AskedSearch) -> dict[Space, Part]:
    """Return the parts that a search has."""
    search, wanted = asked.search, asked.search.image_filter()
    texts, pictures = _encoded_texts(service, search), _encoded_pictures(service, asked)
    parts: dict[Space, Part] = {}
    # What had to be encoded is, before the session is first used: no connection waits for a model.
    for likeness, role in ROLES.items():
        terms = list(texts) if likeness is Likeness.meaning else []
        images = [image for image in search.images if image.by is likeness and image.weight]
        if terms or images:
            spec = service.models.image_encoder(role).spec
            vectors = [pictures[image] if image in pictures else _stored(session, spec, image) for image in images]
            terms += [Term(vector, image.weight, False) for vector, image in zip(vectors, images, strict=True)]
            parts[Space(likeness)] = VectorPart(spec, terms, wanted)
    if search.colors:
        within = np.inf if search.tolerance is None else search.tolerance
        parts[Space.colors] = ColorPart(service.colors(session), search.color_query(), within=within, wanted=wanted)
    return parts


def _encoded_texts(service: Service, search: MixedSearch) -> list[Term]:
    terms = [term for term in search.text if term.weight]
    if not terms:
        return []
    rows = service.models.text_encoder().encode_texts([term.text for term in terms])
    return [Term(vector, term.weight, True) for vector, term in zip(rows, terms, strict=True)]


def _encoded_pictures(service: Service, asked: AskedSearch) -> dict[ImageTerm, FloatArray]:
    """Return the vectors of what was uploaded, each by the model of what it is compared by."""
    images = [image for image in asked.search.images if image.upload is not None and image.weight]
    return {
        image: service.models.image_encoder(ROLES[image.by]).encode_images([asked.uploads[image.upload or ""]])[0]
        for image in images
    }


def _stored(session: Session, spec: ModelSpec, image: ImageTerm) -> FloatArray:
    found = image_by_id(session, image.id or 0)
    vector = embedding_of(session, ROLES[image.by], found.id, spec_id=spec.spec_id)
    if vector is None:
        raise NotComputedYet(f"{spec.name} has not seen this image yet")
    return vector


def _position(search: MixedSearch, parts: int) -> Position:
    """Return where the page begins. Raises InvalidCursor."""
    if search.cursor is None:
        return Position()
    scaled = parts if parts > 1 else 0
    digest, shown, *numbers = read_cursor(search.cursor, 4 + 2 * scaled)
    if digest != search.digest():
        raise InvalidCursor("this cursor belongs to another search")
    *spread, score, image_id = numbers
    scales = tuple(Scale(middle, width) for middle, width in zip(spread[::2], spread[1::2], strict=True))
    sound = all(map(math.isfinite, numbers)) and all(scale.spread > 0 for scale in scales)
    if not sound or shown not in range(MOST_SHOWN):
        raise InvalidCursor("this cursor was not made by this server")
    return Position((float(score), int(image_id)), int(shown), scales)


def answer(session: Session, page: MixedPage) -> MixedSearchAnswer:
    """Return a page as JSON; an image that was cleared in this very moment is left out."""
    judgements = judge(session, page)
    total = sum(getattr(page.asked.balance, space) for space in page.parts)
    images = images_by_id(session, page.found.ids.tolist())
    results = [
        _match(images[image_id], page, row, judgements)
        for row, image_id in enumerate(page.found.ids.tolist())
        if image_id in images
    ]
    return MixedSearchAnswer(
        parts={
            space: _part_asked(part, judgements[space], getattr(page.asked.balance, space) / total)
            for space, part in page.parts.items()
        },
        exact=page.found.exact,
        search_recall=search_recall(session, page),
        language_unsupported=bool(page.unsupported_texts),
        unsupported_texts=page.unsupported_texts,
        no_good_match=no_good_match([result.weak for result in results]),
        results=results,
        next=page.next,
    )


def judge(session: Session, page: MixedPage) -> dict[Space, Judgement]:
    """Say what the distances of a page's images mean, by space."""
    return {
        space: part.judge(session, page.found.ids, page.found.distances[:, column])
        for column, (space, part) in enumerate(page.parts.items())
    }


def search_recall(session: Session, page: MixedPage) -> float | None:
    """Return the lowest measured recall of the indexes that answered; None where none did, or none was measured."""
    if page.found.exact:
        return None
    recalls = [part.recall(session, page.asked.limit) for part in page.parts.values() if isinstance(part, VectorPart)]
    return min((recall for recall in recalls if recall is not None), default=None)


def no_good_match(weak: Sequence[bool | None]) -> bool | None:
    """Say whether no result is good, given which are weak; None where that is unknown of some and no other is good.

    >>> no_good_match([True, True]), no_good_match([]), no_good_match([True, False]), no_good_match([True, None])
    (True, True, False, None)
    """
    if False in weak:
        return False
    return None if None in weak else True


def is_weak(judgements: Sequence[Judgement], row: int) -> bool | None:
    """Say whether an image is weak in one space at least."""
    verdicts = [judgement.weak[row] for judgement in judgements]
    if True in verdicts:
        return True
    return None if None in verdicts else False


def _part_asked(part: Part, judgement: Judgement, share: float) -> PartAsked:
    model = ModelName.of(part.spec) if isinstance(part, VectorPart) else None
    unit = COSINE if model else DELTA_E
    return PartAsked(model=model, unit=unit, basis=judgement.basis, share=round(share, 6))


def _match(image: Image, page: MixedPage, row: int, judgements: dict[Space, Judgement]) -> MixedMatch:
    parts = {
        space: _part_match(judgement, row, float(page.found.distances[row, column]))
        for column, (space, judgement) in enumerate(judgements.items())
    }
    weights = [getattr(page.asked.balance, space) for space in parts]
    relevances = [part.relevance for part in parts.values() if part.relevance is not None]
    known = len(relevances) == len(parts)
    return MixedMatch(
        rank=page.start.shown + row + 1,
        image_id=image.id,
        img_name=image.img_name,
        img_path=image.img_path,
        distance=round(float(page.found.scores[row]), 6),
        relevance=round(float(np.average(relevances, weights=weights)), 4) if known else None,
        weak=is_weak(list(judgements.values()), row),
        parts=parts,
        links=ImageLinks.of(image.id),
    )


def _part_match(judgement: Judgement, row: int, distance: float) -> PartMatch:
    relevance, terms = judgement.relevance, judgement.term_distances
    return PartMatch(
        distance=round(distance, 6),
        relevance=None if relevance is None else round(float(relevance[row]), 4),
        weak=judgement.weak[row],
        terms=None if terms is None else [round(float(term), 6) for term in terms[row]],
    )
