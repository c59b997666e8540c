"""What the API says of the library as a whole, of its models, and of clearing it."""

from dataclasses import asdict
from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from lib.storage.ledger import StageCounts
from lib.storage.tables import Model


class ModelCoverage(BaseModel):
    """A model of this library, and where the live images stand with it."""

    spec_id: str
    role: str
    name: str
    profile: str
    state: str = Field(description="`active` answers queries, `filling` is being computed, `retired` is kept.")
    dimension: int | None
    languages: list[str]
    done: int
    pending: int
    failed: int
    dead: int

    @classmethod
    def of(cls, model: Model, counts: StageCounts) -> Self:
        """Return a model with its counts."""
        return cls(
            spec_id=model.spec_id,
            role=model.role,
            name=model.name,
            profile=model.profile,
            state=model.state,
            dimension=model.dimension,
            languages=model.languages,
            **asdict(counts),
        )


class LibraryStats(BaseModel):
    """What the library holds now."""

    counts: dict[str, int] = Field(description="Live rows by table.")
    bytes: int = Field(description="Of the original files.")
    pages: dict[str, int] = Field(description="By outcome, refusals by their reason.")
    image_urls: dict[str, int] = Field(description="By outcome, refusals by their reason.")
    models: list[ModelCoverage]


class ClearAnswer(BaseModel):
    """What a clearing took away, or a restoring brought back."""

    removed: dict[str, int]
    restore_until: datetime | None = Field(description="Null when it was erased for good.")
    restore_with: str | None
    erased_images: int | None = None
    dry_run: bool = Field(False, description="Nothing was taken away: this is what would go.")


class RestoreAnswer(BaseModel):
    """What was brought back."""

    restored: dict[str, int]
