"""Bars on standard error, gone when the work is done; none where nobody looks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

SPEED_OVER_S = 60.0


class RateColumn(ProgressColumn):
    """How fast it goes, and how long it will take at that rate."""

    def render(self, task: Task) -> Text:
        """Return both, or nothing while neither is known."""
        if not task.speed or task.finished:
            return Text("")
        left = "" if task.time_remaining is None else f", {timedelta(seconds=round(task.time_remaining))} left"
        return Text(f"{task.speed:.1f}/s{left}", style="progress.remaining")


def progress() -> Progress:
    """Return a bar with counts, rate and time left."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), RateColumn())
    return Progress(
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
        speed_estimate_period=SPEED_OVER_S,
    )


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], object]]:
    """Yield a function that shows how many of how many are done."""
    with progress() as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
