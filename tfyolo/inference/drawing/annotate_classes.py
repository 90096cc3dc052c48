"""Draw the classes of a classifier on an image."""

from __future__ import annotations

import numpy as np

_SMALLEST = 320
"""Smaller images, in pixels of the longer side, are enlarged before they are written on."""


def annotate_classes(image: np.ndarray, lines: list[str]) -> np.ndarray:
    """Draw lines of text in the upper left corner of an image, on a dark background.

    Args:
        image: uint8 (height, width, 3) RGB; a small one is enlarged to hold the text.
        lines: lines of text.

    Returns:
        uint8 (height, width, 3) RGB, a copy.
    """
    from PIL import Image, ImageDraw, ImageFont

    canvas = Image.fromarray(image)
    times = -(-_SMALLEST // min(max(canvas.size), _SMALLEST))
    if times > 1:
        canvas = canvas.resize((canvas.width * times, canvas.height * times), Image.Resampling.NEAREST)
    font = ImageFont.load_default(max(round(max(canvas.size) / 32), 14))
    text, edge = "\n".join(lines), round(max(canvas.size) / 64)
    draw = ImageDraw.Draw(canvas, "RGBA")
    box = draw.multiline_textbbox((edge, edge), text, font=font)
    draw.rectangle((0, 0, box[2] + edge, box[3] + edge), fill=(0, 0, 0, 150))
    draw.multiline_text((edge, edge), text, font=font, fill=(255, 255, 255, 255))
    return np.array(canvas)
