"""The promise that work is done once, on a library large enough that doing it again would show."""

from collections.abc import Iterator

import pytest

from bench import incremental
from bench.incremental import Cost, measured, synthetic_library

pytestmark = [pytest.mark.models, pytest.mark.browser, pytest.mark.timeout(600)]
IMAGES = 300


@pytest.fixture(scope="module")
def costs() -> Iterator[dict[str, Cost]]:
    """What each change costs, by its name in the bench's table."""
    with pytest.MonkeyPatch.context() as patch, synthetic_library(IMAGES) as library:
        patch.setattr(incremental, "REPEATS", 1)
        yield {name.strip(): cost for name, cost in measured(library)}


def written(cost: Cost) -> dict[str, int]:
    """Return the tables that were written to."""
    return {table: rows for table, rows in cost.rows_written.items() if rows}


def test_a_run_with_nothing_new_computes_and_writes_nothing(costs: dict[str, Cost]) -> None:
    cost = costs["nothing new"]
    assert len(cost.seconds) == 7  # every asset ran
    assert sum(cost.images_computed.values()) == 0
    assert written(cost) == {}
    assert cost.files_made == 0


def test_one_new_image_costs_one_image(costs: dict[str, Cost]) -> None:
    cost = costs["one new image"]
    stages = ("cutouts", "color_features", "resnet_embeddings", "clip_embeddings")
    assert cost.images_computed == dict.fromkeys(stages, 1)
    assert written(cost) == {**dict.fromkeys(stages, 1), "stage_results": len(stages)}


def test_a_new_model_costs_only_its_stage(costs: dict[str, Cost]) -> None:
    cost = costs["a new CLIP model"]
    assert cost.images_computed == {"clip_embeddings": IMAGES + 1}
    assert written(cost) == {"clip_embeddings": IMAGES + 1, "stage_results": IMAGES + 1}


def test_a_new_remover_with_equal_masks_costs_nothing_downstream(costs: dict[str, Cost]) -> None:
    own, colors = costs["a new remover, equal masks"], costs["its colours"]
    assert own.images_computed == {"cutouts": IMAGES + 1}
    assert written(own) == {"cutouts": IMAGES + 1, "stage_results": IMAGES + 1}
    assert own.files_made == 0
    assert sum(colors.images_computed.values()) == 0
    assert written(colors) == {}
