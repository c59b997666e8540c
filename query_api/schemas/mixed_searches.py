"""A search by any mix of words, pictures and colours, as a client writes it down, and what it answers."""

from enum import StrEnum
from typing import Annotated, Any, Self
from zlib import crc32

import numpy as np
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from lib.color.palette import MAX_COLORS
from lib.color.palette_index import ColorQuery
from lib.search.calibration import Basis
from lib.storage.image_filters import ImageFilter
from query_api.cursors import MAX_ID
from query_api.dependencies import MAX_SIDE_PX, MAX_TEXT, AltWords, Format, QueryText, SourceName
from query_api.schemas.color_queries import MOST_ANYTHING, MOST_TOLERANCE_DELTA_E, WantedColor
from query_api.schemas.images import ImageLinks
from query_api.schemas.searches import ModelName

MOST_TERMS = 8
MOST_WEIGHT = 100
MAX_MIXED_CURSOR = 400

UploadName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Weight = Annotated[
    float,
    Field(
        ge=-MOST_WEIGHT,
        le=MOST_WEIGHT,
        allow_inf_nan=False,
        description="Against the other terms of the same space; below 0: less of this.",
    ),
]
PartWeight = Annotated[float, Field(gt=0, le=MOST_WEIGHT, allow_inf_nan=False)]
Side = Annotated[int | None, Field(ge=1, le=MAX_SIDE_PX)]


class Space(StrEnum):
    """Where distances are measured."""

    meaning = "meaning"
    look = "look"
    colors = "colors"


class Likeness(StrEnum):
    """What is compared of a picture."""

    look = "look"
    meaning = "meaning"


class TextTerm(BaseModel):
    """Words that say what is wanted, or is not."""

    model_config = ConfigDict(extra="forbid")

    text: QueryText = Field(description=f"Up to {MAX_TEXT} characters.", examples=["a dog"])
    weight: Weight = 1.0


class ImageTerm(BaseModel):
    """A picture of the library, or one that comes with the request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: int | None = Field(None, ge=1, le=MAX_ID, description="Of an image of the library.")
    upload: UploadName | None = Field(None, description="Name of a file of the same multipart request.")
    by: Likeness = Field(Likeness.look, description="`look`: how it looks. `meaning`: what it shows, as words would.")
    weight: Weight = 1.0

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.id is None) == (self.upload is None):
            raise ValueError("give either id or upload")
        return self


class Filters(BaseModel):
    """Which images may be found: the filters of `GET /v1/images`."""

    model_config = ConfigDict(extra="forbid")

    source: SourceName | None = Field(None, description="Seen on a page of this source.")
    since: AwareDatetime | None = Field(None, description="First stored then or later.")
    until: AwareDatetime | None = Field(None, description="First stored before.")
    format: list[Format] = Field([], max_length=MOST_TERMS, description="Of one of these file formats.")
    min_side: Side = Field(None, description="Shorter side at least, in px.")
    max_side: Side = Field(None, description="Longer side at most, in px.")
    has_cutout: bool | None = Field(None, description="Whether its subject has been cut out.")
    alt: AltWords | None = Field(None, description="In the words beside it, in any case.")

    def image_filter(self, left_out: tuple[int, ...]) -> ImageFilter:
        """Return the choice among the images, without some single ones."""
        return ImageFilter(
            self.source,
            self.since,
            self.until,
            tuple(self.format),
            self.min_side,
            self.max_side,
            self.has_cutout,
            self.alt,
            left_out,
        )


class Balance(BaseModel):
    """How much each space counts where several are asked."""

    model_config = ConfigDict(extra="forbid")

    meaning: PartWeight = 1.0
    look: PartWeight = 1.0
    colors: PartWeight = 1.0


def _text_terms(given: Any) -> Any:
    """Take plain strings for terms of weight 1."""
    terms = [given] if isinstance(given, str) else given
    return [{"text": term} if isinstance(term, str) else term for term in terms] if isinstance(terms, list) else terms


TextTerms = Annotated[
    list[TextTerm],
    Field(max_length=MOST_TERMS),
    BeforeValidator(
        _text_terms,
        json_schema_input_type=QueryText | Annotated[list[QueryText | TextTerm], Field(max_length=MOST_TERMS)],
    ),
]
EXAMPLES: dict[str, Any] = {
    "words": {"text": "a dog"},
    "words and others that push away": {"text": ["a dog", {"text": "grass", "weight": -0.5}], "limit": 12},
    "between two images of the library": {"images": [{"id": 1}, {"id": 2, "weight": 0.5}]},
    "words, colour and a filter": {
        "text": "a flower",
        "colors": [{"hex": "#d02020"}],
        "anything_else": 0.5,
        "balance": {"meaning": 2, "colors": 1},
        "filters": {"min_side": 100, "since": "2026-01-01T00:00:00Z"},
    },
}
UPLOAD_EXAMPLE = {"images": [{"upload": "photo", "by": "look"}], "text": "at night"}


class MixedSearch(BaseModel):
    """What is looked for, among which images, and how many of them."""

    model_config = ConfigDict(extra="forbid")

    text: TextTerms = Field([], description="Words: a string, or up to 8 terms with weights.")
    images: list[ImageTerm] = Field([], max_length=MOST_TERMS)
    colors: list[WantedColor] = Field([], max_length=MAX_COLORS, description="Wanted, in proportions by weight.")
    tolerance: float | None = Field(
        None,
        gt=0,
        le=MOST_TOLERANCE_DELTA_E,
        allow_inf_nan=False,
        description="Only images up to this distance from the colours, in ΔE00.",
    )
    anything_else: float = Field(
        0.0,
        ge=0,
        le=MOST_ANYTHING,
        allow_inf_nan=False,
        description="Share of the picture that may have any colours at all; the wanted ones share the rest.",
    )
    balance: Balance = Balance()
    filters: Filters = Filters()
    limit: int = Field(24, ge=1, le=200)
    cursor: str | None = Field(None, max_length=MAX_MIXED_CURSOR, description="`next` of the page before.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.text or self.images or self.colors):
            raise ValueError("there is nothing to search for: give text, images or colors")
        if not self.colors and (self.tolerance is not None or self.anything_else):
            raise ValueError("tolerance and anything_else go with colors")
        for space, weights in self._weights().items():
            if weights and not any(weights):
                raise ValueError(f"all weights by {space} are 0: give one term there a weight above 0")
            if weights and max(weights) <= 0:
                raise ValueError(f"only what is not wanted is given by {space}: add there a term of weight above 0")
        return self

    def _weights(self) -> dict[Space, list[float]]:
        meaning = [term.weight for term in self.text]
        meaning += [image.weight for image in self.images if image.by is Likeness.meaning]
        look = [image.weight for image in self.images if image.by is Likeness.look]
        return {Space.meaning: meaning, Space.look: look}

    def uploads(self) -> set[str]:
        """Return the names of the files that must come with it."""
        return {image.upload for image in self.images if image.upload is not None}

    def image_filter(self) -> ImageFilter:
        """Return which images may be found: none that the search itself names."""
        named = {image.id for image in self.images if image.id is not None}
        return self.filters.image_filter(tuple(sorted(named)))

    def color_query(self) -> ColorQuery:
        """Return the colours wanted, their weights scaled to sum 1; there must be some."""
        weights = np.array([color.weight for color in self.colors])
        lab = np.stack([color.coordinates() for color in self.colors])
        return ColorQuery(lab, weights / weights.sum(), self.anything_else)

    def digest(self) -> int:
        """Return a number that tells this search from others, whatever page and however long a page."""
        return crc32(self.model_dump_json(exclude={"cursor", "limit"}).encode())


def search_components() -> dict[str, Any]:
    """Return the JSON schemas of a search and of all that it names, for OpenAPI's components."""
    schema = MixedSearch.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs"), MixedSearch.__name__: schema}


class PartAsked(BaseModel):
    """One space that was searched."""

    model: ModelName | None = Field(description="Whose vectors were compared; null for colours.")
    unit: str = Field(description="Of distance.")
    basis: Basis | None = Field(description="What relevance compares with; null where there is nothing.")
    share: float = Field(description="Of the whole, in (0, 1].")


class PartMatch(BaseModel):
    """How an image matches in one space."""

    distance: float = Field(description="Low is near.")
    relevance: float | None = Field(description="Share of the library's random pairs that are farther apart.")
    weak: bool | None = Field(description="As far as things that do not belong together; null where nothing tells.")
    terms: list[float] | None = Field(
        description="Distance to each single term, if there are several: texts, then images, in the order "
        "given, without those of weight 0."
    )


class MixedMatch(BaseModel):
    """An image that was found."""

    rank: int
    image_id: int
    img_name: str
    img_path: str
    distance: float = Field(
        description="What the ranking goes by, low is near: the distance of the one space that was asked, or the mean "
        "of several, each in spreads from the middle of its distances in this library."
    )
    relevance: float | None = Field(description="Mean over the spaces, by share, in [0, 1].")
    weak: bool | None = Field(description="Weak in one space at least.")
    parts: dict[Space, PartMatch]
    links: ImageLinks


class MixedSearchAnswer(BaseModel):
    """A page of images, best first."""

    parts: dict[Space, PartAsked]
    exact: bool = Field(description="False when an index answered, which can miss a few.")
    search_recall: float | None = Field(
        description="Measured share of the true nearest that the index finds; null where all were compared, or none "
        "was measured."
    )
    language_unsupported: bool = Field(description="The model does not know the language of some text.")
    unsupported_texts: list[int] = Field(description="Which texts those are, counted from 0.")
    no_good_match: bool | None = Field(description="Every result of this page is weak, or there is none.")
    results: list[MixedMatch]
    next: str | None = Field(description="Pass as `cursor` for the page after; null on the last one.")


# FastAPI leaves nulls out of the description, so the example has none.
EXAMPLE_ANSWER: dict[str, Any] = {
    "parts": {
        "meaning": {
            "model": {"name": "conse-lite2-minilm", "spec_id": "555c4af6a2bb6e1a"},
            "unit": "cosine distance",
            "basis": "captions",
            "share": 1.0,
        }
    },
    "exact": False,
    "search_recall": 0.998,
    "language_unsupported": False,
    "unsupported_texts": [],
    "no_good_match": False,
    "results": [
        {
            "rank": 1,
            "image_id": 4,
            "img_name": "dog.png",
            "img_path": "library/demo/dog.png",
            "distance": 0.447882,
            "relevance": 0.9926,
            "weak": False,
            "parts": {"meaning": {"distance": 0.447882, "relevance": 0.9926, "weak": False, "terms": [0.447882]}},
            "links": {
                "file": "/v1/images/4/file",
                "thumbnail": "/v1/images/4/thumbnail",
                "cutout": "/v1/images/4/cutout",
                "mask": "/v1/images/4/mask",
            },
        }
    ],
    "next": "WzAuNDQ3ODgyLCA0XQ",
}
