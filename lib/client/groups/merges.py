"""Two pictures blended into one."""

from typing import Literal, Required, TypeAlias, TypedDict, Unpack

from ..models import Gradient, LeftRight, MergePage, MergeRecord, MergeRequest, Subject, TopBottom
from ..operations import AnyConnection, Group, file_operation, list_operation, operation
from ..requests import PagedRequest, Request, answer, nothing
from ..uploads import Picture, part

Format: TypeAlias = Literal["png", "jpeg", "webp"]
Mask: TypeAlias = LeftRight | TopBottom | Gradient | Subject
ANY_PICTURE = {"accept": "image/*"}


class TwoImages(TypedDict, total=False):
    """Two images, each by its id or by its path, and how they are blended."""

    image_id_1: int | None
    image_id_2: int | None
    img_path_1: str | None
    img_path_2: str | None
    levels: int | None
    format: Format | None


class DescribedMerge(TwoImages, total=False):
    """What ``merge_images`` takes."""

    mask: Mask | None


class DrawnMerge(TwoImages, total=False):
    """What ``merge_by_drawing`` takes."""

    mask: Required[Picture]


class Merges(Group[AnyConnection]):
    """The first image where a mask says so, the second elsewhere; each is named by its id or by its path."""

    @file_operation("merges_merge_images")
    def merge_images(
        self,
        image_id_1: int | None = None,
        image_id_2: int | None = None,
        *,
        img_path_1: str | None = None,
        img_path_2: str | None = None,
        mask: Mask | None = None,
        levels: int | None = None,
        format: Format | None = None,  # noqa: A002  the API's name
    ) -> Request[bytes]:
        """Blend the first image into the second, with no visible seam: left to right if no ``mask`` says otherwise.

        ``levels`` (0 to 8) is over how many scales; ``format`` is PNG if it is left out. ``keep_images`` keeps it.
        """
        body = MergeRequest(
            image_id_1=image_id_1, image_id_2=image_id_2, img_path_1=img_path_1, img_path_2=img_path_2,
            mask=mask, levels=levels, format=format,
        )  # fmt: skip
        return Request("POST", "/v1/merges", bytes, body=body, headers=ANY_PICTURE, harmless_twice=True)

    @operation()
    def keep_images(self, **merge: Unpack[DescribedMerge]) -> Request[MergeRecord]:
        """Merge as ``merge_images`` does, keep the result on the server, and return its record."""
        body = MergeRequest(**merge)
        return Request("POST", "/v1/merges", answer(MergeRecord), {"save": True}, body=body, headers=ANY_PICTURE)

    @file_operation("merges_merge_by_drawing")
    def merge_by_drawing(
        self,
        image_id_1: int | None = None,
        image_id_2: int | None = None,
        *,
        mask: Picture,
        img_path_1: str | None = None,
        img_path_2: str | None = None,
        levels: int | None = None,
        format: Format | None = None,  # noqa: A002  the API's name
    ) -> Request[bytes]:
        """Blend the first image into the second by a mask of your own: white takes the first, black the second."""
        fields = {
            "image_id_1": image_id_1, "image_id_2": image_id_2, "img_path_1": img_path_1, "img_path_2": img_path_2,
            "levels": levels, "format": format,
        }  # fmt: skip
        return Request(
            "POST", "/v1/merges/drawn", bytes, fields=fields, files={"mask": part(mask)},
            headers=ANY_PICTURE, harmless_twice=True,
        )  # fmt: skip

    @operation()
    def keep_drawn(self, **merge: Unpack[DrawnMerge]) -> Request[MergeRecord]:
        """Merge as ``merge_by_drawing`` does, keep the result on the server, and return its record."""
        fields = {name: value for name, value in merge.items() if isinstance(value, str | int) and name != "mask"}
        return Request(
            "POST", "/v1/merges/drawn", answer(MergeRecord), {"save": True}, fields=fields,
            files={"mask": part(merge["mask"])}, headers=ANY_PICTURE,
        )  # fmt: skip

    @list_operation("merges_list_all")
    def all(self, *, limit: int | None = None, cursor: str | None = None) -> PagedRequest[MergePage, MergeRecord]:
        """List the merges that were kept, newest first."""

        def page(behind: str | None) -> Request[MergePage]:
            return Request("GET", "/v1/merges", answer(MergePage), {"limit": limit, "cursor": behind or cursor})

        return PagedRequest(page, lambda page: page.items, lambda page: page.next)

    @operation("merges_describe")
    def describe(self, merge_id: int) -> Request[MergeRecord]:
        """Say which images a merge is of, and how it was made."""
        return Request("GET", f"/v1/merges/{merge_id}", answer(MergeRecord))

    @file_operation("merges_file")
    def file(self, merge_id: int) -> Request[bytes]:
        """Return the picture of a merge that was kept."""
        return Request("GET", f"/v1/merges/{merge_id}/file", bytes, headers=ANY_PICTURE)

    @operation("merges_remove")
    def remove(self, merge_id: int) -> Request[None]:
        """Forget a merge that was kept."""
        return Request("DELETE", f"/v1/merges/{merge_id}", nothing)
