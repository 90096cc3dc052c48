"""Decode masks of COCO files: run lengths, column by column, as a list or as a compressed string."""

from __future__ import annotations

from typing import Any

import numpy as np

_OFFSET = 48
"""Code of the character for 0."""
_MAX_DIGITS = 8
"""Characters of one number, of five bits each; more than any image needs."""


def rle_mask(value: Any, size_wh: tuple[float, float]) -> np.ndarray | None:
    """Decode a run-length encoded mask.

    Args:
        value: mapping of `size` (height, width) and `counts`, from an untrusted file.
        size_wh: (width, height) in pixels that the mask must have.

    Returns:
        uint8 (height, width), 1 inside of the object; None for invalid data.

    Example:
        >>> rle_mask({"size": [2, 3], "counts": [1, 2, 3]}, (3, 2)).tolist()
        [[0, 1, 0], [1, 0, 0]]

    Source: the format of COCO's masks: counts of zeros and ones in turn; in strings the difference to the
    count before the last one, in five bits per character, the lowest first.
    """
    if not isinstance(value, dict) or value.get("size") != [size_wh[1], size_wh[0]]:
        return None
    height, width = int(size_wh[1]), int(size_wh[0])
    counts = value.get("counts")
    if isinstance(counts, str):
        counts = _numbers(counts, height * width)
    if not isinstance(counts, list) or not all(type(count) is int for count in counts):
        return None
    if len(counts) > height * width + 1 or min(counts, default=-1) < 0 or sum(counts) != height * width:
        return None
    runs = np.array(counts, np.int64)
    return np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8).reshape(width, height).T


def _numbers(text: str, most: int) -> list[int] | None:
    """Parse a compressed string; None for invalid data."""
    counts: list[int] = []
    number = digits = 0
    for character in text:
        code = ord(character) - _OFFSET
        if not 0 <= code < 64 or digits == _MAX_DIGITS or len(counts) > most:
            return None
        number |= (code & 31) << 5 * digits
        digits += 1
        if code & 32:  # more follow
            continue
        if code & 16:
            number -= 1 << 5 * digits
        counts.append(number + (counts[-2] if len(counts) > 2 else 0))
        number = digits = 0
    return None if digits else counts
