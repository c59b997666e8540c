"""Every error that the client raises.

VitrineError
├── Unreachable             no server answers, or the connection broke
├── UnexpectedAnswer        whoever answered is not a Vitrine of this version
├── JobFailed               a job that was waited for ended without success
├── JobStillRunning         ... or not in time; also a TimeoutError
└── VitrineProblem          the server says what is wrong and what to do (RFC 9457)
    ├── NotFound            404
    ├── Invalid             400, 405, 413, 415, 416, 422: the request must change
    │   └── IdempotencyKeyReused
    ├── Conflict            409: not as things stand
    │   └── NotComputedYet  a stage has to run first
    ├── Forbidden           401, 403: another key, or another address
    ├── NotReady            429, 503: ask again, `retry_after_s` tells when
    └── ServerFault         500, 507: somebody has to look at the server
        └── RunFailed       the run that a request waited for
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .models import JobAnswer

TYPE_PREFIX = "urn:vitrine:problem:"
UNTYPED = "about:blank"  # RFC 9457, 4.2.1: no more is known than the status


class VitrineError(Exception):
    """The root of the tree; the message is written for the person who reads it."""

    retry_after_s: float | None = None
    passes_by_itself = False


class Unreachable(VitrineError):
    """No server answers at the address, or the connection broke."""

    def __init__(self, message: str, *, passes_by_itself: bool = True) -> None:
        super().__init__(message)
        self.passes_by_itself = passes_by_itself


class UnexpectedAnswer(VitrineError):
    """An answer that the API's description does not know: a proxy's, or that of another version."""


class JobFailed(VitrineError):
    """A job ended without success; ``answer`` tells how far it came."""

    def __init__(self, answer: JobAnswer) -> None:
        super().__init__(f"the job {answer.job} ended as {answer.state}; look at {answer.run_url or 'the server'}")
        self.answer = answer


class JobStillRunning(VitrineError, TimeoutError):
    """A job goes on after the time that was given for it; ``answer`` tells how far it is."""

    def __init__(self, answer: JobAnswer, timeout_s: float) -> None:
        super().__init__(f"the job {answer.job} is not done after {timeout_s:g} s; it goes on as {answer.state}")
        self.answer = answer


@dataclass(frozen=True)
class InvalidPart:
    """Which part of a request is wrong, and why."""

    where: str
    message: str


class VitrineProblem(VitrineError):
    """What the server says is wrong.

    ``type`` is stable and tells problems apart; ``title`` says what to do, ``detail`` what it is about this time,
    ``errors`` which parts of the request are wrong; ``members`` has what else came with it, such as ``run_url``.
    """

    def __init__(self, status: int, told: Mapping[str, Any], *, retry_after_s: float | None = None) -> None:
        self.status = status
        self.type = str(told.get("type", UNTYPED))
        self.title = str(told.get("title", f"the server answered {status}"))
        self.detail = str(told.get("detail", ""))
        self.errors = _invalid_parts(told.get("errors"))
        known = {"status", "type", "title", "detail", "errors"}
        self.members = {name: value for name, value in told.items() if name not in known}
        self.retry_after_s = retry_after_s
        wrong = "; ".join(f"{part.where}: {part.message}" for part in self.errors)
        super().__init__(": ".join(part for part in (self.title, self.detail, wrong) if part))


class NotFound(VitrineProblem):
    """Nothing is there."""


class Invalid(VitrineProblem):
    """The request is not one that the API takes."""


class IdempotencyKeyReused(Invalid):
    """The key has been sent with another request."""


class Conflict(VitrineProblem):
    """Not as things stand."""


class NotComputedYet(Conflict):
    """What was asked for exists once a stage has run."""


class Forbidden(VitrineProblem):
    """The key is missing, unknown, or may not do this; or the address is not one that the server answers to."""


class NotReady(VitrineProblem):
    """Busy, loading, or waiting for somebody."""

    passes_by_itself = True


class ServerFault(VitrineProblem):
    """The server could not, for reasons of its own."""


class RunFailed(ServerFault):
    """The run that the request waited for ended without success; ``members`` has its counts and address."""


BY_NAME: Mapping[str, type[VitrineProblem]] = {
    "idempotency-key-reused": IdempotencyKeyReused,
    "not-computed-yet": NotComputedYet,
    "run-failed": RunFailed,
}
BY_STATUS: Mapping[int, type[VitrineProblem]] = {
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: NotReady,
    503: NotReady,
}


def problem_from(status: int, headers: Mapping[str, str], content: bytes) -> VitrineProblem:
    """Return the problem that an answer tells of; without a readable body, what its status says.

    >>> problem_from(404, {}, b'{"type": "urn:vitrine:problem:not-found", "title": "Nothing is here"}')
    NotFound('Nothing is here')
    >>> problem_from(503, {"retry-after": "2"}, b"<html>").retry_after_s
    2.0
    """
    told = _members(content)
    kind = BY_NAME.get(str(told.get("type", "")).removeprefix(TYPE_PREFIX)) or _kind_of_status(status)
    return kind(status, told, retry_after_s=_seconds(headers.get("retry-after", "")))


def _invalid_parts(told: Any) -> Sequence[InvalidPart]:
    errors = told if isinstance(told, list) else []
    return [InvalidPart(str(e.get("where", "")), str(e.get("message", ""))) for e in errors if isinstance(e, dict)]


def _members(content: bytes) -> dict[str, Any]:
    try:
        told = json.loads(content)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _kind_of_status(status: int) -> type[VitrineProblem]:
    return BY_STATUS.get(status) or (ServerFault if status >= 500 else Invalid)


def _seconds(retry_after: str) -> float | None:
    """Return a delay; the date that RFC 9110 allows as well is not what this server sends."""
    return float(retry_after) if retry_after.isdecimal() else None
