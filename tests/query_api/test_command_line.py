"""The command line against a running server: what it prints, writes, sends, and which code it ends with."""

import csv
import hashlib
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from PIL import Image as PillowImage

from lib.cli.main import main
from lib.cli.ports import free_port
from lib.client import Vitrine
from lib.settings import Settings
from lib.storage.images import count_images
from lib.storage.library import open_library
from tests.query_api.conftest import PICTURES, PLAIN, REPOSITORY, Seed, plain
from tests.query_api.fake_dagster import FakeDagster


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """The cells of the table that was printed, without its head."""
        return [re.split(r"\s{2,}", line.strip()) for line in self.out.strip().splitlines()[1:]]


Command = Callable[..., Done]


@pytest.fixture
def vitrine(
    api: httpx.Client, seed: Seed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """A function that runs the command in this process, on the shared server and its library."""
    monkeypatch.setenv("VITRINE_URL", str(api.base_url))
    monkeypatch.setenv("VITRINE_HOME", str(seed.home))
    monkeypatch.setenv("DATABASE_URL", seed.database_url)

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["vitrine", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return Done(int(ended.value.code or 0), told.out, told.err)

    return run


@pytest.fixture
def client(api: httpx.Client) -> Iterator[Vitrine]:
    with Vitrine(str(api.base_url)) as client:
        yield client


@pytest.fixture(autouse=True)
def fresh_dagster(dagster: FakeDagster) -> Iterator[None]:
    """Let each test begin with a Dagster that nobody has asked anything."""
    dagster.reset()
    yield
    dagster.reset()


def test_status_says_what_there_is_and_what_to_do(vitrine: Command, ids: dict[str, int]) -> None:
    told = vitrine("status")
    assert told.code == 0
    assert f"{len(ids)} pictures" in told.out
    assert re.search(rf"look +efficientnet-lite2-512 +answers +{len(ids)}", told.out)
    assert "Next:" in told.out
    as_json = vitrine("status", "--json").json
    assert as_json["library"]["counts"]["images"] == len(ids)
    assert as_json["waits_for"] is None


def test_words_find_what_the_api_finds(vitrine: Command, client: Vitrine) -> None:
    found = client.search.by("a dog", limit=3)
    told = vitrine("search", "a", "dog", "--k", 3)
    assert told.code == 0
    assert [row[0] for row in told.rows] == [str(result.image_id) for result in found.results]
    assert told.rows[0][-1] == found.results[0].img_path
    assert vitrine("search", "a", "dog", "--k", 3, "--json").json == found.model_dump(mode="json")


def test_a_word_with_a_hyphen_is_wanted_less(vitrine: Command) -> None:
    plainly = vitrine("search", "dog", "--k", 20, "--json").json["results"]
    less = vitrine("search", "dog", "-animal", "--k", 20, "--json").json["results"]
    assert [one["distance"] for one in less] != [one["distance"] for one in plainly]
    assert set(less[0]["parts"]["meaning"]) >= {"terms"}
    assert len(less[0]["parts"]["meaning"]["terms"]) == 2


def test_colours_pictures_and_filters_go_together(vitrine: Command, ids: dict[str, int]) -> None:
    told = vitrine("search", "#d02020", "--k", 1).rows
    assert told[0][0] == str(ids["red.png"])
    parts = vitrine("search", "dog", "#d02020", "--picture", PICTURES / "dog.png", "--like", ids["red.png"], "--json")
    assert set(parts.json["parts"]) == {"meaning", "look", "colors"}
    cut_out = vitrine("search", "dog", "--has-cutout", "--json").json["results"]
    assert 0 < len(cut_out) < len(ids)


def test_what_is_not_found_ends_with_1_and_a_question_that_says_nothing_with_2(vitrine: Command) -> None:
    nothing = vitrine("search", "dog", "--source", "elsewhere")
    assert (nothing.code, nothing.out) == (1, "")
    assert "Nothing was found" in nothing.err
    assert vitrine("search", "dog", "--source", "elsewhere", "--json").json["results"] == []
    assert vitrine("search").code == 2
    assert vitrine("search", "dog", "--format", "PDF").code == 2
    assert vitrine("search", "dog", "--k", 0).code == 2


def test_a_contact_sheet_holds_its_pictures(vitrine: Command, tmp_path: Path) -> None:
    vitrine("search", "a <dog>", "--k", 3, "--html", tmp_path / "sheet.html")
    sheet = (tmp_path / "sheet.html").read_text()
    assert len(re.findall(r'src="data:image/webp;base64,UklGR', sheet)) == 3  # RIFF
    assert "<h1>a &lt;dog&gt;</h1>" in sheet
    assert not re.findall(r"https?://", sheet)


def test_similar_takes_an_image_or_a_file(vitrine: Command, client: Vitrine, ids: dict[str, int]) -> None:
    found = client.images.similar(ids["dog.png"], k=3)
    told = vitrine("similar", ids["dog.png"], "--k", 3)
    assert [row[0] for row in told.rows] == [str(result.image_id) for result in found.results]
    by_file = vitrine("similar", PICTURES / "dog.png", "--k", 1)
    assert by_file.rows[0][:2] == [str(ids["dog.png"]), "0.000"]
    assert vitrine("similar", 10**9).code == 1
    assert vitrine("similar", "no-such-file.png").code == 2


def test_colours_are_asked_for_by_code_name_or_file(vitrine: Command, ids: dict[str, int], tmp_path: Path) -> None:
    (tmp_path / "cyan.png").write_bytes(plain(PLAIN["cyan"]))
    assert vitrine("color", PLAIN["blue"], "--k", 1).rows[0][0] == str(ids["blue.png"])
    assert vitrine("color", "gray", "--match", "main", "--k", 1).rows[0][0] == str(ids["grey.png"])
    assert vitrine("color", tmp_path / "cyan.png", "--match", "layout", "--k", 1).rows[0][0] == str(ids["cyan.png"])
    opposite = vitrine("color", PLAIN["red"], "--harmony", "complementary", "--json").json
    assert opposite["relation"] == "complementary"
    assert ids["cyan.png"] in [result["image_id"] for result in opposite["results"]]
    assert vitrine("color", "mauve-ish").code == 2
    assert vitrine("color", "red", "--match", "layout").code == 2
    assert "grey is in harmony with nothing" in vitrine("color", "gray", "--harmony", "triadic").err


def test_two_images_become_one_file(
    vitrine: Command, ids: dict[str, int], paths: dict[str, str], tmp_path: Path
) -> None:
    merged = tmp_path / "m.webp"
    assert vitrine("merge", ids["red.png"], paths["blue.png"], "-o", merged, "--levels", 0).code == 0
    with PillowImage.open(merged) as picture:
        assert (picture.format, picture.size) == ("WEBP", (160, 120))
        left, right = (picture.convert("RGB").getpixel((x, 60)) for x in (5, 155))
    assert left[0] > 180 > 80 > left[2]  # type: ignore[index]
    assert right[2] > 180 > 80 > right[0]  # type: ignore[index]
    assert vitrine("merge", ids["red.png"], ids["blue.png"], "-o", tmp_path / "m.tiff").code == 2


def test_a_mask_of_ones_own_decides(vitrine: Command, ids: dict[str, int], tmp_path: Path) -> None:
    PillowImage.new("L", (8, 8), 0).save(tmp_path / "mask.png")
    out = tmp_path / "m.png"
    assert vitrine("merge", ids["red.png"], ids["blue.png"], "--drawn", tmp_path / "mask.png", "-o", out).code == 0
    with PillowImage.open(out) as picture:
        assert picture.convert("RGB").getpixel((80, 60)) == (0x20, 0x40, 0xD0)


def test_a_subject_becomes_a_file(vitrine: Command, ids: dict[str, int], tmp_path: Path) -> None:
    assert vitrine("cutout", ids["dog.png"], "-o", tmp_path / "c.png").code == 0
    with PillowImage.open(tmp_path / "c.png") as cut, PillowImage.open(PICTURES / "dog.png") as whole:
        assert (cut.mode, cut.size) == ("RGBA", whole.size)
    assert vitrine("cutout", ids["red.png"], "--small", "-o", tmp_path / "r.png").code == 5
    assert vitrine("cutout", 10**9, "-o", tmp_path / "n.png").code == 1


def test_a_scrape_is_followed_to_its_end(vitrine: Command, dagster: FakeDagster) -> None:
    told = vitrine("scrape", "test")
    assert told.code == 0
    assert re.search(r"scrape +done +3 +5 +0 +2", told.out)
    assert "robots 2" in told.out
    assert "running" in told.err
    (launched,) = dagster.launches
    assert launched["runConfigData"] == {"ops": {"scraped_images": {"config": {"sources": ["test"]}}}}
    assert vitrine("scrape", "--json").json["new"] == 5
    assert dagster.launches[1]["runConfigData"] == {}


def test_a_job_is_listed_shown_and_called_off(vitrine: Command, dagster: FakeDagster) -> None:
    dagster.looks_until_end = 10**6
    begun = vitrine("jobs", "start", "derive", "--no-follow", "--json").json
    assert vitrine("jobs", "list", "--limit", 1).rows[0][:3] == [begun["request_id"], "derive", "running"]
    shown = vitrine("jobs", "show", begun["request_id"][:13], "--json").json
    assert (shown["request_id"], shown["state"]) == (begun["request_id"], "STARTED")
    assert vitrine("jobs", "cancel", begun["request_id"][:13]).code == 0
    assert dagster.terminated == [shown["run_id"]]
    assert vitrine("jobs", "show", "zzz").code == 2


def test_a_job_that_fails_ends_with_1_and_says_where_to_look(vitrine: Command, dagster: FakeDagster) -> None:
    dagster.outcome = "FAILURE"
    told = vitrine("jobs", "retry")
    assert told.code == 1
    assert f"{dagster.url}/runs/run-1" in told.err


def test_ctrl_c_leaves_the_job_running_and_says_so(api: httpx.Client, dagster: FakeDagster) -> None:
    dagster.looks_until_end = 10**6
    environment = {**os.environ, "VITRINE_URL": str(api.base_url)}
    with subprocess.Popen(
        [sys.executable, "-m", "lib.cli", "scrape"],
        env=environment, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as scrape:  # fmt: skip
        assert scrape.stderr is not None
        while "running" not in (line := scrape.stderr.readline()):
            assert line, "it ended by itself"
        scrape.send_signal(signal.SIGINT)
        _, told = scrape.communicate(timeout=30)
    assert scrape.returncode == 130
    assert "goes on without you" in told
    assert "jobs follow" in told
    assert dagster.terminated == []


def test_a_site_is_added_shown_and_removed(vitrine: Command, client: Vitrine) -> None:
    added = vitrine("sources", "add", "https://museum.example/birds/", "--name", "birds", "--follow", "/owl/")
    assert added.code == 0
    assert client.sources.describe("birds").site.follow == ["/owl/"]
    assert ["birds", "on request", "https://museum.example/birds/"] in vitrine("sources", "list").rows
    assert "/owl/" in vitrine("sources", "show", "birds").out
    again = vitrine("sources", "add", "https://museum.example/birds/", "--name", "birds")
    assert (again.code, "there is a source of this name" in again.err) == (5, True)
    assert vitrine("sources", "remove", "birds", "--yes").code == 0
    assert vitrine("sources", "show", "birds").code == 1
    assert vitrine("sources", "add", "https://museum.example/", "--name", "Not A Name").code == 2


def test_a_dry_run_says_what_would_come(vitrine: Command) -> None:
    told = vitrine("sources", "dry-run", "http://127.0.0.1:9/", "--pages", 1)
    assert told.code == 0
    assert "forbidden_address" in told.out
    assert "0 pictures would be taken" in told.out


def test_a_url_becomes_a_source_once(vitrine: Command, client: Vitrine, dagster: FakeDagster) -> None:
    for _ in range(2):
        assert vitrine("add", "https://museum.example/birds/owls.html").code == 0
    named = [launch["runConfigData"]["ops"]["scraped_images"]["config"]["sources"] for launch in dagster.launches]
    assert named == [["museum-example-birds-owls"]] * 2
    client.sources.remove("museum-example-birds-owls")


def test_a_list_is_a_source_of_what_is_on_it_alone(vitrine: Command, client: Vitrine, tmp_path: Path) -> None:
    path = tmp_path / "My list.txt"
    path.write_text("# owls\nhttps://museum.example/owl.jpg\n\nhttps://zoo.example/owls/\n")
    assert vitrine("add", path).code == 0
    site = client.sources.describe("my-list").site
    assert site.start_urls == ["https://museum.example/owl.jpg", "https://zoo.example/owls/"]
    assert (site.max_depth, site.max_pages) == (0, 2)
    path.write_text(path.read_text() + "https://zoo.example/more/\n")
    assert vitrine("add", path).code == 0
    assert len(client.sources.describe("my-list").site.start_urls) == 3
    client.sources.remove("my-list")
    path.write_text("owls, please\n")
    assert vitrine("add", path).code == 2


def test_a_folder_is_no_site(vitrine: Command, api: httpx.Client) -> None:
    folder = {"name": "mine", "start_urls": ["file:///etc/"], "enabled": False}
    assert api.post("/v1/sources", json=folder).status_code == 422
    assert api.post("/v1/sources/dry-run", json=folder).status_code == 422
    assert api.post("/v1/sources", json={**folder, "enabled": True}).status_code == 422


def test_an_export_is_the_files_and_what_is_known_of_them(vitrine: Command, seed: Seed, tmp_path: Path) -> None:
    assert vitrine("export", tmp_path / "out", "--has-cutout", "--cutouts").code == 0
    rows = [json.loads(line) for line in (tmp_path / "out" / "metadata.jsonl").read_text().splitlines()]
    assert rows
    for row in rows:
        assert hashlib.sha256((tmp_path / "out" / row["file_name"]).read_bytes()).hexdigest() == row["sha256"]
        with PillowImage.open(tmp_path / "out" / row["cutout_file_name"]) as cut:
            assert cut.mode == "RGBA"
    assert vitrine("export", tmp_path / "all", "--metadata", "csv").code == 0
    with (tmp_path / "all" / "metadata.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(list((tmp_path / "all").rglob("*.png")))
    assert vitrine("export", tmp_path / "none", "--source", "elsewhere").code == 1


def test_models_and_keys_are_printed_for_programs(vitrine: Command, ids: dict[str, int]) -> None:
    active = {row["role"]: row for row in vitrine("models", "list", "--json").json if row["state"] == "active"}
    assert set(active) == {"matting", "color", "resnet", "clip"}
    assert (active["clip"]["done"], active["clip"]["weights_here"]) == (len(ids), True)
    assert vitrine("keys", "list", "--json").json == []


def test_the_doctor_finds_what_is_broken(
    vitrine: Command, dagster: FakeDagster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRINE_DAGSTER_URL", dagster.url)  # our fake has no such page
    monkeypatch.setenv("VITRINE_BROWSER", "/nowhere/chromium")
    told = vitrine("doctor", "--json")
    found = {check["name"]: check for check in told.json}
    assert told.code == 1
    assert {name for name, check in found.items() if check["state"] == "broken"} == {"browser", "dagster"}
    assert all(check["mend"] for check in found.values() if check["state"] != "ok")
    assert found["database"]["found"].startswith("PostgreSQL 1")
    assert found["service"]["state"] == "ok"
    assert {"pgvector", "disk", "clip model", "matting model"} <= set(found)


def test_the_doctor_finds_all_well_where_nothing_runs_yet(
    vitrine: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VITRINE_HOME", str(tmp_path / "new"))
    monkeypatch.setenv("VITRINE_URL", "")
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("VITRINE_API_PORT", str(free_port()))
    monkeypatch.setenv("VITRINE_DAGSTER_PORT", str(free_port()))
    told = vitrine("doctor")
    assert told.code == 0, told.out
    assert "vitrine up" in told.out
    assert not (tmp_path / "new").exists()


def test_files_are_added_beside_the_running_server(
    vitrine: Command, client: Vitrine, seed: Seed, tmp_path: Path
) -> None:
    (tmp_path / "Night sky.png").write_bytes(plain("#101030", (50, 40)))
    told = vitrine("add", tmp_path, "--name", "sky", "--json").json
    assert (told["new"], told["unchanged"]) == (1, 0)
    (image,) = client.images.all(source="sky")
    assert client.images.describe(image.id).sightings[0].alt == "Night sky"
    assert client.images.original_file(image.id).read() == (tmp_path / "Night sky.png").read_bytes()
    again = vitrine("add", tmp_path, "--name", "sky")
    assert "0 new pictures, 0 known, 1 unchanged" in again.out
    assert ["sky", "when it is added again", f"file://localhost{tmp_path}/"] in vitrine("sources", "list").rows
    assert "vitrine add" in vitrine("scrape", "sky").err
    vitrine("sources", "remove", "sky", "--yes")
    assert vitrine("add", tmp_path / "nothing-here").code == 2


def test_files_that_are_no_pictures_are_told_by_their_reason(vitrine: Command, seed: Seed, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    told = vitrine("add", tmp_path, "--name", "broken", "--json")
    assert told.code == 1
    assert (told.json["refused"], sum(told.json["by_reason"].values())) == (1, 1)
    vitrine("sources", "remove", "broken", "--yes")


def test_what_is_taken_down_is_listed_exported_and_lifted(
    vitrine: Command, client: Vitrine, seed: Seed, tmp_path: Path
) -> None:
    image = seed.add("letter.png", plain("#0a0b0c"))
    told = vitrine("takedowns", "add", "--image", image.id, "photos.example", "--reason", "letter\nof May", "--json")
    assert (told.code, told.json["images_hidden"]) == (0, 1)
    assert [(entry["kind"], entry["value"]) for entry in told.json["takedowns"]] == [
        ("host", "photos.example"),
        ("sha256", image.sha256),
    ]
    assert image.id not in {found.id for found in client.images.all()}
    assert "letter of May" in vitrine("takedowns", "list").out.replace("\n", " ")
    listed = tmp_path / "takedowns.txt"
    listed.write_text(vitrine("takedowns", "export").out)
    again = vitrine("takedowns", "add", "--from", listed)
    assert (again.code, "0 images hidden" in again.out) == (0, True)
    for entry in told.json["takedowns"]:
        assert vitrine("takedowns", "lift", entry["id"]).code == 0
    assert vitrine("takedowns", "list", "--json").json == []
    assert image.id in {found.id for found in client.images.all()}
    client.images.delete(image.id)
    for nothing in ([], ["https://"], ["a.example/path"], ["--from", tmp_path / "missing.txt"]):
        assert vitrine("takedowns", "add", *nothing).code in (1, 2)


@pytest.mark.parametrize("command", [("verify",), ("gc",), ("backup", "copy")])
def test_what_looks_after_a_library_makes_none(
    vitrine: Command, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.chdir(tmp_path)
    told = vitrine(*command, "--home", tmp_path / "mistyped")
    assert told.code == 2
    assert "there is no library" in told.err
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_done_to_another_library_than_the_one_that_answers(
    vitrine: Command, seed: Seed, another_library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sky.png").write_bytes(plain("#101031", (50, 40)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VITRINE_HOME")
    monkeypatch.setenv("DATABASE_URL", another_library)
    for command in (("add", tmp_path / "sky.png", "--name", "sky"), ("keys", "create", "reader")):
        told = vitrine(*command)
        assert told.code == 2, told
        assert "keeps another library" in told.err
        assert "--home" in told.err
    assert vitrine("keys", "list", "--json").json == []
    monkeypatch.delenv("DATABASE_URL")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert vitrine("add", tmp_path / "sky.png", "--name", "sky").code == 2
    assert not (tmp_path / "elsewhere" / ".vitrine").exists(), "a library was made only to be refused"
    monkeypatch.setenv("DATABASE_URL", another_library)
    named = vitrine("add", tmp_path / "sky.png", "--name", "sky", "--home", tmp_path / "named", "--json").json
    assert named["new"] == 1


def test_where_nobody_answers_the_default_home_is_meant(
    vitrine: Command, another_library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sky.png").write_bytes(plain("#101031", (50, 40)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VITRINE_HOME")
    monkeypatch.setenv("DATABASE_URL", another_library)
    monkeypatch.setenv("VITRINE_URL", f"http://127.0.0.1:{free_port()}")
    added = vitrine("add", tmp_path / "sky.png", "--name", "sky", "--json").json
    assert (added["new"], added["home"]) == (1, str(tmp_path / ".vitrine"))
    assert vitrine("keys", "create", "reader").code == 0


@pytest.fixture
def another_library(seed: Seed) -> Iterator[str]:
    """The URL of an empty database beside that of the shared server."""
    server = sa.create_engine(seed.database_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE another"))
        yield server.url.set(database="another").render_as_string(hide_password=False)
        connection.execute(sa.text("DROP DATABASE another WITH (FORCE)"))
    server.dispose()


def test_the_library_is_verified_swept_and_backed_up(
    vitrine: Command, seed: Seed, ids: dict[str, int], tmp_path: Path
) -> None:
    assert "All that rows name is here" in vitrine("verify").out
    assert "Nothing has been touched" not in vitrine("gc", "--delete").err
    made = vitrine("backup", tmp_path / "b.tar", "--json").json
    assert made["images"] == len(ids)
    refused = vitrine("restore", tmp_path / "b.tar", "--home", seed.home)
    assert (refused.code, "holds a library" in refused.err) == (5, True)
    assert vitrine("backup", tmp_path / "b.tar").code == 5
    lost = seed.objects.path(next(iter(seed.objects.hashes())))
    kept = lost.rename(tmp_path / "kept")
    broken = vitrine("verify", "--json")
    kept.rename(lost)
    assert (broken.code, broken.json["is_whole"], len(broken.json["missing"])) == (1, False, 1)


def test_a_restored_library_shows_nothing_that_was_taken_down_since(
    vitrine: Command, ids: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert vitrine("backup", tmp_path / "b.tar").code == 0
    assert vitrine("takedowns", "add", "--image", next(iter(ids.values()))).code == 0
    assert vitrine("takedowns", "add", "nobody.example", "--reason", "letter of\n3 May").code == 0
    listed = tmp_path / "takedowns.txt"
    listed.write_text(vitrine("takedowns", "export").out)
    entries = vitrine("takedowns", "list", "--json").json
    for entry in entries:
        vitrine("takedowns", "lift", entry["id"])
    monkeypatch.delenv("DATABASE_URL")
    with tempfile.TemporaryDirectory() as home:  # which the embedded server's user may enter
        Path(home).chmod(0o755)
        assert vitrine("restore", tmp_path / "b.tar", "--home", Path(home, "new"), "--takedowns", listed).code == 0
        again = vitrine("takedowns", "list", "--home", Path(home, "new"), "--json").json
        assert [entry["value"] for entry in again] == [entry["value"] for entry in entries]
        assert [entry["reason"] for entry in again] == ["letter of 3 May", None]
        with open_library(Settings(home=Path(home, "new"))) as library, library.database.session() as session:
            assert count_images(session) == len(ids) - 1


def test_nobody_there_is_said_at_once_with_3(vitrine: Command) -> None:
    began = time.monotonic()
    told = vitrine("status", "--url", f"http://127.0.0.1:{free_port()}")
    assert told.code == 3
    assert "vitrine up" in told.err
    assert time.monotonic() - began < 5


def test_a_setting_that_is_wrong_is_named(vitrine: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_API_PORT", "eighty")
    told = vitrine("status")
    assert (told.code, "VITRINE_API_PORT" in told.err) == (2, True)


HEAVY = ("torch", "dagster", "fastapi", "sqlalchemy", "numpy", "PIL", "playwright", "aiohttp")


@pytest.mark.parametrize("arguments", [["--help"], ["status"]])
def test_help_and_status_load_nothing_heavy(api: httpx.Client, arguments: list[str]) -> None:
    script = (
        "import sys\nfrom lib.cli.main import main\n"
        "try: main()\nexcept SystemExit as end: code = end.code\n"
        f"print(code, [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    environment = {**os.environ, "VITRINE_URL": str(api.base_url)}
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "0 []"


ASKS_WHAT_IT_IS, ASKS_CELL_SIZE = b"\x1b[c", b"\x1b[16t"
HAS_SIXEL, CELL_SIZE = b"\x1b[?62;4;22c", b"\x1b[6;20;10t"


def test_a_terminal_that_draws_gets_pictures(api: httpx.Client) -> None:
    """A terminal that says that it knows Sixel, as xterm does, is sent a picture in it for each result."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(VITRINE_URL=str(api.base_url), TERM="xterm-256color")
        os.chdir(REPOSITORY)
        os.execv(sys.executable, [sys.executable, "-m", "lib.cli", "search", "dog", "--k", "2"])  # noqa: S606
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 1000, 800))
    shown = _talk(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert shown.count(b"\x1bP") == 2  # DCS, which begins a Sixel picture
    assert b"dog.png" in shown


def _talk(terminal: int) -> bytes:
    """Answer what a program asks its terminal, and return all that it wrote."""
    shown, answered = b"", 0
    while select.select([terminal], [], [], 60)[0]:
        try:
            written = os.read(terminal, 1 << 16)
        except OSError:  # Linux's way of saying that the other side has gone
            break
        if not written:
            break
        shown += written
        for question, answer in ((ASKS_WHAT_IT_IS, HAS_SIXEL), (ASKS_CELL_SIZE, CELL_SIZE)):
            if question in shown[answered:]:
                os.write(terminal, answer)
                answered = len(shown)
    return shown
