"""The address of a gallery page: everything that decides what it shows, so that a link shows the same to everybody.

Belongs here: reading it, writing it with something changed, and the search that it stands for. What is found is in
shelves.py.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from lib.arrays import FloatArray
from lib.color.harmony import Harmony
from lib.color.wheels import Wheel
from lib.errors import MeaninglessQuery
from lib.storage.image_filters import ImageFilter
from query_api.cursors import MAX_ID
from query_api.dependencies import MAX_SIDE_PX, AltWords, Format, SourceName
from query_api.schemas.color_queries import WantedColor
from query_api.schemas.mixed_searches import (
    MAX_MIXED_CURSOR,
    MOST_TERMS,
    Filters,
    ImageTerm,
    Likeness,
    MixedSearch,
    TextTerm,
)
from query_api.web.words import Words, read_words

MAX_WORDS = 500
PUSHED_AWAY = -0.5
# Who types a colour wants to see it, not to see nothing else.
BESIDE_TYPED_COLORS = 0.5
PICTURE = "picture"

Id = Annotated[int, Field(ge=1, le=MAX_ID)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
PICTURE_FIELDS = ("look", "meaning", "colors", "picture", "by", "relation", "of", "match", "wheel")
FILTER_FIELDS = ("source", "since", "until", "format", "min_side", "max_side", "cutout", "alt")


class Sort(StrEnum):
    """In which order everything is shown when nothing is searched for."""

    newest = "newest"
    oldest = "oldest"
    largest = "largest"


class Address(BaseModel):
    """What a gallery page shows. Fields that say nothing are not in its address."""

    model_config = ConfigDict(frozen=True)

    q: Annotated[str, StringConstraints(max_length=MAX_WORDS)] = ""
    look: tuple[Id, ...] = Field((), max_length=MOST_TERMS)  # images that it shall look like
    meaning: tuple[Id, ...] = Field((), max_length=MOST_TERMS)  # images that shall show the same
    colors: Id | None = None  # the image whose palette is wanted
    picture: Digest | None = None  # a picture that was brought along
    by: Likeness = Likeness.look  # what is compared of it
    relation: Harmony | Literal["similar"] | None = None  # how colours go together with those of `of`, or of `picture`
    of: Id | None = None
    match: Literal["palette", "layout"] = "palette"
    wheel: Wheel = Wheel.hsv
    source: SourceName | None = None
    since: date | None = None
    until: date | None = None  # that day included
    format: Format | None = None
    min_side: Annotated[int, Field(ge=1, le=MAX_SIDE_PX)] | None = None
    max_side: Annotated[int, Field(ge=1, le=MAX_SIDE_PX)] | None = None
    cutout: bool | None = None
    alt: AltWords | None = None
    sort: Sort = Sort.newest
    n: Annotated[int, Field(ge=1, le=200)] = 100
    cursor: Annotated[str, StringConstraints(max_length=MAX_MIXED_CURSOR)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, given: Any) -> Any:
        """Take a field that a form sent empty for one that was not filled in."""
        return {name: value for name, value in given.items() if value != ""} if isinstance(given, dict) else given

    @property
    def words(self) -> Words:
        """What the search bar says. Raises MeaninglessQuery."""
        return read_words(self.q)

    @property
    def is_relation(self) -> bool:
        """Whether colours that go together with a picture's are asked for, and nothing else."""
        return self.relation is not None and (self.of is not None or self.picture is not None)

    @property
    def is_search(self) -> bool:
        """Whether anything is searched for."""
        asks = bool(self.q.strip() or self.look or self.meaning or self.colors or self.picture)
        return asks or self.is_relation

    @property
    def has_filters(self) -> bool:
        """Whether some images are left out."""
        return any(getattr(self, name) is not None for name in FILTER_FIELDS)

    def href(self, **changes: Any) -> str:
        """Return this address with some fields changed, from its first page on.

        >>> Address(q="a dog", n=20).href(q="a cat", look=(3,))
        '/?q=a+cat&look=3&n=20'
        >>> Address(q="a dog", cursor="x").href()
        '/?q=a+dog'
        """
        return f"/{self._query(cursor=None, **changes)}"

    def page(self, cursor: str) -> str:
        """Return the address of a later page."""
        return f"/{self._query(cursor=cursor)}"

    def collage(self) -> str:
        """Return the address of the collage of this page."""
        return f"/collage.png{self._query()}"

    def without(self, *fields: str) -> str:
        """Return this address with some fields as if they had never been given."""
        return self.href(**{name: type(self).model_fields[name].get_default() for name in fields})

    def hidden(self, *fields: str) -> list[tuple[str, str]]:
        """Return these fields as a form carries them along."""
        return [pair for pair in self._pairs({}) if pair[0] in fields]

    def _query(self, **changes: Any) -> str:
        pairs = self._pairs(changes)
        return f"?{urlencode(pairs)}" if pairs else ""

    def _pairs(self, changes: dict[str, Any]) -> list[tuple[str, str]]:
        return [
            (name, _written(value))
            for name, field in type(self).model_fields.items()
            for value in _values(changes.get(name, getattr(self, name)))
            if value != field.get_default()
        ]

    def image_filter(self) -> ImageFilter:
        """Return which images may be shown."""
        return self._filters().image_filter(())

    def _filters(self) -> Filters:
        return Filters(
            source=self.source,
            since=_midnight(self.since),
            until=_midnight(self.until + timedelta(days=1)) if self.until else None,
            format=[self.format] if self.format else [],
            min_side=self.min_side,
            max_side=self.max_side,
            has_cutout=self.cutout,
            alt=self.alt,
        )

    def search(self, palette: Sequence[tuple[FloatArray, float]] = ()) -> MixedSearch:
        """Return the search that this asks for; ``palette`` holds the Lab colours and weights of the image ``colors``.

        Raises MeaninglessQuery.
        """
        words = self.words
        colors = [WantedColor(hex=code, lab=None) for code in words.colors]
        colors += [WantedColor(hex=None, lab=_triple(lab), weight=weight) for lab, weight in palette]
        try:
            return MixedSearch(
                text=list(_texts(words)),
                images=list(self._images()),
                colors=colors,
                tolerance=None,
                anything_else=BESIDE_TYPED_COLORS if words.colors else 0.0,
                filters=self._filters(),
                limit=self.n,
                cursor=self.cursor,
            )
        except ValidationError as error:
            reasons = {fault["msg"].removeprefix("Value error, ") for fault in error.errors()}
            raise MeaninglessQuery("; ".join(sorted(reasons))) from error

    def _images(self) -> Iterator[ImageTerm]:
        for image_id in self.look:
            yield ImageTerm(id=image_id, upload=None, by=Likeness.look)
        for image_id in self.meaning:
            yield ImageTerm(id=image_id, upload=None, by=Likeness.meaning)
        if self.picture is not None:
            yield ImageTerm(id=None, upload=PICTURE, by=self.by)


def _texts(words: Words) -> Iterator[TextTerm]:
    if words.text:
        yield TextTerm(text=words.text)
    for text in words.minus:
        yield TextTerm(text=text, weight=PUSHED_AWAY)


def _triple(lab: FloatArray) -> tuple[float, float, float]:
    L_star, a, b = (float(part) for part in lab)
    return L_star, a, b


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)


def _values(value: Any) -> Sequence[Any]:
    return value if isinstance(value, tuple) else (value,)


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
