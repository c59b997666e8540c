"""What the API says of jobs and of clearing."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class JobAnswer(BaseModel):
    """A job that was asked for; once its run has ended, its counts stand beside these fields."""

    model_config = ConfigDict(extra="allow")

    request_id: str
    job: str
    state: str = Field(description="`queued` until a run serves it, then Dagster's word: STARTED, SUCCESS, ...")
    run_id: str | None
    run_url: str | None
    __pydantic_extra__: dict[str, Any]


class ClearAnswer(BaseModel):
    """What a clearing took away, or a restoring brought back."""

    removed: dict[str, int]
    restore_until: datetime | None = Field(description="Null when it was erased for good.")
    restore_with: str | None
    erased_images: int | None = None


class RestoreAnswer(BaseModel):
    """What was brought back."""

    restored: dict[str, int]
