"""What a gallery page offers to somebody who has not asked for anything yet."""

from collections.abc import Sequence

from query_api.web.shelves import Card

MOST_EXAMPLES = 5
LONGEST_EXAMPLE = 32
# As they are found by their names, in the order of a paint box.
COLORS = ("red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink", "brown", "black", "gray", "white")


def examples(cards: Sequence[Card]) -> list[str]:
    """Return short words that stand beside some of these pictures, so that asking for them finds something.

    They are taken from all over the page: neighbours came from one web page and are much alike.
    """
    short = dict.fromkeys(caption for card in cards if 0 < len(caption := card.caption.strip()) <= LONGEST_EXAMPLE)
    step = max(1, len(short) // MOST_EXAMPLES)
    return list(short)[::step][:MOST_EXAMPLES]
