"""Images and their files."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from ..models import CutoutRecord, DeleteAnswer, ImageDetail, ImagePage, ImageSummary, VectorSearchAnswer
from ..operations import AnyConnection, Group, file_operation, list_operation, operation
from ..requests import JSON, PNG, PagedRequest, Request, answer

Format: TypeAlias = Literal["PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"]
ANY_FILE = {"accept": "*/*"}


class Images(Group[AnyConnection]):
    """Pictures: listed, described, their files, taken away and brought back."""

    @list_operation("images_list_all")
    def all(
        self,
        *,
        source: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        format: Sequence[Format] | None = None,  # noqa: A002  the API's name
        min_side: int | None = None,
        max_side: int | None = None,
        has_cutout: bool | None = None,
        alt: str | None = None,
        img_path: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> PagedRequest[ImagePage, ImageSummary]:
        """List the images that the filters leave, newest first; ``limit`` is how many are fetched at a time."""
        query = {
            "source": source, "since": since, "until": until, "format": format, "min_side": min_side,
            "max_side": max_side, "has_cutout": has_cutout, "alt": alt, "img_path": img_path, "limit": limit,
        }  # fmt: skip

        def page(behind: str | None) -> Request[ImagePage]:
            return Request("GET", "/v1/images", answer(ImagePage), {**query, "cursor": behind or cursor})

        return PagedRequest(page, lambda page: page.items, lambda page: page.next)

    @operation("images_describe")
    def describe(self, image_id: int) -> Request[ImageDetail]:
        """Describe an image: size, sightings, cut-out, palette, models."""
        return Request("GET", f"/v1/images/{image_id}", answer(ImageDetail))

    @operation("images_delete")
    def delete(self, image_id: int) -> Request[DeleteAnswer]:
        """Take an image away; it can be restored for some days. Scraping the same picture does not bring it back."""
        return Request("DELETE", f"/v1/images/{image_id}", answer(DeleteAnswer))

    @operation("images_restore")
    def restore(self, image_id: int) -> Request[ImageDetail]:
        """Bring a deleted image back, with all that had been derived from it."""
        return Request("POST", f"/v1/images/{image_id}/restore", answer(ImageDetail))

    @operation("images_similar")
    def similar(self, image_id: int, *, k: int | None = None) -> Request[VectorSearchAnswer]:
        """Return the k images that look most like this one, nearest first, itself left out."""
        return Request("GET", f"/v1/images/{image_id}/similar", answer(VectorSearchAnswer), {"k": k})

    @file_operation("images_original_file")
    def original_file(self, image_id: int) -> Request[bytes]:
        """Return the file that was scraped, without what tells where it was taken, and with which device."""
        return Request("GET", f"/v1/images/{image_id}/file", bytes, headers=ANY_FILE)

    @file_operation("images_thumbnail")
    def thumbnail(self, image_id: int, *, w: int | None = None) -> Request[bytes]:
        """Return a small WebP of the picture as viewed; ``w`` is its longest side, 32 to 1024 px."""
        return Request("GET", f"/v1/images/{image_id}/thumbnail", bytes, {"w": w}, headers=ANY_FILE)

    @file_operation("images_cutout")
    def cutout(self, image_id: int, *, format: Literal["png", "webp"] | None = None) -> Request[bytes]:  # noqa: A002  the API's name
        """Return the subject with alpha around it, at most 1024 px; NotComputedYet until it has been cut out."""
        return Request("GET", f"/v1/images/{image_id}/cutout", bytes, {"format": format}, headers=ANY_FILE)

    @operation("images_make_cutout")
    def make_cutout(self, image_id: int) -> Request[CutoutRecord]:
        """Remove the background of an image now, unless that has been done, and return where its subject is."""
        return Request("POST", f"/v1/images/{image_id}/cutout", answer(CutoutRecord), headers=JSON, harmless_twice=True)

    @file_operation()
    def full_cutout(self, image_id: int) -> Request[bytes]:
        """Return the subject at the picture's full size, as a PNG with alpha; it is cut out if it has not been."""
        return Request("POST", f"/v1/images/{image_id}/cutout", bytes, headers=PNG, harmless_twice=True)

    @file_operation("images_mask")
    def mask(self, image_id: int) -> Request[bytes]:
        """Return the mask as its model made it: an 8-bit grey PNG, white on the subject."""
        return Request("GET", f"/v1/images/{image_id}/mask", bytes, headers=ANY_FILE)
