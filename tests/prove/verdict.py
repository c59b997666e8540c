"""Whether a library is that of an undisturbed run: by its rows, its files, its ledger, and the site's own log."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from demo import ledger
from lib.settings import Settings
from lib.storage.library import open_library
from lib.storage.objects import ObjectStore
from tests.prove import site
from tests.prove.product import Product
from tests.snapshot import Snapshot, snapshot

STAGES = ("cutouts", "color_features", "resnet_embeddings", "clip_embeddings")
UNFINISHED = (
    "SELECT count(*) FROM images CROSS JOIN models WHERE images.cleared_in IS NULL AND NOT EXISTS (SELECT FROM "
    "stage_results WHERE image_id = images.id AND stage_results.spec_id = models.spec_id AND status = 'ok' AND "
    "(stage <> 'color_features' OR input_hash <> working_copy_sha256 OR NOT EXISTS "
    "(SELECT FROM cutouts WHERE cutouts.image_id = images.id)))"
)
TAKEN = "SELECT url, sha256 FROM image_urls JOIN images ON images.id = image_id WHERE image_urls.cleared_in IS NULL"
REFUSED = "SELECT url, reason FROM image_urls WHERE status IN ('failed', 'refused') AND cleared_in IS NULL"
FRONTIER = "SELECT count(*) FROM frontier"
LEASED = "SELECT stage, count(*) FROM stage_results WHERE status NOT IN ('ok') GROUP BY stage"
UNSERVED = "SELECT id FROM scrape_requests WHERE state = 'queued'"


@dataclass(frozen=True)
class Reference:
    """What an undisturbed run left, and the site whose log says what was served."""

    library: Snapshot
    site_port: int
    site_log: Path


def is_scraped(product: Product) -> bool:
    """Return whether every picture that the site offers has its row and the crawl has ended. Raises DatabaseAway."""
    taken = dict(product.rows("vitrine", TAKEN))
    return taken == site.offered(product.site_port) and product.rows("vitrine", FRONTIER) == [(0,)]


def is_complete(product: Product) -> bool:
    """Return whether the library is scraped and every image has every result. Raises DatabaseAway."""
    return is_scraped(product) and product.rows("vitrine", UNFINISHED) == [(0,)]


def differences(product: Product, reference: Reference) -> list[str]:
    """Return every way in which the library is not what it should be; an empty list is the proof."""
    with open_library(Settings(home=product.home)):
        return [
            *differing_tables(snapshot(product.home, product.site_port), reference.library),
            *_of_answers(product),
            *_of_files(product.home),
            *_of_site_log(product, reference.site_log),
            *_of_requests(product),
            *(f"{count} rows of {stage} are stuck" for stage, count in product.rows("vitrine", LEASED)),
        ]


def ended_complete(product: Product) -> bool:
    """Return whether a library that nobody keeps open is complete."""
    with open_library(Settings(home=product.home)):
        return is_complete(product)


def _of_requests(product: Product) -> Iterable[str]:
    """Compare with what the API acknowledged to us."""
    unserved = {row[0] for row in product.rows("vitrine", UNSERVED)} & set(product.acknowledged)
    known = {row[0] for row in product.rows("vitrine", "SELECT id FROM scrape_requests")}
    yield from (f"request {request} was acknowledged and not served" for request in unserved)
    yield from (f"request {request} was acknowledged and is gone" for request in set(product.acknowledged) - known)


def differing_tables(library: Snapshot, reference: Snapshot) -> Iterable[str]:
    """Yield what each table lacks and has too much."""
    for table, rows in reference.items():
        if library[table] != rows:
            lacking = [row for row in rows if row not in library[table]]
            doubled = [row for row in library[table] if row not in rows]
            yield (
                f"{table}: {len(library[table])} rows instead of {len(rows)}; "
                f"lacks {str(lacking[:2])[:400]}; has {str(doubled[:2])[:400]}"
            )


def _of_answers(product: Product) -> Iterable[str]:
    """Compare with the site's own answer sheet, which no run of ours wrote."""
    if dict(product.rows("vitrine", TAKEN)) != site.offered(product.site_port):
        yield "the pictures are not those that the site offers"
    if dict(product.rows("vitrine", REFUSED)) != site.withheld(product.site_port):
        yield f"refused: {product.rows('vitrine', REFUSED)}"


def _of_files(home: Path) -> Iterable[str]:
    store = ObjectStore(home)
    for digest in store.hashes():
        if hashlib.sha256(store.read(digest)).hexdigest() != digest:
            yield f"the file {digest} has other bytes"


def _of_site_log(product: Product, log: Path) -> Iterable[str]:
    """Every picture that the library has was served by the site, whole, at least once."""
    served = {line["path"]: line["bytes"] for line in ledger.read(log) if line["status"] == 200}
    for url, _ in product.rows("vitrine", TAKEN):
        path = url.partition(f":{product.site_port}")[2]
        if not served.get(path):
            yield f"{url} was never served"


def downloads(log: Path, since_line: int) -> list[str]:
    """Return the pictures whose bodies the site has sent since that line of its log."""
    sent = [line for line in ledger.read(log)[since_line:] if line["status"] == 200]
    return [line["path"] for line in sent if line["host"].startswith("cdn") and line["path"] != "/robots.txt"]


def state(product: Product) -> str:
    """Return in one line where a library that is not complete stands. Raises DatabaseAway."""
    taken = len(product.rows("vitrine", TAKEN))
    runs = product.rows("vitrine_dagster", "SELECT pipeline_name, status, count(*) FROM runs GROUP BY 1, 2 ORDER BY 1")
    frontier, stages = product.rows("vitrine", FRONTIER), product.rows("vitrine", LEASED)
    return f"{taken} pictures, frontier {frontier}, unfinished {stages}, runs {runs}"
