"""The description of the API: what clients are generated from, and what people read at /docs."""

from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import jsonschema
import pytest

from lib.settings import Settings
from query_api.app import create_app


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return create_app(Settings()).openapi()


def operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, method and description of each operation."""
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def resolved(described: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema, or the component that it refers to."""
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = described["components"]["schemas"][name] if name else schema
    return found


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does(described: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(described)]
    assert len(names) == len(set(names))
    assert all(operation["description"] for _, _, operation in operations(described))
    known = {tag["name"] for tag in described["tags"]}
    assert {tag for _, _, operation in operations(described) for tag in operation["tags"]} <= known


def test_every_operation_says_which_problems_it_answers_with(described: dict[str, Any]) -> None:
    for path, _, operation in operations(described):
        told = {status: answer for status, answer in operation["responses"].items() if status[0] in "45"}
        assert {"403", "503"} <= set(told), path
        for answer in told.values():
            content = answer["content"]["application/problem+json"]
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert content["examples"]


def test_examples_of_problems_are_problems_of_their_status(described: dict[str, Any]) -> None:
    for _, _, operation in operations(described):
        for status, answer in operation["responses"].items():
            shown = answer.get("content", {}).get("application/problem+json", {}).get("examples", {})
            for name in shown:
                value = described["components"]["examples"][name]["value"]
                jsonschema.validate(value, described["components"]["schemas"]["Problem"])
                assert str(value["status"]) == status


def test_every_json_body_has_an_example_that_it_accepts(described: dict[str, Any]) -> None:
    for path, _, operation in operations(described):
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body is None:
            continue
        schema = resolved(described, body["schema"])
        by_field = {name: field["examples"][0] for name, field in schema["properties"].items() if "examples" in field}
        shown = [example["value"] for example in body.get("examples", {}).values()]
        for example in shown or schema.get("examples") or [by_field]:
            assert example, path
            jsonschema.validate(example, {**schema, "components": described["components"]})


def test_nothing_refers_to_what_is_not_there(described: dict[str, Any]) -> None:
    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for child in node.values():
                yield from references(child)
        elif isinstance(node, list):
            for child in node:
                yield from references(child)

    for reference in set(references(described)):
        node = described
        for part in reference.removeprefix("#/").split("/"):
            assert part in node, reference
            node = node[part]


def test_the_server_describes_itself_alike(api: httpx.Client, described: dict[str, Any]) -> None:
    assert api.get("/openapi.json").json()["paths"] == described["paths"]
