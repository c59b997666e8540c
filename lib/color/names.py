"""Names for colours: the CSS keyword nearest to a colour, the plain words a person would use, and the way back.

Belongs here: the two name tables and the look-up in them. Distances are CIEDE2000 (difference.py).
"""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from lib.arrays import FloatArray
from lib.color.difference import ciede2000
from lib.color.spaces import lab_from_srgb

# CSS Color Module Level 4, section 6.1, without the double names (aqua, fuchsia, and grey for gray).
_CSS = """
aliceblue:f0f8ff antiquewhite:faebd7 aquamarine:7fffd4 azure:f0ffff beige:f5f5dc bisque:ffe4c4 black:000000
blanchedalmond:ffebcd blue:0000ff blueviolet:8a2be2 brown:a52a2a burlywood:deb887 cadetblue:5f9ea0
chartreuse:7fff00 chocolate:d2691e coral:ff7f50 cornflowerblue:6495ed cornsilk:fff8dc crimson:dc143c cyan:00ffff
darkblue:00008b darkcyan:008b8b darkgoldenrod:b8860b darkgray:a9a9a9 darkgreen:006400 darkkhaki:bdb76b
darkmagenta:8b008b darkolivegreen:556b2f darkorange:ff8c00 darkorchid:9932cc darkred:8b0000 darksalmon:e9967a
darkseagreen:8fbc8f darkslateblue:483d8b darkslategray:2f4f4f darkturquoise:00ced1 darkviolet:9400d3
deeppink:ff1493 deepskyblue:00bfff dimgray:696969 dodgerblue:1e90ff firebrick:b22222 floralwhite:fffaf0
forestgreen:228b22 gainsboro:dcdcdc ghostwhite:f8f8ff gold:ffd700 goldenrod:daa520 gray:808080 green:008000
greenyellow:adff2f honeydew:f0fff0 hotpink:ff69b4 indianred:cd5c5c indigo:4b0082 ivory:fffff0 khaki:f0e68c
lavender:e6e6fa lavenderblush:fff0f5 lawngreen:7cfc00 lemonchiffon:fffacd lightblue:add8e6 lightcoral:f08080
lightcyan:e0ffff lightgoldenrodyellow:fafad2 lightgray:d3d3d3 lightgreen:90ee90 lightpink:ffb6c1
lightsalmon:ffa07a lightseagreen:20b2aa lightskyblue:87cefa lightslategray:778899 lightsteelblue:b0c4de
lightyellow:ffffe0 lime:00ff00 limegreen:32cd32 linen:faf0e6 magenta:ff00ff maroon:800000
mediumaquamarine:66cdaa mediumblue:0000cd mediumorchid:ba55d3 mediumpurple:9370db mediumseagreen:3cb371
mediumslateblue:7b68ee mediumspringgreen:00fa9a mediumturquoise:48d1cc mediumvioletred:c71585
midnightblue:191970 mintcream:f5fffa mistyrose:ffe4e1 moccasin:ffe4b5 navajowhite:ffdead navy:000080
oldlace:fdf5e6 olive:808000 olivedrab:6b8e23 orange:ffa500 orangered:ff4500 orchid:da70d6 palegoldenrod:eee8aa
palegreen:98fb98 paleturquoise:afeeee palevioletred:db7093 papayawhip:ffefd5 peachpuff:ffdab9 peru:cd853f
pink:ffc0cb plum:dda0dd powderblue:b0e0e6 purple:800080 rebeccapurple:663399 red:ff0000 rosybrown:bc8f8f
royalblue:4169e1 saddlebrown:8b4513 salmon:fa8072 sandybrown:f4a460 seagreen:2e8b57 seashell:fff5ee
sienna:a0522d silver:c0c0c0 skyblue:87ceeb slateblue:6a5acd slategray:708090 snow:fffafa springgreen:00ff7f
steelblue:4682b4 tan:d2b48c teal:008080 thistle:d8bfd8 tomato:ff6347 turquoise:40e0d0 violet:ee82ee wheat:f5deb3
white:ffffff whitesmoke:f5f5f5 yellow:ffff00 yellowgreen:9acd32
"""

# Anchors for everyday words, several per word where it spans many colours. The eleven basic terms are those of
# B. Berlin, P. Kay (1969), "Basic Color Terms"; the rest are what shops and weather reports use.
_PLAIN = """
black:000000 black:1a1a1a dark-gray:3f3f3f dark-gray:555555 gray:808080 gray:969696 light-gray:bdbdbd light-gray:d6d6d6
white:ffffff white:f4f4f4 red:e6001f red:ff0000 red:c8102e dark-red:8b0000 dark-red:5c0a14 pink:ffb6c8 pink:ff7fb0
pink:f7a8b8 magenta:ff00ff magenta:d6208a purple:800080 purple:6a2fa0 purple:9b59b6 dark-purple:3b1053 lilac:c8a2e8
lilac:d8c4e8 blue:0000ff blue:1f5fd6 blue:3b83f0 dark-blue:00007a dark-blue:17255a light-blue:8ec6f5 light-blue:bfe0f7
turquoise:30d5c8 turquoise:00a3a3 turquoise:00ffff dark-turquoise:0b5558 green:00a000 green:2e9e4f green:00ff00
light-green:9be89b light-green:c8f0c0 dark-green:005a1e dark-green:1f3d20 olive:808000 olive:6b6f2a yellow:ffff00
yellow:f5d90a light-yellow:fff9b0 orange:ff8c00 orange:f26b1d brown:8b4a1b brown:6f4423 dark-brown:3d2413
light-brown:b07d4f beige:e8d5b0 beige:d6c29c peach:ffcba4
"""


def css_name(lab: ArrayLike) -> str:
    """Return the CSS keyword whose colour is nearest to one Lab colour, shape (3,).

    >>> css_name([53.24, 80.09, 67.20])
    'red'
    """
    return _nearest_name(lab, _CSS)


def plain_name(lab: ArrayLike) -> str:
    """Return plain English words for one Lab colour, shape (3,), such as 'dark blue'.

    >>> plain_name([13.0, 40.0, -60.0])
    'dark blue'
    """
    return _nearest_name(lab, _PLAIN).replace("-", " ")


def hex_of_name(name: str) -> str | None:
    """Return the colour that a name stands for as ``#rrggbb``: a CSS keyword, or plain words; None if it is neither.

    >>> hex_of_name("Dark Blue"), hex_of_name("grey"), hex_of_name("light brown"), hex_of_name("dog")
    ('#00008b', '#808080', '#b07d4f', None)
    """
    words = name.lower().replace("grey", "gray").split()
    for table, key in ((_CSS, "".join(words)), (_PLAIN, "-".join(words))):
        if code := _codes(table).get(key):
            return f"#{code}"
    return None


@cache
def _codes(table: str) -> dict[str, str]:
    """Return the first code of each name of a table."""
    return dict(entry.split(":") for entry in reversed(table.split()))


def _nearest_name(lab: ArrayLike, table: str) -> str:
    names, colors = _anchors(table)
    return names[int(ciede2000(lab, colors).argmin())]


@cache
def _anchors(table: str) -> tuple[list[str], FloatArray]:
    """Return the names of a table and their Lab colours, (N, 3)."""
    pairs = [entry.split(":") for entry in table.split()]
    rgb = np.array([list(bytes.fromhex(code)) for _, code in pairs])
    return [name for name, _ in pairs], lab_from_srgb(rgb / 255)
