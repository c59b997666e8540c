"""Groups of images that are, or may be, copies of one picture, at three levels.

``bytes``: one file under several addresses. ``hash``: re-encoded or resized copies, by their perceptual hashes.
``look``: shots of the same thing, by the vectors of the visual model.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sqlalchemy.orm import Session

from lib.errors import NotComputedYet
from lib.images.near_hashes import Hashes, Pairs, near_pairs
from lib.models.registry import ModelSpec
from lib.search.by_vector import by_image
from lib.storage.duplicates import different_pairs, live_hashes, live_ids_before

NEIGHBORS = 12
LOOKED_AT = 100  # images a page of the level `look`, each a search of a millisecond or two


@dataclass(frozen=True)
class DuplicateGroup:
    """Images that may be one picture, newest first; ``distance`` is the largest between two that were linked."""

    image_ids: Sequence[int]
    distance: float


@dataclass(frozen=True)
class DuplicatePage:
    """Some groups, by their newest image, newest first. ``next_id`` is where the next page begins, None at the end."""

    groups: Sequence[DuplicateGroup]
    next_id: int | None


def by_hash(session: Session, *, bits: int, after_id: int | None, limit: int) -> DuplicatePage:
    """Return groups of images whose hashes are linked by steps of at most ``bits`` differing bits of 64."""
    ids, hashes = live_hashes(session)
    groups = hash_groups(ids, hashes, bits, different_pairs(session))
    rest = [group for group in groups if after_id is None or group.image_ids[0] < after_id]
    more = len(rest) > limit
    return DuplicatePage(rest[:limit], rest[limit - 1].image_ids[0] if more else None)


def hash_groups(
    ids: np.ndarray[tuple[int], np.dtype[np.int64]], hashes: Hashes, bits: int, different: Collection[tuple[int, int]]
) -> list[DuplicateGroup]:
    """Return the groups among images of ascending ``ids``, (N,), leaving out links that are in ``different``."""
    pairs, distances = near_pairs(hashes, bits)
    if different:
        linked = np.array([(int(ids[a]), int(ids[b])) not in different for a, b in pairs], dtype=bool)
        pairs, distances = pairs[linked], distances[linked]
    if not len(pairs):
        return []
    label = _components(pairs, len(ids))
    farthest = np.zeros(label.max() + 1, np.uint8)
    np.maximum.at(farthest, label[pairs[:, 0]], distances)
    members: dict[int, list[int]] = {}
    for position in np.unique(pairs)[::-1]:
        members.setdefault(int(label[position]), []).append(int(ids[position]))
    return [DuplicateGroup(group, float(farthest[key])) for key, group in members.items()]


def _components(pairs: Pairs, count: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    label: np.ndarray[tuple[int], np.dtype[np.int32]] = connected_components(links, directed=False)[1]
    return label


def by_look(session: Session, spec: ModelSpec, *, within: float, after_id: int | None, limit: int) -> DuplicatePage:
    """Return groups of an image and the older ones within that cosine distance of it.

    A page looks at a bounded number of images, so it may have fewer groups than ``limit``, or none, and still not be
    the last one.
    """
    different = different_pairs(session)
    looked_at = live_ids_before(session, after_id=after_id, limit=LOOKED_AT)
    groups: list[DuplicateGroup] = []
    for image_id in looked_at:
        group = _near(session, spec, image_id, within, different)
        if group is not None:
            groups.append(group)
        if len(groups) == limit:
            return DuplicatePage(groups, image_id)
    return DuplicatePage(groups, looked_at[-1] if len(looked_at) == LOOKED_AT else None)


def _near(
    session: Session, spec: ModelSpec, image_id: int, within: float, different: Collection[tuple[int, int]]
) -> DuplicateGroup | None:
    try:
        found = by_image(session, spec, image_id, k=NEIGHBORS).neighbors
    except NotComputedYet:
        return None
    older = [
        neighbor
        for neighbor in found
        if neighbor.distance <= within
        and neighbor.image_id < image_id
        and (neighbor.image_id, image_id) not in different
    ]
    if not older:
        return None
    return DuplicateGroup([image_id, *(neighbor.image_id for neighbor in older)], older[-1].distance)
