"""What the API says of copies of one picture."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from query_api.cursors import MAX_ID
from query_api.schemas.images import ImageSummary

MOST_AT_ONCE = 50


class Level(StrEnum):
    """How alike copies are."""

    bytes = "bytes"
    hash = "hash"
    look = "look"


class DuplicateGroupOut(BaseModel):
    """Images that may be one picture, newest first."""

    images: list[ImageSummary]
    urls: list[str] = Field(description="At the level `bytes`: the addresses of the one file.")
    distance: float = Field(description="The largest between two that were linked: bits of 64, or cosine distance.")


class DuplicatesAnswer(BaseModel):
    """A page of groups, those with the newest images first."""

    level: Level
    within: float = Field(description="How far apart two images still count as copies.")
    items: list[DuplicateGroupOut]
    next: str | None = Field(description="Pass as `cursor` for the page after; null on the last one.")


def _distinct(ids: list[int]) -> list[int]:
    if len(set(ids)) < len(ids):
        raise ValueError("name each image once")
    return ids


DistinctIds = Annotated[
    list[Annotated[int, Field(ge=1, le=MAX_ID)]],
    Field(min_length=2, max_length=MOST_AT_ONCE, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_distinct),
]


class DuplicateDecisionBody(BaseModel):
    """What somebody saw when looking at a group."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"image_ids": [12, 7], "duplicates": False}]})

    image_ids: DistinctIds
    duplicates: bool = Field(description="False: no two of them are copies. True: forget that this was said.")
