"""Reading docker-compose.yml as Compose does: YAML, then variables (Compose specification, "Interpolation").

No engine runs where the tests run, so what Compose would make of the file is worked out here.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
PASSWORD = {"VITRINE_DB_PASSWORD": "generated"}
VARIABLE = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?:(?P<operator>:[-?])(?P<argument>[^}]*))?\})")


class VariableMissing(Exception):
    """A variable that the file demands is not set; Compose refuses to go on."""


def read(variables: Mapping[str, str] = PASSWORD, path: Path = COMPOSE_FILE) -> dict[str, Any]:
    """Return the file with every variable replaced."""
    found: dict[str, Any] = interpolated(yaml.load(path.read_text(), Loader), variables)  # noqa: S506  a safe loader
    return found


def services(variables: Mapping[str, str] = PASSWORD) -> dict[str, dict[str, Any]]:
    """Return the services by name."""
    found: dict[str, dict[str, Any]] = read(variables)["services"]
    return found


class Loader(yaml.SafeLoader):
    """Knows the tag by which one Compose file takes out what another has put in."""


class Reset:
    """Stands where a file says `!reset`."""


Loader.add_constructor("!reset", lambda *_: Reset())


def interpolated(node: Any, variables: Mapping[str, str]) -> Any:
    """Return ``node`` with the variables in all of its values (never keys) replaced. Raises VariableMissing."""
    if isinstance(node, dict):
        return {key: interpolated(value, variables) for key, value in node.items()}
    if isinstance(node, list):
        return [interpolated(value, variables) for value in node]
    return VARIABLE.sub(lambda match: _value(match, variables), node) if isinstance(node, str) else node


def _value(match: re.Match[str], variables: Mapping[str, str]) -> str:
    if match["escaped"]:
        return "$"
    value = variables.get(match["name"], "")
    if match["operator"] == ":?" and not value:
        raise VariableMissing(f"{match['name']} {match['argument']}")
    return value or (match["argument"] or "" if match["operator"] == ":-" else "")
