"""What a person names to be taken down, as they write it: an address, a host, the hash of a file."""

import re
from collections.abc import Iterable
from dataclasses import replace

from lib.errors import MeaninglessQuery
from lib.scraping.urls import canonical_file_url, canonical_url, host_of
from lib.storage.takedowns import Target

SHA256 = re.compile(r"[0-9a-f]{64}", re.I)
COMMENT = re.compile(r"(?:^|\s)#(.*)")
MAX_REASON = 500  # characters


def parse_target(text: str) -> Target:
    """Return what ``text`` names: 64 hex digits are a file, what has ``://`` is a URL, the rest a host.

    Raises MeaninglessQuery, which does not repeat the text.

    >>> parse_target("HTTPS://Example.com:443/a/../owl.jpg"), parse_target("Пример.рф.")
    (Target(kind='url', value='https://example.com/owl.jpg'), Target(kind='host', value='xn--e1afmkfd.xn--p1ai'))
    >>> parse_target("E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855").kind
    'sha256'
    """
    text = text.strip()
    if SHA256.fullmatch(text):
        return Target("sha256", text.lower())
    try:
        if text.startswith("file:"):
            return Target("url", canonical_file_url(text))
        if "://" in text:
            return Target("url", canonical_url(text))
        return Target("host", _host(text))
    except ValueError as error:
        raise MeaninglessQuery(
            "a takedown names a file by its SHA-256 (64 hex digits), an http, https or file URL, or a host, without a "
            "path or port"
        ) from error


def _host(text: str) -> str:
    if not text or re.search(r"[/?#@\s\\]", text):
        raise ValueError("not a host")
    bracketed = f"[{text.strip('[]')}]" if text.count(":") > 1 else text
    url = canonical_url(f"http://{bracketed}/")
    host = host_of(url)
    if f"http://{host}/" != url and f"http://[{host}]/" != url:
        raise ValueError("a port")
    return host


def read_targets(lines: Iterable[str]) -> list[Target]:
    """Return the targets of a list, one a line; what follows a ``#`` is the reason. Empty lines say nothing.

    Raises MeaninglessQuery with the line's number.

    >>> read = read_targets(["# of 2026", "", "photos.example   # by letter", "https://a.example/#/1.jpg"])
    >>> [(target.value, target.reason) for target in read]
    [('photos.example', 'by letter'), ('https://a.example/', None)]
    """
    targets = []
    for number, line in enumerate(lines, start=1):
        comment = COMMENT.search(line)
        if text := (line[: comment.start()] if comment else line).strip():
            reason = comment.group(1).replace("\0", "").strip()[:MAX_REASON] if comment else ""
            try:
                targets.append(replace(parse_target(text), reason=reason or None))
            except MeaninglessQuery as error:
                raise MeaninglessQuery(f"line {number}: {error}") from error
    return targets
