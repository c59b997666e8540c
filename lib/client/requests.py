"""One request of the API as a value: what is sent, and how the answer is read. Nothing here touches the network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Generic, TypeAlias, TypeVar, cast
from urllib.parse import quote

from pydantic import BaseModel, TypeAdapter, ValidationError

from .problems import UnexpectedAnswer
from .uploads import Part

T = TypeVar("T")
Item = TypeVar("Item")
PageOf = TypeVar("PageOf")
Value: TypeAlias = str | int | float | bool | datetime | Sequence[str] | None
JSON = {"accept": "application/json"}
PNG = {"accept": "image/png"}
IDEMPOTENT = frozenset({"GET", "PUT", "DELETE"})


@dataclass(frozen=True)
class Request(Generic[T]):
    """A request whose answer is a ``T``. Fields and query values that are None are not sent."""

    method: str
    path: str
    read: Callable[[bytes], T]
    query: Mapping[str, Value] = field(default_factory=dict)
    body: BaseModel | None = None
    fields: Mapping[str, Value] = field(default_factory=dict)
    files: Mapping[str, Part] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)
    harmless_twice: bool = False  # a POST that only reads, ends in the same state, or carries a key

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice does what sending it once does (RFC 9110, 9.2.2)."""
        return self.harmless_twice or self.method in IDEMPOTENT

    def arguments(self) -> dict[str, Any]:
        """Return what httpx2 builds the request from."""
        given: dict[str, Any] = {"params": _sent(self.query), "headers": dict(self.headers)}
        if self.body is not None:
            return {**given, "json": self.body.model_dump(mode="json", exclude_none=True)}
        if self.files or self.fields:
            return {**given, "data": _sent(self.fields), "files": dict(self.files)}
        return given

    def read_answer(self, content: bytes) -> T:
        """Return the answer. Raises UnexpectedAnswer."""
        try:
            return self.read(content)
        except ValidationError as error:
            raise UnexpectedAnswer(
                f"{self.method} {self.path} was answered by something else than this client's version of Vitrine: "
                f"{error.errors(include_input=False, include_url=False)[0]}"
            ) from error


@dataclass(frozen=True)
class PagedRequest(Generic[PageOf, Item]):
    """A list that comes in pages: the request for the page behind a cursor, what is on one, and its ``next``."""

    page: Callable[[str | None], Request[PageOf]]
    items: Callable[[PageOf], Sequence[Item]]
    next: Callable[[PageOf], str | None]


def _sent(values: Mapping[str, Value]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
        if value is not None
    }


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def answer(kind: type[T]) -> Callable[[bytes], T]:
    """Return what reads JSON of this type."""

    def read(content: bytes) -> T:
        found: T = _adapter(cast("Any", kind)).validate_json(content)
        return found

    return read


def nothing(_content: bytes) -> None:
    """Read an answer without a body."""


def segment(text: str) -> str:
    """Return a text as one segment of a path.

    >>> segment("a/b")
    'a%2Fb'
    """
    return quote(text, safe="")
