"""The Python client and the API's description cannot drift apart."""

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args, get_origin, get_type_hints

import pytest
from typing_extensions import TypeAliasType

import lib.client.models
from lib.client import Vitrine, VitrineProblem, problems, running_jobs
from lib.client.groups.merges import Merges
from lib.client.groups.search import MixedQuery, Search
from lib.client.models import Site
from lib.client.operations import Described, Group
from lib.client.requests import PagedRequest, Request
from lib.settings import Settings
from query_api.app import create_app
from query_api.client_models import client_models
from query_api.openapi import every_problem, example_of
from query_api.routes import requests as served_requests

DESCRIBED: dict[str, Any] = create_app(Settings()).openapi()
# Whether a merge is kept is another method, since its answer is another: (operation, parameter) by who sends it.
CHOSEN_BY_METHOD = {
    ("merges_merge_images", "save"): Merges.keep_images,
    ("merges_merge_by_drawing", "save"): Merges.keep_drawn,
}
EXAMPLES: dict[str, Any] = {
    "merge_id": 3,
    "image_id": 7,
    "request_id": "00000000-0000-0000-0000-000000000000",
    "job": "scrape",
    "name": "museum",
    "takedown_id": 4,
    "spec_id": "0123456789abcdef",
    "role": "clip",
    "level": "hash",
    "site": Site(name="museum", start_urls=["https://museum.example/"]),
    "image": b"picture",
    "mask": b"picture",
    "image_ids": [1, 2],
    "duplicates": False,
    "text_query": "a dog",
    "colors": ["#d02020"],
}


class Operation(TypedDict):
    """An operation as the description has it."""

    method: str
    path: str
    described: dict[str, Any]


def operations() -> dict[str, Operation]:
    """Return every operation that is not legacy, by its id."""
    return {
        operation["operationId"]: Operation(method=method.upper(), path=path, described=operation)
        for path, methods in DESCRIBED["paths"].items()
        for method, operation in methods.items()
        if operation["tags"] != ["legacy"]
    }


def client_methods() -> Iterator[tuple[str, Described[..., Any]]]:
    """Yield each method of the client with the name of its group."""
    with Vitrine() as vitrine:
        groups = {name: type(value) for name, value in vars(vitrine).items() if isinstance(value, Group)}
    for name, group in groups.items():
        for attribute in vars(group):
            if isinstance(method := getattr(group, attribute), Described):
                yield name, method


METHODS = {method.operation_id: (group, method) for group, method in client_methods() if method.operation_id}
OPERATIONS = operations()


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = DESCRIBED["components"]["schemas"][name] if name else schema
    return found


def parameters(method: Described[..., Any]) -> dict[str, inspect.Parameter]:
    """Return a method's own parameters."""
    return dict(list(inspect.signature(method.build).parameters.items())[1:])


def inputs(operation: Operation, taken: set[str]) -> dict[str, tuple[dict[str, Any], bool]]:
    """Return (schema, required) of what an operation takes, by the name that it has in Python.

    A body is taken apart into its fields, but for a site, which a method takes as a whole.
    """
    found = {
        parameter["name"].replace("-", "_"): (parameter["schema"], parameter["required"])
        for parameter in operation["described"].get("parameters", [])
        if (parameter["in"], parameter["name"]) != ("header", "accept")  # the client knows what it can read
        and (operation["described"]["operationId"], parameter["name"]) not in CHOSEN_BY_METHOD
    }
    bodies = operation["described"].get("requestBody", {}).get("content", {})
    for kind, body in bodies.items():
        schema = resolved(body["schema"])
        if "site" in taken and schema["title"] == "Site":
            found["site"] = (schema, True)
        elif kind == "multipart/form-data" and "additionalProperties" in schema and len(bodies) > 1:
            found["uploads"] = (schema["additionalProperties"], False)
        else:
            required = schema.get("required", [])
            found |= {name: (field, name in required) for name, field in schema["properties"].items()}
    return found


def literals(annotation: Any) -> set[str]:
    """Return the words that a type allows, however deep they stand in it."""
    if isinstance(annotation, TypeAliasType):
        return literals(annotation.__value__)
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    return set().union(*map(literals, get_args(annotation)))


def words(schema: dict[str, Any]) -> set[str]:
    """Return the words that a schema allows, however deep they stand in it, but not in fields of its own."""
    schema = resolved(schema)
    parts = [*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]
    return set(schema.get("enum", [])).union(*map(words, parts))


def built(method: Described[..., Any]) -> Request[Any]:
    needed = {name for name, given in parameters(method).items() if given.default is given.empty}
    request = method.build(None, **{name: EXAMPLES[name] for name in needed})
    return request.page(None) if isinstance(request, PagedRequest) else request


def test_the_types_are_those_of_the_description() -> None:
    written = Path(lib.client.models.__file__).read_text()
    assert written == client_models(), "the description has changed: run `make client`"


def test_there_is_a_method_for_every_operation_and_no_other() -> None:
    assert set(METHODS) == set(OPERATIONS)


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_a_method_takes_what_its_operation_takes(operation_id: str) -> None:
    group, method = METHODS[operation_id]
    assert OPERATIONS[operation_id]["described"]["tags"] == [group]
    taken = parameters(method)
    wanted = inputs(OPERATIONS[operation_id], set(taken))
    assert set(taken) == set(wanted)
    required = {name for name, given in taken.items() if given.default is given.empty}
    assert required == {name for name, (_, is_required) in wanted.items() if is_required}
    hints = get_type_hints(method.build)
    for name, (schema, _) in wanted.items():
        if name != "site":
            assert literals(hints[name]) == words(schema), name


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_a_method_asks_for_its_operation_and_reads_its_answer(operation_id: str) -> None:
    operation, (_, method) = OPERATIONS[operation_id], METHODS[operation_id]
    request = built(method)
    assert (request.method, request.path) == (operation["method"], operation["path"].format(**EXAMPLES))
    content = operation["described"]["responses"].get("200", operation["described"]["responses"].get("201", {}))
    answered = content.get("content", {}).get("application/json", {}).get("schema", {})
    if "$ref" in answered:
        kind = get_args(get_type_hints(method.build)["return"])[0]
        assert kind is getattr(lib.client.models, answered["$ref"].rpartition("/")[2])


@pytest.mark.parametrize(("left_out", "method"), CHOSEN_BY_METHOD.items())
def test_what_a_method_leaves_out_is_sent_by_another(left_out: tuple[str, str], method: Described[..., Any]) -> None:
    operation_id, name = left_out
    (query,) = get_args(inspect.signature(method.build).parameters["merge"].annotation)
    assert set(get_type_hints(query)) == set(parameters(METHODS[operation_id][1]))
    request = method.build(None, image_id_1=1, image_id_2=2, mask=b"picture" if "drawing" in operation_id else None)
    assert (request.path, request.query) == (OPERATIONS[operation_id]["path"], {name: True})
    assert not request.repeatable


def test_a_search_takes_the_same_however_its_results_are_wanted() -> None:
    assert {*MixedQuery.__annotations__, "cursor"} == set(parameters(Search.by))


@pytest.mark.parametrize("problem", every_problem(), ids=lambda problem: problem.name)
def test_every_problem_becomes_an_error_of_its_family(problem: Any) -> None:
    told = example_of(problem)
    error = problems.problem_from(problem.status, {"retry-after": "3"}, json.dumps(told).encode())
    assert type(error) is not VitrineProblem
    assert (error.type, error.title, error.status) == (told["type"], told["title"], problem.status)
    families = {404: problems.NotFound, 409: problems.Conflict, 503: problems.NotReady, 500: problems.ServerFault}
    assert isinstance(error, families.get(problem.status, VitrineProblem))
    assert error.retry_after_s == 3


def test_the_client_knows_when_a_job_has_ended() -> None:
    assert running_jobs.ENDED == served_requests.ENDED
