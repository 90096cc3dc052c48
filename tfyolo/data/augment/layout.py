"""Where images lie in a training image: one alone, four or nine in a mosaic.

The image is divided into cells by lines; each cell shows a part of one image. Only what is visible is ever
computed: the images' places are worked out first, in pixels of the finished image.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from tfyolo.data.augment.chance import RandomStream
from tfyolo.data.augment.settings import Augmentation

Hw = tuple[Any, Any]


class View(NamedTuple):
    """How a canvas is seen: a point p of it appears at `gain * (p - center) + target`, as x, y in pixels."""

    gain: Any
    center: Any
    target: Any

    def __call__(self, points: Any) -> Any:
        """Points (..., 2) of the canvas, in the image."""
        return self.gain * (points - self.center) + self.target


class Layout(NamedTuple):
    """Cells and images.

    Args:
        lines_x: int32 (columns + 1,) left edges of the cells, and the image's width.
        lines_y: int32 (rows + 1,) top edges, and the height.
        corners_xyxy: float32 (rows * columns, 4) each image's extent, row by row, in the image's pixels; it
            may reach beyond its cell, which shows a part of it then.
    """

    lines_x: Any
    lines_y: Any
    corners_xyxy: Any


def random_view(chance: RandomStream, settings: Augmentation | None, canvas_hw: Hw, out_hw: Hw) -> View:
    """Random scale and shift of a canvas whose middle is near the image's middle; none without settings."""
    canvas, out = _xy(canvas_hw), _xy(out_hw)
    if settings is None:
        return View(tf.constant(1.0), canvas / 2, out / 2)
    gain = chance.between(1.0 - settings.scale, 1.0 + settings.scale)
    shift = chance.between(0.5 - settings.translate, 0.5 + settings.translate, 2)
    return View(gain, canvas / 2, shift * out)


def single(size_xy: Any, view: View, out_hw: Hw) -> Layout:
    """One image in the middle of a canvas of the image's own size.

    Args:
        size_xy: (1, 2) width and height in pixels before the view.
        view: of the canvas.
        out_hw: of the image.
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
    """Four or nine images.

    Four meet in one point. Of nine, the fifth lies in the middle, and its sides are the lines of the others.

    Args:
        sizes_xy: (4 or 9, 2) widths and heights before the view, row by row.
        middle_xy: (2,) the point, or the middle of the fifth image, on the canvas.
        view: of the canvas.
        out_hw: of the image.

    Source: YOLOv5's mosaics of four and nine; here no image is cut at a canvas' edge before the view.
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
    """Where an image begins, so that it ends or begins at its line."""
    return low - size if place == 0 else high if place == side - 1 else low


def _xy(hw: Hw) -> Any:
    return tf.stack([tf.cast(hw[1], tf.float32), tf.cast(hw[0], tf.float32)])
