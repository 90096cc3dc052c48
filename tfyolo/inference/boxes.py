"""Pure NumPy functions on boxes. Names state format and unit; empty arrays are valid."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def xywh_to_xyxy(boxes_xywh: Array) -> Array:
    """Convert center, width and height to corners.

    Args:
        boxes_xywh: (..., 4) x and y of the center, width, height; any unit.

    Returns:
        (..., 4) x1, y1, x2, y2 in the same unit, float.

    Example:
        >>> xywh_to_xyxy(np.array([[50.0, 40.0, 20.0, 10.0]])).tolist()
        [[40.0, 35.0, 60.0, 45.0]]
    """
    boxes_xywh = _floating(boxes_xywh)
    center, half = boxes_xywh[..., :2], boxes_xywh[..., 2:4] / 2
    return np.concatenate([center - half, center + half], axis=-1)


def xyxy_to_xywh(boxes_xyxy: Array) -> Array:
    """Convert corners to center, width and height; the inverse of `xywh_to_xyxy`.

    Args:
        boxes_xyxy: (..., 4) x1, y1, x2, y2; any unit.

    Returns:
        (..., 4) x and y of the center, width, height in the same unit, float.
    """
    boxes_xyxy = _floating(boxes_xyxy)
    low, high = boxes_xyxy[..., :2], boxes_xyxy[..., 2:4]
    return np.concatenate([(low + high) / 2, high - low], axis=-1)


def iou_matrix(a_xyxy: Array, b_xyxy: Array, eps: float = 1e-7) -> Array:
    """Compute the intersection over union (IoU) of every box of `a` with every box of `b`.

    Args:
        a_xyxy: (n, 4) corners, any unit.
        b_xyxy: (m, 4) corners in the same unit.
        eps: added to the union; keeps zero-area boxes finite.

    Returns:
        (n, m) values in 0..1.

    Example:
        >>> iou_matrix(np.array([[0.0, 0, 2, 2]]), np.array([[0.0, 0, 2, 1], [5, 5, 6, 6]])).round(3).tolist()
        [[0.5, 0.0]]
    """
    return iou(np.asarray(a_xyxy)[:, None, :], np.asarray(b_xyxy)[None, :, :], eps)


def iou(a_xyxy: Array, b_xyxy: Array, eps: float = 1e-7) -> Array:
    """Compute the IoU of boxes, pair by pair.

    Args:
        a_xyxy: (..., 4) corners, any unit.
        b_xyxy: (..., 4) corners, of the same or a broadcastable shape, in the same unit.
        eps: added to the union; keeps zero-area boxes finite.

    Returns:
        (...) values in 0..1.
    """
    return _overlap(a_xyxy, b_xyxy, eps)[0]


def giou(a_xyxy: Array, b_xyxy: Array, eps: float = 1e-7) -> Array:
    """Compute the generalized IoU of boxes, pair by pair: IoU minus the uncovered fraction of the enclosing
    box.

    Args:
        a_xyxy: (..., 4) corners, any unit.
        b_xyxy: (..., 4) corners, of the same or a broadcastable shape, in the same unit.
        eps: added to denominators; keeps zero-area boxes finite.

    Returns:
        (...) values in [-1, 1]; 1 where two boxes are equal.

    Source: Rezatofighi et al. 2019, Generalized Intersection over Union, algorithm 1.
    """
    overlap, union, hull_wh, _ = _overlap(a_xyxy, b_xyxy, eps)
    hull = hull_wh[..., 0] * hull_wh[..., 1] + eps
    return overlap - (hull - union) / hull


def diou(a_xyxy: Array, b_xyxy: Array, eps: float = 1e-7) -> Array:
    """Compute the distance IoU of boxes, pair by pair: IoU - (center distance / diagonal of the enclosing
    box)^2.

    Args:
        a_xyxy: (..., 4) corners, any unit.
        b_xyxy: (..., 4) corners, of the same or a broadcastable shape, in the same unit.
        eps: added to denominators; keeps zero-area boxes finite.

    Returns:
        (...) values in [-1, 1]; 1 where two boxes are equal.

    Source: Zheng et al. 2020, Distance-IoU Loss, eq. 6 and 7.
    """
    overlap, _, hull_wh, shift_xy = _overlap(a_xyxy, b_xyxy, eps)
    return overlap - np.square(shift_xy).sum(-1) / (np.square(hull_wh).sum(-1) + eps)


def ciou(a_xyxy: Array, b_xyxy: Array, eps: float = 1e-7) -> Array:
    """Compute the complete IoU of boxes, pair by pair: distance IoU minus a term for different aspect ratios.

    Args:
        a_xyxy: (..., 4) corners, any unit.
        b_xyxy: (..., 4) corners, of the same or a broadcastable shape, in the same unit.
        eps: added to denominators; keeps zero-area boxes finite.

    Returns:
        (...) values below or equal to 1; 1 where two boxes are equal.

    Source: Zheng et al. 2020, Distance-IoU Loss, eq. 8 to 11.
    """
    a_xyxy, b_xyxy = _floating(a_xyxy), _floating(b_xyxy)
    overlap = iou(a_xyxy, b_xyxy, eps)
    angle_a, angle_b = (
        np.arctan((boxes[..., 2] - boxes[..., 0]) / (boxes[..., 3] - boxes[..., 1] + eps))
        for boxes in (a_xyxy, b_xyxy)
    )
    aspect = (4 / np.pi**2) * np.square(angle_b - angle_a)
    return diou(a_xyxy, b_xyxy, eps) - aspect * aspect / (aspect - overlap + (1 + eps))


def _floating(boxes: Array) -> Array:
    """Return float boxes unchanged, and integers as float32."""
    boxes = np.asarray(boxes)
    return boxes if np.issubdtype(boxes.dtype, np.floating) else boxes.astype(np.float32)


def _overlap(a_xyxy: Array, b_xyxy: Array, eps: float) -> tuple[Array, Array, Array, Array]:
    """Return IoU (...), union (...), size of the enclosing box (..., 2), vector between centers (..., 2)."""
    a_xyxy, b_xyxy = _floating(a_xyxy), _floating(b_xyxy)
    a_low, a_high, b_low, b_high = a_xyxy[..., :2], a_xyxy[..., 2:4], b_xyxy[..., :2], b_xyxy[..., 2:4]
    shared_wh = np.maximum(np.minimum(a_high, b_high) - np.maximum(a_low, b_low), 0)
    shared = shared_wh[..., 0] * shared_wh[..., 1]
    a_wh, b_wh = a_high - a_low, b_high - b_low
    union = a_wh[..., 0] * a_wh[..., 1] + b_wh[..., 0] * b_wh[..., 1] - shared + eps
    hull_wh = np.maximum(a_high, b_high) - np.minimum(a_low, b_low)
    return shared / union, union, hull_wh, (b_low + b_high - a_low - a_high) / 2
