"""The image URLs that misbehave, the copies, and the images too small to keep.

Belongs here: what they are, as tables that the site serves from and the answer sheet is computed from. How each
misbehaves on the wire is in image_host.py.
"""

import io
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

from PIL import Image, ImageDraw

from demo.catalog import picture_named


@dataclass(frozen=True)
class Oddity:
    """One URL of the conservation room. ``{cdn}`` and ``{port}`` are filled in when the page is served."""

    label: str
    url: str
    story: str
    outcome: Literal["taken", "refused", "failed"]
    reason: str = ""
    shows: str = ""  # the picture that it gives in the end

    @property
    def harms_visitors(self) -> bool:
        """Whether a person's browser should be kept from loading it: without end, or aimed at their own network."""
        return self.reason in ("too_large", "forbidden_address")


ODDITIES = (
    Oddity("Lost plate", "{cdn}/odd/lost.jpg", "The shelf is empty: 404.", "failed", "http_404"),
    Oddity("Flooded plate", "{cdn}/odd/corrupt.jpg", "Begins as a JPEG, then it is noise.", "failed", "undecodable"),
    Oddity("Torn plate", "{cdn}/odd/truncated.jpg", "Promises more bytes than arrive.", "failed", "truncated"),
    Oddity("Mislabelled plate", "{cdn}/odd/page.jpg", "A web page that calls itself a JPEG.", "failed", "not_an_image"),
    Oddity("The endless scroll", "{cdn}/odd/endless.jpg", "Made as it is read; has no end.", "refused", "too_large"),
    Oddity("Locked cabinet", "{cdn}/odd/broken-server.jpg", "The server fails: 500.", "failed", "http_500"),
    Oddity("Slow developer", "{cdn}/odd/slow.jpg", "Arrives over about two seconds.", "taken", shows="lark"),
    Oddity("Busy counter", "{cdn}/odd/busy.jpg", "Says 429 once, then serves.", "taken", shows="goat"),
    Oddity("Forwarded letter", "{cdn}/odd/moved.jpg", "Redirects to where it hangs now.", "taken", shows="pig"),
    Oddity("Back door", "{cdn}/odd/inside.jpg", "Redirects to a port of your own.", "refused", "forbidden_address"),
    Oddity("Side door", "{cdn}/odd/metadata.jpg", "Redirects to 169.254.169.254.", "refused", "forbidden_address"),
    Oddity("Open window", "http://127.0.0.1:1/window.jpg", "Names loopback outright.", "refused", "forbidden_address"),
)


@dataclass(frozen=True)
class Copy:
    """A picture that is also served under another URL, byte for byte or encoded anew."""

    path: str
    of: str
    reencoded: bool

    @cached_property
    def data(self) -> bytes:
        """The bytes served."""
        original = picture_named(self.of)
        return reencode(original.data) if self.reencoded else original.data


COPIES = (
    Copy("/copies/owl-from-the-estate.jpg", "owl", reencoded=False),
    Copy("/copies/brown-hen-second-print.jpg", "hen", reencoded=False),
    Copy("/copies/daffodil-reprint.jpg", "daffodil-b", reencoded=True),
)


def reencode(data: bytes) -> bytes:
    """Return the same picture as a smaller JPEG of lower quality."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    buffer = io.BytesIO()
    image.resize((image.width * 9 // 10, image.height * 9 // 10)).save(buffer, "JPEG", quality=60)
    return buffer.getvalue()


# Width and height in px. Each has a side below 96 px, so none belongs in a collection.
SMALL_IMAGES = {
    "favicon.png": (32, 32),
    "home.png": (24, 24),
    "search.png": (24, 24),
    "ticket.png": (48, 48),
    "sprite.png": (480, 40),
    "pixel.gif": (1, 1),
}
ICONS_IN_PAGES = tuple(name for name in SMALL_IMAGES if name != "favicon.png")  # a <link> is no picture of a page


@cache
def small_image(name: str) -> bytes:
    """Return one of the small images: a lozenge of the house's colour, repeated along its width."""
    width, height = SMALL_IMAGES[name]
    image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    for left in range(0, width, height):
        corners = [(left + height / 2, 0), (left + height - 1, height / 2), (left + height / 2, height - 1)]
        draw.polygon([*corners, (left, height / 2)], fill="#b4532a")
    buffer = io.BytesIO()
    image.save(buffer, "GIF" if name.endswith("gif") else "PNG")
    return buffer.getvalue()
