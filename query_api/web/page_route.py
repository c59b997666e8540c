"""Routes of pages: what goes wrong there is told in a page, with what to do about it, and not as a JSON problem."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from lib.errors import ImageError, VitrineError
from query_api.errors import problem_of, problem_of_status, problem_response
from query_api.web.templating import page

# What heals by itself: the page asks again.
SHORT_WAIT_S = 5


class PageRoute(APIRoute):
    """A route whose errors are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route, errors turned into pages."""
        answer = super().get_route_handler()

        async def with_error_pages(request: Request) -> Response:
            """Answer; an error of ours, or an address that cannot be read, becomes a page."""
            try:
                return await answer(request)
            except VitrineError as error:
                return error_page(request, error)
            except RequestValidationError as error:
                return invalid_page(request, error)

        return with_error_pages


def error_page(request: Request, error: VitrineError) -> Response:
    """Return the page that tells of an error."""
    problem = problem_of(error)
    again_s = problem.retry_after_s if request.method == "GET" else None
    # A decoder's own words name temporary files.
    detail = error.reason.replace("_", " ") if isinstance(error, ImageError) else str(error)
    return page(
        request,
        "error.html",
        status=problem.status,
        refresh_s=again_s,
        problem=problem,
        detail=detail,
        waiting=again_s is not None and again_s <= SHORT_WAIT_S,
    )


def invalid_page(request: Request, error: RequestValidationError) -> Response:
    """Return the page for an address or a form that cannot be read; what was sent is not repeated."""
    faults = [(".".join(str(part) for part in fault["loc"][1:]), fault["msg"]) for fault in error.errors()]
    return page(request, "invalid.html", status=422, faults=faults)


def is_from_a_person(request: Request) -> bool:
    """Return whether a browser asks for something to look at, and no program."""
    return "text/html" in request.headers.get("accept", "")


def install_missing_page(app: FastAPI) -> None:
    """Have ``app`` tell a person by a page that there is nothing at an address, and a program by a problem."""
    app.add_exception_handler(404, _missing)


def _missing(request: Request, error: Exception) -> Response:
    problem = problem_of_status(404)
    if not is_from_a_person(request):
        return problem_response(problem, headers=getattr(error, "headers", None))
    return page(
        request, "error.html", status=404, problem=problem, detail="there is nothing at this address", waiting=False
    )
