"""The main job, from web pages to answers, as `make demo` does it: run once, then looked at from all sides."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import sqlalchemy as sa
from PIL import Image as PillowImage
from sqlalchemy.orm import Session

from demo import expected, ledger
from demo.catalog import all_pictures
from demo.serve import demo_source, in_background
from lib.cli.environment import process_environment
from lib.cli.sources_file import upsert_sources
from lib.color.difference import ciede2000
from lib.color.spaces import lab_from_srgb
from lib.embedding.loading import load_text_encoder
from lib.library.backup import back_up, restore
from lib.library.verification import verify
from lib.models.registry import model_spec
from lib.scraping.site import Site
from lib.search.by_vector import by_image
from lib.settings import Settings
from lib.storage import features, models
from lib.storage.embeddings import embeddings
from lib.storage.images import count_images
from lib.storage.library import Library, open_library
from lib.storage.objects import ObjectStore
from lib.storage.sources import count_image_urls
from tests.demo_library import Demo, open_folder, run_demo
from tests.snapshot import snapshot

pytestmark = [pytest.mark.browser, pytest.mark.models, pytest.mark.timeout(900)]
REASONS = {"noai_header": "noai", "undecodable": "truncated"}


@pytest.fixture
def session(demo: Demo) -> Iterator[Session]:
    """A session on the demo's library."""
    with open_library(Settings(home=demo.home)) as library, library.database.session() as session:
        yield session


def test_the_demo_finds_exactly_what_the_site_offers(demo: Demo, session: Session) -> None:
    wanted = expected.totals()
    assert session.scalar(sa.text("SELECT count(*) FROM images")) == wanted.distinct_images
    assert count_image_urls(session)["ok"] == wanted.taken_urls


def test_a_restored_library_answers_as_the_one_that_was_backed_up(demo: Demo, tmp_path: Path) -> None:
    """A hundred searches: by look and by meaning of fifty images each, ten answers of each with their distances."""
    with open_library(Settings(home=demo.home)) as library:
        made = back_up(library, tmp_path / "backup")
        before = hundred_answers(library)
    with open_folder("restored") as home:
        assert restore(Settings(home=home), tmp_path / "backup") == made
        with open_library(Settings(home=home)) as library:
            found = verify(library)
            after = hundred_answers(library)
    assert (found.is_whole, found.checked, len(found.orphans)) == (True, made.objects, 0)
    assert [len(answer) for answer in before] == [10] * 100
    assert after == before


def hundred_answers(library: Library) -> list[list[tuple[int, float]]]:
    with library.database.session() as session:
        ids = session.scalars(sa.text("SELECT id FROM images ORDER BY sha256 LIMIT 50")).all()
        found = [
            by_image(session, model_spec(role, "packaged"), one, k=10) for role in ("resnet", "clip") for one in ids
        ]
    return [[(near.image_id, near.distance) for near in answer.neighbors] for answer in found]


def test_every_picture_that_was_not_taken_has_its_reason_in_a_row(demo: Demo, session: Session) -> None:
    rows = dict(session.execute(sa.text("SELECT url, reason FROM image_urls WHERE status <> 'ok'")).all())
    for expectation in expected.expectations(demo.site_port):
        reason = REASONS.get(expectation.reason, expectation.reason)
        if expectation.outcome in ("refused", "failed") and reason != "noai_page":
            assert rows.pop(expectation.url) == reason, expectation.url
    assert rows == {}


def test_pages_that_opted_out_gave_nothing(session: Session) -> None:
    pages = dict(
        session.execute(sa.text("SELECT reason, count(*) FROM pages WHERE reason IS NOT NULL GROUP BY 1")).all()
    )
    assert pages == {"noai": 1, "robots": 1}
    assert session.scalar(sa.text("SELECT count(*) FROM image_urls WHERE url LIKE '%owl-c%'")) == 0


def test_every_image_has_its_lineage(session: Session) -> None:
    without = session.scalar(
        sa.text(
            "SELECT count(*) FROM images WHERE NOT EXISTS (SELECT FROM image_urls JOIN sightings "
            "ON image_url_id = image_urls.id JOIN pages ON page_id = pages.id WHERE image_id = images.id)"
        )
    )
    assert without == 0


def test_every_stage_is_complete(session: Session) -> None:
    counts = [models.coverage(session, model) for model in models.all_models(session)]
    total = expected.totals().distinct_images
    assert [(count.done, count.pending, count.failed, count.dead) for count in counts] == [(total, 0, 0, 0)] * 4


def test_the_answers_are_pictures(demo: Demo) -> None:
    names = {"words.png", "look.png", "similar_colors.png", "complementary_colors.png", "merge.png", "cutout.png"}
    assert {path.name for path in (demo.home / "answers").iterdir()} == names
    for name in names:
        with PillowImage.open(io.BytesIO((demo.home / "answers" / name).read_bytes())) as picture:
            assert picture.format == "PNG"
            assert np.asarray(picture.convert("L")).std() > 5  # not blank


def test_the_demo_leaves_no_process_behind(demo: Demo) -> None:
    mine = [process for process in psutil.process_iter(["cmdline"]) if str(demo.home) in _words(process)]
    assert mine == []


def _words(process: psutil.Process) -> str:
    return " ".join(process.info["cmdline"] or [])


def test_words_find_what_captions_say(session: Session) -> None:
    """Recall@10 over the demo's captions, to which no part of these models was fitted; chance is 0.08."""
    spec = model_spec("clip", "packaged")
    ids, vectors = embeddings(session, "clip", spec_id=spec.spec_id)
    id_of = dict(session.execute(sa.text("SELECT sha256, id FROM images")).all())
    captioned = [(id_of[picture.sha256], picture.caption) for picture in all_pictures() if picture.sha256 in id_of]
    queries = load_text_encoder(spec, Path(), "cpu").encode_texts([caption for _, caption in captioned])
    ranked = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    hits = [image_id in {ids[index] for index in row} for (image_id, _), row in zip(captioned, ranked, strict=True)]
    assert np.mean(hits) > 0.65


def test_pictures_of_one_subject_look_alike(session: Session) -> None:
    """Of the other pictures of the same subject, most are among the 10 nearest by look; chance is 0.08."""
    spec = model_spec("resnet", "packaged")
    ids, vectors = embeddings(session, "resnet", spec_id=spec.spec_id)
    sha_of = dict(session.execute(sa.text("SELECT id, sha256 FROM images")).all())
    subject_of = {picture.sha256: picture.subject for picture in all_pictures()}
    subjects = [subject_of.get(sha_of[image_id], "") for image_id in ids]
    ranked = np.argsort(-(vectors @ vectors.T), axis=1)[:, 1:11]
    shares = []
    for index, subject in enumerate(subjects):
        siblings = {other for other, name in enumerate(subjects) if name == subject and other != index}
        if siblings and subject:
            shares.append(len(siblings & set(ranked[index])) / len(siblings))
    assert len(shares) > 30
    assert np.mean(shares) > 0.9


def test_palettes_hold_the_subjects_colour(session: Session) -> None:
    """The mean colour of each subject, known from its true alpha, has a palette colour close by for most pictures."""
    sha_of = dict(session.execute(sa.text("SELECT id, sha256 FROM images")).all())
    color_of = {picture.sha256: picture.subject_color for picture in all_pictures()}
    nearest = []
    for record in features.active_colors(session):
        known = color_of.get(sha_of[record.image_id])
        if known and len(record.palette_lab):
            rgb = np.array([int(known[index : index + 2], 16) for index in (1, 3, 5)]) / 255
            nearest.append(float(ciede2000(lab_from_srgb(rgb), record.palette_lab).min()))
    assert len(nearest) > 100
    assert np.median(nearest) < 10


def test_a_second_run_costs_nothing(demo: Demo) -> None:
    """No body of a picture, no inference, no row: the site's own log and the tables say so."""
    log = demo.home / "site.jsonl"
    before, served = snapshot(demo.home, demo.site_port), len(ledger.read(log))
    printed = run_demo(demo.home)
    assert "Nothing was to do" in printed
    assert snapshot(demo.home, demo.site_port) == before
    bodies = [line for line in ledger.read(log)[served:] if line["status"] == 200 and line["path"] != "/robots.txt"]
    assert bodies == []
    assert {name: report.get("processed", report.get("new")) for name, report in reports(demo).items()} == {
        **dict.fromkeys(("scraped_images", "cutouts", "color_features", "resnet_embeddings", "clip_embeddings"), 0),
        **dict.fromkeys(("search_index", "coverage")),
    }


def reports(demo: Demo) -> dict[str, dict[str, Any]]:
    """Return what each asset reported in the demo's last run."""
    lines = (demo.home / "logs" / "materialized.jsonl").read_text().splitlines()
    return {line["asset"]: line["metadata"] for line in map(json.loads, lines)}


def test_a_backfill_of_some_buckets_works_by_command(demo: Demo, session: Session) -> None:
    command = ["run", "embed_clip", "--buckets", "00:03", "--force", "--home", str(demo.home)]
    done = subprocess.run([sys.executable, "-m", "lib.cli", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    metadata = json.loads(done.stdout.splitlines()[-1])["metadata"]
    inside = session.scalar(sa.text("SELECT count(*) FROM images WHERE first_byte % 16 <= 3"))
    assert metadata["processed"] == metadata["done"] == inside


def test_a_bucket_that_does_not_exist_is_said_plainly(demo: Demo) -> None:
    command = ["run", "embed_clip", "--buckets", "00:99", "--home", str(demo.home)]
    done = subprocess.run([sys.executable, "-m", "lib.cli", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "buckets are 00 to 0f" in done.stderr


@contextmanager
def site_and_library(home: Path, log: Path, port: int) -> Iterator[Library]:
    """Serve the demo's site and open a library that may scrape it."""
    with in_background(log, port):
        settings = Settings(home=home, profile="packaged", allowed_addresses=f"127.0.0.1:{port}")
        with open_library(settings) as library:
            upsert_sources(library, [Site.model_validate(demo_source(port))])
            yield library


def start_run(library: Library) -> subprocess.Popen[bytes]:
    """Start scraping and encoding in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "orchestration.execute", "scrape", "embed_resnet"],
        env={**os.environ, **process_environment(library.settings, library.urls)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def interrupt(home: Path, log: Path, port: int, kind: str, after_images: int) -> None:
    """Start a run, kill -9 one of its processes once that many images are stored, and let the run come to its end."""
    with site_and_library(home, log, port) as library:
        run = start_run(library)
        while stored_images(library) < after_images:
            assert run.poll() is None, f"the run ended before {after_images} images were stored"
            time.sleep(0.05)
        victim(run, home, kind).send_signal(signal.SIGKILL)
        run.wait(300)


def stored_images(library: Library) -> int:
    """Return how many images the library has."""
    with library.database.session() as session:
        return count_images(session)


def victim(run: subprocess.Popen[bytes], home: Path, kind: str) -> psutil.Process:
    """Return the process to kill: the run, its browser, or the library's database server."""
    process = psutil.Process(run.pid)
    if kind == "run":
        return process
    if kind == "browser":
        return next(child for child in process.children(recursive=True) if "--type=" not in _command(child, "chrom"))
    pid = int((home / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])
    return psutil.Process(pid)


def _command(process: psutil.Process, name: str) -> str:
    # The browser itself has no --type, its helpers have one.
    return " ".join(process.cmdline()) if name in process.name() else "--type=other"


def test_a_scrape_that_is_killed_again_and_again_ends_in_the_same_library(demo: Demo, tmp_path: Path) -> None:
    """Kill -9 of the browser, of the run, of Postgres, in the middle of scraping; then run to the end."""
    log, port = tmp_path / "site.jsonl", demo.site_port  # the port is part of every URL and page
    with open_folder("killed") as home:
        for kind, after_images in (("browser", 10), ("run", 30), ("postgres", 70)):
            interrupt(home, log, port, kind, after_images)
        with site_and_library(home, log, port) as library:
            assert start_run(library).wait(300) == 0
        killed = snapshot(home, port, with_derived=False)
        assert killed == snapshot(demo.home, demo.site_port, with_derived=False)
        store = ObjectStore(home)
        assert all(hashlib.sha256(store.read(digest)).hexdigest() == digest for digest in store.hashes())
