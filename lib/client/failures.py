"""What a failed exchange means: the errors of httpx2 and the statuses of HTTP as errors of ours."""

from typing import Any

import httpx2

from .problems import Unreachable, VitrineError, problem_from
from .requests import Request

NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


def unreachable(error: httpx2.RequestError, request: Request[Any]) -> Unreachable:
    """Return what a broken exchange means: worth another try if nothing was sent, or if sending twice does no harm.

    A server that was too slow once is not asked again: it may still be at work on it.
    """
    sent = not isinstance(error, NEVER_SENT)
    too_slow = sent and isinstance(error, httpx2.TimeoutException)
    reason = str(error) or type(error).__name__
    failure = Unreachable(
        f"{request.method} {request.path} got no answer: {reason}. Is the server running, and is this its address?",
        passes_by_itself=not sent or (request.repeatable and not too_slow),
    )
    failure.__cause__ = error
    return failure


def refused(reply: httpx2.Response, request: Request[Any]) -> VitrineError:
    """Return the problem that an answer tells of, whose body has been read."""
    problem = problem_from(reply.status_code, reply.headers, reply.content)
    problem.passes_by_itself = problem.passes_by_itself and request.repeatable
    return problem
