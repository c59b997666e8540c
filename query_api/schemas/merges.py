"""What a merge is asked for: two images, where one passes into the other, over how many levels."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lib.images.blending import MAX_LEVELS
from lib.images.encoding import PictureFormat
from lib.storage.tables import Merge
from query_api.cursors import MAX_ID
from query_api.dependencies import ImgPath

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
ImageIdField = Annotated[int, Field(ge=1, le=MAX_ID)]


class LeftRight(BaseModel):
    """The first image on the left, the second on the right."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["left_right"]
    position: Share = Field(0.5, description="Where the seam is: 0 at the left edge, 1 at the right.")
    softness: Share = Field(0.0, description="Share of the width over which one fades into the other.")


class TopBottom(BaseModel):
    """The first image above, the second below."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["top_bottom"]
    position: Share = Field(0.5, description="Where the seam is: 0 at the upper edge, 1 at the lower.")
    softness: Share = Field(0.0, description="Share of the height over which one fades into the other.")


class Gradient(BaseModel):
    """The first image fades into the second along a direction."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["gradient"]
    angle_deg: float = Field(
        0.0, ge=-360, le=360, allow_inf_nan=False, description="Where the second is, clockwise: 0 right, 90 below."
    )
    position: Share = Field(0.5, description="Where both are equally strong.")
    softness: Share = Field(1.0, description="Share of the picture's extent that the fading takes.")


class Subject(BaseModel):
    """The subject of the first image on the second."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["subject"]


LEFT_RIGHT = LeftRight(kind="left_right", position=0.5, softness=0.0)
MaskChoice = Annotated[LeftRight | TopBottom | Gradient | Subject, Field(discriminator="kind")]


def _named_once(which: int) -> dict[str, Any]:
    """Say in JSON Schema that an image is named by its path or by its id, and not by both."""
    names = {f"img_path_{which}": "string", f"image_id_{which}": "integer"}

    def given(name: str, type_: str) -> dict[str, Any]:
        others = {other: {"type": "null"} for other in names if other != name}
        return {"required": [name], "properties": {name: {"type": type_}, **others}}

    return {"anyOf": [given(name, type_) for name, type_ in names.items()]}


class TwoImages(BaseModel):
    """Two images, each by its path or its id."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"allOf": [_named_once(1), _named_once(2)]})
    img_path_1: ImgPath | None = Field(None, examples=["library/demo/giraffe.jpg"])
    image_id_1: ImageIdField | None = None
    img_path_2: ImgPath | None = None
    image_id_2: ImageIdField | None = None
    levels: int | None = Field(
        None,
        ge=0,
        le=MAX_LEVELS,
        description="How many times the pictures are halved: each level doubles the width over which they blend. "
        "0 keeps the mask's own edge. Chosen by the pictures' size and the mask when left out.",
    )
    format: PictureFormat | None = Field(None, description="Wins over the Accept header; PNG where neither says.")

    @model_validator(mode="after")
    def _each_named_once(self) -> Self:
        for path, id_, which in (
            (self.img_path_1, self.image_id_1, 1),
            (self.img_path_2, self.image_id_2, 2),
        ):
            if (path is None) == (id_ is None):
                raise ValueError(f"name image {which} by either img_path_{which} or image_id_{which}")
        return self


class MergeRequest(TwoImages):
    """Two images and a mask that is described."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [_named_once(1), _named_once(2)],
            "examples": [{"image_id_1": 7, "image_id_2": 12, "mask": {"kind": "subject"}}],
        }
    )

    mask: MaskChoice = Field(default_factory=lambda: LEFT_RIGHT)


class MergeRecord(BaseModel):
    """A merge that was kept."""

    id: int
    image_id_1: int
    image_id_2: int
    how: dict[str, Any] = Field(description="The mask and the number of levels that were asked for.")
    format: PictureFormat
    width_px: int
    height_px: int
    created_at: datetime
    file: str = Field(description="Where the picture is.", examples=["/v1/merges/3/file"])

    @classmethod
    def of(cls, merge: Merge) -> Self:
        """Return a row as it is told."""
        return cls(
            id=merge.id,
            image_id_1=merge.image_a,
            image_id_2=merge.image_b,
            how=merge.how,
            format=PictureFormat(merge.format),
            width_px=merge.width_px,
            height_px=merge.height_px,
            created_at=merge.created_at,
            file=f"/v1/merges/{merge.id}/file",
        )


class MergePage(BaseModel):
    """One page of merges, newest first."""

    items: list[MergeRecord]
    next: str | None = Field(description="Pass as `cursor` for the page after; null on the last one.")


class DrawnMerge(TwoImages):
    """Two images and a mask that was drawn, as a form."""

    mask: UploadFile = Field(
        description="A picture, stretched to the first image: white takes the first, black or transparent the second."
    )
