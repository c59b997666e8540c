"""The ways in which a URL can name one address or host, those of browsers and those of attackers.

Each spelling is a format with places for ``port`` and ``path``, so that whatever stands around the host belongs to it.

References: WHATWG URL, 3.5 and 4.4; RFC 4291, 2.5.5 and RFC 6052 for IPv4 inside IPv6; RFC 6874 for zones; UTS 46.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias
from urllib.parse import quote

Spelling: TypeAlias = str
PUBLIC_HOST = "public.example"
_FULL_WIDTH = {ord(mark): ord(mark) + 0xFEE0 for mark in "0123456789abcdefghijklmnopqrstuvwxyz"}
_CIRCLED = {ord(str(digit)): "⓪①②③④⑤⑥⑦⑧⑨"[digit] for digit in range(10)}
_BOLD = {ord(str(digit)): chr(0x1D7CE + digit) for digit in range(10)}
_STOPS = "。．｡"  # what IDNA takes for a full stop (RFC 3490, 3.1)


def url(spelling: Spelling, port: int, path: str = "/") -> str:
    """Return the URL that a spelling makes.

    >>> url("http://127.1:{port}{path}", 8080, "/a")
    'http://127.1:8080/a'
    """
    return spelling.format(port=port, path=path)


def of_ipv4(address: IPv4Address) -> Iterator[Spelling]:
    """Yield spellings that every browser reads as this address."""
    yield from map(_plain, _ipv4_hosts(address))
    yield from _surrounded(str(address))


def _ipv4_hosts(address: IPv4Address) -> Iterator[str]:
    number, (a, b, c, d) = int(address), address.packed
    yield from (f"{a}.{b}.{c}.{d}", f"{a}.{b}.{c}.{d}.")
    yield from (f"{a}.{b}.{c * 256 + d}", f"{a}.{number & 0xFFFFFF}", f"{number}")
    yield from (
        f"0x{number:08x}",
        f"0X{number:X}",
        f"0x{number:020x}",
        f"0{number:o}",
        f"000{number:012o}",
        f"{number}.",
    )
    yield from (
        ".".join(f"0x{part:x}" for part in address.packed),
        ".".join(f"0X{part:02X}" for part in address.packed),
    )
    yield from (".".join(f"0{part:o}" for part in address.packed), ".".join(f"{part:06o}" for part in address.packed))
    yield from (f"0x{a:x}.{b}.0{c:o}.{d}", f"{a}.0x{b:x}.{d + 256 * c}", f"0{a:o}.0x{number & 0xFFFFFF:x}")
    dotted = str(address)
    for digits in (_FULL_WIDTH, _CIRCLED, _BOLD):
        yield dotted.translate(digits)
        yield str(number).translate(digits)
    for stop in _STOPS:
        yield dotted.replace(".", stop)
        yield dotted.replace(".", stop).translate(_FULL_WIDTH) + stop
    yield from _escaped(dotted)
    yield "".join(f"%{byte:02X}" for byte in dotted.replace(".", "。").translate(_FULL_WIDTH).encode())


def of_name(name: str) -> Iterator[Spelling]:
    """Yield spellings that every browser reads as this host name."""
    hosts = [name, name.upper(), name.title(), f"{name}.", name.translate(_FULL_WIDTH)]
    hosts += [name.replace(".", stop) for stop in _STOPS if "." in name]
    hosts += [name[0] + "\u00ad" + name[1:]]  # a soft hyphen is nothing, to IDNA
    yield from map(_plain, [*hosts, *_escaped(name)])
    yield from _surrounded(name)


def of_ipv6(address: IPv6Address) -> Iterator[Spelling]:
    """Yield spellings of an IPv6 address, those with a zone among them, which no page may name."""
    last = IPv4Address(int(address) & 0xFFFFFFFF)
    head = address.exploded.rsplit(":", 2)[0]
    spelled = [address.compressed, address.compressed.upper(), address.exploded, f"{head}:{last}"]
    spelled += [":".join(part.lstrip("0") or "0" for part in address.exploded.split(":"))]
    spelled += [f"{address.compressed}%25{zone}" for zone in ("lo", "1", "eth0")] + [f"{address.compressed}%lo"]
    spelled += [quote(address.compressed, safe="").replace("%3A", "%3a", 1)]
    yield from (_plain(f"[{text}]") for text in spelled)
    yield f"http://[{address.compressed}]:{{port}}{{path}}".replace("[", "%5B").replace("]", "%5D")
    yield from _surrounded(f"[{address.compressed}]")


def embedding(address: IPv4Address) -> Iterator[Spelling]:
    """Yield IPv6 addresses that lead to an IPv4 one: mapped, compatible, translated, tunnelled."""
    high, low = int(address) >> 16, int(address) & 0xFFFF
    prefixes = ("::ffff:", "::FFFF:", "0:0:0:0:0:ffff:", "::", "::ffff:0:", "64:ff9b::", "64:ff9b:1::")
    tunnels = ("2001:4860::5efe:", "2001:4860::200:5efe:", "fe80::5efe:", "2001:0:53aa:64c::")
    for prefix in (*prefixes, *tunnels):
        yield _plain(f"[{prefix}{high:x}:{low:x}]")
        yield _plain(f"[{prefix}{address}]")
    yield _plain(f"[2002:{high:x}:{low:x}::]")
    yield _plain(f"[2002:{high:x}:{low:x}::1]")


def sloppy(host: str) -> Iterator[Spelling]:
    """Yield what is not quite a URL, and what programs read in different ways: another host first, then this one."""
    yield from (f"http:///{host}:{{port}}{{path}}", f"http:/{host}:{{port}}{{path}}", f"http:{host}:{{port}}{{path}}")
    yield from (f"http:////{host}:{{port}}{{path}}", f"ht\ntp://{host}:{{port}}{{path}}")
    yield from (f"http://{PUBLIC_HOST}\\@{host}:{{port}}{{path}}", f"http://{PUBLIC_HOST}#@{host}:{{port}}{{path}}")
    yield from (f"http://{PUBLIC_HOST}?@{host}:{{port}}{{path}}", f"http://{PUBLIC_HOST}%40{host}:{{port}}{{path}}")
    yield from (f"http://{PUBLIC_HOST}%2F@{host}:{{port}}{{path}}", f"http://{host}%00.{PUBLIC_HOST}:{{port}}{{path}}")
    yield from (f"http://{host}%09:{{port}}{{path}}", f"http://{host}\u200b:{{port}}{{path}}")
    yield from (f"view-source:http://{host}:{{port}}{{path}}", f"ws://{host}:{{port}}{{path}}")
    yield from (
        f"ftp://{host}:{{port}}{{path}}",
        f"gopher://{host}:{{port}}{{path}}",
        f"file://{host}:{{port}}{{path}}",
    )
    yield from (f"https://{host}:{{port}}{{path}}", f"jar:http://{host}:{{port}}{{path}}!/")


def _plain(host: str) -> Spelling:
    return f"http://{host}:{{port}}{{path}}"


def _escaped(text: str) -> Iterator[str]:
    yield "".join(f"%{byte:02x}" for byte in text.encode())
    yield f"%{ord(text[0]):02X}{text[1:]}"


def _surrounded(host: str) -> Iterator[Spelling]:
    yield from (f"HTTP://{host}:{{port}}{{path}}", f"  http://{host}:{{port}}{{path}}#part")
    yield from (f"http://{PUBLIC_HOST}@{host}:{{port}}{{path}}", f"http://{PUBLIC_HOST}:80@{host}:{{port}}{{path}}")
    yield from (f"http://a:b%40{PUBLIC_HOST}@{host}:{{port}}{{path}}", f"http:\\\\{host}:{{port}}{{path}}")
    yield from (
        f"http://{host}:{{port}}\\..{{path}}",
        f"http://{host}:0{{port}}{{path}}",
        f"h\tttp://{host}\t:{{port}}{{path}}",
    )
