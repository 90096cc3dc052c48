"""Center crop: the input of a classifier."""

from __future__ import annotations

import cv2
import numpy as np


def center_crop(image: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    """Crop the largest centered region with the aspect ratio of `hw`, and resize it.

    Args:
        image: uint8 (height, width, 3) RGB.
        hw: height and width in pixels.

    Returns:
        uint8 (*hw, 3).

    Source: YOLOv5's classification, which uses squares.

    Example:
        >>> center_crop(np.zeros((480, 640, 3), np.uint8), (64, 64)).shape
        (64, 64, 3)
    """
    height, width = image.shape[:2]
    scale = min(height / hw[0], width / hw[1])
    part_h, part_w = max(round(hw[0] * scale), 1), max(round(hw[1] * scale), 1)
    top, left = (height - part_h) // 2, (width - part_w) // 2
    part = image[top : top + part_h, left : left + part_w]
    if part.shape[:2] == tuple(hw):
        return part.copy()
    how = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    return cv2.resize(part, (hw[1], hw[0]), interpolation=how)
