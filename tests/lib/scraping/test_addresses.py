from pathlib import Path

import pytest

from lib.errors import ConfigurationError, FetchRefused
from lib.scraping.addresses import AddressGuard, is_public

DATA = Path(__file__).parents[2] / "data"
FORBIDDEN = (DATA / "addresses_forbidden.txt").read_text().split()
PUBLIC = (DATA / "addresses_public.txt").read_text().split()


def test_the_tables_are_whole():
    assert (len(FORBIDDEN), len(PUBLIC)) == (61, 8)


@pytest.mark.parametrize("address", FORBIDDEN)
def test_a_forbidden_address_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", [*PUBLIC, "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_is_public(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "address", ["fe80::1%eth0", "::ffff:7f00:1", "64:ff9b::7f00:1", "2001:4860:0:0:0200:5efe:7f00:1"]
)
def test_no_spelling_hides_a_forbidden_address(address):
    assert not is_public(address)


def test_an_opened_address_is_open_on_its_port_only():
    guard = AddressGuard.parse("127.0.0.1:8123, [::1]:80,")
    guard.check("127.0.0.1", 8123)
    guard.check("0:0:0:0:0:0:0:1", 80)
    guard.check("8.8.8.8", 53)
    for ip, port in [("127.0.0.1", 8124), ("127.0.0.2", 8123), ("::1", 8123), ("169.254.169.254", 80)]:
        with pytest.raises(FetchRefused, match="forbidden_address"):
            guard.check(ip, port)


@pytest.mark.parametrize(
    "text", ["localhost:80", "127.0.0.1", "127.0.0.1:", "127.0.0.256:80", "::1:80", "10.0.0.0/8:80"]
)
def test_a_setting_that_is_no_address_with_a_port_is_named(text):
    with pytest.raises(ConfigurationError, match="VITRINE_ALLOWED_ADDRESSES"):
        AddressGuard.parse(text)
