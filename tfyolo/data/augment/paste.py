"""Copy-paste augmentation: objects with a polygon are pasted mirrored, where they hide little of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfyolo.data.augment.random_stream import RandomStream

LARGEST_HIDDEN_SHARE = 0.30
"""Of another label's box, that the box of a pasted object may cover."""


def paste_mirrored(
    image: Any, labels: Any, polygons_px: Callable[[Any], tuple[Any, Any]], random: RandomStream, share: float
) -> tuple[Any, Any]:
    """Paste some objects of an image, flipped left to right, at the mirrored position.

    Args:
        image: float32 (h, w, 3).
        labels: (n, columns) class id, corners in pixels, and columns that `polygons_px` uses.
        polygons_px: function from a row of labels to points (m, 2) in pixels, and whether they are a polygon
            or only box corners.
        random: stream of random numbers.
        share: fraction of the objects that are pasted.

    Returns:
        The image, and the labels followed by those of pasted objects.

    Source: Ghiasi et al. 2021, Simple Copy-Paste; flips and occlusion limit as in YOLOv5.
    """
    height, width = tf.unstack(tf.shape(image)[:2])
    count = tf.shape(labels)[0]
    chosen = tf.cast(tf.round(share * tf.cast(count, tf.float32)), tf.int32)
    order = random.permutation(count)

    def paste(step: Any, labels: Any, mask: Any) -> tuple[Any, Any, Any]:
        label = mirrored_label(labels[order[step]], tf.cast(width, tf.float32))
        points, has_polygons = polygons_px(label)

        def pasted() -> tuple[Any, Any]:
            inside = filled(points, height, width) & _box_mask(label[1:5], height, width)
            return tf.concat([labels, label[None]], 0), mask | inside

        hidden = tf.reduce_any(_covered_share(labels[:, 1:5], label[1:5]) >= LARGEST_HIDDEN_SHARE)
        return step + 1, *tf.cond(has_polygons & ~hidden, pasted, lambda: (labels, mask))

    mask = tf.zeros((height, width), tf.bool)
    _, labels, mask = tf.while_loop(
        lambda step, *_: step < chosen,
        paste,
        (0, labels, mask),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, labels.shape[1]]), mask.shape),
    )
    return tf.where(mask[..., None], tf.reverse(image, [1]), image), labels


def mirrored_label(label: Any, width: Any) -> Any:
    """Flip a row of class id, corners, table row, origin and size left to right."""
    kind, x1, y1, x2, y2, row, x, y, w, h = tf.unstack(label)
    return tf.stack([kind, width - x2, y1, width - x1, y2, row, width - x, y, -w, h])


def filled(points_xy: Any, height: Any, width: Any) -> Any:
    """Rasterize a polygon: bool (height, width), true for pixels whose center is inside (even-odd rule).

    Edges cross each row of pixels; a pixel is inside if an odd number of crossings is to its left.

    Args:
        points_xy: (k, 2) in pixels; the polygon is closed.
        height: height of the mask in pixels.
        width: width of the mask in pixels.

    Returns:
        bool (height, width).
    """
    ax, ay = tf.unstack(points_xy, axis=-1)
    bx, by = tf.unstack(tf.roll(points_xy, -1, 0), axis=-1)
    y = tf.range(tf.cast(height, tf.float32))[:, None] + 0.5
    crosses = tf.where((ay <= y) != (by <= y))  # (c, 2) row, edge
    row, edge = tf.cast(crosses[:, 0], tf.int32), crosses[:, 1]
    ax, ay, bx, by = (tf.gather(value, edge) for value in (ax, ay, bx, by))
    x = ax + (tf.gather(y[:, 0], row) - ay) / (by - ay) * (bx - ax)
    column = tf.cast(tf.clip_by_value(tf.math.ceil(x - 0.5), 0.0, tf.cast(width, tf.float32)), tf.int32)
    counts = tf.scatter_nd(tf.stack([row, column], -1), tf.ones_like(row), tf.stack([height, width + 1]))
    return tf.cumsum(counts, 1)[:, :-1] % 2 == 1


def _box_mask(corners_xyxy: Any, height: Any, width: Any) -> Any:
    """Return bool (height, width): the pixels of a box; objects clipped by their tile are pasted clipped."""
    x1, y1, x2, y2 = tf.unstack(tf.round(corners_xyxy))
    x, y = tf.range(tf.cast(width, tf.float32)), tf.range(tf.cast(height, tf.float32))[:, None]
    return (x >= x1) & (x < x2) & (y >= y1) & (y < y2)


def _covered_share(boxes_xyxy: Any, by_xyxy: Any) -> Any:
    """Return (n,) the fraction of each box that another box covers."""
    low = tf.maximum(boxes_xyxy[:, :2], by_xyxy[:2])
    high = tf.minimum(boxes_xyxy[:, 2:], by_xyxy[2:])
    common = tf.reduce_prod(tf.maximum(high - low, 0.0), -1)
    return tf.math.divide_no_nan(common, tf.reduce_prod(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], -1))
