"""Grid cells and anchors of all boxes of a network, and the decoding of boxes in an exported graph."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import tensorflow as tf

from tfyolo.models.contract import Contract


@dataclass(frozen=True)
class AnchorGrid:
    """Grid cells and anchors of all boxes, in the order of the concatenated heads, for decoding.

    The table is one of integers, since the converter would quantize a table of floats as weights with
    `--dynamic`.

    Attributes:
        contract: contract of the exported model.
        image_size: input size (height, width) in pixels.
    """

    contract: Contract
    image_size: tuple[int, int]

    @cached_property
    def table(self) -> np.ndarray:
        """(n, 3) int32, one row per anchor of each grid cell: x and y of the cell, row of `sizes`."""
        rows, start = [], 0
        for anchor_row, stride in zip(self.contract.anchors_px, self.contract.strides, strict=True):
            height, width = (size // stride for size in self.image_size)
            count = len(anchor_row) // 2
            y, x, a = np.meshgrid(np.arange(height), np.arange(width), np.arange(count), indexing="ij")
            rows.append(np.stack([c.reshape(-1) for c in (x, y, a + start)], 1))
            start += count
        return np.concatenate(rows).astype(np.int32)

    @cached_property
    def sizes(self) -> np.ndarray:
        """(anchors, 4) float32: stride in x and y, width and height of the anchor, relative to the input."""
        height, width = self.image_size
        rows = [
            [stride / width, stride / height, row[i] / width, row[i + 1] / height]
            for row, stride in zip(self.contract.anchors_px, self.contract.strides, strict=True)
            for i in range(0, len(row), 2)
        ]
        return np.array(rows, np.float32)

    def decode(self, box: tf.Tensor, cells: tf.Tensor) -> tf.Tensor:
        """Decode the logits of boxes, with the formula of export/runtime/decode.py.

        Args:
            box: (..., n, 4) logits of center x, center y, width, height.
            cells: (n, 3) rows of `table`.

        Returns:
            (..., n, 4) center y, center x, height, width, relative to the input.
        """
        values, cell_xy = tf.sigmoid(box), tf.cast(cells[:, :2], tf.float32)
        sizes = tf.gather(tf.constant(self.sizes), cells[:, 2])
        center = (2 * values[..., :2] - 0.5 + cell_xy) * sizes[:, :2]
        size = tf.square(2 * values[..., 2:]) * sizes[:, 2:]
        # Slices keep the axis, since GPU delegates do not support slices that drop it.
        return tf.concat([center[..., 1:], center[..., :1], size[..., 1:], size[..., :1]], -1)
