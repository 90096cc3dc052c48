"""Label assignment: matches ground-truth boxes to anchors and grid cells."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

PADDING_CLASS = -1.0
"""Class id of the rows that pad the labels of a batch to equal length."""
NEIGHBORS = 3
"""Grid cells per box: that of its center, the nearer horizontal and the nearer vertical neighbor."""


class Assignment(NamedTuple):
    """Candidate pairs of a prediction and a label on one feature map.

    All n = boxes of the batch x anchors x `NEIGHBORS` candidates are kept, and `valid` marks the positives:
    shapes do not depend on the labels, so that the graph is compiled only once.

    Attributes:
        valid: bool (n,), True for positives.
        cells: int32 (n,), index of the prediction in the flattened head (batch, height, width, anchor).
        boxes_xywh_cells: float32 (n, 4), ground-truth box: center relative to the corner of the grid cell,
            width and height, in cells.
        anchors_wh_cells: float32 (n, 2), anchor of the prediction in cells.
        classes: int32 (n,), class id; 0 if not valid.
        order: int32 (n,), from 1; 0 if not valid. Of several labels of one prediction, that of the highest
            order determines the objectness target.
    """

    valid: Any
    cells: Any
    boxes_xywh_cells: Any
    anchors_wh_cells: Any
    classes: Any
    order: Any


def assign_labels(
    labels: Any, grid_hw: tuple[Any, Any], anchors_wh_cells: Any, threshold: float
) -> Assignment:
    """Match ground-truth boxes to the anchors and grid cells of one feature map.

    A box matches an anchor if the ratio of their widths and that of their heights are within `threshold` in
    both directions. The box is then assigned to the grid cell of its center and to the two neighbors (left or
    right, above or below) that its center is nearest to, if these are inside the grid: three times as many
    positives as with the center cell alone. Decoded centers reach into these neighbors (-0.5 to 1.5).

    Args:
        labels: float32 (batch, boxes, 5): class id, then center x, center y, width and height relative to the
            image; padding rows have the class id `PADDING_CLASS`.
        grid_hw: rows and columns of the feature map, ints or scalar tensors.
        anchors_wh_cells: float32 (anchors, 2) width and height in cells.
        threshold: hyperparameter `anchor_t`, 4 by default.

    Returns:
        The assignment.

    Source: YOLOv5 since v1.0 (`ComputeLoss.build_targets`).
    """
    anchors = tf.convert_to_tensor(anchors_wh_cells, tf.float32)
    rows, columns = (tf.cast(side, tf.int32) for side in grid_hw)
    batch, boxes, count = tf.shape(labels)[0], tf.shape(labels)[1], anchors.shape[0]
    grid_wh = tf.cast(tf.stack([columns, rows]), tf.float32)

    center, size = labels[..., 1:3] * grid_wh, labels[..., 3:5] * grid_wh  # (batch, boxes, 2) in cells
    ratio = size[:, :, None] / anchors  # (batch, boxes, anchors, 2)
    worst = tf.reduce_max(tf.maximum(ratio, tf.math.divide_no_nan(1.0, ratio)), -1)
    # divide_no_nan returns 0 for 1 / 0, so a box with a side of 0 needs another check: it matches no anchor.
    fits = (worst < threshold) & tf.reduce_all(size > 0, -1, keepdims=True)
    fits &= labels[..., :1] > PADDING_CLASS

    part = center % 1.0  # 0 on a grid line, where YOLOv5 has the left and upper neighbors, too
    before = (part < 0.5) & (center > 1.0)  # (batch, boxes, 2): left, above
    after = (part > 0.5) & (grid_wh - center > 1.0)  # right, below
    step = tf.cast(after, tf.int32) - tf.cast(before, tf.int32)
    has_neighbor = before | after
    zero = tf.zeros_like(step[..., 0])
    offsets = tf.stack(  # (batch, boxes, 3, 2) x, y
        [tf.stack([zero, zero], -1), tf.stack([step[..., 0], zero], -1), tf.stack([zero, step[..., 1]], -1)],
        2,
    )
    here = tf.stack([tf.ones_like(has_neighbor[..., 0]), has_neighbor[..., 0], has_neighbor[..., 1]], -1)
    corner = _inside(tf.cast(tf.floor(center), tf.int32)[:, :, None] + offsets, columns, rows)

    shape = tf.stack([batch, boxes, NEIGHBORS, count])
    valid = here[..., None] & fits[:, :, None, :]
    # If several labels meet in one prediction, YOLOv5 keeps the last one written: it writes centers first,
    # then the left, upper, right and lower neighbors.
    far = tf.cast(after, tf.int32) * 2
    turn = tf.stack([zero, far[..., 0] + 1, far[..., 1] + 2], -1) * boxes
    order = turn + tf.range(1, boxes + 1)[:, None]
    image = tf.range(batch)[:, None, None, None]
    cells = (image * rows + corner[..., 1:2]) * columns + corner[..., 0:1]
    cells = cells * count + tf.range(count)
    local = tf.concat(
        [center[:, :, None] - tf.cast(corner, tf.float32), tf.repeat(size[:, :, None], NEIGHBORS, 2)], -1
    )
    wide = tf.concat([shape, [4]], 0)
    return Assignment(
        valid=tf.reshape(valid, [-1]),
        cells=tf.reshape(tf.where(valid, cells, 0), [-1]),
        boxes_xywh_cells=tf.reshape(tf.broadcast_to(local[..., None, :], wide), [-1, 4]),
        anchors_wh_cells=tf.reshape(tf.broadcast_to(anchors, tf.concat([shape, [2]], 0)), [-1, 2]),
        classes=tf.reshape(tf.where(valid, tf.cast(labels[..., 0], tf.int32)[:, :, None, None], 0), [-1]),
        order=tf.reshape(tf.where(valid, order[..., None], 0), [-1]),
    )


def _inside(corner: Any, columns: Any, rows: Any) -> Any:
    """Clip cells (..., 2) x, y to the grid: a center may lie on the right or lower border of the image."""
    return tf.clip_by_value(corner, 0, tf.stack([columns, rows]) - 1)
