"""What the API says of models."""

from dataclasses import asdict
from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from lib.storage.ledger import StageCounts
from lib.storage.measurements import RecallPoint
from lib.storage.tables import Model


class ModelCoverage(BaseModel):
    """A model of this library, and where the live images stand with it."""

    spec_id: str
    role: str
    name: str
    profile: str
    state: str = Field(description="`active` answers queries, `filling` is being computed, `retired` is kept.")
    dimension: int | None
    languages: list[str]
    done: int
    pending: int
    failed: int
    dead: int

    @classmethod
    def of(cls, model: Model, counts: StageCounts) -> Self:
        """Return a model with its counts."""
        return cls(
            spec_id=model.spec_id,
            role=model.role,
            name=model.name,
            profile=model.profile,
            state=model.state,
            dimension=model.dimension,
            languages=model.languages,
            **asdict(counts),
        )


class RecallInfo(BaseModel):
    """One measurement of how much a model's search finds."""

    kind: str = Field(description="`index`: of the exact k nearest; `captions`: of captions, their own image.")
    k: int
    recall: float = Field(description="A share, 0 to 1.")
    query_count: int
    image_count: int
    measured_at: datetime

    @classmethod
    def of(cls, point: RecallPoint) -> Self:
        """Return what is told of a measurement."""
        return cls(**asdict(point))


class ModelDetail(ModelCoverage):
    """A model of this library, and the latest measurements of its search."""

    recalls: list[RecallInfo]


class ModelList(BaseModel):
    """Every model that this library uses or has used, by role and name."""

    items: list[ModelCoverage]
