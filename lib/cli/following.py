"""Watching a job until its end: a bar with rate and time left in a terminal, a line a change elsewhere."""

from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from lib.cli.bars import progress
from lib.cli.exit_codes import ExitCode
from lib.cli.output import note, print_json, show, table
from lib.client import JobFailed, Vitrine
from lib.client.models import JobAnswer, StageProgress
from lib.client.running_jobs import ENDED, NOT_BEGUN, WITHOUT_SUCCESS, RunningJob
from lib.plain_words import state_in_words


def follow(job: RunningJob, *, as_json: bool = False) -> JobAnswer:
    """Show a job until it has ended, and return its last word.

    Ctrl-C ends the watching, never the job: the command ends with code 130. Raises JobFailed.
    """
    try:
        _watch(job)
    except KeyboardInterrupt:
        note(
            f"The {escape(job.answer.job)} goes on without you. Watch it again with `vitrine jobs follow "
            f"{job.request_id}`, or call it off with `vitrine jobs cancel {job.request_id}`."
        )
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    if as_json:
        print_json(job.answer)
    else:
        show_counts(job.answer)
    if job.state in WITHOUT_SUCCESS:
        raise JobFailed(job.answer)
    return job.answer


def _watch(job: RunningJob) -> None:
    if not Console(stderr=True).is_terminal:
        _tell_changes(job)
        return
    with progress() as bar:
        task = bar.add_task(_description(job.answer), total=None)
        for now in job:
            done, total = steps(now.progress or {})
            bar.update(task, description=_description(now), completed=done, total=total)


def _tell_changes(job: RunningJob) -> None:
    told = None
    for now in job:
        if now.state != told:
            note(escape(f"{now.job} {state_in_words(now.state)}"))
        told = now.state


def _description(now: JobAnswer) -> str:
    unit = "pages" if "pages" in (now.progress or {}) else "steps"
    return f"{now.job} {state_in_words(now.state)}" + (f", {unit}" if now.progress else "")


def steps(progress: Mapping[str, StageProgress]) -> tuple[int, int | None]:
    """Return how many steps are done and how many there are; None before anything is known.

    >>> steps({"cutouts": StageProgress(done=3, pending=4, failed=1, dead=2)})
    (5, 10)
    >>> steps({})
    (0, None)
    """
    done = sum(stage.done + stage.dead for stage in progress.values())
    whole = done + sum(stage.pending + stage.failed for stage in progress.values())
    return done, whole or None


def show_counts(answer: JobAnswer) -> None:
    """Print how a job ended, with the numbers that came of it."""
    shown = table("job", "state", *_plain_counts(answer), numbers=list(_plain_counts(answer)))
    shown.add_row(answer.job, state_in_words(answer.state), *(_number(n) for n in _plain_counts(answer).values()))
    show(shown)
    for name, counts in _nested_counts(answer).items():
        show(f"{name.replace('_', ' ')}: " + ", ".join(f"{key} {_number(value)}" for key, value in counts.items()))
    if answer.state not in ENDED | NOT_BEGUN:
        show(f"Watch it with `vitrine jobs follow {answer.request_id}`.")
    if answer.run_url and answer.state in WITHOUT_SUCCESS:
        note(f"What happened: {answer.run_url}")


def _plain_counts(answer: JobAnswer) -> Mapping[str, Any]:
    return {key: value for key, value in (answer.model_extra or {}).items() if not isinstance(value, dict)}


def _nested_counts(answer: JobAnswer) -> Mapping[str, Mapping[str, Any]]:
    return {key: value for key, value in (answer.model_extra or {}).items() if isinstance(value, dict) and value}


def _number(value: Any) -> str:
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def request_id(vitrine: Vitrine, given: str | None) -> str:
    """Return the whole id of the request whose id begins as ``given``, or of the latest one. Raises BadParameter."""
    if given and len(given) == 36:  # a UUID
        return given
    latest = vitrine.jobs.all(limit=200).page().items
    fitting = [job.request_id for job in latest if job.request_id.startswith(given or "")]
    if not fitting:
        raise typer.BadParameter(f"there is no job {given}" if given else "no job has been asked for yet")
    if given and len(fitting) > 1:
        raise typer.BadParameter(f"{len(fitting)} jobs begin with {given}: give more of the id")
    return fitting[0]
