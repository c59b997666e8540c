"""The short forms of ``make prove-attacks PARTS="network browser"``: broken servers, and a browser that is killed."""

import pytest

from tests.prove import browser_crashes, network_faults
from tests.prove.fault_proxy import FAULTS
from tests.prove.table import Results

pytestmark = pytest.mark.browser
SEED = 3


@pytest.fixture
def said() -> list[str]:
    return []


def test_whatever_a_server_does_a_crawl_goes_on_and_what_it_finds_is_true(said: list[str]) -> None:
    results = Results()
    network_faults.prove(results, 1, SEED, said.append)
    assert {row.tries for row in results.properties.values()} == {len(FAULTS)}
    assert not results.has_failures, said


def test_a_crawl_goes_on_when_its_browser_is_killed_and_leaves_nothing_behind(said: list[str]) -> None:
    results = Results()
    browser_crashes.prove(results, 1, SEED, said.append, kinds=("browser", "renderer"))
    assert results.properties[browser_crashes.IN_TIME].tries == browser_crashes.KILLS_A_TRY
    assert not results.has_failures, said
