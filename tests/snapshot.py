"""What a library holds, in words that do not depend on when and in which order it came to be."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import sqlalchemy as sa

from lib.settings import Settings
from lib.storage.library import open_library
from lib.storage.objects import ObjectStore

Snapshot: TypeAlias = dict[str, list[tuple[Any, ...]]]

SCRAPED = {
    "images": "SELECT sha256, format, byte_count, width_px, height_px, has_alpha, phash::text, working_copy_sha256, "
    "img_name, img_path, cleared_in FROM images",
    "image_urls": "SELECT url, status, reason, etag, last_modified, sha256 FROM image_urls "
    "LEFT JOIN images ON image_id = images.id",
    "pages": "SELECT url, status, reason, title, links::text, dependencies::text FROM pages",
    "sightings": "SELECT pages.url, image_urls.url, alt, position FROM sightings "
    "JOIN pages ON page_id = pages.id JOIN image_urls ON image_url_id = image_urls.id",
    "frontier": "SELECT url, depth, visited FROM frontier",
    "resnet_embeddings": "SELECT sha256, spec_id, vector::text FROM resnet_embeddings "
    "JOIN images ON image_id = images.id",
}
DERIVED = {
    "cutouts": "SELECT sha256, spec_id, mask_sha256, origin, box::text, coverage FROM cutouts "
    "JOIN images ON image_id = images.id",
    "color_features": "SELECT sha256, spec_id, of_subject, palette_lab::text, layout FROM color_features "
    "JOIN images ON image_id = images.id",
    "clip_embeddings": "SELECT sha256, spec_id, vector::text FROM clip_embeddings JOIN images ON image_id = images.id",
    "ledger": "SELECT sha256, stage, spec_id, status, attempts, input_hash FROM stage_results "
    "JOIN images ON image_id = images.id",
}


HALF_ULP = 2.0**-12  # the last bit of a half-precision number below 0.5


@dataclass(frozen=True, eq=False)
class StoredVector:
    """A vector as pgvector tells it. A network's rows depend on their neighbours in a batch by float32's rounding.

    What was killed is done again alone, so two right libraries differ in a last bit here and there.
    """

    values: tuple[float, ...]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StoredVector) or len(self.values) != len(other.values):
            return False
        return all(abs(a - b) <= HALF_ULP for a, b in zip(self.values, other.values, strict=True))

    def __hash__(self) -> int:
        return len(self.values)

    def __lt__(self, other: "StoredVector") -> bool:
        return self.values < other.values


def snapshot(home: Path, site_port: int, *, with_derived: bool = True) -> Snapshot:
    """Return the rows of every table by their natural keys, sorted, and the files by name and content.

    The port of the web site that was scraped is taken out of URLs, so that two libraries can be compared.
    """
    queries = SCRAPED | (DERIVED if with_derived else {})
    with open_library(Settings(home=home)) as library, library.database.session() as session:
        rows = {name: session.execute(sa.text(query)).all() for name, query in queries.items()}
    tables = {
        name: sorted(tuple(_plain(value, site_port) for value in row) for row in found)
        if "embeddings" not in name
        else sorted((sha256, spec_id, StoredVector(tuple(json.loads(vector)))) for sha256, spec_id, vector in found)
        for name, found in rows.items()
    }
    store = ObjectStore(home)
    scraped = {value for row in tables["images"] for value in row}
    objects = [(digest,) for digest in store.hashes() if with_derived or digest in scraped]
    names = [
        (str(path.relative_to(home)), hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted((home / "library").rglob("*"))
        if path.is_file()
    ]
    return tables | {"objects": sorted(objects), "names": sorted(names)}


def _plain(value: Any, site_port: int) -> str:
    return str(value).replace(f":{site_port}", ":PORT")
