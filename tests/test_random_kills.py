"""The short form of the proof by random kills: four rounds of two pipelines; they die twelve times, databases eight."""

import pytest

from tests.prove.random_kills import random_kills
from tests.prove.table import Results

pytestmark = pytest.mark.timeout(600)
ROUNDS, SEED = 4, 7


def test_what_was_told_to_be_there_is_there_after_random_kills() -> None:
    results, said = Results(), list[str]()
    random_kills(results, ROUNDS, SEED, said.append)
    assert not results.has_failures, "\n".join(said)
    tries = {name: row.tries for name, row in results.properties.items()}
    assert tries["two pipelines at once come to the same end"] == ROUNDS
    assert sum(count for name, count in tries.items() if name.startswith("kill -9 of Postgres")) == 2 * ROUNDS
