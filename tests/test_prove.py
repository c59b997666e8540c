"""The short form of `make prove-pipeline`: everything killed once during a scrape + derive."""

import pytest

from tests.prove import matrix, verdict
from tests.snapshot import Snapshot, StoredVector

pytestmark = [pytest.mark.browser, pytest.mark.models, pytest.mark.timeout(1800)]
SEED = 7


def test_whatever_is_killed_the_library_ends_as_if_nothing_had_been() -> None:
    said: list[str] = []
    with matrix.proof(SEED, said.append) as proof:
        matrix.short_form(proof)
        properties = proof.results.properties
    assert {row.name for row in properties.values() if row.failed} == set(), "\n".join(said)
    died = {f"kill -9 of {victims} (up): {matrix.SAME}" for victims in ("Chromium", "run", "several at once")}
    assert died <= set(properties)


@pytest.mark.parametrize(
    ("library", "said"),
    [
        ({"images": [("a",)]}, "1 rows instead of 2; lacks [('b',)]"),
        ({"images": [("a",), ("b",), ("b",)]}, "3 rows instead of 2"),
        ({"images": [("a",), ("c",)]}, "has [('c',)]"),
    ],
)
def test_the_proof_can_fail(library: Snapshot, said: str) -> None:
    (difference,) = verdict.differing_tables(library, {"images": [("a",), ("b",)]})
    assert said in difference


def test_vectors_are_the_same_but_for_a_last_bit() -> None:
    stored = StoredVector((0.25, -0.1))
    assert stored == StoredVector((0.25 + 2**-13, -0.1))
    assert stored != StoredVector((0.251, -0.1))
    assert stored != StoredVector((0.25,))
