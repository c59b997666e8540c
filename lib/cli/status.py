"""``vitrine status``: what the library holds, how far each model is, what runs, what failed, and what to do next."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from rich.markup import escape
from rich.progress_bar import ProgressBar

from lib.cli.following import steps
from lib.cli.output import JsonOption, counted, print_json, readable_bytes, show, table
from lib.cli.server import ONCE, UrlOption, connected
from lib.client import NotReady, Vitrine
from lib.client.models import JobAnswer, LibraryStats, ModelCoverage, SourceInfo
from lib.client.running_jobs import ENDED
from lib.plain_words import in_plain_words, state_in_words

STAGES = {"matting": "cut-outs", "color": "colours", "resnet": "look", "clip": "meaning"}
FINE = ("ok", "new")
LATEST_JOBS = 20


@dataclass(frozen=True)
class Status:
    """All that is told."""

    library: LibraryStats
    sources: Sequence[SourceInfo]
    running: Sequence[JobAnswer]
    waits_for: str | None

    @property
    def active(self) -> Sequence[ModelCoverage]:
        """The models that answer, one a role."""
        return [model for model in self.library.models if model.state == "active"]


def status(url: UrlOption = None, as_json: JsonOption = False) -> None:
    """Show what the library holds, how far each model is, what runs, what failed, and what to do next."""
    with connected(url) as vitrine:
        found = _look(vitrine, url)
    if as_json:
        print_json(
            {
                "library": found.library,
                "sources": list(found.sources),
                "running": list(found.running),
                "waits_for": found.waits_for,
                "next_step": next_step(found),
            }
        )
        return
    _show_library(found)
    _show_models(found.library.models)
    _show_running(found.running)
    _show_failures(found.library)
    if found.waits_for:
        show(f"\n[yellow]Searches wait:[/] {escape(found.waits_for)}")
    show(f"\n[bold]Next:[/] {escape(next_step(found))}")


def _look(vitrine: Vitrine, url: str | None) -> Status:
    latest = list(islice(vitrine.jobs.all(limit=LATEST_JOBS), LATEST_JOBS))
    looked = [vitrine.jobs.look(job.request_id) for job in latest if job.state not in ENDED]
    return Status(
        library=vitrine.library.describe(),
        sources=vitrine.sources.list_all(),
        running=[job for job in looked if job.state not in ENDED],
        waits_for=_what_searches_wait_for(url),
    )


def _what_searches_wait_for(url: str | None) -> str | None:
    try:
        with connected(url, retries=ONCE) as vitrine:
            vitrine.health.readyz()
    except NotReady as error:
        return str(error)
    return None


def _show_library(found: Status) -> None:
    counts = found.library.counts
    pictures = f"{counted(counts.get('images', 0), 'picture')}, {readable_bytes(found.library.bytes)}"
    pages, sources = counted(counts.get("pages", 0), "page"), counted(len(found.sources), "source")
    show(f"[bold]{pictures}[/], from {pages} of {sources}")


def _show_models(models: Sequence[ModelCoverage]) -> None:
    shown = table(
        "", "model", "", "done", "", "to do", "failed", "given up", numbers=("done", "to do", "failed", "given up")
    )
    for model in models:
        if model.state == "retired":
            continue
        total = model.done + model.pending + model.failed + model.dead
        shown.add_row(
            STAGES.get(model.role, model.role),
            model.name,
            "answers" if model.state == "active" else "fills in",
            str(model.done),
            ProgressBar(total=max(total, 1), completed=model.done, width=16),
            *(str(number or "") for number in (model.pending, model.failed, model.dead)),
        )
    show("")
    show(shown)


def _show_running(running: Sequence[JobAnswer]) -> None:
    for job in running:
        done, total = steps(job.progress or {})
        far = f", {done} of {total}" if total else ""
        show(f"\n[bold]{job.job}[/] {state_in_words(job.state)}{far}   vitrine jobs follow {job.request_id[:8]}")


def _show_failures(library: LibraryStats) -> None:
    lines = [*misses(library.image_urls, "picture"), *misses(library.pages, "page")]
    if lines:
        show("\nNot taken: " + "; ".join(escape(line) for line in lines))


def misses(outcomes: Mapping[str, int], noun: str) -> list[str]:
    """Return what was not taken and why, the most frequent reason first.

    >>> misses({"ok": 9, "new": 1, "refused:too_small": 3, "failed:http_503": 1}, "picture")
    ['3 pictures too small', '1 picture http 503']
    """
    missed: Counter[str] = Counter()
    for label, count in outcomes.items():
        if label.partition(":")[0] not in FINE:
            missed[_reason(label)] += count
    return [f"{counted(count, noun)} {reason}" for reason, count in missed.most_common()]


def _reason(label: str) -> str:
    status, _, reason = label.partition(":")
    return in_plain_words(reason or status)


def next_step(found: Status) -> str:
    """Return what a person would do next."""
    images, running = found.library.counts.get("images", 0), {job.job for job in found.running}
    if not images and not found.sources:
        return "add pictures with `vitrine add FOLDER`, or a site with `vitrine add URL`."
    if running:
        return f"nothing; the {', '.join(sorted(running))} goes on. `vitrine jobs follow` watches it."
    if not images:
        return "`vitrine scrape` looks for pictures on the sources."
    if any(model.pending for model in found.library.models if model.state != "retired"):
        return "nothing; what is left to do starts by itself within a minute (or now: `vitrine jobs start derive`)."
    if any(model.failed or model.dead for model in found.active):
        return "`vitrine jobs retry` tries again what failed."
    return "`vitrine search a dog`, or whatever you are looking for."
