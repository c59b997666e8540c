"""The ``vitrine`` command: what there is, in the order in which a newcomer meets it, and how errors end it.

Commands import what is heavy when they run, so that help and the commands that only ask the API start at once.
"""

import sys
import traceback
from typing import Annotated

import typer

from lib.cli import adding, doctor, exporting, jobs, keys, models, pictures, searches, sources, takedowns, upkeep
from lib.cli import status as status_command
from lib.cli.exit_codes import EPILOG, ExitCode, exit_code_of, sentence
from lib.cli.homes import HomeOption, library_settings, read_settings
from lib.cli.output import complain
from lib.client import VitrineError as ClientError
from lib.errors import VitrineError
from lib.settings import Profile

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    help="A visual library that you own: filled from sites and folders, searched by words, pictures and colours.",
    epilog=EPILOG,
)
RUN, ASK, FILL, KEEP = "Run it", "Ask it", "Fill it", "Keep it"
TAKES_MINUS = {"ignore_unknown_options": True}  # -grass is a word that is not wanted


@app.command(rich_help_panel=RUN)
def demo(profile: Annotated[Profile, typer.Option(help="The models of the demo's library.")] = "packaged") -> None:
    """Scrape the demo site, derive everything, ask one query of each kind, and say where to look."""
    import subprocess

    raise typer.Exit(subprocess.run([sys.executable, "-m", "demo", "--profile", profile], check=False).returncode)


@app.command(rich_help_panel=RUN)
def up(home: HomeOption = None) -> None:
    """Run the API, the Dagster UI, its daemon and the database until Ctrl-C; on the demo's library if it exists."""
    from lib.cli import up as up_command

    up_command.run(library_settings(home))


@app.command(rich_help_panel=RUN)
def run(
    jobs: Annotated[list[str], typer.Argument(help="scrape, derive, index, embed_clip, retry_failures, ...")],
    buckets: Annotated[str, typer.Option(help="A backfill of some buckets only: 03, or 00:07.")] = "00:0f",
    force: Annotated[bool, typer.Option(help="Compute again what is there.")] = False,
    home: HomeOption = None,
) -> None:
    """Run Dagster jobs here and now, one after the other; they show in the Dagster UI like any other run."""
    from lib.cli import run as run_command

    raise typer.Exit(run_command.run(library_settings(home), jobs, buckets=buckets, force=force))


@app.command(rich_help_panel=RUN)
def prepare(home: HomeOption = None) -> None:
    """Migrate the databases and read the sources, for services that something else starts (see docs/deploy.md)."""
    from lib.cli import prepare as prepare_command

    prepare_command.prepare(read_settings(home))


app.command(rich_help_panel=ASK)(status_command.status)
app.command(rich_help_panel=ASK, context_settings=TAKES_MINUS)(searches.search)
app.command(rich_help_panel=ASK)(searches.similar)
app.command(rich_help_panel=ASK)(searches.color)
app.command(rich_help_panel=ASK)(pictures.merge)
app.command(rich_help_panel=ASK)(pictures.cutout)
app.command(rich_help_panel=FILL)(adding.add)
app.command(rich_help_panel=FILL)(jobs.scrape)
app.add_typer(sources.app, name="sources", help="The sites that are scraped.", rich_help_panel=FILL)
app.add_typer(jobs.app, name="jobs", help="What was asked for, and what became of it.", rich_help_panel=FILL)
app.command(rich_help_panel=KEEP)(doctor.doctor)
app.command(rich_help_panel=KEEP)(upkeep.verify)
app.command(rich_help_panel=KEEP)(upkeep.gc)
app.command(rich_help_panel=KEEP)(upkeep.backup)
app.command(rich_help_panel=KEEP)(upkeep.restore)
app.command(rich_help_panel=KEEP)(exporting.export)
app.add_typer(models.app, name="models", help="Which models this library uses.", rich_help_panel=KEEP)
app.add_typer(takedowns.app, name="takedowns", help="What must not be shown.", rich_help_panel=KEEP)
app.add_typer(keys.app, name="keys", help="Who may use the API.", rich_help_panel=KEEP)


def main() -> None:
    """Run the command; an error is one sentence and an exit code, and a fault of ours says how to see where it is."""
    try:
        app(prog_name="vitrine")
    except (VitrineError, ClientError) as error:
        complain(sentence(error))
        sys.exit(exit_code_of(error))
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:  # `vitrine search dog | head` has read enough
        sys.stderr.close()
        sys.exit(ExitCode.OK)
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        sys.exit(ExitCode.FAILED)
    except Exception as error:  # noqa: BLE001  the outermost edge
        complain(f"a fault of Vitrine: {type(error).__name__}: {error}. VITRINE_LOG_LEVEL=DEBUG shows where.")
        if read_settings().log_level == "DEBUG":
            traceback.print_exc()
        sys.exit(ExitCode.FAILED)
