"""The chart of a model's quality."""

import httpx2 as httpx
import numpy as np
import pytest

from lib.models.registry import model_spec
from lib.storage import measurements
from tests.query_api.conftest import Seed

SPEC = model_spec("resnet", "packaged")


def texts(svg: bytes) -> str:
    """Return a chart's source; matplotlib notes each text that it draws as a comment."""
    assert b"<svg" in svg
    return svg.decode()


def test_a_model_that_was_not_measured_says_so(api: httpx.Client) -> None:
    reply = api.get(f"/v1/models/{model_spec('clip', 'packaged').spec_id}/quality.svg")
    assert reply.headers["content-type"] == "image/svg+xml"
    assert "not measured yet" in texts(reply.content)


def test_a_measured_model_shows_its_distances_and_recall(api: httpx.Client, seed: Seed) -> None:
    with seed.database.session() as session:
        measurements.put_distances(session, SPEC.spec_id, "random", np.linspace(0.4, 1.2, 50), images=9)
        measurements.add_recalls(session, SPEC.spec_id, "index", {1: 1.0, 10: 0.97}, queries=9, images=9)
        session.commit()
    shown = texts(api.get(f"/v1/models/{SPEC.spec_id}/quality.svg").content)
    assert SPEC.name in shown
    assert "any two images" in shown
    assert "index @10" in shown
    assert "not measured yet" not in shown


@pytest.mark.parametrize(("spec_id", "status"), [("0" * 16, 404), ("DROP TABLE", 422)])
def test_other_models_have_no_chart(api: httpx.Client, spec_id: str, status: int) -> None:
    assert api.get(f"/v1/models/{spec_id}/quality.svg").status_code == status
