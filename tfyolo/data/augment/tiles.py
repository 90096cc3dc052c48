"""Draw the tiles of a layout, and place boxes in them."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfyolo.data.augment.boxes import clip_labels
from tfyolo.data.augment.layout import Layout
from tfyolo.data.images.letterbox import PAD_VALUE
from tfyolo.data.subgraph import traced_once


@traced_once
def draw_cell(image: Any, corner_xyxy: Any, cell_xyxy: Any) -> tuple[Any, Any]:
    """Draw the part of an image that its tile shows.

    The visible part is rounded to whole pixels and resized once; boxes use the rounded mapping, so that they
    match the pixels.

    Args:
        image: uint8 or float32 (h, w, 3).
        corner_xyxy: float32 (4,) extent of the whole image in the result, in pixels.
        cell_xyxy: int32 (4,) corners of the tile in pixels.

    Returns:
        float32 (tile height, tile width, 3), gray outside of the image; and float32 (4,), the extent of the
        whole image after rounding.
    """
    size = tf.shape(image)[:2]  # height, width
    cell = tf.cast(cell_xyxy, tf.float32)
    shown = tf.clip_by_value(tf.round(corner_xyxy), tf.tile(cell[:2], [2]), tf.tile(cell[2:], [2]))
    extent = corner_xyxy[2:] - corner_xyxy[:2]
    source_xy = tf.cast(size[::-1], tf.float32)
    scale = source_xy / tf.maximum(extent, 1e-6)
    first = tf.clip_by_value(tf.floor((shown[:2] - corner_xyxy[:2]) * scale + 1e-3), 0.0, source_xy - 1)
    last = tf.clip_by_value(tf.math.ceil((shown[2:] - corner_xyxy[:2]) * scale - 1e-3), first + 1, source_xy)
    gain = (shown[2:] - shown[:2]) / (last - first)
    begin, end = tf.cast(first, tf.int32), tf.cast(last, tf.int32)
    area = tf.cast(shown, tf.int32)
    width, height = area[2] - area[0], area[3] - area[1]
    part = image[begin[1] : end[1], begin[0] : end[0]]
    target = tf.maximum(tf.stack([height, width]), 1)
    drawn = tf.raw_ops.ResizeBilinear(images=part[None], size=target, half_pixel_centers=True)[0]
    around = tf.stack(
        [
            [area[1] - cell_xyxy[1], cell_xyxy[3] - area[3]],
            [area[0] - cell_xyxy[0], cell_xyxy[2] - area[2]],
            [0, 0],
        ]
    )
    drawn = tf.pad(drawn[:height, :width], around, constant_values=float(PAD_VALUE))
    origin = shown[:2] - first * gain
    return drawn, tf.concat([origin, origin + source_xy * gain], 0)


def draw(images: list[Any], layout: Layout, out_hw: tuple[Any, Any]) -> tuple[Any, list[tuple[Any, Any]]]:
    """Draw all tiles.

    Args:
        images: uint8 or float32 (h, w, 3) each, one per tile, row by row.
        layout: tiles, and the extent of each image.
        out_hw: (height, width) of the result in pixels.

    Returns:
        float32 (height, width, 3) in 0..255, and per image its extent (as `draw_cell` returns it) and its
        tile, (4,) each.
    """
    columns = layout.lines_x.shape[0] - 1
    rows, places = [], []
    for row in range(layout.lines_y.shape[0] - 1):
        cells = []
        for column in range(columns):
            index = row * columns + column
            x, y = layout.lines_x, layout.lines_y
            cell = tf.stack([x[column], y[row], x[column + 1], y[row + 1]])
            drawn, extent = draw_cell(images[index], layout.corners_xyxy[index], cell)
            cells.append(drawn)
            places.append((extent, cell))
        rows.append(tf.concat(cells, 1) if columns > 1 else cells[0])
    image = tf.concat(rows, 0) if len(rows) > 1 else rows[0]
    return tf.reshape(image, (*out_hw, 3)), places


@traced_once
def tile_labels(
    labels: Any, first_row: Any, extent_xyxy: Any, cell_xyxy: Any, smallest_share: float, origins: bool
) -> Any:
    """Place the labels of one image in its tile.

    Args:
        labels: (n, 5) class id, center and size relative to the image.
        first_row: int64 scalar, row of the first label in the table of labels.
        extent_xyxy: (4,) extent of the whole image in pixels of the result.
        cell_xyxy: int32 (4,) corners of the tile in pixels.
        smallest_share: minimum fraction of a box's area that the tile has to show.
        origins: extend the labels by `with_origin`.

    Returns:
        (m, 5), or (m, 10) with `origins`: class id and corners in pixels, clipped to the tile.
    """
    placed = place_labels(labels, extent_xyxy)
    if origins:
        placed = with_origin(placed, first_row, extent_xyxy)
    return clip_labels(placed, cell_xyxy, smallest_share)


def place_labels(labels: Any, extent_xyxy: Any) -> Any:
    """Convert labels (n, 5) from class id and relative xywh to class id and xyxy in pixels."""
    origin, size = extent_xyxy[:2], extent_xyxy[2:] - extent_xyxy[:2]
    center, half = labels[:, 1:3], labels[:, 3:5] / 2
    return tf.concat([labels[:, :1], (center - half) * size + origin, (center + half) * size + origin], -1)


def with_origin(labels_xyxy: Any, first_row: Any, extent_xyxy: Any) -> Any:
    """Extend the labels of one image by what is needed to find and transform their polygons later.

    Args:
        labels_xyxy: (n, 5) class id and corners in pixels.
        first_row: int64 scalar, row of the first label in the table of labels.
        extent_xyxy: (4,) extent of the whole image in pixels of the result.

    Returns:
        (n, 10): the labels, their rows in the table, and x, y, width and height of the extent.
    """
    count = tf.shape(labels_xyxy)[0]
    rows = tf.cast(first_row + tf.range(tf.cast(count, tf.int64)), tf.float32)
    place = tf.concat([extent_xyxy[:2], extent_xyxy[2:] - extent_xyxy[:2]], 0)
    return tf.concat([labels_xyxy, rows[:, None], tf.tile(place[None], [count, 1])], -1)
