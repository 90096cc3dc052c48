"""Outlines of objects through augmentations: clipped to what is visible, warped, joined and flipped."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from tfyolo.data.augment.layout import Hw
from tfyolo.data.augment.warp import warp_points
from tfyolo.data.subgraph import traced_once

_TOLERANCE_PX = 0.01
"""How far outside of its region an edge is still drawn: polygons touch the boxes computed from them."""


class Outlines(NamedTuple):
    """Closed polygons of the labels of an image.

    Attributes:
        points_px: float32 (m, 2) x and y, in the order of the labels.
        owner: int32 (m,) row of the label that a point belongs to, ascending.
        drawn: bool (m,) whether the edge from a point to the next is part of the object's outline; False
            where the object continues outside of the visible region.
    """

    points_px: Any
    owner: Any
    drawn: Any


def no_outlines() -> Outlines:
    """Return the outlines of an image without labels."""
    return Outlines(tf.zeros((0, 2)), tf.zeros([0], tf.int32), tf.zeros([0], tf.bool))


@traced_once
def visible_outlines(points_px: Any, owner: Any, regions_xyxy: Any) -> Outlines:
    """Clip polygons to the visible region of each.

    The points at which a polygon crosses the lines of its region are added, and points outside are moved to
    the nearest one of the region, so that what is outside covers no area.

    Args:
        points_px: float32 (m, 2) points of all polygons in pixels.
        owner: (m,) row of the region that each point belongs to, ascending.
        regions_xyxy: float32 (n, 4) corners of the regions in pixels.

    Returns:
        Outlines of the visible parts.
    """
    owner = tf.cast(owner, tf.int32)
    region = tf.gather(regions_xyxy, owner)
    ends = tf.gather(points_px, following(owner))
    ways = tf.tile(ends - points_px, [1, 2])  # to x1, y1, x2, y2
    shares = tf.math.divide_no_nan(region - tf.tile(points_px, [1, 2]), ways)
    shares = tf.sort(tf.where((shares > 0) & (shares < 1), shares, 2.0), 1)
    crossings = points_px[:, None] + shares[..., None] * (ends - points_px)[:, None]
    kept = tf.concat([tf.ones_like(owner, tf.bool)[:, None], shares < 1], 1)  # (m, 5)
    points = tf.boolean_mask(tf.concat([points_px[:, None], crossings], 1), kept)
    owner = tf.boolean_mask(tf.tile(owner[:, None], [1, 5]), kept)

    low, high = tf.split(tf.gather(regions_xyxy, owner), 2, 1)
    middle = (points + tf.gather(points, following(owner))) / 2
    drawn = tf.reduce_all((middle >= low - _TOLERANCE_PX) & (middle <= high + _TOLERANCE_PX), 1)
    return Outlines(tf.clip_by_value(points, low, high), owner, drawn)


def warp_outlines(outlines: Outlines, matrix: Any) -> Outlines:
    """Transform outlines by a projective matrix."""
    return outlines._replace(points_px=warp_points(outlines.points_px, matrix))


def outline_boxes(outlines: Outlines, count: Any) -> Any:
    """Return the bounding boxes (count, 4) xyxy of outlines, in pixels."""
    low = tf.math.unsorted_segment_min(outlines.points_px, outlines.owner, count)
    return tf.concat([low, tf.math.unsorted_segment_max(outlines.points_px, outlines.owner, count)], 1)


@traced_once
def kept_outlines(outlines: Outlines, rows: Any, count: Any) -> Outlines:
    """Return the outlines of some labels, renumbered.

    Args:
        outlines: of all labels.
        rows: int32 (k,) rows of the labels to be kept, ascending.
        count: number of all labels.

    Returns:
        Outlines, whose owner i is the label that was row `rows[i]`.
    """
    numbers = tf.math.unsorted_segment_sum(tf.range(1, tf.size(rows) + 1), rows, count)
    owner = tf.gather(numbers, outlines.owner) - 1
    points, owner, drawn = (
        tf.boolean_mask(value, owner >= 0) for value in (outlines.points_px, owner, outlines.drawn)
    )
    return Outlines(points, owner, drawn)


def following(owner: Any) -> Any:
    """Return (m,) int32 the index of the point after each, in closed polygons.

    Args:
        owner: int32 (m,) polygon that each point belongs to, ascending.

    Example:
        >>> following(tf.constant([0, 0, 0, 2, 2])).numpy().tolist()
        [1, 2, 0, 4, 3]
    """
    index = tf.range(tf.size(owner))
    ends = tf.concat([owner[1:] != owner[:-1], tf.ones_like(owner[:1], tf.bool)], 0)
    first = tf.math.unsorted_segment_min(index, owner, tf.reduce_max(tf.concat([owner, [-1]], 0)) + 1)
    return tf.where(ends, tf.gather(first, owner), index + 1)


def joined_outlines(first: Outlines, second: Outlines, count: Any) -> Outlines:
    """Join the outlines of two blended images.

    Args:
        first: outlines of the first image.
        second: outlines of the second, whose labels follow.
        count: number of labels of the first image.

    Returns:
        Outlines of all labels.
    """
    return Outlines(
        tf.concat([first.points_px, second.points_px], 0),
        tf.concat([first.owner, second.owner + count], 0),
        tf.concat([first.drawn, second.drawn], 0),
    )


def flip_outlines(outlines: Outlines, out_hw: Hw, left_right: Any, up_down: Any) -> Outlines:
    """Flip outlines with their image.

    Args:
        outlines: in pixels.
        out_hw: (height, width) of the image in pixels.
        left_right: bool scalar, whether the image is flipped left to right.
        up_down: bool scalar, whether it is flipped upside down.

    Returns:
        Outlines in whole pixels, so that each pixel becomes its mirror image.
    """
    x, y = tf.unstack(tf.floor(outlines.points_px), axis=-1)
    x = tf.where(left_right, tf.cast(out_hw[1], tf.float32) - 1.0 - x, x)
    y = tf.where(up_down, tf.cast(out_hw[0], tf.float32) - 1.0 - y, y)
    return outlines._replace(points_px=tf.stack([x, y], -1))
