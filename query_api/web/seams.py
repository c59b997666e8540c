"""The address of a merge that is being tried: which two pictures, and where one passes into the other."""

from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lib.errors import MeaninglessQuery
from lib.images.blending import MAX_LEVELS
from query_api.schemas.merges import Gradient, LeftRight, MergeRecord, Share, Subject, TopBottom
from query_api.web.address import Id

Kind = Literal["left_right", "top_bottom", "gradient", "subject"]


class Seam(BaseModel):
    """Two images, and how they are merged."""

    model_config = ConfigDict(frozen=True)

    a: Id | None = None
    b: Id | None = None
    kind: Kind = "left_right"
    position: Share = 0.5
    softness: Share = 0.0
    angle_deg: Annotated[float, Field(ge=-360, le=360, allow_inf_nan=False)] = 0.0
    levels: Annotated[int, Field(ge=0, le=MAX_LEVELS)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, given: Any) -> Any:
        return {name: value for name, value in given.items() if value != ""} if isinstance(given, dict) else given

    @classmethod
    def of(cls, merge: MergeRecord) -> Self:
        """Return the address at which a merge that was kept can be tried again."""
        mask = merge.how["mask"]
        known = {name: mask[name] for name in ("position", "softness", "angle_deg") if name in mask}
        kind = mask["kind"] if mask["kind"] in get_args(Kind) else "left_right"  # a drawing is not kept
        return cls(a=merge.image_id_1, b=merge.image_id_2, kind=kind, levels=merge.how["levels"], **known)

    def both(self) -> tuple[int, int]:
        """Return the ids of the two images. Raises MeaninglessQuery where one is missing."""
        if self.a is None or self.b is None:
            raise MeaninglessQuery("a merge takes two pictures: choose both")
        return self.a, self.b

    def mask(self) -> LeftRight | TopBottom | Gradient | Subject:
        """Return the mask that is meant."""
        if self.kind == "subject":
            return Subject(kind="subject")
        if self.kind == "gradient":
            return Gradient(kind="gradient", angle_deg=self.angle_deg, position=self.position, softness=self.softness)
        split = LeftRight if self.kind == "left_right" else TopBottom
        return split(kind=self.kind, position=self.position, softness=self.softness)

    def query(self, **changes: Any) -> str:
        """Return this as the query of an address, with some fields changed.

        >>> Seam(a=1, b=2, kind="top_bottom").query(a=2, b=1)
        'a=2&b=1&kind=top_bottom'
        """
        pairs = [(name, changes.get(name, getattr(self, name))) for name in type(self).model_fields]
        return urlencode([(name, value) for name, value in pairs if value != type(self).model_fields[name].default])

    def href(self, **changes: Any) -> str:
        """Return the address of the page where it is tried."""
        return f"/merge?{self.query(**changes)}"

    def preview(self) -> str:
        """Return the address of the small result."""
        return f"/merge/preview.webp?{self.query()}"
