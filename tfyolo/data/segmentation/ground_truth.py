"""Ground-truth masks of a labeled image at the size of the prototypes of a segmentation model."""

from __future__ import annotations

import numpy as np

from tfyolo.data.detection.sample import Sample
from tfyolo.data.images.letterbox import Letterbox
from tfyolo.data.segmentation.rasters import index_mask, rasterize

STRIDE = 4
"""Pixels of the input per cell of the prototypes."""


def input_polygons_px(sample: Sample, letterbox: Letterbox) -> list[np.ndarray]:
    """Return the outline of each object in pixels of the letterboxed input.

    Args:
        sample: an image with its labels; the box of an object without a polygon is its outline.
        letterbox: mapping from the image to the input.

    Returns:
        One float32 (k, 2) array of x and y per box, in the order of the labels.
    """
    # The resized image is whole pixels large, which `ratio` is not exact for; YOLOv5 scales by the size, too.
    size_wh = np.array(letterbox.resized_hw[::-1], np.float32)
    pad_xy = np.array(letterbox.pad_xy, np.float32)
    polygons = sample.polygons_norm or (np.zeros((0, 2), np.float32),) * len(sample.classes)
    return [
        (polygon if len(polygon) else _corners(box)) * size_wh + pad_xy
        for polygon, box in zip(polygons, sample.boxes_xywh_norm, strict=True)
    ]


def ground_truth_masks(sample: Sample, letterbox: Letterbox, stride: int = STRIDE) -> np.ndarray:
    """Rasterize the objects of an image, each to a mask of its own.

    Args:
        sample: an image with its labels.
        letterbox: mapping from the image to the input.
        stride: pixels of the input per pixel of the masks.

    Returns:
        uint8 (n, height / stride, width / stride), 1 inside of the object, in the order of the labels.

    Example:
        >>> from pathlib import Path
        >>> box = np.array([[0.5, 0.5, 0.5, 0.5]], np.float32)
        >>> sample = Sample(Path("a.jpg"), (32, 32), np.array([0]), box)
        >>> ground_truth_masks(sample, Letterbox.fit((32, 32), (32, 32)), stride=8)[0].tolist()
        [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    polygons = input_polygons_px(sample, letterbox)
    return rasterize([[polygon] for polygon in polygons], letterbox.out_hw, stride)


def ground_truth_index(
    sample: Sample, letterbox: Letterbox, stride: int = STRIDE
) -> tuple[np.ndarray, np.ndarray]:
    """Rasterize the objects of an image to one mask, in which smaller objects are drawn over larger ones.

    Args:
        sample: an image with its labels.
        letterbox: mapping from the image to the input.
        stride: pixels of the input per pixel of the mask.

    Returns:
        int32 (height / stride, width / stride), where k marks the k-th largest object and 0 none; and int64
        (n,), the indices of the labels from the largest object to the smallest.

    Example:
        >>> from pathlib import Path
        >>> boxes = np.array([[0.25, 0.5, 0.5, 0.5], [0.5, 0.5, 1, 1]], np.float32)
        >>> sample = Sample(Path("a.jpg"), (32, 32), np.array([0, 1]), boxes)
        >>> index, order = ground_truth_index(sample, Letterbox.fit((32, 32), (32, 32)), stride=8)
        >>> index.tolist(), order.tolist()
        ([[1, 1, 1, 1], [2, 2, 1, 1], [2, 2, 1, 1], [1, 1, 1, 1]], [1, 0])
    """
    return index_mask(ground_truth_masks(sample, letterbox, stride))


def _corners(box_xywh_norm: np.ndarray) -> np.ndarray:
    """Return the corners of a box as a polygon, (4, 2)."""
    x, y, width, height = box_xywh_norm
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32)
    return np.array([x, y], np.float32) + signs * np.array([width, height], np.float32) / 2
