"""Searches: by words, by picture, by colour, by any mix of them."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict, Unpack

from ..models import (
    Balance,
    ColorMatching,
    ColorSearch,
    ColorSearchAnswer,
    CutoutOption,
    Filters,
    Harmony,
    ImageTerm,
    MixedMatch,
    MixedSearch,
    MixedSearchAnswer,
    TextQuery,
    TextTerm,
    VectorSearchAnswer,
    WantedColor,
    Wheel,
)
from ..operations import AnyConnection, Group, file_operation, list_operation, operation
from ..requests import JSON, PNG, PagedRequest, Request, answer
from ..uploads import Picture, part


class MixedQuery(TypedDict, total=False):
    """What ``by`` takes, beside a cursor."""

    text: str | Sequence[str | TextTerm]
    images: Sequence[int | ImageTerm]
    uploads: Mapping[str, Picture]
    colors: Sequence[str | WantedColor]
    tolerance: float | None
    anything_else: float
    balance: Balance | None
    filters: Filters | None
    limit: int


class Search(Group[AnyConnection]):
    """By words, by picture, by colour."""

    @operation("search_search")
    def by(
        self,
        text: str | Sequence[str | TextTerm] = (),
        *,
        images: Sequence[int | ImageTerm] = (),
        uploads: Mapping[str, Picture] | None = None,
        colors: Sequence[str | WantedColor] = (),
        tolerance: float | None = None,
        anything_else: float = 0.0,
        balance: Balance | None = None,
        filters: Filters | None = None,
        limit: int = 24,
        cursor: str | None = None,
    ) -> Request[MixedSearchAnswer]:
        """Return a page of the images that match a mix of words, pictures and colours, best first.

        ``images`` are ids, or terms with a weight. ``uploads`` are pictures of your own by a name; a term of
        ``images`` that names one gives it a weight, without one it counts 1. ``colors`` are hex codes, or terms.
        A negative weight wants less of something. ``cursor`` is the ``next`` of the page before.
        """
        return _mixed(
            cursor,
            text=text,
            images=images,
            uploads=uploads or {},
            colors=colors,
            tolerance=tolerance,
            anything_else=anything_else,
            balance=balance,
            filters=filters,
            limit=limit,
        )

    @list_operation()
    def all(self, **query: Unpack[MixedQuery]) -> PagedRequest[MixedSearchAnswer, MixedMatch]:
        """List all that ``by`` finds, best first; ``limit`` is how many are fetched at a time."""
        return PagedRequest(lambda cursor: _mixed(cursor, **query), lambda page: page.results, lambda page: page.next)

    @file_operation()
    def collage(self, **query: Unpack[MixedQuery]) -> Request[bytes]:
        """Return what ``by`` finds as one picture, a PNG: what was asked first, then the images by rank."""
        asked = _mixed(None, **query)
        return Request(
            asked.method, asked.path, bytes, body=asked.body, fields=asked.fields, files=asked.files,
            headers=PNG, harmless_twice=True,
        )  # fmt: skip

    @operation("search_by_look")
    def by_look(self, image: Picture, *, limit: int | None = None) -> Request[VectorSearchAnswer]:
        """Return the images that look most like a picture of yours, nearest first."""
        return Request(
            "POST", "/v1/search/look", answer(VectorSearchAnswer), {"limit": limit},
            files={"image": part(image)}, headers=JSON, harmless_twice=True,
        )  # fmt: skip

    @operation("search_by_words")
    def by_words(self, text_query: str, *, limit: int | None = None) -> Request[VectorSearchAnswer]:
        """Return the images nearest to the words, nearest first; says so if the model does not know their language."""
        return Request(
            "POST", "/v1/search/words", answer(VectorSearchAnswer), {"limit": limit},
            body=TextQuery(text_query=text_query), headers=JSON, harmless_twice=True,
        )  # fmt: skip

    @operation("search_similar_colors")
    def similar_colors(
        self,
        image: Picture,
        *,
        match: ColorMatching | None = None,
        tolerance: float | None = None,
        cutout: CutoutOption | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Request[ColorSearchAnswer]:
        """Return a page of the images whose colours are like those of a picture of yours, nearest first.

        ``tolerance`` is in ΔE00; ``cutout="auto"`` removes an opaque picture's background first.
        """
        query = {"match": match, "tolerance": tolerance, "cutout": cutout, "limit": limit, "cursor": cursor}
        return Request(
            "POST", "/v1/search/similar-colors", answer(ColorSearchAnswer), query,
            files={"image": part(image)}, headers=JSON, harmless_twice=True,
        )  # fmt: skip

    @operation("search_complementary_colors")
    def complementary_colors(
        self,
        image: Picture,
        *,
        harmony: Harmony | None = None,
        wheel: Wheel | None = None,
        match: ColorMatching | None = None,
        tolerance: float | None = None,
        cutout: CutoutOption | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Request[ColorSearchAnswer]:
        """Return a page of the images whose hues go with those of a picture of yours, nearest first.

        ``tolerance`` is in degrees of hue. A grey picture matches nothing, and the answer says so.
        """
        query = {
            "harmony": harmony, "wheel": wheel, "match": match, "tolerance": tolerance, "cutout": cutout,
            "limit": limit, "cursor": cursor,
        }  # fmt: skip
        return Request(
            "POST", "/v1/search/complementary-colors", answer(ColorSearchAnswer), query,
            files={"image": part(image)}, headers=JSON, harmless_twice=True,
        )  # fmt: skip

    @operation("search_wanted_colors")
    def wanted_colors(
        self,
        colors: Sequence[str | WantedColor],
        *,
        anything_else: float = 0.0,
        tolerance: float | None = None,
        match: Literal["palette", "main"] = "palette",
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Request[ColorSearchAnswer]:
        """Return a page of the images nearest to some colours in some proportions, nearest first.

        ``anything_else`` is the share of the picture that may have any colours; ``tolerance`` is in ΔE00.
        """
        body = ColorSearch(colors=_wanted(colors), anything_else=anything_else, tolerance=tolerance, match=match)
        return Request(
            "POST", "/v1/search/colors", answer(ColorSearchAnswer), {"limit": limit, "cursor": cursor},
            body=body, headers=JSON, harmless_twice=True,
        )  # fmt: skip


def _mixed(cursor: str | None, **query: Unpack[MixedQuery]) -> Request[MixedSearchAnswer]:
    """Return a search as JSON, or, if pictures come with it, as a form with the same JSON in it."""
    uploads = query.get("uploads", {})
    text = query.get("text", ())
    search = MixedSearch(
        text=text if isinstance(text, str) else list(text),
        images=_terms(query.get("images", ()), uploads),
        colors=_wanted(query.get("colors", ())),
        tolerance=query.get("tolerance"),
        anything_else=query.get("anything_else", 0.0),
        balance=query.get("balance") or Balance(),
        filters=query.get("filters") or Filters(),
        limit=query.get("limit", 24),
        cursor=cursor,
    )
    if not uploads:
        return Request("POST", "/v1/search", answer(MixedSearchAnswer), body=search, headers=JSON, harmless_twice=True)
    return Request(
        "POST",
        "/v1/search",
        answer(MixedSearchAnswer),
        fields={"query": search.model_dump_json(exclude_none=True)},
        files={name: part(picture) for name, picture in uploads.items()},
        headers=JSON,
        harmless_twice=True,
    )


def _terms(images: Sequence[int | ImageTerm], uploads: Mapping[str, Picture]) -> list[ImageTerm]:
    """Return all terms: an id alone, or an upload that no term names, counts 1."""
    terms = [ImageTerm(id=image) if isinstance(image, int) else image for image in images]
    named = {term.upload for term in terms}
    return terms + [ImageTerm(upload=name) for name in uploads if name not in named]


def _wanted(colors: Sequence[str | WantedColor]) -> list[WantedColor]:
    return [WantedColor(hex=color) if isinstance(color, str) else color for color in colors]
