"""What the API says of jobs."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class StageProgress(BaseModel):
    """Where the live images stand in a stage that is under way; under `pages`, the pages that a scrape knows of."""

    done: int
    pending: int
    failed: int
    dead: int


class JobAnswer(BaseModel):
    """A job that was asked for; once its run has ended, its counts stand beside these fields."""

    model_config = ConfigDict(extra="allow")

    request_id: str
    job: str
    state: str = Field(
        description="`queued`, `launched`, `ended` or `canceled`, then Dagster's word: STARTED, SUCCESS, ..."
    )
    created_at: datetime
    run_id: str | None
    run_url: str | None = Field(description="Where a person can look at the run.")
    progress: dict[str, StageProgress] | None = Field(None, description="By stage, while the run goes on.")
    __pydantic_extra__: dict[str, Any]


class JobRequestPage(BaseModel):
    """One page of requests, newest first; `state` is what the outbox knows, without asking Dagster."""

    items: list[JobAnswer]
    next: str | None = Field(description="Pass as `cursor` for the page after; null on the last one.")
