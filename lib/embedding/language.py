"""Whether a model can be expected to understand a text, judged by its script alone.

The limit of that: languages that share a script are not told apart (a French query passes as English), and a query
in another script than its language is usually written in is misjudged. It catches what matters most: a Russian or
Chinese query to a model that only ever saw English, whose answers would be noise.
"""

import unicodedata
from collections import Counter
from collections.abc import Collection

# The first word of a letter's Unicode name is its script.
_LANGUAGES_OF_SCRIPT: dict[str, frozenset[str]] = {
    "LATIN": frozenset(
        (
            *("ca", "cs", "da", "de", "en", "es", "et", "fi", "fr", "hr", "hu", "id", "it", "lt", "lv"),
            *("ms", "nl", "no", "pl", "pt", "ro", "sk", "sl", "sr", "sv", "tr", "vi"),
        )
    ),
    "CYRILLIC": frozenset(("bg", "ru", "sr", "uk")),
    "GREEK": frozenset(("el",)),
    "ARABIC": frozenset(("ar", "fa", "ur")),
    "HEBREW": frozenset(("he",)),
    "DEVANAGARI": frozenset(("hi",)),
    "BENGALI": frozenset(("bn",)),
    "TAMIL": frozenset(("ta",)),
    "TELUGU": frozenset(("te",)),
    "THAI": frozenset(("th",)),
    "HANGUL": frozenset(("ko",)),
    "CJK": frozenset(("ja", "zh")),
    "HIRAGANA": frozenset(("ja",)),
    "KATAKANA": frozenset(("ja",)),
}


def language_supported(text: str, languages: Collection[str]) -> bool:
    """Say whether the script of most letters of ``text`` belongs to one of ``languages`` (ISO 639-1 codes).

    A text without letters (digits, signs) is supported by every model that reads text at all.

    >>> language_supported("собака", ("en",)), language_supported("собака", ("en", "ru"))
    (False, True)
    >>> language_supported("un chien", ("en",))  # the same script: not told apart
    True
    """
    scripts = Counter(unicodedata.name(letter, "UNKNOWN").split()[0] for letter in text if letter.isalpha())
    if not scripts:
        return bool(languages)
    script = scripts.most_common(1)[0][0]
    return not _LANGUAGES_OF_SCRIPT.get(script, frozenset()).isdisjoint(languages)
