"""What searches answer."""

from typing import Self

from pydantic import BaseModel, Field

from lib.models.registry import ModelSpec
from lib.storage.tables import Image
from query_api.schemas.images import ImageLinks


class ModelName(BaseModel):
    """The model whose distances these are."""

    name: str
    spec_id: str

    @classmethod
    def of(cls, spec: ModelSpec) -> Self:
        """Return the name of a model."""
        return cls(name=spec.name, spec_id=spec.spec_id)


class Match(BaseModel):
    """An image that was found."""

    rank: int
    image_id: int
    img_name: str
    img_path: str
    distance: float = Field(description="Low is near.")
    links: ImageLinks

    @classmethod
    def of(cls, image: Image, *, rank: int, distance: float) -> Self:
        """Return a row as a match."""
        return cls(
            rank=rank,
            image_id=image.id,
            img_name=image.img_name,
            img_path=image.img_path,
            distance=distance,
            links=ImageLinks.of(image.id),
        )


class VectorSearchAnswer(BaseModel):
    """Images nearest to a query by cosine distance, in [0, 2], nearest first."""

    model: ModelName
    exact: bool = Field(description="False when an index answered, which can miss a few.")
    language_unsupported: bool = Field(False, description="The model does not know the language of the query.")
    results: list[Match]


class ColorMatchOut(Match):
    """An image found by its colours."""

    of_subject: bool = Field(description="Whether its cut-out was compared, or the whole picture.")


class ColorSearchAnswer(BaseModel):
    """A page of the images whose colours match, nearest first."""

    relation: str = Field(description="`similar`, or a harmony: `complementary`, `triadic` ...")
    match: str = Field(
        description="`palette`: colours wherever they are. `layout`: place against place. `main`: the heaviest colour."
    )
    unit: str = Field(description="Of distance.")
    wheel: str | None = Field(None, description="The circle in which hues were turned.")
    tolerance: float | None = Field(None, description="How far off still matched: ΔE00, or degrees for a harmony.")
    query_has_no_hue: bool = Field(False, description="A query without colour is in harmony with nothing.")
    total: int
    results: list[ColorMatchOut]
    next: str | None = Field(description="Pass as `cursor` for the page after; null on the last one.")
