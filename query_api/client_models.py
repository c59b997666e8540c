"""The Python client's types, written from the API's description: ``python -m query_api.client_models`` prints them.

``make client`` puts them where they belong, ``lib/client/models.py``. What only the legacy requests use is left out.
How they are written is told to datamodel-code-generator and to ruff in pyproject.toml.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lib.settings import Settings
from query_api.app import create_app

REPOSITORY = Path(__file__).parents[1]
LEGACY = "legacy"
FORM = "multipart/form-data"
PREFIX = "#/components/schemas/"
# The server judges values, in problems that say what is wrong; the client's types tell kinds of values apart.
BOUNDS = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern", "uniqueItems"}
)
LEFT_OUT = BOUNDS | {"title", "examples", "allOf"}


def client_description(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description of the API reduced to the types that a client needs."""
    operations = [
        operation
        for methods in described["paths"].values()
        for operation in methods.values()
        if LEGACY not in operation["tags"]
    ]
    components = described["components"]["schemas"]
    wanted = _reachable([_without_forms(operation) for operation in operations], components)
    answered = _reachable([operation["responses"] for operation in operations], components)
    schemas = {name: _plain(schema) for name, schema in sorted(components.items()) if name in wanted}
    for name in answered & wanted:  # an answer may carry more than this client knows
        if schemas[name].get("additionalProperties") is False:
            del schemas[name]["additionalProperties"]
    return {"openapi": described["openapi"], "info": described["info"], "paths": {}, "components": {"schemas": schemas}}


def _without_forms(operation: Mapping[str, Any]) -> dict[str, Any]:
    """Return an operation without the forms that carry files: methods spell out their parts."""
    bodies = operation.get("requestBody", {}).get("content", {})
    return {**operation, "requestBody": [body for kind, body in bodies.items() if kind != FORM]}


def _plain(schema: Any) -> Any:
    """Return a schema without bounds, titles and examples."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    left_out = LEFT_OUT if "prefixItems" in schema else LEFT_OUT | {"minItems", "maxItems"}
    return {
        key: {name: _plain(field) for name, field in value.items()} if key == "properties" else _plain(value)
        for key, value in schema.items()
        if key not in left_out
    }


def _reachable(where: Any, components: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    waiting = set(_named(where))
    while waiting:
        found |= waiting
        waiting = {name for seen in waiting for name in _named(components[seen])} - found
    return found


def _named(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if str(node.get("$ref", "")).startswith(PREFIX):
            yield node["$ref"].removeprefix(PREFIX)
        for child in node.values():
            yield from _named(child)
    elif isinstance(node, list):
        for child in node:
            yield from _named(child)


def client_models() -> str:
    """Return the module's text."""
    described = client_description(create_app(Settings()).openapi())
    return _through("ruff", "format", "--stdin-filename", "models.py", "-", text=_generated(json.dumps(described)))


def _generated(description: str) -> str:
    return _through("datamodel-codegen", text=description)


def _through(program: str, *arguments: str, text: str) -> str:
    """Return what a program of this environment makes of a text, by what pyproject.toml tells it."""
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    return subprocess.run(command, cwd=REPOSITORY, input=text, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    sys.stdout.write(client_models())
