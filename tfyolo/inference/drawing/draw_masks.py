"""Draw instance masks on images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfyolo.inference.drawing.palette import class_color

OPACITY = 0.45
"""Weight of the color of a mask; the rest is the image."""


def draw_masks(
    image: np.ndarray, patches: Sequence[np.ndarray], corners_xy: np.ndarray, class_ids: np.ndarray
) -> np.ndarray:
    """Blend translucent masks with an image, in the colors of their classes.

    Args:
        image: uint8 (height, width, 3) RGB.
        patches: one bool (h, w) array per object, sorted by descending confidence.
        corners_xy: (n, 2) integer left and top of each patch in pixels of the image.
        class_ids: (n,) integer class ids.

    Returns:
        uint8 (height, width, 3) RGB, a copy. Where masks overlap, the most confident one is drawn.

    Example:
        >>> image = np.full((4, 4, 3), 100, np.uint8)
        >>> drawn = draw_masks(image, [np.ones((2, 2), bool)], np.array([[0, 0]]), np.array([0]))
        >>> drawn[0, 0].tolist(), drawn[3, 3].tolist()
        ([111, 81, 162], [100, 100, 100])
    """
    drawn = image.copy()
    for patch, (left, top), class_id in reversed(list(zip(patches, corners_xy, class_ids, strict=True))):
        area = slice(top, top + patch.shape[0]), slice(left, left + patch.shape[1])
        color = np.array(class_color(int(class_id)), np.float32)
        blended = image[area][patch] * np.float32(1 - OPACITY) + color * np.float32(OPACITY)
        drawn[area][patch] = np.round(blended).astype(np.uint8)
    return drawn
