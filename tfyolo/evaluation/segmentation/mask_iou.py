"""IoU of predicted masks with ground-truth masks."""

from __future__ import annotations

import math

import numpy as np

from tfyolo.inference.segmentation.masks import Masks

_EPS = np.float32(1e-7)


def pairwise_mask_iou(masks: Masks, others: Masks) -> np.ndarray:
    """Compute the IoU of each mask with each other mask of the same image.

    Args:
        masks: n masks.
        others: m masks of the same size.

    Returns:
        float32 (n, m).

    Example:
        >>> masks = Masks((np.ones((1, 2), bool),), np.array([[1, 0]]), (1, 4))
        >>> pairwise_mask_iou(masks, masks).tolist()
        [[1.0]]
    """
    size = math.prod(masks.image_size)
    first, second = (x.dense().reshape(len(x), size).astype(np.float32) for x in (masks, others))
    shared = first @ second.T
    return shared / np.maximum(first.sum(1)[:, None] + second.sum(1) - shared, _EPS)


def mask_iou(masks: Masks, index: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Compute the IoU of each predicted mask with each object of an index mask.

    A predicted mask is compared within its own patch, with all objects at once: counting the indices below
    it gives all intersections, without a full-size mask per prediction.

    Args:
        masks: n predicted masks, of the size of `index`.
        index: int (height, width), where k marks the k-th object of `order` and 0 none.
        order: int (m,) columns of the result that objects 1, 2, ... belong to.

    Returns:
        float32 (n, m).

    Example:
        >>> masks = Masks((np.ones((1, 2), bool),), np.array([[1, 0]]), (1, 4))
        >>> mask_iou(masks, np.array([[2, 2, 1, 1]]), np.array([1, 0])).round(3)
        array([[0.333, 0.333]], dtype=float32)
    """
    bins = len(order) + 1
    shared = np.zeros((len(masks), bins), np.float32)
    for row, patch, (left, top) in zip(shared, masks.patches, masks.corners_xy, strict=True):
        window = index[top : top + patch.shape[0], left : left + patch.shape[1]]
        row[:] = np.bincount(window[patch], minlength=bins)
    areas = np.bincount(index.reshape(-1), minlength=bins)[1:].astype(np.float32)
    union = areas + masks.areas_px[:, None].astype(np.float32) - shared[:, 1:]
    iou = np.zeros((len(masks), len(order)), np.float32)
    iou[:, order] = shared[:, 1:] / (union + _EPS)
    return iou
