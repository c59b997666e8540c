"""Two pictures blended into one."""

from typing import Literal, TypeAlias

from ..models import Gradient, LeftRight, MergeRequest, Subject, TopBottom
from ..operations import AnyConnection, Group, file_operation
from ..requests import Request
from ..uploads import Picture, part

Format: TypeAlias = Literal["png", "jpeg", "webp"]
ANY_PICTURE = {"accept": "image/*"}


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
        mask: LeftRight | TopBottom | Gradient | Subject | None = None,
        levels: int | None = None,
        format: Format | None = None,  # noqa: A002  the API's name
    ) -> Request[bytes]:
        """Blend the first image into the second, with no visible seam: left to right if no ``mask`` says otherwise.

        ``levels`` (0 to 8) is over how many scales; ``format`` is PNG if it is left out.
        """
        body = MergeRequest(
            image_id_1=image_id_1, image_id_2=image_id_2, img_path_1=img_path_1, img_path_2=img_path_2,
            mask=mask, levels=levels, format=format,
        )  # fmt: skip
        return Request("POST", "/v1/merges", bytes, body=body, headers=ANY_PICTURE, harmless_twice=True)

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
