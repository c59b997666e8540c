"""What the API says of sources."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from lib.scraping.site import Site
from lib.storage.tables import Source


class SourceInfo(BaseModel):
    """A site that is scraped."""

    site: Site
    enabled: bool
    created_at: datetime

    @classmethod
    def of(cls, source: Source) -> Self:
        """Return a row with its rules."""
        return cls(site=Site.model_validate(source.rules), enabled=source.enabled, created_at=source.created_at)


class SourceDetail(SourceInfo):
    """A site that is scraped, and what came of it."""

    images: int = Field(description="Distinct images seen on its pages.")
    pages: dict[str, int] = Field(description="Its pages by outcome, refusals by their reason.")


class SourceDeleted(BaseModel):
    """A source that was removed."""

    name: str
    images_unseen: int = Field(
        description="Images that no page shows any more; POST /v1/library/restore has them back."
    )


class PreviewedImage(BaseModel):
    """A picture that a scrape would meet."""

    url: str
    alt: str
    verdict: str = Field(description="`taken`, or the reason why not: `robots`, `too_small`, `noai`, ...")


class PreviewedPage(BaseModel):
    """A page that a scrape would visit."""

    url: str
    title: str
    verdict: str = Field(description="`taken`, or the reason why nothing would come of it.")
    links: int = Field(description="Further pages that the rules follow from here.")
    images: list[PreviewedImage]


class DryRun(BaseModel):
    """What a scrape would take from the first pages of a site. Nothing was stored."""

    pages: list[PreviewedPage]
    would_take: int = Field(description="Pictures on these pages that would be downloaded.")
