"""``vitrine jobs``: what was asked for, and what became of it."""

from itertools import islice
from typing import Annotated, Literal, TypeAlias

import typer
from rich.markup import escape

from lib.cli.exit_codes import ExitCode
from lib.cli.following import follow, request_id, show_counts
from lib.cli.output import JsonOption, note, print_json, show, table
from lib.cli.server import UrlOption, connected
from lib.client import Vitrine
from lib.client.models import JobAnswer
from lib.plain_words import state_in_words

app = typer.Typer(no_args_is_help=True)
# Typer reads choices from a plain Literal; these are the API's.
JobName: TypeAlias = Literal["scrape", "derive", "embed_resnet", "embed_clip", "cut_out", "retry_failures"]
IdArgument: TypeAlias = Annotated[
    str | None, typer.Argument(help="The job's id or how it begins; the latest job without it.", metavar="ID")
]
FollowOption: TypeAlias = Annotated[bool, typer.Option("--follow/--no-follow", help="Watch it until its end.")]


@app.command("list")
def list_jobs(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the jobs that were asked for, newest first."""
    with connected(url) as vitrine:
        found = [_as_it_stands(vitrine, job) for job in islice(vitrine.jobs.all(limit=min(limit, 200)), limit)]
    if as_json:
        print_json(found)
        return
    shown = table("id", "job", "state", "asked")
    for job in found:
        shown.add_row(
            job.request_id, job.job, state_in_words(job.state), f"{job.created_at.astimezone():%Y-%m-%d %H:%M}"
        )
    show(shown if found else "No job has been asked for yet.")


def _as_it_stands(vitrine: Vitrine, job: JobAnswer) -> JobAnswer:
    """Ask again about what the list calls launched: only the run itself knows whether it has ended."""
    return vitrine.jobs.look(job.request_id) if job.state in ("launched", "ended") else job


@app.command("show")
def show_job(job: IdArgument = None, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """Show how a job stands and what came of it."""
    with connected(url) as vitrine:
        found = vitrine.jobs.look(request_id(vitrine, job))
    if as_json:
        print_json(found)
    else:
        show_counts(found)


@app.command("follow")
def follow_job(job: IdArgument = None, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """Watch a job until its end. Ctrl-C ends the watching, not the job."""
    with connected(url) as vitrine:
        follow(vitrine.jobs.follow(request_id(vitrine, job)), as_json=as_json)


@app.command("start")
def start(
    job: Annotated[JobName, typer.Argument(help="Which one.")],
    force: Annotated[bool, typer.Option("--force", help="Compute again what is there.")] = False,
    watch: FollowOption = True,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a job on the running Vitrine, and watch it."""
    with connected(url) as vitrine:
        begin(vitrine, job, force=force, watch=watch, as_json=as_json)


def begin(
    vitrine: Vitrine,
    job: JobName,
    *,
    force: bool = False,
    sources: list[str] | None = None,
    watch: bool = True,
    as_json: bool = False,
) -> None:
    """Start a job and show it, until its end if it is to be watched."""
    running = vitrine.jobs.run(job, force=force, sources=sources or None)
    if watch:
        follow(running, as_json=as_json)
    elif as_json:
        print_json(running.answer)
    else:
        show(f"{job} {state_in_words(running.state)}: {running.request_id}")


@app.command("cancel")
def cancel(
    job: Annotated[str, typer.Argument(help="The job's id, or how it begins.", metavar="ID")],
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Call a job off; what it has done until then is kept."""
    with connected(url) as vitrine:
        found = vitrine.jobs.cancel(request_id(vitrine, job))
    if as_json:
        print_json(found)
    else:
        show(f"{found.job} {state_in_words(found.state)}: {found.request_id}")


@app.command("retry")
def retry(watch: FollowOption = True, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """Forget what failed, so that it is tried again: pictures in any stage, pages, URLs."""
    with connected(url) as vitrine:
        begin(vitrine, "retry_failures", watch=watch, as_json=as_json)
    note("What had failed is due now; the runs that take it up start by themselves within a minute.")


def scrape(
    what: Annotated[
        list[str] | None,
        typer.Argument(help="Sources by name, or pages by URL; all enabled sources without it.", metavar="NAME|URL"),
    ] = None,
    watch: FollowOption = True,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for new pictures on sites, and watch how far it is. Ctrl-C leaves the scrape running.

    A URL that no source starts at becomes a source first, as `vitrine sources add URL` makes one.
    """
    from lib.cli.sources import source_of

    with connected(url) as vitrine:
        if not what and not any(source.enabled for source in vitrine.sources.list_all()):
            note("There is nothing to scrape: add a site with `vitrine sources add URL`, or files with `vitrine add`.")
            raise typer.Exit(ExitCode.FAILED)
        names = [source_of(vitrine, one) for one in what or ()]
        begin(vitrine, "scrape", sources=names, watch=watch, as_json=as_json)
    note(escape("Cut-outs, colours and vectors follow by themselves: `vitrine status` says how far they are."))
