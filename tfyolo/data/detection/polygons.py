"""Polygons of objects, relative to the image size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def joined(parts_norm: Sequence[np.ndarray]) -> np.ndarray:
    """Join several polygons of one object to one, with bridges of zero width.

    Args:
        parts_norm: polygons, (k, 2) float32 each; at least one.

    Returns:
        float32 (k, 2). Filled, it covers the parts and the pixels of the bridges.

    Example:
        >>> square = np.array([[0, 0], [0.25, 0], [0.25, 0.25], [0, 0.25]], np.float32)
        >>> joined([square, square + np.float32(0.5)]).shape
        (10, 2)
    """
    polygon = parts_norm[0]
    for part in parts_norm[1:]:
        # The nearest pair of points is found in two steps, since all pairs can be millions.
        at = int(((polygon - part.mean(0)) ** 2).sum(1).argmin())
        near = int(((part - polygon[at]) ** 2).sum(1).argmin())
        there = np.roll(part, -near, axis=0)
        polygon = np.concatenate([polygon[: at + 1], there, there[:1], polygon[at:]])
    return polygon


def bounds_xyxy(polygon_norm: np.ndarray) -> np.ndarray:
    """Return the (4,) bounding box xyxy of a polygon with at least one point.

    Example:
        >>> bounds_xyxy(np.array([[0.5, 0.25], [0.75, 1.0]])).tolist()
        [0.5, 0.25, 0.75, 1.0]
    """
    return np.concatenate([polygon_norm.min(0), polygon_norm.max(0)])
