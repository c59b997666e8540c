"""Colours as a picture, for questions that take one."""

import io
from collections.abc import Sequence

STRIPE_PX = 64


def stripes(colors: Sequence[str]) -> bytes:
    """Return a PNG of equal upright stripes, one for each hex code."""
    from PIL import Image, ImageDraw  # only who asks by colour needs Pillow

    image = Image.new("RGB", (STRIPE_PX * len(colors), STRIPE_PX))
    draw = ImageDraw.Draw(image)
    for number, color in enumerate(colors):
        left = number * STRIPE_PX
        draw.rectangle((left, 0, left + STRIPE_PX - 1, STRIPE_PX - 1), fill=color)
    sink = io.BytesIO()
    image.save(sink, "PNG")
    return sink.getvalue()
