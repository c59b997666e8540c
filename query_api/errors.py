"""Problems: every error as an RFC 9457 answer whose title says what to do.

The only place that knows both our errors and HTTP. What a client sent is never repeated back.

M. Nottingham, E. Wilde, S. Dalal (2023). "Problem Details for HTTP APIs". RFC 9457.
"""

import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from lib import errors
from query_api.cursors import InvalidCursor

log = structlog.get_logger()
MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Problem:
    """A kind of problem: its HTTP status, its stable name, what to do about it, when to come back."""

    status: int
    name: str
    title: str
    retry_after_s: int | None = None

    @property
    def speaks_to_programs(self) -> bool:
        """Whether the title names what only a program has: paths of the API, members of the answer."""
        return any(word in self.title for word in ("/v1/", "/docs", "detail"))


class JobsUnavailable(errors.NotReady):
    """Dagster does not answer; the request was written down and starts when it is back."""

    def __init__(self, request_id: str) -> None:
        super().__init__("the request is queued and starts by itself when Dagster is back")
        self.request_id = request_id


class MergeTooLarge(errors.VitrineError):
    """Two pictures are larger than is merged, or their merge than the format that was asked for."""


class Overloaded(errors.NotReady):
    """Work of others holds the memory that this needs."""


class RunFailed(errors.VitrineError):
    """The run that was waited for ended without success."""

    def __init__(self, run_id: str, run_url: str, status: str, counts: Mapping[str, Any]) -> None:
        super().__init__(f"the run ended as {status}; what it had done until then is kept")
        self.members = {**counts, "run_id": run_id, "run_url": run_url}


PROBLEMS: Mapping[type[errors.VitrineError], Problem] = {
    errors.ImageNotFound: Problem(404, "image-not-found", "Ask for an image that GET /v1/images lists"),
    errors.ModelNotFound: Problem(503, "no-model", "Choose models: python -m lib.cli models use packaged", 5),
    errors.NotFound: Problem(404, "not-found", "Nothing is here; see detail"),
    errors.MeaninglessQuery: Problem(422, "meaningless-query", "Change what is asked for; see detail"),
    errors.KeyReused: Problem(422, "idempotency-key-reused", "Send a new Idempotency-Key with each new request"),
    errors.Conflict: Problem(409, "conflict", "This cannot be done as things stand; see detail"),
    errors.Busy: Problem(503, "busy", "Too many requests at once: ask again in a moment", 2),
    errors.StatementTimeout: Problem(503, "statement-timeout", "Ask for less, or when less is going on", 30),
    errors.ModelsLoading: Problem(503, "models-loading", "Models are being loaded: ask again in a moment", 2),
    errors.WeightsMissing: Problem(503, "weights-missing", "Fetch the model's weights with the command in detail", 30),
    errors.NotComputedYet: Problem(409, "not-computed-yet", "Run the stage that computes this, then ask again"),
    errors.DatabaseUnavailable: Problem(503, "database-unavailable", "The database is away: ask again in a moment", 2),
    errors.DatabaseUnsuitable: Problem(503, "database-unsuitable", "Give Vitrine a database that it can use", 30),
    errors.InsufficientSpace: Problem(507, "insufficient-space", "Free some disk space, then ask again"),
    errors.ObjectMissing: Problem(500, "file-missing", "Scrape again: a file of the library has been removed"),
    errors.StorageError: Problem(503, "storage", "The library's storage failed: ask again in a moment", 5),
    errors.ConfigurationError: Problem(503, "configuration", "Mend the setting that detail names, then restart", 30),
    errors.ImageTooLarge: Problem(413, "image-too-large", "Send a smaller picture"),
    errors.UnsupportedFormat: Problem(
        422, "unsupported-format", "Send a PNG, JPEG, WebP, AVIF, GIF, BMP or TIFF picture"
    ),
    errors.NothingVisible: Problem(
        422, "nothing-visible", "Send a picture that shows something: every pixel of this one is transparent"
    ),
    errors.ImageError: Problem(422, "undecodable-image", "Send a picture file that is whole, such as a PNG or JPEG"),
    JobsUnavailable: Problem(
        503, "jobs-unavailable", "Dagster is away: the request is queued, look again with its id", 15
    ),
    InvalidCursor: Problem(422, "invalid-cursor", "Begin again without a cursor"),
    MergeTooLarge: Problem(413, "merge-too-large", "Merge smaller pictures, or ask for another format; see detail"),
    Overloaded: Problem(503, "busy", "Too much is being done at once: ask again in a moment", 5),
    RunFailed: Problem(500, "run-failed", "Look at the run in the Dagster UI, then ask again"),
    errors.VitrineError: Problem(500, "internal", "This is a fault of Vitrine: see its log"),
}
INVALID = Problem(422, "invalid-request", "Send the request as /docs describes it; errors says what is wrong")
UNEXPECTED = PROBLEMS[errors.VitrineError]
BUSY = PROBLEMS[errors.Busy]
# Named here, not by http.HTTPStatus: its phrases change between versions of Python.
HTTP_PROBLEMS = {
    problem.status: problem
    for problem in (
        Problem(400, "bad-request", "Send a request that can be read"),
        Problem(404, "not-found", "Nothing is at this address; /docs lists what there is"),
        Problem(405, "method-not-allowed", "Use one of the methods that the Allow header names"),
        Problem(413, "request-too-large", "Send a smaller request"),
        Problem(415, "unsupported-body", "Send the body as a type that /docs lists, and name it in Content-Type"),
        Problem(416, "range-not-satisfiable", "Ask for a part that lies within the file; Content-Range tells its size"),
    )
}


def problem_response(
    problem: Problem,
    detail: str = "",
    *,
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> JSONResponse:
    """Return a problem as ``application/problem+json``; ``members`` are extension members."""
    body: dict[str, Any] = {
        "type": f"urn:vitrine:problem:{problem.name}",
        "title": problem.title,
        "status": problem.status,
    }
    if detail:
        body["detail"] = detail
    sent = dict(headers or {})
    if problem.retry_after_s is not None:
        sent["Retry-After"] = str(problem.retry_after_s)
    return JSONResponse(body | dict(members or {}), problem.status, sent, media_type=MEDIA_TYPE)


def problem_of(error: errors.VitrineError) -> Problem:
    """Return the problem that tells of an error: that of its own type, else of the nearest type above.

    >>> problem_of(errors.ImageNotFound("")).status, problem_of(errors.DecoderDied("died")).status
    (404, 422)
    """
    return next(PROBLEMS[kind] for kind in type(error).__mro__ if kind in PROBLEMS)


def install_error_handlers(app: FastAPI) -> None:
    """Make ``app`` answer every error with a problem."""
    app.add_exception_handler(errors.VitrineError, _vitrine_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(OSError, _disk_full)
    app.add_exception_handler(Exception, _unexpected)


def vitrine_problem(error: errors.VitrineError) -> JSONResponse:
    """Return the answer for one of our errors."""
    problem = problem_of(error)
    if isinstance(error, errors.ImageError):
        # A decoder's own words name temporary files; the short reason is enough.
        return problem_response(problem, members={"reason": error.reason})
    if isinstance(error, errors.ObjectMissing):
        log.warning(problem.name, error=str(error))  # paths and addresses are for the owner's log
    if isinstance(error, errors.DatabaseUnavailable | errors.ObjectMissing):
        return problem_response(problem)
    if isinstance(error, JobsUnavailable):
        links = {"request_id": error.request_id, "request_url": f"/v1/requests/{error.request_id}"}
        return problem_response(problem, str(error), members=links)
    members = error.members if isinstance(error, RunFailed) else {}
    return problem_response(problem, str(error), members=members)


# Starlette hands every handler a bare Exception; each is registered for the type that it expects.
def _vitrine_error(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, errors.VitrineError):
        raise error
    return vitrine_problem(error)


def _invalid_request(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    return problem_response(INVALID, members={"errors": _where_and_what(error.errors())})


def _where_and_what(found: Sequence[Any]) -> list[dict[str, str]]:
    """Keep the place and pydantic's sentence of each error; ``input`` and ``ctx`` would repeat what was sent."""
    return [_named(error) for error in found if error.get("type") != "json_invalid"] or [
        {"where": "body", "message": "this is not JSON"}
    ]


def _named(error: Any) -> dict[str, str]:
    place, message = error["loc"], error["msg"]
    if error.get("type") == "extra_forbidden":  # its name is what was sent, too
        place, message = place[:-1], "a field here has a name that does not exist; /docs names those that do"
    return {"where": ".".join(str(part) for part in place), "message": message}


def _http_exception(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    return problem_response(problem_of_status(error.status_code), headers=error.headers)


def problem_of_status(status: int) -> Problem:
    """Return the problem that an HTTP status is where no error of ours says more.

    >>> problem_of_status(405).name, problem_of_status(418).name
    ('method-not-allowed', 'http-418')
    """
    return HTTP_PROBLEMS.get(status) or Problem(status, f"http-{status}", HTTPStatus(status).phrase)


def _disk_full(_request: Request, error: Exception) -> JSONResponse:
    if not (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)):
        raise error
    log.warning("disk_full", error=str(error))
    return problem_response(PROBLEMS[errors.InsufficientSpace])


def _unexpected(_request: Request, _error: Exception) -> JSONResponse:
    # Starlette raises the error again after this answer, so the server's log has its traceback.
    return problem_response(UNEXPECTED)
