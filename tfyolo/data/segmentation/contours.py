"""Polygons of binary masks."""

from __future__ import annotations

import cv2
import numpy as np

from tfyolo.data.detection.polygons import joined

MAX_PARTS = 64
"""Parts and holes of one object that are kept, the largest first; noise can have millions."""
_MIN_POINTS = 3


def mask_polygon(mask: np.ndarray) -> np.ndarray:
    """Return the outline of a mask, its parts and holes joined by bridges of zero width.

    Points are the centers of the pixels at the border, so that `rasterize` with ratio 1 gives the mask again,
    up to bridges and to parts of fewer than three pixels.

    Args:
        mask: (height, width), nonzero inside of the object.

    Returns:
        float32 (k, 2) x and y in pixels; k is 0 if no part has an area.

    Example:
        >>> mask = np.zeros((4, 6), np.uint8)
        >>> mask[1:3, 1:5] = 1
        >>> mask_polygon(mask).tolist()
        [[1.5, 1.5], [1.5, 2.5], [4.5, 2.5], [4.5, 1.5]]
    """
    contours, _ = cv2.findContours((mask != 0).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    parts = [contour[:, 0] for contour in contours if len(contour) >= _MIN_POINTS]
    if not parts:
        return np.zeros((0, 2), np.float32)
    if len(parts) > 1:
        parts = sorted(parts, key=cv2.contourArea, reverse=True)[:MAX_PARTS]
    return joined([part.astype(np.float32) + np.float32(0.5) for part in parts])
