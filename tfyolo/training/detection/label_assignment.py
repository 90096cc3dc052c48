"""Which predictions are to learn which labeled box."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

PADDING_CLASS = -1.0
"""Class of the rows that pad the labels of a batch to equal length."""
NEIGHBORS = 3
"""A box is learned in the cell of its center, and in the nearer neighbors left or right, above or below."""


class Assignment(NamedTuple):
    """Pairs of a prediction and a label at one scale; n = labels of the batch x anchors x `NEIGHBORS`.

    The number of rows depends on shapes alone, so that the graph compiles once; `valid` says which count.

    Args:
        valid: bool (n,).
        cells: int32 (n,) index into the head seen as (batch, height, width, anchor) in one dimension.
        boxes_xywh_cells: float32 (n, 4) the label: center from the cell's corner, and size, in cells.
        anchors_wh_cells: float32 (n, 2) the prediction's anchor in cells.
        classes: int32 (n,), 0 where not valid.
        order: int32 (n,) from 1, 0 where not valid; of several labels for one prediction the highest counts.
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
    """Match labels and anchors of one scale.

    A label and an anchor belong together where neither side of one is `threshold` times the other's. The
    label is then given to the cell of its center and to the two neighbors that the center is nearest to,
    as far as they are inside the grid.

    Args:
        labels: float32 (batch, boxes, 5): class, and center and size as shares of the image; padding rows
            have the class `PADDING_CLASS`.
        grid_hw: rows and columns of the scale, ints or scalar tensors.
        anchors_wh_cells: float32 (anchors, 2).
        threshold: hyperparameter `anchor_t`.

    Source: YOLOv5 (since v1.0): matching by ratio of sides, in three cells.
    """
    anchors = tf.convert_to_tensor(anchors_wh_cells, tf.float32)
    rows, columns = (tf.cast(side, tf.int32) for side in grid_hw)
    batch, boxes, count = tf.shape(labels)[0], tf.shape(labels)[1], anchors.shape[0]
    grid_wh = tf.cast(tf.stack([columns, rows]), tf.float32)

    center, size = labels[..., 1:3] * grid_wh, labels[..., 3:5] * grid_wh  # (batch, boxes, 2) in cells
    ratio = size[:, :, None] / anchors  # (batch, boxes, anchors, 2)
    worst = tf.reduce_max(tf.maximum(ratio, tf.math.divide_no_nan(1.0, ratio)), -1)
    # A side of length 0 fits no anchor: divide_no_nan makes 1 / 0 a 0, and so it must be asked for.
    fits = (worst < threshold) & tf.reduce_all(size > 0, -1, keepdims=True)
    fits &= labels[..., :1] > PADDING_CLASS

    part, from_end = center % 1.0, (grid_wh - center) % 1.0
    before = (part < 0.5) & (center > 1.0)  # (batch, boxes, 2): left, above
    after = (from_end < 0.5) & (grid_wh - center > 1.0)  # right, below
    step = tf.cast(after, tf.int32) - tf.cast(before, tf.int32)
    beside = before | after
    zero = tf.zeros_like(step[..., 0])
    offsets = tf.stack(  # (batch, boxes, 3, 2) x, y
        [tf.stack([zero, zero], -1), tf.stack([step[..., 0], zero], -1), tf.stack([zero, step[..., 1]], -1)],
        2,
    )
    here = tf.stack([tf.ones_like(beside[..., 0]), beside[..., 0], beside[..., 1]], -1)
    corner = _inside(tf.cast(tf.floor(center), tf.int32)[:, :, None] + offsets, columns, rows)

    shape = tf.stack([batch, boxes, NEIGHBORS, count])
    valid = here[..., None] & fits[:, :, None, :]
    # PyTorch writes centers, left, above, right and below one after the other, and the last stays.
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
    """Cells (..., 2) x, y moved into the grid: a center may lie on the far border."""
    return tf.clip_by_value(corner, 0, tf.stack([columns, rows]) - 1)
