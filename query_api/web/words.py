"""What a person types into the one search bar: words, words that push away, colours.

``a dog -grass #d02020`` asks for a dog, away from grass, with that red. A colour is a hex code or a name behind ``#``;
words that are nothing but the name of a colour mean the colour, too, unless they stand in quotes.

Belongs here: reading that line. What is searched for with it is in address.py.
"""

import re
from dataclasses import dataclass

from lib.color.names import hex_of_name
from lib.errors import MeaninglessQuery

_TOKEN = re.compile(r'-?"[^"]*"?|\S+')
_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


@dataclass(frozen=True)
class Words:
    """A line as it was understood: one text, texts that push away, colours as ``#rrggbb``.

    ``named_color`` is the name that was taken for a colour though no ``#`` stood before it, or empty.
    """

    text: str = ""
    minus: tuple[str, ...] = ()
    colors: tuple[str, ...] = ()
    named_color: str = ""


def read_words(line: str) -> Words:
    """Return what a line asks for. Raises MeaninglessQuery for a colour that is pushed away, or is none.

    >>> read_words('a dog -grass -"tall trees" #D02020')
    Words(text='a dog', minus=('grass', 'tall trees'), colors=('#d02020',), named_color='')
    >>> read_words("dark blue").colors, read_words("dark blue").text
    (('#00008b',), '')
    >>> read_words('"dark blue"').text, read_words("#teal bird").colors
    ('dark blue', ('#008080',))
    """
    plus: list[str] = []
    minus: list[str] = []
    colors: list[str] = []
    tokens = _TOKEN.findall(line)
    for token in tokens:
        pushes_away = token.startswith("-") and len(token) > 1
        word = token.removeprefix("-") if pushes_away else token
        if word.startswith("#"):
            colors.append(_color(word, wanted=not pushes_away))
        elif bare := word.strip('"').strip():
            (minus if pushes_away else plus).append(bare)
    name = " ".join(plus)
    named = None if colors or minus or '"' in line else hex_of_name(name)
    if named is not None:
        return Words(colors=(named,), named_color=name)
    return Words(name, tuple(minus), tuple(colors))


def _color(word: str, *, wanted: bool) -> str:
    if not wanted:
        raise MeaninglessQuery(f"a colour can only be wanted: leave out the minus before {word}")
    if _HEX.fullmatch(word):
        digits = word[1:].lower()
        return "#" + (digits if len(digits) == 6 else "".join(2 * digit for digit in digits))
    found = hex_of_name(word[1:])
    if found is None:
        raise MeaninglessQuery(f"{word} is no colour: write a hex code such as #d02020, or a name such as #teal")
    return found
