"""Alembic's entry: the connection comes from ``lib.storage.database.prepare``, which holds the migration lock."""

from typing import Any, Literal

from alembic import context

from lib.storage.tables import Image

VIEWS_AND_PARTITIONS = ("scrapped_images", "resnet_embeddings_", "clip_embeddings_")


def include_name(name: str | None, type_: str, _parents: Any) -> bool:
    """Leave what the models do not describe (per-model partitions) out of comparisons."""
    partition = type_ == "table" and name is not None and name.startswith(VIEWS_AND_PARTITIONS)
    return not partition


def run() -> None:
    """Run the migrations on the connection that was handed over."""
    kind: Literal["connection"] = "connection"
    context.configure(
        connection=context.config.attributes[kind], target_metadata=Image.metadata, include_name=include_name
    )
    with context.begin_transaction():
        context.run_migrations()


run()
