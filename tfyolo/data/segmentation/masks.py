"""Rasterize polygons to training masks in TensorFlow operations, at the size of the masks.

YOLOv5 fills each polygon at the size of the image and reduces the result bilinearly, which reads two rows and
two columns of pixels per row and column of the mask; a pixel of a mask is set if at least two of its four
samples are. Only these samples are computed here, and only inside of the bounding box of each polygon: edges
are marked where they cross a row of samples, and a running sum of the marks tells inside from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from tfyolo.data.augment.outlines import Outlines, following
from tfyolo.data.segmentation.options import MaskOptions
from tfyolo.data.subgraph import traced_once

_FAR_PX = 1 << 14
"""Limit of coordinates, whose products float32 then represents."""
_LINE = 1 << 16
"""Mark of a line; marks of crossings are 1 and -1, and their sum stays far below."""


class _Windows(NamedTuple):
    """Bounding boxes of polygons in pixels of the masks, one after another in a flat array.

    Attributes:
        begin: int32 (n, 2) first column and row.
        end: int32 (n, 2) last column and row, exclusive.
        start: int32 (n,) index of the first pixel in the flat array.
        total: int32 scalar, number of pixels of all.
    """

    begin: Any
    end: Any
    start: Any
    total: Any


@traced_once
def draw_masks(outlines: Outlines, count: Any, out_hw: tuple[Any, Any], options: MaskOptions) -> Any:
    """Rasterize the outlines of an image.

    Args:
        outlines: in pixels of the image; fractions are cut off, as in YOLOv5.
        count: number of labels; outlines of further rows are ignored.
        out_hw: (height, width) of the image in pixels, multiples of the ratio.
        options: ratio of the sizes, and the kind of masks.

    Returns:
        With `overlap` int32 (height / ratio, width / ratio), where k marks the pixels of label k - 1 and 0
        none, else uint8 (count, height / ratio, width / ratio), 1 inside of each object.

    Source: `fillPoly` of OpenCV, which fills pixels by the even-odd rule and draws the outline.
    """
    ratio = options.ratio
    known = outlines.owner < count
    points = tf.clip_by_value(tf.boolean_mask(outlines.points_px, known), -_FAR_PX, _FAR_PX)
    # Rounded per point and not per edge, so that polygons stay closed.
    points, owner = tf.cast(points, tf.int32), tf.boolean_mask(outlines.owner, known)
    drawn = tf.boolean_mask(outlines.drawn, known)
    hw = (tf.cast(out_hw[0], tf.int32) // ratio, tf.cast(out_hw[1], tf.int32) // ratio)
    windows = _windows(points, owner, count, hw, ratio)
    inside = _samples(points, owner, drawn, windows, ratio)
    # (rows of samples, pixels of the windows, columns of samples)
    rows = inside[: 2 * windows.total] + inside[2 * windows.total :]
    covered = tf.where(rows[::2] + rows[1::2] >= 2)[:, 0]
    covered = tf.cast(covered, tf.int32)
    label = tf.searchsorted(windows.start, covered, side="right") - 1
    place = tf.gather(tf.concat([windows.begin, windows.end, windows.start[:, None]], 1), label)
    x, y, end, _, start = tf.unstack(place, axis=1)
    local, width = covered - start, tf.maximum(end - x, 1)
    pixel = (y + local // width) * hw[1] + x + local % width
    return _KINDS[options.overlap](label, pixel, count, hw)


def resize_masks(masks: Any, size: Any) -> Any:
    """Resize a batch of masks to the nearest pixels.

    Args:
        masks: (batch, height, width) or (batch, boxes, height, width), any integer type.
        size: int32 (2,) new height and width.

    Returns:
        Masks of the same type.
    """
    last = tf.reshape(masks, tf.concat([[-1], tf.shape(masks)[-2:], [1]], 0))
    resized = tf.raw_ops.ResizeNearestNeighbor(images=last, size=size, half_pixel_centers=True)
    return tf.reshape(resized, tf.concat([tf.shape(masks)[:-2], size], 0))


def _index_mask(label: Any, pixel: Any, count: Any, hw: tuple[Any, Any]) -> Any:
    """Merge objects into one mask, smaller ones drawn over larger ones, as `rasters.index_mask`."""
    areas = tf.math.unsorted_segment_sum(tf.ones_like(label), label, count)
    order = tf.argsort(-areas, stable=True)  # from the largest to the smallest
    rank = tf.math.invert_permutation(order) + 1
    top = tf.math.unsorted_segment_max(tf.gather(rank, label), pixel, hw[0] * hw[1])
    number = tf.gather(tf.concat([[0], order + 1], 0), tf.maximum(top, 0))
    return tf.reshape(number, hw)


def _separate_masks(label: Any, pixel: Any, count: Any, hw: tuple[Any, Any]) -> Any:
    size = hw[0] * hw[1]
    flat = tf.math.unsorted_segment_max(tf.ones_like(label), label * size + pixel, count * size)
    return tf.reshape(tf.cast(flat > 0, tf.uint8), (count, *hw))


_KINDS: dict[bool, Callable[[Any, Any, Any, tuple[Any, Any]], Any]] = {
    True: _index_mask,
    False: _separate_masks,
}
"""Kinds of masks, by `MaskOptions.overlap`."""


def _windows(points: Any, owner: Any, count: Any, hw: tuple[Any, Any], ratio: int) -> _Windows:
    """Return the bounding boxes of polygons, clipped to the mask."""
    size = tf.stack([hw[1], hw[0]])
    low = tf.math.unsorted_segment_min(points, owner, count) // ratio
    high = tf.math.unsorted_segment_max(points, owner, count) // ratio
    begin = tf.clip_by_value(low, 0, size)
    end = tf.maximum(tf.clip_by_value(high, -1, size - 1) + 1, begin)
    areas = tf.reduce_prod(end - begin, 1)
    return _Windows(begin, end, tf.cumsum(areas, exclusive=True), tf.reduce_sum(areas))


def _samples(points: Any, owner: Any, drawn: Any, windows: _Windows, ratio: int) -> Any:
    """Return int32 (4 * total,), 1 for the samples inside, by row of samples, pixel and column of samples."""
    ends = tf.gather(points, following(owner))
    top, bottom = tf.minimum(points[:, 1], ends[:, 1]), tf.maximum(points[:, 1], ends[:, 1])
    bounds = tf.gather(tf.concat([2 * windows.begin, 2 * windows.end], 1), owner)
    first = tf.clip_by_value(_before(top, ratio), bounds[:, 1], bounds[:, 3])
    last = tf.clip_by_value(_before(bottom + 1, ratio), bounds[:, 1], bounds[:, 3])
    # One row of samples of one edge each:
    rows = tf.ragged.range(first, last, row_splits_dtype=tf.int32)
    edge = tf.searchsorted(rows.row_splits, tf.range(tf.size(rows.flat_values)), "right")
    packed = tf.concat([points, ends, bounds, owner[:, None], tf.cast(drawn, tf.int32)[:, None]], 1)
    ax, ay, bx, by, left, above, right, _, label, line = tf.unstack(tf.gather(packed, edge - 1), axis=1)
    y = rows.flat_values // 2 * ratio + tf.where(rows.flat_values % 2 > 0, ratio // 2, (ratio - 1) // 2)
    x, low, high = _crossing(ax, ay, bx, by, y)
    way = tf.sign(by - ay)
    crosses = tf.where(y < tf.maximum(ay, by), way, 0)
    width = right - left
    row = rows.flat_values - above
    base = (row % 2) * 2 * windows.total + 2 * tf.gather(windows.start, label) + row // 2 * width - left

    def column(px: Any) -> Any:
        return base + tf.clip_by_value(_before(px, ratio), left, right)

    marks = tf.concat([crosses, line * _LINE, -line * _LINE], 0)
    places = tf.concat([column(x), column(low), column(high + 1)], 0)
    # A mark behind the last sample of a row is that of the next row's first, where it has the same effect.
    sums = tf.cumsum(tf.math.unsorted_segment_sum(marks, places, 4 * windows.total + 1))[:-1]
    odd = tf.bitwise.bitwise_and(sums, 1) > 0
    return tf.cast(odd | (sums >= _LINE // 2), tf.int32)


def _crossing(ax: Any, ay: Any, bx: Any, by: Any, y: Any) -> tuple[Any, Any, Any]:
    """Return where edges cross a row of pixels: the first pixel behind, and the ends of the drawn line."""
    dx, dy = tf.cast(bx - ax, tf.float32), tf.cast(by - ay, tf.float32)
    slope = tf.math.divide_no_nan(dx, dy)
    x = tf.cast(ax, tf.float32) + tf.cast(y - ay, tf.float32) * slope
    level = tf.abs(dx) > tf.abs(dy)  # has one pixel per column, and several per row
    half = tf.where(ay == by, tf.abs(dx), tf.abs(slope) / 2)
    nearest = tf.floor(x + 0.5)
    low = tf.where(
        level, tf.math.ceil(tf.maximum(x - half, tf.cast(tf.minimum(ax, bx), tf.float32))), nearest
    )
    high = tf.where(level, tf.floor(tf.minimum(x + half, tf.cast(tf.maximum(ax, bx), tf.float32))), nearest)
    return tuple(tf.cast(value, tf.int32) for value in (tf.math.ceil(x), low, high))


def _before(px: Any, ratio: int) -> Any:
    """Return the number of samples at pixels below `px`, of two in each `ratio` pixels."""
    cell = px // ratio
    rest = px - cell * ratio
    first, second = (ratio - 1) // 2, ratio // 2
    return 2 * cell + tf.cast(rest > first, tf.int32) + tf.cast(rest > second, tf.int32)
