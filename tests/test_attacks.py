"""The short form of ``make prove-attacks``: nothing is downloaded, fewer mutants and addresses."""

from ipaddress import ip_address

import pytest

from tests.prove import addresses, attacks
from tests.prove.table import Results

SEED = 11


@pytest.fixture
def said() -> list[str]:
    return []


def test_addresses_are_judged_as_by_the_registries(said: list[str]) -> None:
    results = Results()
    attacks.guarded_addresses(results, 1, SEED, said.append)
    assert results.properties
    assert not results.has_failures, said


def test_the_registries_tell_addresses_apart() -> None:
    """That a judge who calls everything public, or nothing, would be found out."""
    blocks = addresses.registries()
    judged = {
        text: addresses.by_registry(ip_address(text), blocks) for text in ("1.1.1.1", "10.0.0.1", "64:ff9b::a00:1")
    }
    assert judged == {"1.1.1.1": True, "10.0.0.1": False, "64:ff9b::a00:1": False}


def test_pictures_that_mean_harm_are_read_or_refused(said: list[str]) -> None:
    results = Results()
    attacks.hostile_pictures(results, 1, SEED, said.append, downloads=False)
    assert results.properties["pictures made to harm: read, or refused by a reason"].tries > 300
    assert not results.has_failures, said
