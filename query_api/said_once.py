"""Parameters that a query gives twice where one is meant are refused: which of them counts would be a guess."""

from collections import Counter
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError

LIST = "array"


async def require_said_once(request: Request) -> None:
    """Refuse a query parameter that stands there again, unless the route's description says that it is a list.

    Raises RequestValidationError. Parameters that the route does not know are ignored, however often they come.
    """
    counts = Counter(name for name, _ in request.query_params.multi_items())
    if not (repeated := {name for name, count in counts.items() if count > 1}):
        return
    path = request.scope["route"].path_format
    described = request.app.openapi()["paths"].get(path, {}).get(request.method.lower(), {})
    single = (one["name"] for one in described.get("parameters", ()) if one["in"] == "query" and not _is_list(one))
    if wrong := [name for name in single if name in repeated]:
        raise RequestValidationError(
            [{"loc": ("query", name), "msg": "Given more than once", "type": "value_error"} for name in wrong]
        )


def _is_list(parameter: dict[str, Any]) -> bool:
    """Return whether the values of a parameter are a list.

    >>> _is_list({"schema": {"anyOf": [{"type": "array"}, {"type": "null"}]}})
    True
    >>> _is_list({"schema": {"type": "integer"}})
    False
    """
    schema = parameter["schema"]
    return any(one.get("type") == LIST for one in (schema, *schema.get("anyOf", ())))
