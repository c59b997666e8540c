"""What the API says of images."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from lib.storage.features import NewCutout
from lib.storage.tables import Image


class ImageLinks(BaseModel):
    """Where an image's files are."""

    file: str
    thumbnail: str
    cutout: str
    mask: str

    @classmethod
    def of(cls, image_id: int) -> Self:
        """Return the links of an image."""
        base = f"/v1/images/{image_id}"
        return cls(file=f"{base}/file", thumbnail=f"{base}/thumbnail", cutout=f"{base}/cutout", mask=f"{base}/mask")


class ImageSummary(BaseModel):
    """An image in a list."""

    id: int
    img_name: str
    img_path: str = Field(description="Stable, and what the legacy requests take.")
    sha256: str = Field(description="Of the original; where it tells a place or a device, `file` serves other bytes.")
    format: str
    byte_count: int
    width_px: int = Field(description="As viewed.")
    height_px: int
    has_alpha: bool
    created_at: datetime
    links: ImageLinks

    @classmethod
    def of(cls, image: Image) -> Self:
        """Return the summary of a row."""
        return cls(
            id=image.id,
            img_name=image.img_name,
            img_path=image.img_path,
            sha256=image.sha256,
            format=image.format,
            byte_count=image.byte_count,
            width_px=image.width_px,
            height_px=image.height_px,
            has_alpha=image.has_alpha,
            created_at=image.created_at,
            links=ImageLinks.of(image.id),
        )


class ImagePage(BaseModel):
    """One page of images, newest first."""

    items: list[ImageSummary]
    total: int
    next: str | None = Field(description="Pass as `cursor` for the page after; null on the last one.")


class SightingInfo(BaseModel):
    """A page that showed an image."""

    source: str
    page_url: str
    page_title: str | None
    image_url: str
    alt: str
    first_seen_at: datetime
    last_seen_at: datetime


class CutoutInfo(BaseModel):
    """An image's subject."""

    origin: str = Field(description="`model`, or `alpha` where the picture has transparency of its own.")
    box: list[float] = Field(description="x0, y0, x1, y1 as shares of width and height, y downwards.")
    coverage: float = Field(description="Share of the picture that is subject.")
    mask_sha256: str

    @classmethod
    def of(cls, cutout: NewCutout) -> Self:
        """Return what is told of a cut-out."""
        return cls(origin=cutout.origin, box=list(cutout.box), coverage=cutout.coverage, mask_sha256=cutout.mask_sha256)


class PaletteColor(BaseModel):
    """One colour of an image's palette."""

    hex: str
    name: str = Field(description="In plain words.", examples=["dark blue"])
    css_name: str = Field(description="The nearest CSS keyword.", examples=["midnightblue"])
    lab: list[float]
    weight: float = Field(description="Share of the visible pixels.")


class ColorInfo(BaseModel):
    """An image's colours."""

    of_subject: bool = Field(description="False while they are those of the whole picture.")
    palette: list[PaletteColor]


class ModelInfo(BaseModel):
    """The model that answers for a role, and whether it has seen this image."""

    name: str
    spec_id: str
    profile: str
    computed: bool


class ImageDetail(ImageSummary):
    """All that is known of an image."""

    sightings: list[SightingInfo]
    cutout: CutoutInfo | None
    colors: ColorInfo | None
    models: dict[str, ModelInfo]


class LegacyImage(ImageDetail):
    """The row of ``scrapped_images`` by its column names, and all that is known besides."""

    img_hash: str
    is_highlighted: bool
    embedding_resnet: list[float] | None = Field(description="Null while missing, and under stand-in models.")
    embedding_clip: list[float] | None


class CutoutRecord(CutoutInfo):
    """A cut-out and the image that it belongs to."""

    image_id: int
    img_path: str
    links: ImageLinks


class DeleteAnswer(BaseModel):
    """An image that was taken away."""

    image_id: int
    restore_until: datetime
    restore_with: str
