"""Search results as JSON: the rows behind the ids, ranked."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from lib.search.by_color import ColorMatch
from lib.search.by_vector import VectorAnswer
from lib.storage.images import images_by_id
from query_api.schemas.searches import ColorMatchOut, Match, ModelName, VectorSearchAnswer


def vector_answer(session: Session, found: VectorAnswer, *, language_unsupported: bool = False) -> VectorSearchAnswer:
    """Return the images behind a vector search; one that was cleared in this very moment is left out."""
    images = images_by_id(session, [neighbor.image_id for neighbor in found.neighbors])
    results = [
        Match.of(images[neighbor.image_id], rank=rank, distance=round(neighbor.distance, 6))
        for rank, neighbor in enumerate(found.neighbors, start=1)
        if neighbor.image_id in images
    ]
    return VectorSearchAnswer(
        model=ModelName.of(found.spec),
        exact=found.exact,
        language_unsupported=language_unsupported,
        results=results,
    )


def color_results(session: Session, matches: Sequence[ColorMatch], *, first_rank: int) -> list[ColorMatchOut]:
    """Return the images behind a page of colour matches; one that was cleared in this very moment is left out."""
    images = images_by_id(session, [match.image_id for match in matches])
    return [
        ColorMatchOut(
            **Match.of(images[match.image_id], rank=rank, distance=round(match.distance, 6)).model_dump(),
            of_subject=match.of_subject,
        )
        for rank, match in enumerate(matches, start=first_rank)
        if match.image_id in images
    ]
