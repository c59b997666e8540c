"""What may be connected to, held against the registries themselves: IANA's special-purpose addresses (RFC 6890).

``tests/data/iana_special_purpose.csv`` has those registries' columns, written from the RFCs that they cite, and the
blocks of the address spaces around them: multicast, and IPv6's global unicast. The most specific block that holds an
address decides.
"""

import csv
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import TypeAlias

from lib.scraping.addresses import ISATAP_MARKS, is_public

REGISTRIES = Path(__file__).parents[1] / "data" / "iana_special_purpose.csv"
Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

# Globally reachable, and yet nothing that shows pictures: protocol anycast and identifiers; Azure's wire server.
STRICTER = tuple(ip_network(block) for block in ("192.0.0.9/32", "192.0.0.10/32", "2001::/23", "168.63.129.16/32"))


@dataclass(frozen=True)
class Block:
    """A line of the registries; ``reachable`` is True, False, N/A or embedded."""

    network: Network
    reachable: str


def registries() -> Sequence[Block]:
    """Return all blocks, the most specific first."""
    with REGISTRIES.open(newline="") as file:
        blocks = [Block(ip_network(row["block"]), row["globally_reachable"]) for row in csv.DictReader(file)]
    return sorted(blocks, key=lambda block: -block.network.prefixlen)


def by_registry(address: Address, blocks: Sequence[Block]) -> bool:
    """Return whether the registries call an address globally reachable; what they do not name, in IPv4, is."""
    block = next((block for block in blocks if address in block.network), None)
    if block is None:
        return True
    if block.reachable == "embedded":
        return by_registry(IPv4Address(int(address) & 0xFFFFFFFF), blocks)
    return block.reachable == "True"


def addresses(count: int, chance: random.Random) -> Iterator[Address]:
    """Yield ``count`` addresses of either family: half from anywhere, half from in and around the blocks."""
    blocks = [block.network for block in registries()]
    for _ in range(count // 4):
        yield IPv4Address(chance.getrandbits(32))
        yield IPv6Address(chance.getrandbits(128) if chance.random() < 0.3 else 1 << 125 | chance.getrandbits(125))
        for family in (4, 6):
            yield _around(chance.choice([network for network in blocks if network.version == family]), chance)


def _around(network: Network, chance: random.Random) -> Address:
    first, last = int(network.network_address), int(network.broadcast_address)
    bits = network.max_prefixlen
    number = chance.choice((first - 1, first, chance.randint(first, last), chance.randint(first, last), last, last + 1))
    kind = IPv4Address if network.version == 4 else IPv6Address
    return kind(number % (1 << bits))


def disagrees(address: Address, blocks: Sequence[Block]) -> bool:
    """Return whether we would connect to what is not reachable, or refuse what is, beyond what is meant to be."""
    public = is_public(address)
    if by_registry(address, blocks):
        return not public and not is_stricter(address)
    return public


def is_stricter(address: Address) -> bool:
    """Return whether we refuse a globally reachable address on purpose."""
    if isinstance(address, IPv6Address):
        if int(address) >> 32 & 0xFFFFFFFF in ISATAP_MARKS:
            return True
        embedded = address.ipv4_mapped or (ip_address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None)
        if embedded is not None:
            return is_stricter(embedded)
    return any(address in network for network in STRICTER if network.version == address.version)


_NAT64 = IPv6Network("64:ff9b::/96")
