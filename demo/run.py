"""The demo: a web site, a library, every stage through Dagster, one query of each kind over REST.

It leaves no process behind, and a second run finds nothing to do.
"""

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo.queries import Answer, ask_all
from demo.serve import demo_source
from lib.cli import ports
from lib.cli.environment import process_environment
from lib.cli.home_lock import is_supervised
from lib.cli.homes import DEMO_HOME
from lib.cli.processes import Processes, ProcessFailed
from lib.cli.sources_file import upsert_sources
from lib.cli.up import SITE_PORT_FILE, reconcile, start_api, start_demo_site
from lib.cli.weights import fetch_weights
from lib.errors import InsufficientSpace
from lib.models.registry import STAGE_OF_ROLE
from lib.scraping.site import Site
from lib.settings import Profile, Settings
from lib.storage import images, models
from lib.storage.library import Library, open_library
from lib.storage.objects import ObjectStore
from lib.storage.sources import count_image_urls, count_pages

console = Console()
NEEDED_BYTES = 1_000_000_000
STAGES = ("scraped_images", "cutouts", "color_features", "resnet_embeddings", "clip_embeddings")


def run(profile: Profile) -> None:
    """Run the demo in a library of its own, ``.vitrine/demo``.

    Raises
    ------
    VitrineError
        With a message that says what to do; leftovers of an interrupted run are no reason.
    """
    started = time.perf_counter()
    home = Settings().home_path
    home = home if home.name.startswith(DEMO_HOME) else home / demo_home(profile)
    home.mkdir(parents=True, exist_ok=True)
    _require_space(home)
    site_port = kept_port(home / SITE_PORT_FILE)
    settings = Settings(
        home=home,
        profile=profile,
        DATABASE_URL=None,
        allowed_addresses=f"127.0.0.1:{site_port}",
        api_port=ports.free_port(),
    )
    console.print(
        f"Library [bold]{_short(home)}[/], models of the [bold]{profile}[/] profile" + _stand_in_note(profile)
    )
    if profile == "standard":
        fetch_weights(profile, home)
    with open_library(settings) as library, _processes(library) as processes:
        start_demo_site(processes, settings)
        upsert_sources(library, [Site.model_validate(demo_source(site_port))])
        start_api(processes, library)
        materialized = _materialize(library, processes)
        answers = ask_all(f"http://127.0.0.1:{settings.api_port}", home / "answers", processes.require_alive)
        _print_stages(library, materialized)
        _print_answers(answers)
    done = sum(metadata.get("processed", metadata.get("new", 0)) for metadata in materialized.values())
    seconds = time.perf_counter() - started
    console.print(
        f"Done in {seconds:.0f} s." if done else f"Nothing was to do: the library is up to date ({seconds:.0f} s)."
    )
    console.print(f"Collages: {_short(home / 'answers')}   pictures: {_short(home / 'library' / 'demo')}")
    console.print("[bold]make up[/] keeps it running: gallery and API on 8004, Dagster UI on 3000.")


def demo_home(profile: Profile) -> str:
    """Return the name of the demo's library of a profile: models never change under a library by themselves.

    >>> demo_home("packaged"), demo_home("standard")
    ('demo', 'demo-standard')
    """
    return DEMO_HOME if profile == "packaged" else f"{DEMO_HOME}-{profile}"


def _stand_in_note(profile: Profile) -> str:
    return " (small stand-ins that packages carry; never ResNet34 or CLIP)" if profile == "packaged" else ""


def _require_space(home: Path) -> None:
    try:
        ObjectStore(home).require_space(NEEDED_BYTES)
    except InsufficientSpace as error:
        raise InsufficientSpace(f"the demo needs about {NEEDED_BYTES // 1_000_000} MB in {home}: {error}") from error


def is_our_site(port: int) -> bool:
    """Return whether the demo's web site is being served on ``port``."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": "gallery.localhost"})
    try:
        with urllib.request.urlopen(request, timeout=2) as reply:  # noqa: S310  our own loopback address
            return b"Amber House" in reply.read()
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def kept_port(path: Path) -> int:
    """Return the port in the file ``path``, or a free one that is then kept there.

    The site's port is part of every URL, so a second run must serve the site on the same one.
    """
    if path.exists():
        port = int(path.read_text())
        if not is_our_site(port):  # `make up` may be serving it
            ports.require_free(port, what="the demo's web site", remedy=f"remove {_short(path.parent)} to start anew")
        return port
    port = ports.free_port()
    path.write_text(str(port))
    return port


@contextmanager
def _processes(library: Library) -> Iterator[Processes]:
    environment = process_environment(library.settings, library.urls)
    with Processes(library.settings.home_path / "logs", environment) as processes:
        yield processes


def _materialize(library: Library, processes: Processes) -> dict[str, dict[str, Any]]:
    """Materialise everything through Dagster in a process of its own, showing how far it is."""
    home = library.settings.home_path
    reconcile(processes, launched_before=None if is_supervised(home) else time.time())
    output = library.settings.home_path / "logs" / "materialized.jsonl"
    # Thumbnails in the metadata are for later, when `make up` serves them on its usual port.
    processes.environment["VITRINE_API_PORT"] = str(Settings().api_port)
    child = processes.start("materialize", "orchestration.execute", "scrape", "derive", "index", stdout=output)
    _show_progress(library, child)
    if child.returncode:
        log = processes.log_path("materialize")
        raise ProcessFailed(
            f"materialising ended with code {child.returncode}; the whole log is in {log}\n"
            + processes.tail("materialize", lines=25)
        )
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    return {line["asset"]: line["metadata"] for line in lines}


def _show_progress(library: Library, child: subprocess.Popen[bytes]) -> None:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<18}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        tasks = {stage: progress.add_task(stage, total=None) for stage in STAGES}
        while child.poll() is None:
            for stage, (done, total) in _progress(library).items():
                progress.update(tasks[stage], completed=done, total=total)
            time.sleep(0.5)


def _progress(library: Library) -> dict[str, tuple[int, int | None]]:
    with library.database.session() as session:
        total = images.count_images(session)
        done = {
            STAGE_OF_ROLE[model.role]: models.coverage(session, model).done
            for model in models.all_models(session)
            if model.state != "retired"
        }
    return {"scraped_images": (total, None)} | {stage: (number, total) for stage, number in done.items()}


def _print_stages(library: Library, materialized: dict[str, dict[str, Any]]) -> None:
    table = Table("stage", "images", "new", "seconds", "images/s", "failures", title="What was done")
    for stage in STAGES:
        metadata = materialized.get(stage, {})
        failures = metadata.get("failed", 0) + metadata.get("dead", 0)
        new = metadata.get("processed", metadata.get("new", 0))
        seconds = metadata.get("seconds", 0.0)
        rate = f"{new / seconds:.1f}" if new and seconds else "–"
        table.add_row(
            stage,
            str(metadata.get("done", metadata.get("dagster/row_count", 0))),
            str(new),
            f"{seconds:.1f}",
            rate,
            str(failures),
        )
    console.print(table)
    with library.database.session() as session:
        pages, urls = count_pages(session), count_image_urls(session)
    console.print(f"Pages: {_counts(pages)}")
    console.print(f"Image URLs: {_counts(urls)}")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {status}" for status, number in counts.items())


def _print_answers(answers: list[Answer]) -> None:
    table = Table("query", "answer", "seconds", "file", title="What was asked")
    for answer in answers:
        file = answer.file.name if answer.file else ""
        table.add_row(answer.question, answer.summary, f"{answer.seconds:.2f}", file)
    console.print(table)


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
