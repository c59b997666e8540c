"""Models: what is told of them, which of them answers, and the chart of their quality."""

from collections.abc import Iterator

import httpx2 as httpx
import numpy as np
import pytest
import sqlalchemy as sa

from lib.models.registry import ModelSpec, model_spec
from lib.storage import measurements, models
from lib.storage.tables import Model
from tests.query_api.conftest import Seed

SPEC = model_spec("resnet", "packaged")
CLIP = model_spec("clip", "packaged")


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


@pytest.fixture
def other_clip(seed: Seed) -> Iterator[ModelSpec]:
    """A clip model that fills beside the active one and has covered nothing; its weights are not on this machine."""
    spec = model_spec("clip", "standard")
    with seed.database.session() as session:
        models.add_model(session, spec)
        session.commit()
    yield spec
    with seed.database.session() as session:
        models.activate(session, CLIP.spec_id)
        session.execute(sa.delete(Model).where(Model.spec_id == spec.spec_id))
        session.commit()


def test_models_are_listed_with_their_coverage(api: httpx.Client, other_clip: ModelSpec, ids: dict[str, int]) -> None:
    listed = {model["spec_id"]: model for model in api.get("/v1/models").json()["items"]}
    clip = listed[CLIP.spec_id]
    assert clip["state"] == "active"
    assert 0 < clip["done"] == len(ids) - clip["pending"]
    assert (listed[other_clip.spec_id]["state"], listed[other_clip.spec_id]["pending"]) == ("filling", len(ids))


def test_one_model_is_described_with_its_latest_recall(api: httpx.Client, seed: Seed) -> None:
    with seed.database.session() as session:
        measurements.add_recalls(session, CLIP.spec_id, "index", {10: 0.5}, queries=9, images=9)
        measurements.add_recalls(session, CLIP.spec_id, "index", {10: 0.75}, queries=9, images=9)
        session.commit()
    described = api.get(f"/v1/models/{CLIP.spec_id}").json()
    assert [recall["recall"] for recall in described["recalls"] if recall["k"] == 10] == [0.75]
    assert api.get(f"/v1/models/{'0' * 16}").status_code == 404


def test_a_model_without_weights_cannot_be_activated(api: httpx.Client, other_clip: ModelSpec) -> None:
    reply = api.post(f"/v1/models/{other_clip.spec_id}/activate?incomplete=true")
    assert (reply.status_code, reply.json()["type"]) == (503, "urn:vitrine:problem:weights-missing")
    assert "models pull" in reply.json()["detail"]
    assert api.get(f"/v1/models/{CLIP.spec_id}").json()["state"] == "active"


def test_a_model_that_lacks_images_is_activated_only_by_somebody_who_says_so(api: httpx.Client) -> None:
    matting = model_spec("matting", "packaged")
    refused = api.post(f"/v1/models/{matting.spec_id}/activate")  # the opaque pictures have no cut-outs
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:vitrine:problem:conflict")
    activated = api.post(f"/v1/models/{matting.spec_id}/activate?incomplete=true").raise_for_status()
    assert activated.json()["state"] == "active"


def test_a_role_goes_back_to_the_model_before(api: httpx.Client, seed: Seed, other_clip: ModelSpec) -> None:
    assert api.post("/v1/model-roles/clip/rollback").status_code == 409  # there was none before
    with seed.database.session() as session:
        models.activate(session, other_clip.spec_id)
        session.commit()
    answer = api.post("/v1/model-roles/clip/rollback").raise_for_status().json()
    assert (answer["spec_id"], answer["state"]) == (CLIP.spec_id, "active")
    assert api.post("/v1/model-roles/painter/rollback").status_code == 422
