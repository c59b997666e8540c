"""What the command's exit code says, and which code an error ends it with."""

from collections.abc import Sequence
from enum import IntEnum

from lib import errors
from lib.client import problems


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    NOT_NOW = 5
    INTERRUPTED = 130  # as shells have it: 128 and the number of SIGINT


MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "nothing was found, or it failed",
    ExitCode.USAGE: "the command, or a setting, is not right",
    ExitCode.UNREACHABLE: "no service, or no database, answers",
    ExitCode.REFUSED: "the API key is missing, or may not do this",
    ExitCode.NOT_NOW: "not as things stand: busy, not computed yet, in conflict with what is there",
    ExitCode.INTERRUPTED: "Ctrl-C",
}
# The first that fits counts.
CODES: Sequence[tuple[type[Exception], ExitCode]] = (
    (problems.Unreachable, ExitCode.UNREACHABLE),
    (problems.UnexpectedAnswer, ExitCode.UNREACHABLE),
    (problems.Forbidden, ExitCode.REFUSED),
    (problems.Invalid, ExitCode.USAGE),
    (problems.Conflict, ExitCode.NOT_NOW),
    (problems.NotReady, ExitCode.NOT_NOW),
    (problems.JobStillRunning, ExitCode.NOT_NOW),
    (errors.ConfigurationError, ExitCode.USAGE),
    (errors.DatabaseUnavailable, ExitCode.UNREACHABLE),
    (errors.Conflict, ExitCode.NOT_NOW),
    (errors.Busy, ExitCode.NOT_NOW),
)
SEE_DETAIL = "see detail"  # a title that says nothing more
EPILOG = "Exit codes: " + "; ".join(f"{code.value} {meaning}" for code, meaning in MEANINGS.items()) + "."


def sentence(error: Exception) -> str:
    """Return what to say of an error: what it is about this time, then what to do.

    >>> sentence(problems.problem_from(404, {}, b'{"title": "Ask for another", "detail": "there is no image 7"}'))
    'there is no image 7. Ask for another'
    """
    if not isinstance(error, problems.VitrineProblem):
        return str(error)
    wrong = "; ".join(f"{part.where}: {part.message}" for part in error.errors)
    key = "set VITRINE_API_KEY to a key (`vitrine keys create`)" if isinstance(error, problems.Forbidden) else ""
    title = "" if error.detail and error.title.endswith(SEE_DETAIL) else error.title
    return ". ".join(part for part in (error.detail, wrong, title, key) if part)


def exit_code_of(error: Exception) -> ExitCode:
    """Return the code that an error ends the command with.

    >>> exit_code_of(problems.Unreachable("nobody is there")), exit_code_of(ValueError("a bug"))
    (<ExitCode.UNREACHABLE: 3>, <ExitCode.FAILED: 1>)
    """
    return next((code for kind, code in CODES if isinstance(error, kind)), ExitCode.FAILED)
