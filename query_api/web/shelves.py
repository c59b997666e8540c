"""What stands on a page of the gallery: pictures as cards, in order, with how they were found.

Belongs here: running what an address asks for. Reading addresses is in address.py, drawing pages in templates/.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sqlalchemy.orm import Session

from lib.arrays import FloatArray, RGBAImage
from lib.color.harmony import Harmony
from lib.color.ranking import Window
from lib.color.spaces import srgb_from_lab
from lib.errors import MeaninglessQuery
from lib.search import by_color
from lib.search.by_color import ColorMatch, ColorPage
from lib.storage.features import active_cutouts, color_columns, colors_of
from lib.storage.image_orders import ImageOrder, captions_of, ordered_images
from lib.storage.images import count_images, image_by_id, images_by_id
from lib.storage.tables import Image
from query_api.collages import Shown
from query_api.cursors import cursor_after, read_cursor
from query_api.cutouts import compared_picture
from query_api.mixed_search import answer, find
from query_api.routes.search import DELTA_E, LABELS, OFF_HARMONY, PLACES_WITHOUT
from query_api.schemas.mixed_searches import MixedMatch, MixedSearchAnswer, Space
from query_api.search_forms import AskedSearch
from query_api.service import Service
from query_api.web.address import PICTURE, Address
from query_api.web.query_pictures import QueryPictures

# Beyond these a picture is shown smaller within its frame: a panorama would be a thread, a scroll a column.
NARROWEST, WIDEST = 0.45, 3.2
TINY_PX = 160
DISTANCES: Mapping[Space, str] = {
    Space.meaning: "meaning {:.3f}",
    Space.look: "look {:.3f}",
    Space.colors: "colours ΔE {:.1f}",
}


@dataclass(frozen=True)
class Finding:
    """How an image was found: the distance for people, its relevance in [0, 1] if known, whether it is weak."""

    distance: str = ""
    relevance: float | None = None
    weak: bool = False


@dataclass(frozen=True)
class Swatch:
    """One colour of a palette and its share of the picture."""

    hex: str
    weight: float


@dataclass(frozen=True)
class Card:
    """A picture in the grid."""

    image: Image
    caption: str
    palette: Sequence[Swatch]
    has_cutout: bool
    finding: Finding = Finding()
    begins_weak: bool = False  # the first one that is weak, behind others that are not

    @property
    def is_tiny(self) -> bool:
        """Whether it would only blur if it filled its frame."""
        return max(self.image.width_px, self.image.height_px) < TINY_PX

    @property
    def fills_frame(self) -> bool:
        """Whether nothing of its frame is left around it; what is left is no colour of the picture's."""
        return not self.is_tiny and NARROWEST <= self.image.width_px / self.image.height_px <= WIDEST

    @property
    def ratio(self) -> float:
        """Width by height of its frame."""
        return round(min(max(self.image.width_px / self.image.height_px, NARROWEST), WIDEST), 3)


@dataclass(frozen=True)
class Shelf:
    """A page of cards, and what is to be said of all of them."""

    cards: Sequence[Card]
    next: str | None
    total: int | None = None
    answer: MixedSearchAnswer | None = None
    unit: str = ""
    query_has_no_hue: bool = False

    @property
    def no_good_match(self) -> bool:
        """Whether nothing on it fits."""
        return self.answer is not None and self.answer.no_good_match is True


def fill(service: Service, session: Session, pictures: QueryPictures, address: Address) -> Shelf:
    """Return what an address shows. Raises what searches raise."""
    if address.is_relation:
        return _related(service, session, pictures, address)
    if address.is_search:
        return _found(service, session, pictures, address)
    return _everything(session, address)


def _everything(session: Session, address: Address) -> Shelf:
    order, wanted = ImageOrder(address.sort), address.image_filter()
    length = 2 if order is ImageOrder.largest else 1
    after = None if address.cursor is None else [int(part) for part in read_cursor(address.cursor, length)]
    images = ordered_images(session, order, after=after, limit=address.n + 1, wanted=wanted)
    shown = images[: address.n]
    return Shelf(
        cards=cards_of(session, shown, {}),
        next=cursor_after(*order.key(shown[-1])) if len(images) > address.n else None,
        total=count_images(session, wanted),
    )


def _found(service: Service, session: Session, pictures: QueryPictures, address: Address) -> Shelf:
    found = answer(session, find(service, session, asked_search(session, pictures, address)))
    findings = {match.image_id: _finding(match) for match in found.results if match.image_id != address.colors}
    images = images_by_id(session, list(findings))
    ordered = [images[image_id] for image_id in findings if image_id in images]
    return Shelf(cards_of(session, ordered, findings), found.next, answer=found)


def asked_search(session: Session, pictures: QueryPictures, address: Address) -> AskedSearch:
    """Return the search of an address, with the picture that was brought along."""
    uploads = {PICTURE: pictures.read(address.picture)} if address.picture else {}
    return AskedSearch(address.search(_palette(session, address.colors)), uploads)


def _palette(session: Session, image_id: int | None) -> list[tuple[FloatArray, float]]:
    """Return the colours and weights of an image's palette. Raises ImageNotFound, MeaninglessQuery."""
    if image_id is None:
        return []
    colors = colors_of(session, image_by_id(session, image_id).id)
    if colors is None or not len(colors.palette_weights):
        raise MeaninglessQuery("the colours of this image are not known yet, or it has none: run `derive`")
    return [(lab, float(weight)) for lab, weight in zip(colors.palette_lab, colors.palette_weights, strict=True)]


def _finding(match: MixedMatch) -> Finding:
    distance = " · ".join(DISTANCES[space].format(part.distance) for space, part in match.parts.items())
    return Finding(distance, match.relevance, bool(match.weak))


def _related(service: Service, session: Session, pictures: QueryPictures, address: Address) -> Shelf:
    query = relation_query(service, session, pictures, address)
    page, unit = _related_page(service, session, query, address)
    images = images_by_id(session, [match.image_id for match in page.matches])
    findings = {match.image_id: Finding(distance=LABELS[unit](match.distance)) for match in page.matches}
    shown = [
        images[match.image_id] for match in page.matches if match.image_id in images and match.image_id != address.of
    ]
    return Shelf(
        cards=cards_of(session, shown, findings),
        next=_after(page.matches) if page.matches and not page.is_last else None,
        total=page.total,
        unit=unit,
        query_has_no_hue=address.relation != "similar" and by_color.has_no_hue(query, address.wheel),
    )


def _after(matches: Sequence[ColorMatch]) -> str:
    return cursor_after(matches[-1].distance, matches[-1].image_id)


def relation_query(service: Service, session: Session, pictures: QueryPictures, address: Address) -> RGBAImage:
    """Return the picture whose colours are asked about: the cut-out of an image where there is one."""
    if address.of is None:
        return pictures.read(address.picture or "")
    image = image_by_id(session, address.of)
    return compared_picture(service.objects, image, active_cutouts(session, [image.id]).get(image.id))


def _related_page(service: Service, session: Session, query: RGBAImage, address: Address) -> tuple[ColorPage, str]:
    by_layout = address.match == "layout"
    colors = service.colors(session, layouts=by_layout)
    distance, image_id = (0.0, 0) if address.cursor is None else read_cursor(address.cursor, 2)
    window = Window(address.n, None if address.cursor is None else (float(distance), int(image_id)))
    if address.relation == "similar":
        if by_layout:
            return by_color.similar_by_layout(colors, query, window), DELTA_E
        return by_color.similar_by_palette(colors, by_color.picture_query(query), window), DELTA_E
    harmony = Harmony(address.relation or Harmony.complementary)
    if by_layout:
        return by_color.harmonious_by_layout(colors, query, window, harmony, address.wheel), PLACES_WITHOUT
    return by_color.harmonious_by_palette(colors, query, window, harmony, address.wheel), OFF_HARMONY


def cards_of(session: Session, images: Sequence[Image], findings: Mapping[int, Finding]) -> list[Card]:
    """Return the cards of images in their order; asks the database three times, however many there are."""
    ids = [image.id for image in images]
    captions, cutouts, palettes = captions_of(session, ids), active_cutouts(session, ids), palettes_of(session, ids)
    found = [findings.get(image_id, Finding()) for image_id in ids]
    return [
        Card(
            image=image,
            caption=captions.get(image.id, ""),
            palette=palettes.get(image.id, ()),
            has_cutout=image.id in cutouts,
            finding=finding,
            begins_weak=position == _first_weak(found),
        )
        for position, (image, finding) in enumerate(zip(images, found, strict=True))
    ]


def _first_weak(found: Sequence[Finding]) -> int | None:
    """Return where the first weak match stands behind a good one."""
    steps = enumerate(pairwise(found), start=1)
    return next((position for position, (before, after) in steps if after.weak and not before.weak), None)


def palettes_of(session: Session, image_ids: Sequence[int]) -> dict[int, Sequence[Swatch]]:
    """Return the palettes of those of these images whose colours are known, heaviest colour first."""
    columns = color_columns(session, image_ids)
    codes = np.rint(255 * np.clip(srgb_from_lab(columns.lab), 0, 1)).astype(int)
    return {
        int(image_id): list(_swatches(colors, weights))
        for image_id, colors, weights in zip(columns.ids, codes, columns.weights, strict=True)
    }


def _swatches(codes: FloatArray, weights: FloatArray) -> Iterator[Swatch]:
    for red, green, blue, weight in np.column_stack([codes, weights]):
        if weight > 0:
            yield Swatch(f"#{int(red):02x}{int(green):02x}{int(blue):02x}", float(weight))


def tiles(shelf: Shelf) -> list[Shown]:
    """Return the tiles of a shelf's collage."""
    return [
        Shown(card.image.id, f"{card.finding.distance or card.image.img_name}{' · weak' if card.finding.weak else ''}")
        for card in shelf.cards
    ]
