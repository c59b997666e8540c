"""The short form of the proof by random kills: ten rounds, each with seven kills, two of them of databases."""

import pytest

from tests.prove import random_kills
from tests.prove.table import Results

pytestmark = pytest.mark.timeout(900)
ROUNDS, SEED = 10, 7


def test_what_was_told_to_be_there_is_there_after_random_kills() -> None:
    results, said = Results(), list[str]()
    random_kills.random_kills(results, ROUNDS, SEED, said.append)
    assert not results.has_failures, "\n".join(said)
    tries = {name: row.tries for name, row in results.properties.items()}
    assert tries[random_kills.TOGETHER] == ROUNDS
    assert tries[random_kills.CHANGED] > 0
    assert tries[random_kills.COLLECTED] > 0
    killed = {name: count for name, count in tries.items() if name.startswith("kill -9")}
    assert sum(killed.values()) >= 5 * ROUNDS  # a pipeline that was done cannot be killed
    assert sum(count for name, count in killed.items() if "Postgres" in name) == 2 * ROUNDS
