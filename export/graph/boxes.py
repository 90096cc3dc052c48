"""Boxes before and after NMS in an exported graph, and the grid that keeps classes apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf


class Boxes(NamedTuple):
    """Boxes that take part in NMS.

    Attributes:
        centers: (n, 4) center y, center x, height, width, relative to the input.
        scores: (n,) in 0..1.
        classes: (n,) float32 class ids.
        anchors: (n,) int32 row of each box among all anchors of the network; None if it is not known.
    """

    centers: tf.Tensor
    scores: tf.Tensor
    classes: tf.Tensor
    anchors: tf.Tensor | None = None


class SelectedBoxes(NamedTuple):
    """Boxes that NMS selected, by descending score; rows from `count` on are undefined.

    Attributes:
        corners: (rows, 4) ymin, xmin, ymax, xmax, relative to the input.
        scores: (rows,) in 0..1.
        classes: (rows,) float32 class ids.
        count: () float32 number of boxes.
        anchors: (rows,) int32 row of each box among all anchors of the network; None where the operation
            returns no indices.
    """

    corners: tf.Tensor
    scores: tf.Tensor
    classes: tf.Tensor
    count: tf.Tensor
    anchors: tf.Tensor | None = None


@dataclass(frozen=True)
class ClassGrid:
    """Offsets that move the boxes of each class to a separate cell of a grid.

    After that, NMS that ignores classes suppresses boxes within each class only: boxes of different classes
    do not overlap. The grid is square, since coordinates in a single row would be large: for 1000 classes
    float32 rounding stays below 0.005 pixels. The class of a selected box follows from its position.

    Attributes:
        num_classes: number of classes.
        max_size: upper bound of the height and width of a box, relative to the input.
    """

    num_classes: int
    max_size: float

    @property
    def side(self) -> int:
        """Number of cells in a row of the grid."""
        return math.isqrt(self.num_classes - 1) + 1

    @property
    def step(self) -> float:
        """Size of a cell: centers are between -0.1 and 1.1, so boxes of different cells never overlap."""
        return 1.25 + self.max_size

    @property
    def smallest_size(self) -> float:
        """Size below which float32 could round both sides of a box to one coordinate, 0.01 pixels of 640."""
        return 4 * float(np.spacing(np.float32(self.side * self.step)))

    def shift(self, classes: tf.Tensor) -> tf.Tensor:
        """Return the offsets in y and x, (n, 2) float32, of class ids (n,) float32."""
        row = tf.floor((classes + 0.5) / self.side)
        return tf.stack([row, classes - row * self.side], 1) * self.step

    def locate(self, corners: tf.Tensor) -> tf.Tensor:
        """Return the class ids, (n,) float32, of shifted corners (n, 4)."""
        cell = tf.floor(((corners[:, :2] + corners[:, 2:]) / 2 - 0.5) / self.step + 0.5)
        return cell[:, 0] * self.side + cell[:, 1]

    def apart(self, boxes: Boxes) -> tf.Tensor:
        """Return centers and sizes (n, 4) with each class moved to its cell."""
        shifted = boxes.centers[:, :2] + self.shift(boxes.classes)
        return tf.concat([shifted, boxes.centers[:, 2:]], 1)

    def back(self, corners: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """Return shifted corners (n, 4) moved back to their position in the image."""
        shift = self.shift(classes)
        return corners - tf.concat([shift, shift], 1)


def pad_rows(selected: SelectedBoxes, more: int) -> SelectedBoxes:
    """Append rows of zeros.

    Args:
        selected: boxes that NMS selected.
        more: number of rows to append.
    """
    return SelectedBoxes(
        tf.pad(selected.corners, [[0, more], [0, 0]]),
        tf.pad(selected.scores, [[0, more]]),
        tf.pad(selected.classes, [[0, more]]),
        selected.count,
        None if selected.anchors is None else tf.pad(selected.anchors, [[0, more]]),
    )


def to_corners(boxes: tf.Tensor) -> tf.Tensor:
    """Convert center y, center x, height, width (..., 4) to ymin, xmin, ymax, xmax."""
    center, half = boxes[..., :2], boxes[..., 2:] / 2
    return tf.concat([center - half, center + half], -1)
