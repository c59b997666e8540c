"""Search by vector: which images look like a picture, or are what some words say.

Belongs here: turning a query into a vector and asking for its neighbours under the same model. The SQL is in
lib.storage.embeddings.
"""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from lib.arrays import FloatArray, RGBAImage
from lib.embedding.encoder import ImageEncoder, TextEncoder
from lib.errors import NotComputedYet
from lib.models.registry import ModelSpec
from lib.search.index_recall import width_for
from lib.storage import measurements
from lib.storage.embeddings import EmbeddingRole, embedding_of, estimated_count
from lib.storage.neighbors import Neighbor, nearest

EXACT_UP_TO = 50_000  # images; an exact scan of 100,000 takes 86 ms, of half as many it is not felt


@dataclass(frozen=True)
class VectorAnswer:
    """Images nearest to a query, nearest first (ties by id), and the model whose distances these are.

    ``exact`` says that every image was compared; otherwise the index answered, which can miss a few.
    """

    spec: ModelSpec
    neighbors: list[Neighbor]
    exact: bool


def by_picture(
    session: Session, encoder: ImageEncoder, query: RGBAImage, *, k: int, exact_up_to: int = EXACT_UP_TO
) -> VectorAnswer:
    """Return the ``k`` live images nearest to a picture; one that is in the library itself comes first.

    The picture is encoded before the session is first used, so no connection waits for the model. A library of more
    than ``exact_up_to`` images is asked through its index.
    """
    return _answer(session, encoder.spec, encoder.encode_images([query])[0], k, exact_up_to)


def by_words(session: Session, encoder: TextEncoder, text: str, *, k: int) -> VectorAnswer:
    """Return the ``k`` live images nearest to what ``text`` says."""
    return _answer(session, encoder.spec, encoder.encode_texts([text])[0], k)


def by_image(session: Session, spec: ModelSpec, image_id: int, *, k: int) -> VectorAnswer:
    """Return the ``k`` live images nearest to a stored one, itself left out.

    Raises NotComputedYet where that image has no vector under this model.
    """
    vector = embedding_of(session, role_of(spec), image_id, spec_id=spec.spec_id)
    if vector is None:
        raise NotComputedYet(f"{spec.name} has not seen this image yet")
    found = _answer(session, spec, vector, k + 1)
    others = [neighbor for neighbor in found.neighbors if neighbor.image_id != image_id]
    return VectorAnswer(spec, others[:k], found.exact)


def _answer(
    session: Session, spec: ModelSpec, vector: FloatArray, k: int, exact_up_to: int = EXACT_UP_TO
) -> VectorAnswer:
    role = role_of(spec)
    exact = estimated_count(session, role, spec_id=spec.spec_id) <= exact_up_to
    width = None if exact else width_for(measurements.latest_recalls(session, spec.spec_id, "index"), k)
    neighbors = nearest(session, role, vector, spec_id=spec.spec_id, k=k, exact=exact, ef_search=width)
    return VectorAnswer(spec, neighbors, exact)


def role_of(spec: ModelSpec) -> EmbeddingRole:
    """Return which vectors a model makes. Raises ValueError where it makes none."""
    if spec.role not in ("resnet", "clip"):
        raise ValueError(f"{spec.name} makes no vectors")
    return spec.role
