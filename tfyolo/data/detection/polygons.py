"""Outlines of objects: polygons as shares of the image's width and height."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def joined(parts_norm: Sequence[np.ndarray]) -> np.ndarray:
    """One outline of an object that is seen in several parts, by bridges of no width between them.

    Args:
        parts_norm: polygons, (k, 2) float32 each; at least one.

    Returns:
        float32 (k, 2). Filled, it covers what the parts cover, and the bridges' pixels.

    Example:
        >>> square = np.array([[0, 0], [0.25, 0], [0.25, 0.25], [0, 0.25]], np.float32)
        >>> joined([square, square + np.float32(0.5)]).shape
        (10, 2)
    """
    outline = parts_norm[0]
    for part in parts_norm[1:]:
        # The corners nearest to each other, found in two steps: all pairs may be millions.
        at = int(((outline - part.mean(0)) ** 2).sum(1).argmin())
        near = int(((part - outline[at]) ** 2).sum(1).argmin())
        there = np.roll(part, -near, axis=0)
        outline = np.concatenate([outline[: at + 1], there, there[:1], outline[at:]])
    return outline


def bounds_xyxy(outline_norm: np.ndarray) -> np.ndarray:
    """(4,) corners of the box around an outline of at least one point.

    Example:
        >>> bounds_xyxy(np.array([[0.5, 0.25], [0.75, 1.0]])).tolist()
        [0.5, 0.25, 0.75, 1.0]
    """
    return np.concatenate([outline_norm.min(0), outline_norm.max(0)])
