"""Which methods an address has: the ``Allow`` header of a 405 names all of them, not only those of the first route."""

import re
from functools import cache

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from query_api.errors import problem_of_status, problem_response


def allowed_methods(app: FastAPI, path: str) -> list[str]:
    """Return the methods that the description knows for a path, HEAD with GET; empty where it knows no such path."""
    paths = app.openapi()["paths"]
    # A path that is written out goes before one with a parameter that could stand for it (OpenAPI 3.1, 4.8.8.2).
    templates = [path] if path in paths else [template for template in paths if _matcher(template).fullmatch(path)]
    known = {method.upper() for template in templates for method in paths[template]}
    return sorted(known | ({"HEAD"} if "GET" in known else set()))


@cache
def _matcher(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)))


def method_not_allowed(request: Request, error: Exception) -> JSONResponse:
    """Answer a method that an address does not have (RFC 9110, 15.5.6)."""
    known = allowed_methods(request.app, request.url.path)
    headers = {"Allow": ", ".join(known)} if known else getattr(error, "headers", None)
    return problem_response(problem_of_status(405), headers=headers)


def install_method_check(app: FastAPI) -> None:
    """Make ``app`` name all methods of an address."""
    app.add_exception_handler(405, method_not_allowed)
