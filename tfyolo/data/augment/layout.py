"""Layout of a training image: one image, or a mosaic of four or nine.

Lines divide the training image into tiles; each tile shows part of one image. The layout is computed first,
in pixels of the result, so that only visible pixels are resized.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from tfyolo.data.augment.options import AugmentationOptions
from tfyolo.data.augment.random_stream import RandomStream

Hw = tuple[Any, Any]


class View(NamedTuple):
    """Scale and shift of a canvas: a point p maps to `gain * (p - center) + target`, x, y in pixels.

    Attributes:
        gain: float32 scalar, the scale.
        center: float32 (2,) x, y of the canvas center.
        target: float32 (2,) x, y of that point in the image.
    """

    gain: Any
    center: Any
    target: Any

    def __call__(self, points: Any) -> Any:
        """Map points (..., 2) of the canvas to the image."""
        return self.gain * (points - self.center) + self.target


class Layout(NamedTuple):
    """Tiles of a training image, and the extents of their images.

    Attributes:
        lines_x: int32 (columns + 1,) left edges of the tiles, and the image width.
        lines_y: int32 (rows + 1,) top edges, and the height.
        corners_xyxy: float32 (rows * columns, 4) extent of each image in pixels, row by row; where it is
            larger than its tile, the tile shows part of it.
    """

    lines_x: Any
    lines_y: Any
    corners_xyxy: Any


def random_view(random: RandomStream, options: AugmentationOptions | None, canvas_hw: Hw, out_hw: Hw) -> View:
    """Draw a random scale and shift of a canvas.

    Args:
        random: stream that three numbers are drawn from.
        options: largest changes of `scale` and `translate`; None for the identity about the center.
        canvas_hw: (height, width) of the canvas in pixels.
        out_hw: (height, width) of the image in pixels.

    Returns:
        Mapping from the canvas to the image.
    """
    canvas, out = _xy(canvas_hw), _xy(out_hw)
    if options is None:
        return View(tf.constant(1.0), canvas / 2, out / 2)
    gain = random.uniform(1.0 - options.scale, 1.0 + options.scale)
    shift = random.uniform(0.5 - options.translate, 0.5 + options.translate, 2)
    return View(gain, canvas / 2, shift * out)


def single(size_xy: Any, view: View, out_hw: Hw) -> Layout:
    """Return the layout of a single centered image.

    Args:
        size_xy: (1, 2) width and height in pixels, before the view is applied.
        view: mapping from the canvas to the image.
        out_hw: (height, width) of the image in pixels.

    Returns:
        Layout of one tile.
    """
    origin = (_xy(out_hw) - size_xy) / 2
    width, height = tf.unstack(tf.cast(_xy(out_hw), tf.int32))
    zero = tf.zeros_like(width)
    return Layout(
        tf.stack([zero, width]),
        tf.stack([zero, height]),
        tf.concat([view(origin), view(origin + size_xy)], -1),
    )


def mosaic(sizes_xy: Any, middle_xy: Any, view: View, out_hw: Hw) -> Layout:
    """Return the layout of a mosaic of four or nine images.

    Four images meet in one point. Of nine, the fifth is in the center, and its edges are the lines of the
    others.

    Args:
        sizes_xy: (4 or 9, 2) widths and heights before the view is applied, row by row.
        middle_xy: (2,) the point, or the center of the fifth image, on the canvas.
        view: mapping from the canvas to the image.
        out_hw: (height, width) of the image in pixels.

    Returns:
        Layout of four or nine tiles.

    Source: YOLOv5's mosaics of four and nine; here no image is clipped at the canvas before scaling.
    """
    nine = sizes_xy.shape[0] == 9
    half = sizes_xy[4] / 2 if nine else tf.zeros(2)
    low, high = middle_xy - half, middle_xy + half
    side = 3 if nine else 2
    origins = []
    for index in range(side * side):
        row, column = divmod(index, side)
        x = _begin(column, side, low[0], high[0], sizes_xy[index, 0])
        y = _begin(row, side, low[1], high[1], sizes_xy[index, 1])
        origins.append(tf.stack([x, y]))
    origin = tf.stack(origins)
    out = _xy(out_hw)
    inner = tf.stack([low, high]) if nine else low[None]
    lines = tf.clip_by_value(tf.round(view(inner)), 0.0, out)
    lines = tf.cast(tf.concat([tf.zeros((1, 2)), lines, out[None]], 0), tf.int32)
    return Layout(lines[:, 0], lines[:, 1], tf.concat([view(origin), view(origin + sizes_xy)], -1))


def _begin(place: int, side: int, low: Any, high: Any, size: Any) -> Any:
    """Return the start of an image, so that it starts or ends at its line."""
    return low - size if place == 0 else high if place == side - 1 else low


def _xy(hw: Hw) -> Any:
    return tf.stack([tf.cast(hw[1], tf.float32), tf.cast(hw[0], tf.float32)])
