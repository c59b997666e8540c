"""Which IP addresses may be connected to: public ones, and those that the owner opened by hand.

The rule for IPv6 is an allow-list (global unicast, 2000::/3) with holes; for IPv4, which has no such block, a
deny-list. Sources: the IANA special-purpose address registries (RFC 6890), and the metadata addresses of clouds.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from lib.errors import ConfigurationError, FetchRefused

Address: TypeAlias = IPv4Address | IPv6Address

FORBIDDEN_IPV4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata service
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's wire server, inside an otherwise public block
        "169.254.0.0/16",  # link-local; most clouds' metadata services
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocol assignments; Oracle's metadata service
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
GLOBAL_UNICAST = IPv6Network("2000::/3")
FORBIDDEN_IPV6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: leads to whatever IPv4 address it embeds
        "3fff::/20",  # documentation
    )
)
# Translators put the IPv4 address that is meant into the last 32 bits. A network with only IPv6 reaches the public
# IPv4 web through the second, so these are judged by what they embed.
EMBEDS_IPV4 = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
ISATAP_MARKS = (0x0000_5EFE, 0x0200_5EFE)  # RFC 5214, 6.1: bits 64 to 95 of the address


def is_public(ip: str | Address) -> bool:
    """Return whether ``ip`` belongs to the public internet. A forbidden IPv4 address hidden in an IPv6 one is not.

    >>> is_public("1.1.1.1"), is_public("::ffff:169.254.169.254")
    (True, False)

    Raises
    ------
    ValueError
        If the text is not an IP address.
    """
    address = ip_address(ip)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in FORBIDDEN_IPV4)
    if any(address in network for network in EMBEDS_IPV4):
        return is_public(_last_32_bits(address))
    if address not in GLOBAL_UNICAST or any(address in network for network in FORBIDDEN_IPV6):
        return False
    is_isatap = (int(address) >> 32) & 0xFFFF_FFFF in ISATAP_MARKS
    return not is_isatap or is_public(_last_32_bits(address))


def _last_32_bits(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFF_FFFF)


@dataclass(frozen=True)
class AddressGuard:
    """Says which (address, port) may be connected to: every public one, and the pairs in ``allowed``."""

    allowed: Collection[tuple[str, int]] = frozenset()

    @classmethod
    def parse(cls, text: str) -> "AddressGuard":
        """Read the pairs of the ``allowed_addresses`` setting.

        >>> sorted(AddressGuard.parse("127.0.0.1:8123, [::1]:80").allowed)
        [('127.0.0.1', 8123), ('::1', 80)]

        Raises
        ------
        ConfigurationError
            If an entry is not ``ip:port`` or ``[ipv6]:port``.
        """
        entries = [entry.strip() for entry in text.split(",")]
        return cls(frozenset(_pair(entry) for entry in entries if entry))

    def check(self, ip: str, port: int) -> None:
        """Raise FetchRefused (``forbidden_address``) unless ``ip`` may be connected to on ``port``."""
        address = ip_address(ip)
        if not is_public(address) and (str(address), port) not in self.allowed:
            raise FetchRefused("forbidden_address", f"{address} port {port}")


def _pair(entry: str) -> tuple[str, int]:
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})", entry)
    try:
        return str(ip_address(match[1] or match[2] if match else "")), int(match[3] if match else "")
    except ValueError:
        raise ConfigurationError(
            f"VITRINE_ALLOWED_ADDRESSES: {entry!r} is not an address with a port, such as 127.0.0.1:8123 or [::1]:8123"
        ) from None
