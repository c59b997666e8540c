"""What a client prefers, read from its headers: JSON or a picture, an answer now or when the work is done.

Pure functions; RFC 9110 section 12.5.1 (Accept) and RFC 7240 (Prefer) are the rules.
"""

from collections.abc import Sequence

PNG, JSON = "image/png", "application/json"


def prefers_json(accept: str) -> bool:
    """Return whether a client that could have a PNG asks for JSON instead; without a preference it gets the PNG.

    >>> prefers_json("*/*"), prefers_json("application/json"), prefers_json("application/json, text/plain, */*")
    (False, True, True)
    >>> prefers_json("image/png, application/json;q=0.5"), prefers_json("")
    (False, False)
    """
    ranges = [_media_range(part) for part in accept.split(",") if part.strip()]
    json_rank, png_rank = _rank(ranges, JSON), _rank(ranges, PNG)
    return json_rank[0] > 0 and json_rank > png_rank


def preferred(accept: str, offered: Sequence[str]) -> str:
    """Return the media type among those offered that a client likes best; the first of those that it likes alike.

    A client that accepts none of them gets the first all the same, as RFC 9110 allows.

    >>> offered = ["image/png", "image/webp"]
    >>> preferred("image/webp, image/*;q=0.5", offered), preferred("*/*", offered), preferred("text/html", offered)
    ('image/webp', 'image/png', 'image/png')
    """
    ranges = [_media_range(part) for part in accept.split(",") if part.strip()]
    return max(offered, key=lambda media_type: _rank(ranges, media_type))


def _media_range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weights = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
    return name, _quality(weights[0]) if weights else 1.0


def _quality(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0


def _rank(ranges: list[tuple[str, float]], media_type: str) -> tuple[float, int]:
    """Return (quality, how precisely it was named) of the most precise range that covers ``media_type``."""
    family = media_type.split("/")[0] + "/*"
    precision = {media_type: 2, family: 1, "*/*": 0}
    covering = [(precision[name], quality) for name, quality in ranges if name in precision]
    if not covering:
        return (0.0, 0)
    precise, quality = max(covering)
    return (quality, precise)


def prefers_async(prefer: str) -> bool:
    """Return whether ``Prefer`` asks for an answer before the work is done.

    >>> prefers_async("respond-async, wait=10"), prefers_async("return=minimal")
    (True, False)
    """
    return "respond-async" in (part.split(";")[0].strip().lower() for part in prefer.split(","))
