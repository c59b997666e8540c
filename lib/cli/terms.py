"""What a person types to search, as terms: words, ``-words``, ``#colours``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lib.client.models import TextTerm

HEX = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
LESS_OF = -0.5  # taken away whole, a word would outweigh what is wanted: both are directions of the same length


@dataclass(frozen=True)
class Terms:
    """What was typed: the words wanted, those not wanted, and hex codes of colours."""

    wanted: str
    unwanted: Sequence[str]
    colors: Sequence[str]

    @property
    def texts(self) -> str | list[str | TextTerm]:
        """What the API takes for words."""
        less = [TextTerm(text=text, weight=LESS_OF) for text in self.unwanted]
        wanted: list[str | TextTerm] = [self.wanted] if self.wanted else []
        return self.wanted if self.wanted and not less else [*wanted, *less]


def read_terms(words: Sequence[str]) -> Terms:
    """Sort what was typed.

    >>> read_terms(["a", "red", "fire truck", "-street", "#d02020"])
    Terms(wanted='a red fire truck', unwanted=['street'], colors=['#d02020'])
    >>> read_terms(["-50%", "#1", "-"]).wanted  # a hyphen that stands alone, and what is no colour, are words
    '#1 -'
    """
    colors = [word for word in words if HEX.fullmatch(word)]
    unwanted = [word[1:].strip() for word in words if word.startswith("-") and word[1:].strip()]
    taken = {*colors, *(word for word in words if word.startswith("-") and word[1:].strip())}
    return Terms(" ".join(word for word in words if word not in taken), unwanted, [six_digits(c) for c in colors])


def six_digits(color: str) -> str:
    """Return a hex code of three digits as one of six.

    >>> six_digits("#d2a"), six_digits("#d020a0")
    ('#dd22aa', '#d020a0')
    """
    return color if len(color) > 4 else "#" + "".join(2 * digit for digit in color[1:])
