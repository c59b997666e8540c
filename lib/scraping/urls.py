"""URLs as strings: one spelling for each, what they name, and which hosts a rule means.

Belongs here: pure functions on URL text. Whether an address may be connected to is in addresses.py; fetching is in
download.py.
"""

import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePath, PurePosixPath
from urllib.parse import quote, unquote, unquote_to_bytes, urljoin, urlsplit, urlunsplit

from w3lib.url import safe_url_string

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff"})
DEFAULT_PORTS = {"http": 80, "https": 443}
# Parameters that name who sent the visitor and never what is shown.
TRACKING = re.compile(
    r"utm_\w+|gclid|gclsrc|dclid|gbraid|wbraid|fbclid|msclkid|yclid|ysclid|igshid|mc_[ce]id|_ga|_gl|_openstat", re.I
)
FORBIDDEN_IN_HOSTS = frozenset(map(chr, (*range(0x21), 0x7F))) | frozenset("#%/:<>?@[\\]^`{|}\"'")
NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
FILE_NAME_BYTES = 120
THIS_MACHINE = "localhost"
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def canonical_url(url: str, base: str | None = None) -> str:
    """Return the one spelling under which ``url`` is kept and asked for.

    Host in lower case and punycode, or an address in its usual spelling; no default port, no user name or password,
    dot segments resolved, escapes in upper case and none where none is needed (RFC 3986, 6.2.2), no fragment, no
    tracking parameters. The order of the other parameters stays: image hosts sign it. Idempotent.

    Raises
    ------
    ValueError
        If it is not an absolute http or https URL once joined to ``base``, or cannot be parsed.

    >>> canonical_url("HTTP://Example.com:80/a/../b%7ec/?utm_source=x&size=2#top")
    'http://example.com/b~c/?size=2'
    >>> canonical_url("../full/1.jpg", base="https://example.com/gallery/page/")
    'https://example.com/gallery/full/1.jpg'
    """
    slashed = _with_slashes(url.strip())
    parts = urlsplit(safe_url_string(urljoin(base, slashed) if base else slashed))
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS:
        raise ValueError(f"not an http or https URL: {url!r}")
    path = _without_dot_segments(_normal_escapes(parts.path))
    return urlunsplit((scheme, _authority(parts.hostname, parts.port, scheme), path, _query(parts.query), ""))


def canonical_file_url(url: str) -> str:
    """Return the one spelling of the URL of a file or folder on this machine (RFC 8089, with its host named).

    Raises ValueError if it is none, or names another machine.

    >>> canonical_file_url("file:///home/me/My%20owls/"), file_url(PurePosixPath("/home/me/My owls"))
    ('file://localhost/home/me/My%20owls/', 'file://localhost/home/me/My%20owls')
    """
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in ("", THIS_MACHINE) or not parts.path.startswith("/"):
        raise ValueError(f"not the URL of a file on this machine: {url!r}")
    return f"file://{THIS_MACHINE}{quote(unquote_to_bytes(parts.path))}"


def file_url(path: PurePath) -> str:
    """Return the URL of an absolute path on this machine."""
    return f"file://{THIS_MACHINE}{quote(os.fsencode(path))}"  # a name need not be UTF-8


def _with_slashes(url: str) -> str:
    """Read a backslash before the query as the slash that browsers take it for (WHATWG URL, 4.4)."""
    head = re.split(r"[?#]", url, maxsplit=1)[0]
    return head.replace("\\", "/") + url[len(head) :]


def _authority(host: str | None, port: int | None, scheme: str) -> str:
    literal = _host(host or "")
    return literal if port in (None, DEFAULT_PORTS[scheme]) else f"{literal}:{port}"


def _host(host: str) -> str:
    """Return the host as a browser reads it (WHATWG URL, 3.5): escapes undone, punycode, each address in one spelling.

    Raises ValueError for what can be the name of no host.
    """
    if ":" in host:
        return f"[{_without_zone(host)}]"
    name = unicodedata.normalize("NFKC", unquote(host)).rstrip(".").lower()
    if not name or any(mark in name for mark in FORBIDDEN_IN_HOSTS):
        raise ValueError(f"no usable host name: {host!r}")
    name = name.encode("idna").decode().rstrip(".")  # of ASCII too: labels that are too long must not reach a resolver
    return _ipv4(name) if NUMBER.fullmatch(name.rpartition(".")[2]) else name


def _without_zone(host: str) -> str:
    address = IPv6Address(unquote(host))
    if address.scope_id is not None:  # means something on one machine only
        raise ValueError(f"no usable host name: {host!r}")
    return str(address)


def _ipv4(host: str) -> str:
    """Return the dotted spelling of an address of one to four decimal, octal or hexadecimal parts."""
    *bytes_, rest = [_number(part) for part in host.split(".")]
    if len(bytes_) > 3 or any(byte > 0xFF for byte in bytes_) or rest >= 256 ** (4 - len(bytes_)):
        raise ValueError(f"not an address: {host!r}")
    return str(IPv4Address(rest + sum(byte << 8 * (3 - place) for place, byte in enumerate(bytes_))))


def _number(digits: str) -> int:
    if not NUMBER.fullmatch(digits):
        raise ValueError(f"not a number: {digits!r}")
    if digits.startswith("0x"):
        return int(digits[2:] or "0", 16)
    return int(digits, 8 if digits.startswith("0") else 10)


def _normal_escapes(text: str) -> str:
    # A lone percent sign is escaped first: otherwise decoding what follows it could make a new escape.
    text = re.sub(r"%(?![0-9a-fA-F]{2})", "%25", text)
    return re.sub(r"%([0-9a-fA-F]{2})", _normal_escape, text)


def _normal_escape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else f"%{match[1].upper()}"


def _without_dot_segments(path: str) -> str:
    """Resolve ``.`` and ``..`` as RFC 3986, 5.2.4 does."""
    kept: list[str] = []
    segments = path.removeprefix("/").split("/")
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _query(query: str) -> str:
    kept = [pair for pair in query.split("&") if not TRACKING.fullmatch(unquote(pair.partition("=")[0]))]
    return _normal_escapes("&".join(kept))


def is_http(url: str) -> bool:
    """Return whether ``url`` is an absolute http or https URL with a host.

    >>> is_http("https://example.com/"), is_http("data:image/gif;base64,R0lGOD"), is_http("/relative")
    (True, False, False)
    """
    try:
        canonical_url(url)
    except ValueError:
        return False
    return True


def host_of(url: str) -> str:
    """Return the host name of a canonical URL, without port and brackets.

    >>> host_of("http://cdn.localhost:8123/a.jpg")
    'cdn.localhost'
    """
    return urlsplit(url).hostname or ""


def host_matches(host: str, patterns: Iterable[str]) -> bool:
    """Return whether a pattern names ``host``: itself, ``*.example.com`` (every host below, not the name) or ``*``.

    >>> host_matches("img.example.com", ["*.example.com"]), host_matches("example.com", ["*.example.com"])
    (True, False)
    """
    host = host.rstrip(".").lower()
    return any(_matches(host, pattern.rstrip(".").lower()) for pattern in patterns)


def _matches(host: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and len(host) > len(pattern) - 1
    return pattern in ("*", host)


def looks_like_image(url: str) -> bool:
    """Return whether the path ends like a picture file; a wiki's page *about* a file (``File:Owl.jpg``) does not.

    >>> looks_like_image("https://example.com/a/owl.JPG?w=3"), looks_like_image("https://example.com/wiki/File:Owl.jpg")
    (True, False)
    """
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES and ":" not in name


def file_name(url: str) -> str:
    """Return a name for a file in the library folder, from the last part of the URL's path.

    Never empty, never a path, never hidden, NFC, at most 120 bytes of UTF-8; the extension is kept when the name
    must be cut.

    >>> file_name("https://example.com/a/My%20Owl.jpg?x=1"), file_name("https://example.com/..%2f..%2fetc%2fpasswd")
    ('My Owl.jpg', 'passwd')
    """
    last = unquote(urlsplit(url).path).replace("\\", "/").rstrip("/").rpartition("/")[2]
    name = unicodedata.normalize("NFC", last)
    name = "".join("_" if unicodedata.category(c)[0] == "C" or c in '<>:"|?*' else c for c in name)
    name = name.strip(" .") or "image"
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix) > 5:
        stem, dot, suffix = name, "", ""
    room = FILE_NAME_BYTES - len(f"{dot}{suffix}".encode())
    stem = unicodedata.normalize("NFC", stem.encode()[:room].decode(errors="ignore")).rstrip(" .") or "image"
    return f"{stem}{dot}{suffix}"


@dataclass(frozen=True)
class Candidate:
    """One entry of a ``srcset``. ``width_px`` is 0 without a ``w`` descriptor; ``density`` is 1 without an ``x``."""

    url: str
    width_px: int = 0
    density: float = 1.0


def srcset_candidates(srcset: str) -> list[Candidate]:
    """Return the entries of a ``srcset`` attribute, read as HTML says (4.8.4.2.2), so that commas in URLs survive.

    >>> [c.url for c in srcset_candidates("a,b.jpg 480w, data:image/gif;base64,AA== 2x, c.jpg")]
    ['a,b.jpg', 'data:image/gif;base64,AA==', 'c.jpg']
    """
    candidates, rest = [], srcset.lstrip(" \t\n\f\r,")
    while rest:
        url, rest = _split_before_space(rest)
        if url.endswith(","):
            url, descriptors = url.rstrip(","), ""
        else:
            descriptors, _, rest = rest.partition(",")
        if url:
            candidates.append(_candidate(url, descriptors.split()))
        rest = rest.lstrip(" \t\n\f\r,")
    return candidates


def _split_before_space(text: str) -> tuple[str, str]:
    head = re.match(r"[^ \t\n\f\r]*", text)
    end = head.end() if head else 0
    return text[:end], text[end:]


def _candidate(url: str, descriptors: list[str]) -> Candidate:
    width_px, density = 0, 1.0
    for descriptor in descriptors:
        if re.fullmatch(r"\d{1,6}w", descriptor):
            width_px = int(descriptor[:-1])
        elif re.fullmatch(r"\d{1,3}(\.\d{1,6})?x", descriptor):
            density = float(descriptor[:-1])
    return Candidate(url, width_px, density)


def best_srcset_candidate(srcset: str) -> str | None:
    """Return the URL of the largest picture of a ``srcset``, the first of equals, or None when it has none.

    >>> best_srcset_candidate("s.jpg 240w, l.jpg 1200w, m.jpg 800w"), best_srcset_candidate(" , ")
    ('l.jpg', None)
    """
    return largest(srcset_candidates(srcset))


def largest(candidates: Iterable[Candidate]) -> str | None:
    """Return the URL of the widest, then densest, candidate that is not a ``data:`` URL; the first of equals."""
    real = [candidate for candidate in candidates if not candidate.url.lower().startswith("data:")]
    best = max(real, key=lambda candidate: (candidate.width_px, candidate.density), default=None)
    return best.url if best else None
