"""The description of the API, completed with what FastAPI leaves out: problems, keys, names that clients keep.

Every operation tells which problems it answers with, each with an example; so what /docs shows is what happens.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from query_api import access, errors, middleware
from query_api.errors import Problem
from query_api.schemas.mixed_searches import search_components

PROBLEM_REF = "#/components/schemas/Problem"
PROBLEM_SCHEMA: Mapping[str, Any] = {
    "title": "Problem",
    "description": "What went wrong and what to do about it (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "Stable: what programs tell problems apart by."},
        "title": {"type": "string", "description": "What to do."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What it is about this time."},
        "errors": {
            "type": "array",
            "description": "Which parts of a request are wrong.",
            "items": {
                "type": "object",
                "required": ["where", "message"],
                "properties": {"where": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
    "additionalProperties": True,
}
SECURITY_SCHEMES: Mapping[str, Any] = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key; none is needed while there are none."},
    "key_as_password": {"type": "http", "scheme": "basic", "description": "Any user name, the key as password."},
}
TAGS = (
    ("images", "Pictures: listed, described, their files, taken away and brought back."),
    ("duplicates", "Copies of one picture."),
    ("search", "By words, by picture, by colour."),
    ("merges", "Two pictures blended into one."),
    ("jobs", "Scraping and deriving, on request."),
    ("sources", "The sites that are scraped."),
    ("library", "The whole of it."),
    ("takedowns", "What the library must not show, whoever meets it again."),
    ("models", "What computes vectors and cut-outs, and how good it is here."),
    ("health", "For whoever watches the server."),
    ("legacy", "The predecessor's twelve requests; each answer names what comes after it."),
)
METHOD_NOT_ALLOWED = 405
ALWAYS = frozenset({401, 403, 429, 500, 503})
CHANGING = frozenset({409, 413, 507})


def operation_id(route: APIRoute) -> str:
    """Return the name of a route that clients generate their methods from, such as ``images_describe``."""
    return f"{route.tags[0] if route.tags else 'vitrine'}_{route.name}"


def complete_description(app: FastAPI) -> None:
    """Make ``app`` describe itself with problems, keys and tags."""
    described = app.openapi

    def completed() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = described()
            _complete(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = completed  # type: ignore[method-assign]  # the way that FastAPI documents


def _complete(schema: dict[str, Any]) -> None:
    components = schema.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = dict(PROBLEM_SCHEMA)
    for name, component in search_components().items():  # its route reads the body by itself
        components["schemas"].setdefault(name, component)
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["securitySchemes"] = dict(SECURITY_SCHEMES)
    shown = [
        problem for problem in every_problem() if problem.status != METHOD_NOT_ALLOWED
    ]  # no operation answers that
    components["examples"] = {problem.name: {"value": example_of(problem)} for problem in shown}
    schema["servers"] = [{"url": "/", "description": "This server"}]
    schema["tags"] = [{"name": name, "description": description} for name, description in TAGS]
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            _complete_operation(path, method.upper(), operation)
    _in_version_3_1(schema)


def _in_version_3_1(node: Any) -> None:
    """Take out what OpenAPI 3.1 does not know (``itemSchema``), and say what type the items of a tuple have."""
    if isinstance(node, dict):
        node.pop("itemSchema", None)
        if "prefixItems" in node:
            node.setdefault("items", node["prefixItems"][0])
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _in_version_3_1(child)


def _complete_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    is_public = path in access.PUBLIC
    operation["security"] = [{}] if is_public else [{}, {"key": []}, {"key_as_password": []}]
    if operation["tags"] == ["legacy"]:
        operation["deprecated"] = True
    responses = operation["responses"]
    takes_input = bool(responses.pop("422", None)) or "requestBody" in operation
    wanted = {403, 503} if is_public else set(ALWAYS)
    wanted |= {422} if takes_input else set()
    wanted |= {400} if "requestBody" in operation else set()
    wanted |= {415} if len(operation.get("requestBody", {}).get("content", {})) > 1 else set()
    wanted |= {404} if "{" in path or "requestBody" in operation or path.endswith("/restore") else set()
    wanted |= CHANGING if method != "GET" else set()
    wanted |= {400, 416} if path.endswith("/file") else {409} if path.endswith(("/cutout", "/mask")) else set()
    for status in sorted(wanted):
        responses[str(status)] = _answer(status)


def _answer(status: int) -> dict[str, Any]:
    problems = [problem for problem in every_problem() if problem.status == status]
    examples = {problem.name: {"$ref": f"#/components/examples/{problem.name}"} for problem in problems}
    content = {"schema": {"$ref": PROBLEM_REF}, "examples": examples}
    return {"description": "; ".join(problem.title for problem in problems), "content": {errors.MEDIA_TYPE: content}}


def every_problem() -> Iterable[Problem]:
    """Return every problem that an answer can be, each name once."""
    own = [errors.INVALID, *errors.PROBLEMS.values(), *errors.HTTP_PROBLEMS.values()]
    before_routes = [*access.ACCESS_PROBLEMS, middleware.CROSS_SITE, middleware.UNKNOWN_HOST, middleware.PREFETCH]
    return {problem.name: problem for problem in (*own, *before_routes)}.values()


def example_of(problem: Problem) -> dict[str, Any]:
    """Return what a client gets to see of a problem.

    >>> example_of(errors.BUSY)["type"]
    'urn:vitrine:problem:busy'
    """
    told = {"type": f"urn:vitrine:problem:{problem.name}", "title": problem.title, "status": problem.status}
    if problem is errors.INVALID:
        told["errors"] = [{"where": "query.limit", "message": "Input should be less than or equal to 200"}]
    return told
