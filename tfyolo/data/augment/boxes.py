"""Clip, flip and normalize boxes after an augmentation."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfyolo.data.subgraph import traced_once

SMALLEST_SIDE_PX = 2.0
LARGEST_ASPECT = 100.0
SMALLEST_SHARE = 0.10
"""Of a box's area, that must remain inside the image."""


@traced_once
def clip_labels(labels_xyxy: Any, bounds_xyxy: Any, smallest_share: float = SMALLEST_SHARE) -> Any:
    """Clip labels to a region, and drop boxes of which too little remains.

    Args:
        labels_xyxy: (n, 5 or more) class id and corners in pixels, before clipping.
        bounds_xyxy: (4,) corners of the visible region: the image, or a tile of a mosaic.
        smallest_share: minimum fraction of a box's area that has to remain.

    Returns:
        (m, 5 or more) class id and corners; further columns unchanged.

    Source: YOLOv5's filter of boxes after a perspective transform.
    """
    bounds = tf.cast(bounds_xyxy, tf.float32)
    before = labels_xyxy[:, 3:5] - labels_xyxy[:, 1:3]
    corners = tf.clip_by_value(labels_xyxy[:, 1:5], tf.tile(bounds[:2], [2]), tf.tile(bounds[2:], [2]))
    after = corners[:, 2:] - corners[:, :2]
    share = tf.math.divide_no_nan(tf.reduce_prod(after, -1), tf.reduce_prod(before, -1))
    long, short = tf.reduce_max(after, -1), tf.reduce_min(after, -1)
    keep = (short > SMALLEST_SIDE_PX) & (share > smallest_share)
    keep &= tf.math.divide_no_nan(long, short) < LARGEST_ASPECT
    return tf.boolean_mask(tf.concat([labels_xyxy[:, :1], corners, labels_xyxy[:, 5:]], -1), keep)


def flip_labels(labels_xyxy: Any, out_hw: tuple[Any, Any], left_right: Any, up_down: Any) -> Any:
    """Flip labels with their image.

    Args:
        labels_xyxy: (n, 5) class id and corners in pixels.
        out_hw: (height, width) of the image in pixels.
        left_right: bool scalar, whether the image is flipped left to right.
        up_down: bool scalar, whether it is flipped upside down.

    Returns:
        (n, 5) class id and corners in pixels.
    """
    width, height = tf.cast(out_hw[1], tf.float32), tf.cast(out_hw[0], tf.float32)
    kind, x1, y1, x2, y2 = tf.unstack(labels_xyxy, axis=-1)
    x1, x2 = tf.where(left_right, width - x2, x1), tf.where(left_right, width - x1, x2)
    y1, y2 = tf.where(up_down, height - y2, y1), tf.where(up_down, height - y1, y2)
    return tf.stack([kind, x1, y1, x2, y2], -1)


def normalize(labels_xyxy: Any, out_hw: tuple[Any, Any]) -> Any:
    """Convert (n, 5) class id and corners in pixels to class id, center and size relative to the image."""
    size = tf.stack([tf.cast(out_hw[1], tf.float32), tf.cast(out_hw[0], tf.float32)])
    low, high = labels_xyxy[:, 1:3] / size, labels_xyxy[:, 3:5] / size
    return tf.concat([labels_xyxy[:, :1], (low + high) / 2, high - low], -1)
