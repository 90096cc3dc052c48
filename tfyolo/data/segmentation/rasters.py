"""Rasterize polygons to the masks that a segmentation model is trained on, at the size of its prototypes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np


def rasterize(
    objects: Sequence[Sequence[np.ndarray]], image_size: tuple[int, int], ratio: int = 4
) -> np.ndarray:
    """Rasterize polygons, each at the size of the image first, then reduced bilinearly.

    Args:
        objects: for each object the parts of its outline, (k, 2) x and y in pixels of the image; fractions
            are cut off, as in YOLOv5.
        image_size: (height, width) of the image in pixels.
        ratio: size of the image relative to that of the masks.

    Returns:
        uint8 (n, height / ratio, width / ratio), 1 inside of the object.

    Example:
        >>> square = np.array([[0, 0], [15, 0], [15, 15], [0, 15]])
        >>> rasterize([[square]], (32, 32), 8)[0].tolist()
        [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    """
    height, width = image_size
    masks = np.zeros((len(objects), height // ratio, width // ratio), np.uint8)
    for mask, parts in zip(masks, objects, strict=True):
        drawn = np.zeros(image_size, np.uint8)
        for part in parts:  # one by one, since overlapping parts of one call would cancel each other
            cv2.fillPoly(drawn, [np.asarray(part).astype(np.int32)], 1)
        mask[:] = cv2.resize(drawn, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return masks


def index_mask(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge masks into one, in which smaller objects are drawn over larger ones.

    Args:
        masks: (n, height, width), 1 inside of each object.

    Returns:
        int32 (height, width), where k marks the k-th largest object and 0 none; and int64 (n,), the indices
        of the objects from the largest to the smallest.

    Example:
        >>> merged, order = index_mask(np.array([[[1, 0, 0]], [[1, 1, 0]]]))
        >>> merged.tolist(), order.tolist()
        ([[2, 1, 0]], [1, 0])
    """
    order = np.argsort(-masks.astype(np.int64).sum((1, 2)), kind="stable")
    merged = np.zeros(masks.shape[1:], np.int32)
    for number, index in enumerate(order, 1):
        merged[masks[index] > 0] = number
    return merged, order
