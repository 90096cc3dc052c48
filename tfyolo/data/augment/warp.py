"""Rotation, shear and perspective, as one projective transform of the composed image."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from tfyolo.data.augment.layout import Hw
from tfyolo.data.augment.options import AugmentationOptions
from tfyolo.data.augment.random_stream import RandomStream
from tfyolo.data.images.letterbox import PAD_VALUE


def random_warp(random: RandomStream, options: AugmentationOptions, out_hw: Hw) -> Any:
    """Draw a (3, 3) projective matrix for points (x, y, 1) that keeps the image center.

    Scale and translation are not included: the `View` of the layout has them.

    Args:
        random: stream that five numbers are drawn from.
        options: largest rotation (`degrees`), `shear` and `perspective`.
        out_hw: (height, width) of the image in pixels.

    Returns:
        float32 (3, 3).

    Source: YOLOv5's random perspective: perspective first, then rotation, then shear.
    """
    width, height = tf.cast(out_hw[1], tf.float32), tf.cast(out_hw[0], tf.float32)
    turn = random.uniform(-options.degrees, options.degrees) * (math.pi / 180.0)
    shear = tf.tan(random.uniform(-options.shear, options.shear, 2) * (math.pi / 180.0))
    tilt = random.uniform(-options.perspective, options.perspective, 2)
    zero, one = tf.constant(0.0), tf.constant(1.0)
    to_middle = _rows([one, zero, -width / 2], [zero, one, -height / 2], [zero, zero, one])
    back = _rows([one, zero, width / 2], [zero, one, height / 2], [zero, zero, one])
    perspective = _rows([one, zero, zero], [zero, one, zero], [tilt[0], tilt[1], one])
    cos, sin = tf.cos(turn), tf.sin(turn)
    rotation = _rows([cos, sin, zero], [-sin, cos, zero], [zero, zero, one])
    shearing = _rows([one, shear[0], zero], [shear[1], one, zero], [zero, zero, one])
    return back @ shearing @ rotation @ perspective @ to_middle


def warp_image(image: Any, matrix: Any) -> Any:
    """Transform a float32 image (h, w, 3); pixels from outside are gray."""
    inverse = tf.linalg.inv(matrix)
    shape = tf.shape(image)[:2]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=tf.reshape(inverse / inverse[2, 2], (1, 9))[:, :8],
        output_shape=shape,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=float(PAD_VALUE),
    )[0]


def warp_labels(labels_xyxy: Any, matrix: Any) -> Any:
    """Transform labels (n, 5) of class id and corners in pixels: boxes around the transformed corners."""
    corners = tf.gather(labels_xyxy[:, 1:5], [[0, 1], [2, 1], [2, 3], [0, 3]], axis=1)  # (n, 4, 2)
    moved = warp_points(corners, matrix)
    return tf.concat([labels_xyxy[:, :1], tf.reduce_min(moved, 1), tf.reduce_max(moved, 1)], -1)


def warp_polygons(labels: Any, points_xy: Any, owner: Any, matrix: Any) -> Any:
    """Transform labels (n, 5 or more): boxes around the transformed polygons, tighter than those of corners.

    Args:
        labels: class id, corners in pixels, and further columns, which are kept.
        points_xy: (m, 2) points of all polygons, in pixels.
        owner: (m,) row of `labels` that each point belongs to.
        matrix: from `random_warp`.

    Returns:
        Labels of the same shape, with new corners; they are not clipped.
    """
    # Parts of an object outside of its tile are not visible: clip its points to the box first.
    low, high = tf.gather(labels[:, 1:3], owner), tf.gather(labels[:, 3:5], owner)
    moved = warp_points(tf.clip_by_value(points_xy, low, high), matrix)
    count = tf.shape(labels)[0]
    first = tf.math.unsorted_segment_min(moved, owner, count)
    last = tf.math.unsorted_segment_max(moved, owner, count)
    return tf.concat([labels[:, :1], first, last, labels[:, 5:]], -1)


def warp_points(points_xy: Any, matrix: Any) -> Any:
    """Transform points (..., 2) by a projective matrix."""
    moved = tf.linalg.matvec(matrix, tf.concat([points_xy, tf.ones_like(points_xy[..., :1])], -1))
    return moved[..., :2] / moved[..., 2:]


def _rows(*rows: list[Any]) -> Any:
    return tf.stack([tf.stack(row) for row in rows])
