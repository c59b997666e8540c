"""What every table shares: the declarative base, the names of constraints, and columns that most of them have."""

from datetime import datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import ARRAY, REAL, BigInteger, DateTime, Identity, Interval, MetaData, String, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING_CONVENTION = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
LIVE = text("cleared_in IS NULL")


class Base(DeclarativeBase):
    """Every table; timestamps carry their zone, Python ``dict`` is JSONB."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        timedelta: Interval(),
        dict[str, Any]: JSONB,
        list[dict[str, Any]]: JSONB,
        list[str]: ARRAY(String),
        list[float]: ARRAY(REAL),
        int: BigInteger,
    }


def row_id() -> Mapped[int]:
    """Return a primary key that the database counts up."""
    return mapped_column(BigInteger, Identity(), primary_key=True)


def now() -> Mapped[datetime]:
    """Return a timestamp that is the transaction's unless one is given."""
    return mapped_column(server_default=func.now())
