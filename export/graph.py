"""The exported graph: raw heads, decoding and non-maximum suppression as TensorFlow operations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
from tfyolo.export.nms import NMS, NmsSettings, Outputs

from tfyolo.models.contract import Contract


@dataclass(frozen=True)
class Cells:
    """Constants of decoding: one row for each anchor of each cell, in the order of the concatenated heads."""

    contract: Contract
    image_hw: tuple[int, int]

    @cached_property
    def table(self) -> np.ndarray:
        """(n, 5) float32: cell x, cell y, then stride, anchor width and height in pixels."""
        rows = []
        for anchor_row, stride in zip(self.contract.anchors_px, self.contract.strides, strict=True):
            height, width = (size // stride for size in self.image_hw)
            anchors = np.asarray(anchor_row, np.float32).reshape(-1, 2)
            y, x, a = np.meshgrid(np.arange(height), np.arange(width), np.arange(len(anchors)), indexing="ij")
            columns = [x, y, np.full_like(x, stride), anchors[a, 0], anchors[a, 1]]
            rows.append(np.stack([np.float32(c).reshape(-1) for c in columns], 1))
        return np.concatenate(rows)

    def decode(self, raw: tf.Tensor, cells: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Boxes and scores of raw rows; the formula of inference/decode.py.

        Args:
            raw: (n, 5 + classes) logits.
            cells: (n, 5) rows of `table`.

        Returns:
            Boxes (n, 4) as centre y, centre x, height, width relative to the input, and scores (n, classes).
        """
        height, width = self.image_hw
        values = tf.sigmoid(raw)
        centre_x = (2 * values[:, 0] - 0.5 + cells[:, 0]) * (cells[:, 2] / width)
        centre_y = (2 * values[:, 1] - 0.5 + cells[:, 1]) * (cells[:, 2] / height)
        box_width = tf.square(2 * values[:, 2]) * (cells[:, 3] / width)
        box_height = tf.square(2 * values[:, 3]) * (cells[:, 4] / height)
        return tf.stack([centre_y, centre_x, box_height, box_width], 1), values[:, 5:] * values[:, 4:5]


class DetectionModule(tf.Module):
    """Heads, decoding and NMS with the contract's signature.

    Args:
        heads: frozen function from images (1, height, width, 3) to the raw heads.
        contract: of the exported model.
        image_hw: fixed input size in pixels.
        nms: a key of `NMS`.
        settings: thresholds of NMS.
    """

    def __init__(
        self, heads: Any, contract: Contract, image_hw: tuple[int, int], nms: str, settings: NmsSettings
    ) -> None:
        super().__init__()
        self._heads, self._nms, self._settings = heads, nms, settings
        self._cells = Cells(contract, image_hw)
        self._classes = len(contract.names)
        spec = tf.TensorSpec((1, *image_hw, 3), tf.float32, name="images")
        self.detect = tf.function(self._detect, input_signature=[spec])

    def _detect(self, images: tf.Tensor) -> Outputs:
        width = 5 + self._classes
        raw = tf.concat([tf.reshape(head, [-1, width]) for head in self._heads(images)], 0)
        cells = tf.constant(self._cells.table)
        suppress = NMS[self._nms]
        if suppress is None:
            boxes, scores = self._cells.decode(raw, cells)
            centre, half = boxes[:, :2], boxes[:, 2:] / 2
            corners = tf.concat([centre - half, centre + half], 1)
            return {"boxes": corners[None], "scores": scores[None]}
        if self._settings.candidates < len(self._cells.table):
            # Objectness bounds the score: what it ranks low need not be decoded at all.
            _, best = tf.math.top_k(raw[:, 4], self._settings.candidates)
            raw, cells = tf.gather(raw, best), tf.gather(cells, best)
        boxes, scores = self._cells.decode(raw, cells)
        return suppress(boxes, scores, self._settings)
