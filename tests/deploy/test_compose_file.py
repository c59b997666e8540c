"""What docker-compose.yml promises about safety, and that Compose would take it."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lib.storage.database import MINIMUM_PGVECTOR
from tests.deploy import compose_file
from tests.deploy.compose_file import COMPOSE_FILE, ROOT, VariableMissing

SERVICES = compose_file.services()
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
LASTING = {name: service for name, service in SERVICES.items() if service["restart"] != "no"}
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
PROGRAMS = Path(sys.executable).parent
EXACT_VERSION = re.compile(r":\d+\.\d+\.\d+[a-z0-9.-]*$")


def each(services: dict[str, dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("service", services.values(), ids=services.keys())


def schema_errors(path: Path) -> str:
    """Return what the Compose specification's own JSON schema has against a file, as check-jsonschema says it."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_file_is_valid_under_the_compose_specification() -> None:
    assert schema_errors(COMPOSE_FILE) == ""


def test_the_specification_tells_a_misspelt_field(tmp_path: Path) -> None:
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(COMPOSE_FILE.read_text().replace("read_only:", "readonly:"))
    assert "readonly" in schema_errors(wrong)


def test_variables_are_replaced_as_compose_does() -> None:
    """The examples of the specification's chapter on interpolation, and its `$$`."""
    given = {"set": "${VAR:-default}", "empty": "${EMPTY:-default}", "plain": "${UNSET}", "$$": "$${VAR}"}
    replaced = {"set": "x", "empty": "default", "plain": "", "$$": "${VAR}"}
    assert compose_file.interpolated(given, {"VAR": "x", "EMPTY": ""}) == replaced


def test_every_service_of_the_product_is_there() -> None:
    assert LASTING.keys() == {"db", "api", "code-server", "daemon", "webserver"}


def test_without_a_password_nothing_starts() -> None:
    with pytest.raises(VariableMissing, match=r"VITRINE_DB_PASSWORD.*make-env\.sh"):
        compose_file.read({})


def test_the_password_stands_in_the_file_only_as_that_variable() -> None:
    secret = "s3cret-that-is-nowhere-else"
    values = list(strings(compose_file.read({"VITRINE_DB_PASSWORD": secret})["services"]))
    assert {value for value in values if secret in value} == {secret}
    words = [name for name in names(compose_file.read()["services"]) if re.search("PASS|SECRET|TOKEN", name)]
    assert set(words) == {"POSTGRES_PASSWORD", "PGPASSWORD"}
    assert not [value for value in values if re.search(r"://[^/@]*:[^/@]+@", value)], "a password in a URL"
    assert "trust" not in yaml.safe_dump(SERVICES["db"]), "a database without a password"


def strings(node: Any) -> list[str]:
    if isinstance(node, dict | list):
        return [text for value in (node.values() if isinstance(node, dict) else node) for text in strings(value)]
    return [node] if isinstance(node, str) else []


def names(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [*map(str, node), *(name for value in node.values() for name in names(value))]
    return [name for value in node for name in names(value)] if isinstance(node, list) else []


@each(SERVICES)
def test_what_is_published_is_published_on_loopback(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert service.get("network_mode") is None


def test_the_database_is_published_nowhere_and_reaches_nothing() -> None:
    assert "ports" not in SERVICES["db"]
    assert SERVICES["db"]["networks"] == ["database"]
    assert compose_file.read()["networks"]["database"] == {"internal": True}


@each(LASTING)
def test_every_lasting_service_has_a_health_check_and_comes_back(service: dict[str, Any]) -> None:
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert service["init"] is True


@each(SERVICES)
def test_dependencies_are_waited_for_until_they_are_ready(service: dict[str, Any]) -> None:
    conditions = {name: wanted["condition"] for name, wanted in service.get("depends_on", {}).items()}
    assert all(
        condition == ("service_healthy" if name in LASTING else "service_completed_successfully")
        for name, condition in conditions.items()
    )


@each(SERVICES)
def test_no_service_can_gain_privileges(service: dict[str, Any]) -> None:
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert "privileged" not in service


@each(OURS)
def test_our_containers_have_no_capability_and_no_root(service: dict[str, Any]) -> None:
    assert "cap_add" not in service
    assert "user" not in service
    stage = DOCKERFILE.split(f" AS {service['build']['target']}\n")[1].split("\nFROM ")[0]
    assert re.search(r"^USER [1-9]\d+$", stage, re.MULTILINE)


def test_images_are_pinned_to_exact_versions() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    bases = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) - stages
    used = {service["image"] for service in SERVICES.values() if "image" in service} | bases
    assert used
    assert [image for image in used if not EXACT_VERSION.search(image)] == []


def test_the_database_image_has_a_pgvector_that_we_accept() -> None:
    version = re.search(r":([\d.]+)-pg18", SERVICES["db"]["image"])
    assert version
    assert tuple(map(int, version[1].split("."))) >= MINIMUM_PGVECTOR


def test_data_lies_in_volumes() -> None:
    """The images of PostgreSQL 18 keep their data below this folder; a volume deeper down would stay empty."""
    assert SERVICES["db"]["volumes"] == ["pgdata:/var/lib/postgresql"]
    assert all("home:/var/lib/vitrine" in service["volumes"] for service in OURS.values())
    assert compose_file.read()["volumes"].keys() == {"home", "pgdata"}


def test_files_that_the_containers_are_given_exist() -> None:
    options = [option for service in OURS.values() for option in service["security_opt"] if "seccomp:" in option]
    assert options
    assert all((ROOT / option.removeprefix("seccomp:")).is_file() for option in options)


def test_a_database_of_ones_own_takes_the_place_of_the_container() -> None:
    urls = {
        "DATABASE_URL": "postgresql://me@db.example/vitrine",
        "VITRINE_DAGSTER_DATABASE_URL": "postgresql+psycopg2://me@db.example/vitrine_dagster",
    }
    path = ROOT / "deploy" / "own-postgres.yml"
    laid_over = compose_file.read(urls, path)["services"]
    assert {name for name, service in laid_over.items() if isinstance(service, compose_file.Reset)} == {"db"}
    waiting = {name for name, service in SERVICES.items() if "db" in service.get("depends_on", {})}
    resets = {name for name in OURS if isinstance(laid_over[name].get("depends_on"), compose_file.Reset)}
    assert resets == waiting
    assert all(laid_over[name]["environment"] == urls for name in OURS)
    with pytest.raises(VariableMissing):
        compose_file.read({}, path)


def test_the_dockerfile_passes_its_linter() -> None:
    done = subprocess.run(
        [PROGRAMS / "hadolint", "deploy/Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_what_the_dockerfile_copies_is_let_in_and_nothing_else() -> None:
    copied = {
        name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()
    }
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
    assert "*" in ignored
    assert all((ROOT / name).exists() for name in copied)
