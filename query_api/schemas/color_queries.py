"""Colours wanted, as a client writes them down."""

from enum import StrEnum
from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from lib.arrays import FloatArray
from lib.color.palette import MAX_COLORS
from lib.color.palette_index import ColorQuery
from lib.color.spaces import lab_from_srgb

MOST_ANYTHING = 0.95
MOST_TOLERANCE_DELTA_E = 100.0
Hex = Annotated[str, StringConstraints(pattern=r"^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$")]
Axis = Annotated[float, Field(ge=-128, le=128, allow_inf_nan=False)]


class ColorMatchKind(StrEnum):
    """What the wanted colours are compared with."""

    palette = "palette"
    main = "main"


class WantedColor(BaseModel):
    """One colour, by its hex code or its CIELAB coordinates (D65)."""

    model_config = ConfigDict(extra="forbid")

    hex: Hex | None = Field(None, examples=["#d02020"])
    lab: tuple[Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)], Axis, Axis] | None = None
    weight: float = Field(1.0, gt=0, le=1e6, allow_inf_nan=False, description="Against the other colours.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.hex is None) == (self.lab is None):
            raise ValueError("give either hex or lab")
        return self

    def coordinates(self) -> FloatArray:
        """Return L*, a*, b*."""
        if self.lab is not None:
            return np.array(self.lab)
        digits = (self.hex or "").lstrip("#")
        full = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
        return lab_from_srgb(np.frombuffer(bytes.fromhex(full), np.uint8) / 255)


class ColorSearch(BaseModel):
    """Pictures of these colours, with or without others beside them."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"colors": [{"hex": "#d02020", "weight": 0.6}, {"hex": "#20c0d0"}], "anything_else": 0.3}]
        },
    )

    colors: list[WantedColor] = Field(min_length=1, max_length=MAX_COLORS)
    anything_else: float = Field(
        0.0,
        ge=0,
        le=MOST_ANYTHING,
        allow_inf_nan=False,
        description="Share of the picture that may have any colours at all; the wanted ones share the rest.",
    )
    tolerance: float | None = Field(
        None, gt=0, le=MOST_TOLERANCE_DELTA_E, allow_inf_nan=False, description="Only up to this distance, in ΔE00."
    )
    match: ColorMatchKind = Field(
        ColorMatchKind.palette,
        description="`palette`: all of the picture's colours. `main`: its heaviest one; takes a single wanted colour.",
    )

    @model_validator(mode="after")
    def _main_takes_one(self) -> Self:
        if self.match is ColorMatchKind.main and (len(self.colors) > 1 or self.anything_else):
            raise ValueError("match=main takes one colour and no anything_else")
        return self

    def query(self) -> ColorQuery:
        """Return the query, its weights scaled to sum 1."""
        weights = np.array([color.weight for color in self.colors])
        lab = np.stack([color.coordinates() for color in self.colors])
        return ColorQuery(lab, weights / weights.sum(), self.anything_else)
