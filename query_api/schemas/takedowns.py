"""What the API says of takedowns."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from lib.library.takedowns import MAX_REASON
from lib.storage.tables import Takedown, TakedownKind
from query_api.cursors import MAX_ID
from query_api.dependencies import WITHOUT_NUL, storable

MOST_AT_ONCE = 1000
MAX_TARGET = 4096
TargetText = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_TARGET), AfterValidator(storable), WITHOUT_NUL
]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=MAX_REASON), AfterValidator(storable), WITHOUT_NUL]


class TakedownRequest(BaseModel):
    """What is not to be shown any more."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"targets": ["https://photos.example/owl.jpg"], "reason": "asked by letter"}]},
    )

    targets: list[TargetText] = Field(
        default_factory=list,
        max_length=MOST_AT_ONCE,
        description="Each the SHA-256 of a file in hex, the URL of a picture or a page, or a host with all below it.",
    )
    image_ids: list[Annotated[int, Field(ge=1, le=MAX_ID)]] = Field(
        default_factory=list, max_length=MOST_AT_ONCE, description="Images whose files are meant, by their hash."
    )
    reason: Reason | None = Field(None, description="For whoever reads the list later.")
    erase: bool = Field(False, description="Erase what is hidden at once; else it is erased in some days.")


class TakedownInfo(BaseModel):
    """An entry of the list."""

    id: int
    kind: TakedownKind
    value: str
    reason: str | None
    created_at: datetime

    @classmethod
    def of(cls, row: Takedown) -> Self:
        """Return a row as the API shows it."""
        return cls(id=row.id, kind=row.kind, value=row.value, reason=row.reason, created_at=row.created_at)


class TakedownAnswer(BaseModel):
    """What came of a takedown."""

    takedowns: list[TakedownInfo] = Field(description="The entries, those that were there already included.")
    images_hidden: int
    images_erased: int


class LiftAnswer(BaseModel):
    """What came of striking an entry off the list."""

    images_shown: int = Field(description="Images that it alone had hidden, and that are not erased yet.")
