"""The exported graph: raw heads, decoding and non-maximum suppression as TensorFlow operations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
from tfyolo.export.nms import NMS, Kept, NmsSettings, to_corners

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


@dataclass(frozen=True)
class ClassGrid:
    """Moves each class to a place of its own, so that suppression of one class suppresses within classes.

    Classes stand in a square grid, not in a row: coordinates stay small, and float32 loses 0.005 pixel at
    most for a thousand classes. A box brings its class back by where it stands.
    """

    classes: int
    largest: float
    """Upper bound of a box's height and width, relative to the input."""

    @property
    def side(self) -> int:
        """Classes in a row of the grid."""
        return math.isqrt(self.classes - 1) + 1

    @property
    def step(self) -> float:
        """Between neighbours: centres lie within -0.1 and 1.1, so two boxes of neighbours never touch."""
        return 1.25 + self.largest

    def shift(self, classes: tf.Tensor) -> tf.Tensor:
        """(n, 2) float32 offsets in y and x of (n,) float32 class indices."""
        row = tf.floor((classes + 0.5) / self.side)
        return tf.stack([row, classes - row * self.side], 1) * self.step

    def locate(self, corners: tf.Tensor) -> tf.Tensor:
        """(n,) float32 class indices of (n, 4) shifted corners."""
        cell = tf.floor(((corners[:, :2] + corners[:, 2:]) / 2 - 0.5) / self.step + 0.5)
        return cell[:, 0] * self.side + cell[:, 1]


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
        self._heads, self._suppress, self._settings = heads, NMS[nms], settings
        self._cells = Cells(contract, image_hw)
        self._classes = len(contract.names)
        largest = max(4 * size / min(image_hw) for row in contract.anchors_px for size in row)
        self._grid = ClassGrid(self._classes, largest)
        spec = tf.TensorSpec((1, *image_hw, 3), tf.float32, name="images")
        self.detect = tf.function(self._detect, input_signature=[spec])

    def _detect(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        raw = tf.concat([tf.reshape(head, [-1, 5 + self._classes]) for head in self._heads(images)], 0)
        cells = tf.constant(self._cells.table)
        if self._suppress is None:
            boxes, scores = self._cells.decode(raw, cells)
            return {"boxes": to_corners(boxes)[None], "scores": scores[None]}
        boxes, scores, classes = self._candidates(raw, cells)
        shift = self._grid.shift(classes)
        shifted = tf.concat([boxes[:, :2] + shift, boxes[:, 2:]], 1)
        return self._outputs(self._suppress(shifted, scores, self._settings))

    def _candidates(self, raw: tf.Tensor, cells: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Boxes (n, 4), scores (n,) and float32 classes (n,) that suppression looks at."""
        limit = self._settings.candidates
        if limit < raw.shape[0]:
            # Objectness bounds the score: what it ranks low need not be decoded at all.
            best = tf.math.top_k(raw[:, 4], limit).indices
            raw, cells = tf.gather(raw, best), tf.gather(cells, best)
        boxes, scores = self._cells.decode(raw, cells)
        if not self._settings.multi_label:
            return boxes, tf.reduce_max(scores, 1), tf.cast(tf.argmax(scores, 1, tf.int32), tf.float32)
        pairs = tf.reshape(scores, [-1])
        top = tf.math.top_k(pairs, min(limit, pairs.shape[0]))
        # Whole numbers: with --half the converter would divide by a float16 reciprocal, and land elsewhere.
        box = top.indices // self._classes
        return tf.gather(boxes, box), top.values, tf.cast(top.indices - box * self._classes, tf.float32)

    def _outputs(self, kept: Kept) -> dict[str, tf.Tensor]:
        """The contract's names; rows past the count are zero (the TFLite kernel leaves them undefined)."""
        valid = tf.range(self._settings.max_detections, dtype=tf.float32) < kept.count
        classes = tf.where(valid, self._grid.locate(kept.corners), tf.zeros_like(kept.scores))
        shift = self._grid.shift(classes)
        corners = kept.corners - tf.concat([shift, shift], 1)
        return {
            "detection_boxes": tf.where(valid[:, None], corners, tf.zeros_like(corners))[None],
            "detection_classes": classes[None],
            "detection_scores": tf.where(valid, kept.scores, tf.zeros_like(kept.scores))[None],
            "num_detections": tf.reshape(kept.count, [1]),
        }
