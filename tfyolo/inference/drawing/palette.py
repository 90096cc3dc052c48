"""One color per class, the same in Python, in the browser (web_demo/src/page/colors.ts) and in the app."""

from __future__ import annotations

import colorsys

Rgb = tuple[int, int, int]

PALETTE: tuple[str, ...] = (
    "#7c3aed",
    "#d13a12",
    "#0a6fc2",
    "#0c7d55",
    "#d0216a",
    "#96610f",
    "#0a7a86",
    "#9333b5",
    "#47730e",
    "#7a4a2b",
)
"""Distinguishable for most eyes, on dark and light images; the contrast of white text is at least 4.5."""
_GOLDEN_ANGLE = 137.508  # degrees; multiples of it never come close to each other


def class_color(class_id: int) -> Rgb:
    """Return the color of a class: from `PALETTE`, then hues in between.

    Example:
        >>> class_color(0)
        (124, 58, 237)
    """
    if class_id < len(PALETTE):
        text = PALETTE[class_id]
        return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
    lightness = 0.38 if class_id % 2 else 0.46
    red, green, blue = colorsys.hls_to_rgb(class_id * _GOLDEN_ANGLE % 360 / 360, lightness, 0.72)
    return round(red * 255), round(green * 255), round(blue * 255)


def text_color(background: Rgb) -> Rgb:
    """Return black or white, whichever has the higher contrast on `background`."""
    white, black = (255, 255, 255), (0, 0, 0)
    return white if contrast(background, white) >= contrast(background, black) else black


def contrast(a: Rgb, b: Rgb) -> float:
    """Compute the contrast ratio of two colors, from 1 to 21.

    Source: WCAG 2.2, definitions of contrast ratio and relative luminance.

    Example:
        >>> contrast((0, 0, 0), (255, 255, 255))
        21.0
    """
    dark, light = sorted((_luminance(a), _luminance(b)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: Rgb) -> float:
    values = (value / 255 for value in color)
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
