"""The words by which a page or a file asks not to be collected: ``X-Robots-Tag`` and ``<meta name="robots">``.

References: Google, "Robots meta tag, data-nosnippet, and X-Robots-Tag specifications" for the grammar; ``noai`` and
``noimageai`` are DeviantArt's.
"""

from collections.abc import Iterable, Iterator

OPT_OUTS = frozenset({"noindex", "none", "noai", "noimageai", "noimageindex"})
# Directives whose value follows a colon, where otherwise a robot's name stands before one.
VALUED = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})


def forbids_indexing(values: Iterable[str], robot: str) -> str | None:
    """Return the first directive that forbids ``robot`` to keep the picture, or None.

    ``values`` are the values of all ``X-Robots-Tag`` headers, or contents of robots meta tags; ``robot`` is our
    product token. A directive behind another robot's name (``otherbot: noindex``) does not concern us.

    >>> forbids_indexing(["otherbot: noindex", "max-snippet: 3, noai"], "vitrine")
    'noai'
    """
    return next((directive for directive in directives(values, robot) if directive in OPT_OUTS), None)


def forbids_following(values: Iterable[str], robot: str) -> bool:
    """Return whether a directive asks ``robot`` not to follow the page's links.

    >>> forbids_following(["nofollow"], "vitrine"), forbids_following(["otherbot: none"], "vitrine")
    (True, False)
    """
    return any(directive in ("nofollow", "none") for directive in directives(values, robot))


def directives(values: Iterable[str], robot: str) -> Iterator[str]:
    """Yield the directives, in lower case, that are addressed to everyone or to ``robot``."""
    for value in values:
        addressee = ""
        for part in value.lower().split(","):
            name, colon, rest = (piece.strip() for piece in part.partition(":"))
            if colon and name not in VALUED:
                addressee, name = name, rest
            if addressee in ("", "*", robot.lower()):
                yield name


def product_token(user_agent: str) -> str:
    """Return the name by which robots rules address us.

    >>> product_token("Vitrine/0.1 (personal image library)")
    'Vitrine'
    """
    return user_agent.partition("/")[0].split(" ")[0]
