"""What the API says of the library as a whole, of its models, and of clearing it."""

from datetime import datetime

from pydantic import BaseModel, Field

from query_api.schemas.models import ModelCoverage


class LibraryStats(BaseModel):
    """What the library holds now."""

    id: str = Field(description="Of its database: the same wherever it is opened, and no other library's.")
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
