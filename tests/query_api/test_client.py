"""The Python client against a running server: what it fetches, sends, raises, and how it watches jobs."""

import asyncio
import io
import re
import runpy
import shutil
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx2 as httpx
import pytest
from PIL import Image as PillowImage

from lib.client import (
    AsyncVitrine,
    Conflict,
    IdempotencyKeyReused,
    Invalid,
    JobFailed,
    JobStillRunning,
    NotComputedYet,
    NotFound,
    Vitrine,
)
from lib.client.models import Filters, ImageTerm, JobAnswer, LeftRight, Site, TextTerm
from tests.query_api.conftest import PICTURES, PLAIN, REPOSITORY, disc, plain
from tests.query_api.fake_dagster import FakeDagster

T = TypeVar("T")
MISSING = 10**9


@pytest.fixture
def url(api: httpx.Client) -> str:
    return str(api.base_url)


@pytest.fixture
def vitrine(url: str) -> Iterator[Vitrine]:
    with Vitrine(url) as vitrine:
        yield vitrine


@pytest.fixture(autouse=True)
def fresh_dagster(dagster: FakeDagster) -> Iterator[None]:
    """Let each test begin with a Dagster that nobody has asked anything."""
    dagster.reset()
    yield
    dagster.reset()


def awaited(url: str, use: Any) -> Any:
    """Return what ``use`` makes of an asynchronous client."""

    async def run() -> Any:
        async with AsyncVitrine(url) as vitrine:
            return await use(vitrine)

    work: Coroutine[Any, Any, Any] = run()
    return asyncio.run(work)


def opened(content: bytes) -> PillowImage.Image:
    return PillowImage.open(io.BytesIO(content))


def test_all_images_are_walked_page_by_page_newest_first(vitrine: Vitrine, ids: dict[str, int]) -> None:
    found = [image.id for image in vitrine.images.all(limit=3)]
    assert found == sorted(ids.values(), reverse=True)
    pages = list(vitrine.images.all(limit=3).pages())
    assert [len(page.items) for page in pages[:-1]] == [3] * (len(pages) - 1)
    assert pages[0].total == len(ids)


def test_filters_reach_the_server(vitrine: Vitrine, ids: dict[str, int]) -> None:
    cut_out = {image.id for image in vitrine.images.all(has_cutout=True)}
    rest = {image.id for image in vitrine.images.all(has_cutout=False)}
    assert cut_out
    assert (cut_out | rest, cut_out & rest) == (set(ids.values()), set())
    assert list(vitrine.images.all(format=["JPEG", "GIF"])) == []
    assert list(vitrine.images.all(source="elsewhere")) == []


def test_an_image_is_described(vitrine: Vitrine, ids: dict[str, int]) -> None:
    image = vitrine.images.describe(ids["red.png"])
    assert (image.img_name, image.width_px, image.height_px, image.format) == ("red.png", 160, 120, "PNG")
    assert image.created_at.tzinfo is not None
    assert image.colors is not None
    assert "red" in image.colors.palette[0].name


def test_the_asynchronous_client_answers_alike(url: str, vitrine: Vitrine, ids: dict[str, int], tmp_path: Path) -> None:
    async def use(client: AsyncVitrine) -> tuple[object, ...]:
        image_id = ids["dog.png"]
        return (
            await client.images.describe(image_id),
            [image.id async for image in client.images.all(limit=4)],
            [page.total async for page in client.images.all().pages()],
            await client.images.original_file(image_id).read(),
            (await client.images.original_file(image_id).save(tmp_path / "dog.png")).read_bytes(),
            (await client.images.thumbnail(image_id, w=64).image()).size,
            await client.search.by("a dog", images=[image_id]),
        )

    image_id = ids["dog.png"]
    file = (PICTURES / "dog.png").read_bytes()
    assert awaited(url, use) == (
        vitrine.images.describe(image_id),
        [image.id for image in vitrine.images.all(limit=4)],
        [page.total for page in vitrine.images.all().pages()],
        file,
        file,
        vitrine.images.thumbnail(image_id, w=64).image().size,
        vitrine.search.by("a dog", images=[image_id]),
    )


def test_the_library_its_models_and_sources_are_described(vitrine: Vitrine, ids: dict[str, int]) -> None:
    assert vitrine.library.describe().counts["images"] == len(ids)
    models = vitrine.models.list_all().items
    assert {model.role for model in models} == {"matting", "color", "resnet", "clip"}
    assert vitrine.models.describe(models[0].spec_id).name == models[0].name
    assert b"<svg" in vitrine.models.quality_chart(models[0].spec_id).read()
    assert "test" in [source.site.name for source in vitrine.sources.list_all()]
    assert vitrine.health.readyz()["status"] == "ready"
    assert "http_request" in vitrine.health.metrics()


def test_files_are_read_or_saved_as_they_are(vitrine: Vitrine, ids: dict[str, int], tmp_path: Path) -> None:
    image_id, scraped = ids["dog.png"], (PICTURES / "dog.png").read_bytes()
    assert vitrine.images.original_file(image_id).read() == scraped
    saved = vitrine.images.original_file(image_id).save(tmp_path / "saved.png")
    assert saved.read_bytes() == scraped
    assert list(tmp_path.iterdir()) == [saved]
    assert max(vitrine.images.thumbnail(image_id, w=48).image().size) == 48


def test_the_subject_and_its_mask_are_fetched(vitrine: Vitrine, ids: dict[str, int]) -> None:
    (transparent, *_) = vitrine.images.all(has_cutout=True)
    assert vitrine.images.cutout(transparent.id, format="webp").image().format == "WEBP"
    assert vitrine.images.mask(transparent.id).image().mode == "L"
    whole = vitrine.images.full_cutout(transparent.id).image()
    assert (whole.size, whole.mode) == ((transparent.width_px, transparent.height_px), "RGBA")
    assert vitrine.images.make_cutout(transparent.id).coverage == pytest.approx(
        vitrine.images.describe(transparent.id).cutout.coverage
    )


def test_a_download_that_is_refused_leaves_no_file(vitrine: Vitrine, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        vitrine.images.original_file(MISSING).save(tmp_path / "nothing.png")
    assert list(tmp_path.iterdir()) == []


def test_words_pictures_and_colours_find_what_they_name(vitrine: Vitrine, ids: dict[str, int]) -> None:
    assert vitrine.search.by("a dog").results[0].img_name == "dog.png"
    assert vitrine.search.by_words("a dog", limit=3).results[0].img_name == "dog.png"
    red = [vitrine.search.by(colors=[PLAIN["red"]]), vitrine.search.wanted_colors([PLAIN["red"]])]
    assert [answer.results[0].img_name for answer in red] == ["red.png", "red.png"]
    assert vitrine.images.similar(ids["dog.png"], k=2).results[0].image_id != ids["dog.png"]


@pytest.mark.parametrize("kind", ["path", "text", "bytes", "image"])
def test_a_picture_is_uploaded_however_it_is_held(vitrine: Vitrine, kind: str) -> None:
    path = PICTURES / "dog.png"
    with PillowImage.open(path) as image:
        held = {"path": path, "text": str(path), "bytes": path.read_bytes(), "image": image}[kind]
        assert vitrine.search.by_look(held, limit=1).results[0].img_name == "dog.png"
        assert vitrine.search.by(uploads={"mine": held}, limit=1).results[0].img_name == "dog.png"


def test_an_upload_is_weighted_by_the_term_that_names_it(vitrine: Vitrine, ids: dict[str, int]) -> None:
    dog = {"dog": PICTURES / "dog.png"}
    near = vitrine.search.by(uploads=dog, limit=200).results
    less = vitrine.search.by(
        images=[ids["truck.png"], ImageTerm(upload="dog", weight=-0.5)], uploads=dog, limit=200
    ).results
    rank = {match.img_name: match.rank for match in less}
    assert near[0].img_name == "dog.png"
    assert rank["dog.png"] == max(rank.values())


def test_all_matches_are_walked_over_pages_each_once(vitrine: Vitrine, ids: dict[str, int]) -> None:
    text = ["a dog", TextTerm(text="grass", weight=-0.5)]
    found = [match.image_id for match in vitrine.search.all(text=text, limit=4)]
    assert found == [match.image_id for match in vitrine.search.by(text, limit=200).results]
    assert sorted(found) == sorted(ids.values())


def test_filters_narrow_a_search(vitrine: Vitrine, ids: dict[str, int]) -> None:
    found = vitrine.search.by("a dog", filters=Filters(has_cutout=True), limit=200).results
    assert {match.image_id for match in found} == {image.id for image in vitrine.images.all(has_cutout=True)}


def test_a_search_is_a_collage_if_that_is_wanted(vitrine: Vitrine) -> None:
    for collage in (
        vitrine.search.collage(text="a dog", limit=4),
        vitrine.search.collage(uploads={"red": plain("red")}, limit=4),
    ):
        assert collage.image().format == "PNG"
        assert min(collage.image().size) > 200


def test_colours_of_a_picture_find_their_like_and_their_complement(vitrine: Vitrine) -> None:
    alike = vitrine.search.similar_colors(disc(PLAIN["red"]), limit=1)
    assert (alike.results[0].img_name, alike.unit) == ("red.png", "ΔE00")
    opposite = vitrine.search.complementary_colors(disc(PLAIN["red"]), harmony="complementary", wheel="hsv", limit=1)
    assert opposite.results[0].img_name == "cyan.png"


def test_duplicates_are_walked_and_decided_on(vitrine: Vitrine) -> None:
    groups = list(vitrine.duplicates.groups("look", within=0.6, limit=1))
    pair = [image.id for image in groups[0].images][:2]
    vitrine.duplicates.decide(pair, duplicates=False)
    after = [{image.id for image in group.images} for group in vitrine.duplicates.groups("look", within=0.6)]
    vitrine.duplicates.decide(pair, duplicates=True)
    assert len(pair) == 2
    assert not [group for group in after if set(pair) <= group]


def test_two_images_are_merged(vitrine: Vitrine, ids: dict[str, int], paths: dict[str, str]) -> None:
    merged = vitrine.merges.merge_images(
        ids["red.png"], ids["blue.png"], mask=LeftRight(position=0.25), levels=0
    ).image()
    assert (merged.size, merged.format) == ((160, 120), "PNG")
    left, right = merged.convert("RGB").getpixel((5, 60)), merged.convert("RGB").getpixel((100, 60))
    assert (left, right) == ((0xD0, 0x20, 0x20), (0x20, 0x40, 0xD0))
    by_path = vitrine.merges.merge_images(img_path_1=paths["red.png"], img_path_2=paths["blue.png"], format="webp")
    assert by_path.image().format == "WEBP"


def test_a_drawn_mask_chooses_the_first_where_it_is_white(vitrine: Vitrine, ids: dict[str, int]) -> None:
    white = PillowImage.new("L", (8, 8), 255)
    merged = vitrine.merges.merge_by_drawing(ids["red.png"], ids["blue.png"], mask=white, levels=0).image()
    assert merged.convert("RGB").getpixel((80, 60)) == (0xD0, 0x20, 0x20)


def test_a_merge_is_kept_listed_and_forgotten(vitrine: Vitrine, ids: dict[str, int]) -> None:
    pair = {"image_id_1": ids["red.png"], "image_id_2": ids["blue.png"]}
    white = PillowImage.new("L", (8, 8), 255)
    kept = [vitrine.merges.keep_images(**pair, levels=0), vitrine.merges.keep_drawn(**pair, mask=white, format="webp")]
    listed = [merge.id for merge in vitrine.merges.all(limit=1)]
    assert listed[:2] == [kept[1].id, kept[0].id]
    assert vitrine.merges.describe(kept[0].id) == kept[0]
    assert [vitrine.merges.file(merge.id).image().format for merge in kept] == ["PNG", "WEBP"]
    for merge in kept:
        vitrine.merges.remove(merge.id)
    with pytest.raises(NotFound):
        vitrine.merges.file(kept[0].id).read()


def test_a_deleted_image_is_gone_until_it_is_restored(vitrine: Vitrine, ids: dict[str, int]) -> None:
    vitrine.images.delete(ids["grey.png"])
    with pytest.raises(NotFound):
        vitrine.images.describe(ids["grey.png"])
    assert vitrine.images.restore(ids["grey.png"]).id == ids["grey.png"]


def test_a_source_is_added_changed_and_removed(vitrine: Vitrine) -> None:
    site = Site(name="museum", start_urls=["https://museum.example/"], max_pages=3)
    assert vitrine.sources.add(site).site.max_pages == 3
    with pytest.raises(Conflict):
        vitrine.sources.add(site)
    changed = vitrine.sources.change("museum", site.model_copy(update={"max_pages": 5}))
    assert changed.site == vitrine.sources.describe("museum").site
    assert vitrine.sources.remove("museum").name == "museum"
    with pytest.raises(NotFound):
        vitrine.sources.describe("museum")


def test_clearing_is_tried_dry(vitrine: Vitrine, ids: dict[str, int]) -> None:
    would = vitrine.library.clear(dry_run=True)
    assert (would.dry_run, would.removed["images"]) == (True, len(ids))
    assert vitrine.library.describe().counts["images"] == len(ids)


def test_an_error_says_what_the_server_says(vitrine: Vitrine) -> None:
    with pytest.raises(NotFound) as missing:
        vitrine.images.describe(MISSING)
    told = missing.value
    assert (told.type, told.status) == ("urn:vitrine:problem:image-not-found", 404)
    assert str(told) == f"{told.title}: {told.detail}"
    with pytest.raises(Invalid) as invalid:
        vitrine.images.similar(1, k=0)
    assert [part.where for part in invalid.value.errors] == ["query.k"]
    with pytest.raises(Invalid) as meaningless:
        vitrine.search.by()
    assert "nothing to search for" in str(meaningless.value)


def test_what_is_not_computed_yet_is_told_from_other_conflicts(vitrine: Vitrine, ids: dict[str, int]) -> None:
    with pytest.raises(NotComputedYet):
        vitrine.images.cutout(ids["cyan.png"]).read()


def test_the_asynchronous_client_raises_alike(url: str) -> None:
    async def use(client: AsyncVitrine) -> None:
        await client.images.describe(MISSING)

    with pytest.raises(NotFound):
        awaited(url, use)


def test_a_job_is_watched_to_its_end(vitrine: Vitrine, dagster: FakeDagster) -> None:
    job = vitrine.jobs.run("embed_clip")
    seen = [(now.state, job.share_done) for now in job]
    assert [state for state, _ in seen] == ["STARTED", "SUCCESS"]
    assert 0 < (seen[0][1] or 0) <= 1
    assert (job.has_ended, job.share_done) == (True, 1.0)
    assert (job.answer.model_extra or {})["processed"] == 4
    assert len(dagster.launches) == 1


def test_a_job_is_waited_for_with_a_word_at_each_change(vitrine: Vitrine) -> None:
    told: list[JobAnswer] = []
    last = vitrine.jobs.run("derive").wait(timeout_s=60, on_progress=told.append)
    assert [now.state for now in told] == ["STARTED", "SUCCESS"]
    assert last == told[-1]


def test_waiting_ends_when_its_time_is_over_and_the_job_goes_on(vitrine: Vitrine, dagster: FakeDagster) -> None:
    dagster.looks_until_end = 10**6
    job = vitrine.jobs.run("derive")
    with pytest.raises(JobStillRunning) as late:
        job.wait(timeout_s=0.2)
    assert isinstance(late.value, TimeoutError)
    assert vitrine.jobs.follow(job.request_id).state == "STARTED"
    job.cancel()
    assert dagster.terminated == ["run-1"]


def test_a_job_that_fails_raises_with_how_far_it_came(vitrine: Vitrine, dagster: FakeDagster) -> None:
    dagster.outcome = "FAILURE"
    with pytest.raises(JobFailed) as failed:
        vitrine.jobs.run("embed_clip").wait(timeout_s=60)
    assert (failed.value.answer.model_extra or {})["failed"] == 1


def test_a_key_of_ones_own_starts_one_job_and_each_call_without_one_its_own(
    vitrine: Vitrine, dagster: FakeDagster
) -> None:
    asked = [vitrine.jobs.start("derive", idempotency_key="client").request_id for _ in range(2)]
    assert (len(set(asked)), len(dagster.launches)) == (1, 1)
    assert len({vitrine.jobs.start("derive").request_id for _ in range(2)}) == 2
    with pytest.raises(IdempotencyKeyReused):
        vitrine.jobs.start("scrape", idempotency_key="client")
    assert asked[0] in [request.request_id for request in vitrine.jobs.all(limit=2)]


def test_jobs_are_watched_waited_for_and_cancelled_asynchronously(url: str, dagster: FakeDagster) -> None:
    async def use(client: AsyncVitrine) -> tuple[object, ...]:
        job = await client.jobs.run("embed_clip")
        seen = [now.state async for now in job]
        again = [now.state async for now in client.jobs.events(job.request_id)]
        last = await (await client.jobs.follow(job.request_id)).wait(timeout_s=60)
        with pytest.raises(Conflict):
            await job.cancel()
        return seen, again, last.state

    assert awaited(url, use) == (["STARTED", "SUCCESS"], ["SUCCESS"], "SUCCESS")


def test_the_lines_in_the_guide_do_what_they_say(
    url: str, dagster: FakeDagster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = (REPOSITORY / "docs" / "guide.md").read_text().partition("## From Python")[2].partition("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    shutil.copy(PICTURES / "dog.png", "photo.jpg")
    for block in blocks:
        here = re.sub(r"Vitrine\([^)]*\)", f'Vitrine("{url}")', block).replace(".show()", ".load()")
        Path("lines.py").write_text(here)
        runpy.run_path("lines.py")
        dagster.reset()
    assert len(blocks) == 2
    assert opened(Path("dog.png").read_bytes()).mode == "RGBA"
    assert min(opened(Path("merged.png").read_bytes()).size) > 100
