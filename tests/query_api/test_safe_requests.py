"""What only looks changes nothing: every GET, and searches that are sent by POST, leave rows and files as they are."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import httpx2 as httpx
import sqlalchemy as sa

from lib.storage import models, sources
from lib.storage.declarative import Base
from query_api.routes.legacy import CHANGING_GETS
from tests.query_api.conftest import Seed

PAGES = ("/", "/?text=a+dog", "/sources", "/jobs", "/library", "/duplicates", "/merge", "/images/{image_id}")
SEARCHES = (
    ("/v1/search", {"text": "a dog", "k": 3}),
    ("/v1/search", {"color": "#204060", "k": 3}),
    ("/v1/search", {"image_id": 1, "by": "look", "k": 3}),
    ("/find_all_similar_texts", {"text": "a dog"}),
)
ENOUGH_BYTES = 200_000  # of an answer that may have no end


def rows_hash(seed: Seed) -> dict[str, str]:
    """Return a hash of every table's rows."""
    hashes = {}
    with seed.database.session() as session:
        for table in Base.metadata.sorted_tables:
            rows = sorted(session.scalars(sa.text(f'SELECT t::text FROM "{table.name}" t')))
            hashes[table.name] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    return hashes


def tree_hash(home: Path) -> dict[str, str]:
    """Return a hash of every file below the home, by its path."""
    files = [path for path in sorted(home.rglob("*")) if path.is_file()]
    return {str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def gets(api: httpx.Client, known: Mapping[str, str]) -> list[str]:
    """Return the address of every GET that the API describes, with parameters that exist, and the pages."""
    described = api.get("/openapi.json").json()["paths"]
    paths = [path for path, methods in described.items() if "get" in methods and path not in CHANGING_GETS]
    filled = [*paths, *PAGES]
    for name, value in known.items():
        filled = [path.replace(f"{{{name}}}", value) for path in filled]
    assert not [path for path in filled if "{" in path]
    return filled


def test_what_only_looks_changes_neither_rows_nor_files(api: httpx.Client, seed: Seed, ids: dict[str, int]) -> None:
    with seed.database.session() as session:
        model = next(model for model in models.all_models(session) if model.role == "clip")
        source = next(iter(sources.all_sources(session))).name
    known = {"image_id": str(next(iter(ids.values()))), "spec_id": model.spec_id, "role": "clip", "name": source}
    known |= dict.fromkeys(("merge_id", "request_id", "run_id"), "1")
    before = rows_hash(seed), tree_hash(seed.home)
    assert any("objects" in name for name in before[1])
    answered = []
    for address in gets(api, known):
        with api.stream("GET", address, headers={"Accept": "text/html, */*"}) as reply:
            answered.append(reply.status_code)
            read = 0
            if "event-stream" not in reply.headers.get("content-type", ""):
                for chunk in reply.iter_bytes():
                    read += len(chunk)
                    if read > ENOUGH_BYTES:
                        break
        assert reply.status_code < 500, address
    for address, body in SEARCHES:
        answered.append(api.post(address, json=body).status_code)
    assert sum(status == 200 for status in answered) > len(answered) / 2
    after = rows_hash(seed), tree_hash(seed.home)
    assert {name for name in before[0] if before[0][name] != after[0][name]} == set()
    assert before[1] == after[1]
    api.delete(f"/v1/images/{known['image_id']}").raise_for_status()
    assert rows_hash(seed)["images"] != before[0]["images"], "a change would not have been seen"
    api.post(f"/v1/images/{known['image_id']}/restore").raise_for_status()
