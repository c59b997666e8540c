"""What commands print: answers on standard output, everything else on standard error.

With ``--json`` standard output carries JSON and nothing else.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, TypeAlias

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

PIPED_WIDTH = 200  # a pipe has no width of its own, and a table cut at 80 columns is of no use there
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def answers() -> Console:
    """Return the console of standard output, as wide as the terminal, or as a table needs in a pipe."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in console._environ:
        console.width = PIPED_WIDTH
    return console


def show(*parts: Any) -> None:
    """Print an answer for a person."""
    answers().print(*parts)


def note(text: str) -> None:
    """Tell something beside the answer; ``text`` may hold Rich's markup."""
    Console(stderr=True, highlight=False).print(text, soft_wrap=True)


def complain(text: str) -> None:
    """Tell what went wrong."""
    note(f"[bold red]vitrine:[/] {escape(text)}")


def print_json(answer: BaseModel | Iterable[BaseModel] | Any) -> None:
    """Print an answer for a program: models as the API sends them, anything else as JSON can hold it."""
    sys.stdout.write(json.dumps(_plain(answer), ensure_ascii=False, indent=2) + "\n")


def _plain(answer: Any) -> Any:
    if isinstance(answer, BaseModel):
        return answer.model_dump(mode="json")
    if isinstance(answer, dict):
        return {key: _plain(value) for key, value in answer.items()}
    if isinstance(answer, list | tuple):
        return [_plain(value) for value in answer]
    return answer


def table(*columns: str, numbers: Sequence[str] = ()) -> Table:
    """Return an empty table; the columns called ``numbers`` are set flush right."""
    made = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        made.add_column(name, justify="right" if name in numbers else "left", no_wrap=name in numbers)
    return made


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun.

    >>> counted(1, "picture"), counted(2_500, "picture"), counted(0, "copy", "copies")
    ('1 picture', '2,500 pictures', '0 copies')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def readable_bytes(count: float) -> str:
    """Return a size for a person, in powers of ten as disks are sold.

    >>> readable_bytes(0), readable_bytes(999_999), readable_bytes(5_300_000)
    ('0 B', '1.0 MB', '5.3 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.95:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
