"""The chips of a gallery page: each thing that its address asks for, and the address without it."""

from collections.abc import Iterator
from dataclasses import dataclass

from query_api.web.address import FILTER_FIELDS, PICTURE_FIELDS, Address

LABELS = {
    "source": "from {}",
    "since": "since {}",
    "until": "until {}",
    "format": "{}",
    "min_side": "at least {} px",
    "max_side": "at most {} px",
    "alt": "caption has “{}”",
}
HARMONY_WORDS = {"similar": "similar colours", "monochrome": "one hue"}


@dataclass(frozen=True)
class Chip:
    """One thing that is asked for; ``thumbnail`` is the address of a small picture, ``color`` a hex code."""

    label: str
    without: str
    thumbnail: str | None = None
    color: str | None = None


def chips(address: Address) -> list[Chip]:
    """Return the chips of an address. Raises MeaninglessQuery."""
    return [*_pictures(address), *_colors(address), *_filters(address)]


def _pictures(address: Address) -> Iterator[Chip]:
    if address.is_relation:
        yield Chip(_relation(address), address.without(*PICTURE_FIELDS), _shown(address))
        return
    for field, label in (("look", "looks like"), ("meaning", "shows the same as")):
        ids: tuple[int, ...] = getattr(address, field)
        for image_id in ids:
            others = tuple(other for other in ids if other != image_id)
            yield Chip(label, address.href(**{field: others}), thumbnail_url(image_id))
    if address.colors is not None:
        yield Chip("colours of", address.without("colors"), thumbnail_url(address.colors))
    if address.picture is not None:
        label = "looks like" if address.by == "look" else "shows the same as"
        yield Chip(f"{label} your picture", address.without("picture", "by"), _shown(address))


def _relation(address: Address) -> str:
    words = HARMONY_WORDS.get(str(address.relation), f"{address.relation} colours")
    place = ", place by place" if address.match == "layout" else ""
    wheel = "" if address.relation == "similar" or address.wheel == "hsv" else f", {address.wheel} wheel"
    return f"{words}{place}{wheel}"


def _shown(address: Address) -> str:
    return thumbnail_url(address.of) if address.of is not None else f"/pictures/{address.picture}"


def thumbnail_url(image_id: int) -> str:
    """Return the address of a small picture for a chip."""
    return f"/v1/images/{image_id}/thumbnail?w=96"


def _colors(address: Address) -> Iterator[Chip]:
    words = address.words
    for color in words.colors:
        # The line is kept as it was typed, but for what is taken out.
        kept = (
            " ".join(token for token in address.q.split() if not token.startswith("#")) if not words.named_color else ""
        )
        others = " ".join(other for other in words.colors if other != color)
        yield Chip(words.named_color or color, address.href(q=f"{kept} {others}".strip()), color=color)


def _filters(address: Address) -> Iterator[Chip]:
    for field in FILTER_FIELDS:
        value = getattr(address, field)
        if value is not None and field in LABELS:
            yield Chip(LABELS[field].format(value), address.without(field))
    if address.cutout is not None:
        yield Chip("cut out" if address.cutout else "not cut out yet", address.without("cutout"))
