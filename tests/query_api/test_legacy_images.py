"""The predecessor's requests about stored images: hello, highlight one, merge."""

import io

import httpx2 as httpx
import numpy as np
import pytest
from PIL import Image as PillowImage

from lib.models.registry import model_spec
from lib.storage import ledger
from lib.storage.features import active_cutout
from tests.query_api.conftest import Seed, plain

JSON = {"Accept": "application/json"}
UNKNOWN = ["library/test/none.png", "../../etc/passwd", "/etc/passwd", "library/test/../test/dog.png", "ю" * 300]


def opened(reply: httpx.Response) -> PillowImage.Image:
    """Return the PNG in an answer."""
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "image/png"
    return PillowImage.open(io.BytesIO(reply.content))


def test_hello_has_the_old_columns_and_more(api: httpx.Client, paths: dict[str, str], ids: dict[str, int]) -> None:
    body = api.post("/hello", json={"img_path": paths["red.png"]}).raise_for_status().json()
    assert (body["id"], body["img_name"], body["img_path"]) == (ids["red.png"], "red.png", paths["red.png"])
    assert len(body["img_hash"]) == 64
    assert body["is_highlighted"] is False
    assert body["embedding_resnet"] is None, "a stand-in's vector is not a ResNet embedding"
    assert (body["width_px"], body["height_px"], body["format"]) == (160, 120, "PNG")
    assert body["colors"]["palette"][0]["hex"] == "#d02020"
    assert body["models"]["resnet"]["name"] == "efficientnet-lite2-512"
    assert body["models"]["resnet"]["computed"] is True
    assert body["sightings"] == []


@pytest.mark.parametrize("img_path", UNKNOWN)
@pytest.mark.parametrize("path", ["/hello", "/highlight_particular_image"])
def test_an_unknown_path_is_not_found_and_not_repeated(api: httpx.Client, path: str, img_path: str) -> None:
    reply = api.post(path, json={"img_path": img_path})
    assert reply.status_code == 404
    assert reply.json()["type"] == "urn:vitrine:problem:image-not-found"
    assert img_path not in reply.text


@pytest.mark.parametrize("img_path", ["", "a\x00b", "x" * 1025, 7, None])
def test_what_cannot_be_a_path_is_refused(api: httpx.Client, img_path: object) -> None:
    assert api.post("/hello", json={"img_path": img_path}).status_code == 422


def test_a_particular_image_is_cut_out_at_full_size_and_stored_like_the_bulk_one(api: httpx.Client, seed: Seed) -> None:
    ground = PillowImage.new("RGB", (1400, 1000), "#f4f4f4")
    ground.paste(PillowImage.open(io.BytesIO(plain("#c01818", (500, 500)))), (450, 250))
    sink = io.BytesIO()
    ground.save(sink, "PNG")
    image = seed.add("highlight-me.png", sink.getvalue())
    missing = api.get(f"/v1/images/{image.id}/cutout")
    assert missing.status_code == 409

    cutout = opened(api.post("/highlight_particular_image", json={"img_path": image.img_path}))
    alpha = np.asarray(cutout)[..., 3]
    assert cutout.size == (1400, 1000)
    assert alpha[500, 700] > 200
    assert alpha[20, 20] < 50

    with seed.database.session() as session:
        stored = active_cutout(session, image.id)
        assert stored is not None
        assert stored.origin == "model"
        work = ledger.Work("cutouts", model_spec("matting", "packaged").spec_id, run_id="")
        done_before = ledger.count(session, work).done
        assert done_before >= 1
    small = opened(api.get(f"/v1/images/{image.id}/cutout"))
    assert small.size == (1024, 731)
    record = api.post("/highlight_particular_image", json={"img_path": image.img_path}, headers=JSON).json()
    assert record["mask_sha256"] == stored.mask_sha256
    with seed.database.session() as session:
        assert ledger.count(session, work).done == done_before
        assert ledger.due_count(session, ledger.Work("cutouts", work.spec_id, "")) >= 0


def test_a_run_that_holds_the_image_keeps_it_and_the_client_is_answered_all_the_same(
    api: httpx.Client, seed: Seed, paths: dict[str, str], ids: dict[str, int]
) -> None:
    spec_id = model_spec("matting", "packaged").spec_id
    work = ledger.Work("cutouts", spec_id, run_id="a-run")
    with ledger.running(seed.database, "a-run"), seed.database.session() as session:
        ledger.open_work(session, work)
        claims = ledger.claim(session, work, limit=100)
        session.commit()
        assert ids["cyan.png"] in [claim.image_id for claim in claims]
        opened(api.post("/highlight_particular_image", json={"img_path": paths["cyan.png"]}))
        assert active_cutout(session, ids["cyan.png"]) is None
        ledger.release(session, work, claims)
        session.commit()


def test_two_images_are_merged(api: httpx.Client, paths: dict[str, str]) -> None:
    body = {"img_path_1": paths["red.png"], "img_path_2": paths["blue.png"]}
    pixels = np.asarray(opened(api.post("/merge_imgs", json=body)).convert("RGB")).astype(int)
    assert pixels.shape == (120, 160, 3)
    assert pixels[60, 5, 0] > pixels[60, 5, 2], "red on the left"
    assert pixels[60, 155, 2] > pixels[60, 155, 0], "blue on the right"


def test_a_merge_of_an_unknown_image_is_not_found(api: httpx.Client, paths: dict[str, str]) -> None:
    reply = api.post("/merge_imgs", json={"img_path_1": paths["red.png"], "img_path_2": "none"})
    assert reply.status_code == 404
