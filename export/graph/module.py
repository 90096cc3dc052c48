"""The exported graph: network, decoding and non-maximum suppression as TensorFlow operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from tfyolo.export.graph.nms import (
    NMS,
    Boxes,
    ClassGrid,
    GraphNmsOptions,
    SelectedBoxes,
    pad_rows,
    to_corners,
)
from tfyolo.models.contract import Contract
from tfyolo.models.network import PARTS

CANDIDATES = "candidates"
"""Name of the operations that choose what suppression looks at; their order does not matter to it."""
Heads = Sequence[tuple[Any, ...]]
"""Per scale the logits of boxes, objectness and classes, (batch, height, width, anchors * values); of a
classifier its logits, (batch, 1, 1, classes), alone."""


@dataclass(frozen=True)
class Cells:
    """Constants of decoding, in the order of the concatenated heads.

    Whole numbers, from which rows are gathered: a table of floats would be taken for weights by the
    converter, and rounded with `--dynamic`.
    """

    contract: Contract
    image_size: tuple[int, int]

    @cached_property
    def table(self) -> np.ndarray:
        """(n, 3) int32, one row for each anchor of each cell: cell x, cell y, index of `sizes`."""
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
        """(anchors, 4) float32: stride over width and height, anchor's width and height; of the input."""
        height, width = self.image_size
        rows = [
            [stride / width, stride / height, row[i] / width, row[i + 1] / height]
            for row, stride in zip(self.contract.anchors_px, self.contract.strides, strict=True)
            for i in range(0, len(row), 2)
        ]
        return np.array(rows, np.float32)

    def decode(self, box: tf.Tensor, cells: tf.Tensor) -> tf.Tensor:
        """Boxes of raw rows; the formula of inference/decode.py.

        Args:
            box: (..., n, 4) logits.
            cells: (n, 3) rows of `table`.

        Returns:
            (..., n, 4): center y, center x, height, width relative to the input.
        """
        values, place = tf.sigmoid(box), tf.cast(cells[:, :2], tf.float32)
        sizes = tf.gather(tf.constant(self.sizes), cells[:, 2])
        center = (2 * values[..., :2] - 0.5 + place) * sizes[:, :2]
        size = tf.square(2 * values[..., 2:]) * sizes[:, 2:]
        # Slices that keep the axis: GPU delegates take no others.
        return tf.concat([center[..., 1:], center[..., :1], size[..., 1:], size[..., :1]], -1)


def signature(
    function: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    image_size: tuple[int, int],
    uint8: bool,
    batch: int | None,
) -> Any:
    """A graph of a function of images, its input named as the contract wants it."""
    spec = tf.TensorSpec((batch, *image_size, 3), tf.uint8 if uint8 else tf.float32, name="images")
    return tf.function(function, input_signature=[spec], autograph=False)


def _unit(images: tf.Tensor) -> tf.Tensor:
    """Images in 0..1."""
    return tf.cast(images, tf.float32) / 255.0 if images.dtype == tf.uint8 else images


class ClassificationModule(tf.Module):
    """Network and softmax with the contract's signature.

    Args:
        heads: from images (batch, height, width, 3) in 0..1 to the network's one head, the logits.
        image_size: fixed input size in pixels.
        raw: leave out the softmax.
        uint8: images are 0..255.
        batch: images at once; None for any number.
    """

    def __init__(
        self,
        heads: Callable[[Any], Heads],
        image_size: tuple[int, int],
        raw: bool = False,
        uint8: bool = False,
        batch: int | None = 1,
    ) -> None:
        super().__init__()
        self._heads, self._raw = heads, raw
        self.detect = signature(self._classify, image_size, uint8, batch)

    def _classify(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.outputs(self._heads(_unit(images)))

    def outputs(self, heads: Heads) -> dict[str, tf.Tensor]:
        """The signature's outputs from the logits."""
        logits = heads[0][0]
        flat = tf.reshape(logits, [-1, logits.shape[-1]])
        return {"logits": flat} if self._raw else {"probabilities": tf.nn.softmax(flat)}


class DetectionModule(tf.Module):
    """Network, decoding and NMS with the contract's signature.

    Args:
        heads: from images (1, height, width, 3) in 0..1 to the network's heads.
        contract: of the exported model.
        image_size: fixed input size in pixels.
        nms: a key of `NMS`.
        settings: thresholds of NMS.
        uint8: images are 0..255.
        batch: images at once; None for any number, where nothing is suppressed inside.
    """

    def __init__(
        self,
        heads: Callable[[Any], Heads],
        contract: Contract,
        image_size: tuple[int, int],
        nms: str,
        settings: GraphNmsOptions,
        uint8: bool = False,
        batch: int | None = 1,
    ) -> None:
        super().__init__()
        self._heads, self._nms, self._settings = heads, nms, settings
        self._cells = Cells(contract, image_size)
        self._classes = len(contract.names)
        largest = max(4 * size / min(image_size) for row in contract.anchors_px for size in row)
        self._grid = ClassGrid(self._classes, largest)
        self.detect = signature(self._detect, image_size, uint8, batch)

    def _detect(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.outputs(self._heads(_unit(images)))

    def outputs(self, heads: Heads) -> dict[str, tf.Tensor]:
        """The signature's outputs from the raw heads."""
        if self._nms == "raw":
            return {
                f"{part}_{i}": tf.identity(x)
                for i, parts in enumerate(heads)
                for part, x in zip(PARTS, parts, strict=True)
            }
        sizes = (4, 1, self._classes)
        suppress = NMS[self._nms]
        if suppress is None:
            parts = [tf.concat(_batched_rows(heads, i, size), 1) for i, size in enumerate(sizes)]
            centers = self._cells.decode(parts[0], tf.constant(self._cells.table))
            return {"boxes": to_corners(centers), "scores": tf.sigmoid(parts[2]) * tf.sigmoid(parts[1])}
        box, objectness, classes = (_rows(heads, i, size) for i, size in enumerate(sizes))
        boxes = self._candidates(box, objectness, classes)
        rows, most = self._settings.max_detections, self._settings.per_class
        if most is None or most >= rows:
            return self._outputs(suppress(boxes, rows, self._settings, self._grid))
        every = suppress(boxes, boxes.scores.shape[0], self._settings, self._grid)
        return self._outputs(_few_of_each(every, rows, most))

    def _candidates(
        self, box: list[tf.Tensor], objectness: list[tf.Tensor], classes: list[tf.Tensor]
    ) -> Boxes:
        """What suppression looks at."""
        limit, cells = self._settings.candidates, tf.constant(self._cells.table)
        logits = tf.concat(objectness, 0)[:, 0]
        if limit < logits.shape[0]:
            # Objectness bounds the score: what it ranks low need not be decoded at all.
            logits, best = tf.math.top_k(logits, limit, name=CANDIDATES)
            cells, box, classes = tf.gather(cells, best), [_pick(box, best)], [_pick(classes, best)]
        centers, likely = self._cells.decode(tf.concat(box, 0), cells), tf.concat(classes, 0)
        there = tf.sigmoid(logits)
        if not self._settings.multi_label or self._settings.agnostic:
            # A box that has several classes would suppress itself where classes do not matter.
            label = tf.cast(tf.argmax(likely, 1, tf.int32), tf.float32)
            return Boxes(centers, tf.sigmoid(tf.reduce_max(likely, 1)) * there, label)
        pairs = tf.reshape(tf.sigmoid(likely) * there[:, None], [-1])
        top = tf.math.top_k(pairs, min(limit, pairs.shape[0]), name=CANDIDATES)
        # Whole numbers: with --half the converter would divide by a float16 reciprocal, and land elsewhere.
        row = top.indices // self._classes
        label = tf.cast(top.indices - row * self._classes, tf.float32)
        return Boxes(tf.gather(centers, row), top.values, label)

    def _outputs(self, kept: SelectedBoxes) -> dict[str, tf.Tensor]:
        """The contract's names; rows past the count are zero (the TFLite kernel leaves them undefined)."""
        valid = tf.range(self._settings.max_detections, dtype=tf.float32) < kept.count
        return {
            "detection_boxes": tf.where(valid[:, None], kept.corners, tf.zeros_like(kept.corners))[None],
            "detection_classes": tf.where(valid, kept.classes, tf.zeros_like(kept.classes))[None],
            "detection_scores": tf.where(valid, kept.scores, tf.zeros_like(kept.scores))[None],
            "num_detections": tf.reshape(kept.count, [1]),
        }


class DecodingModule(tf.Module):
    """Decoding and NMS of another module without its network: from raw heads to the signature's outputs.

    Args:
        module: whose decoding it is.
        heads: per scale the name and the shape of each raw head; they are the inputs, float32.
    """

    def __init__(
        self,
        module: DetectionModule | ClassificationModule,
        heads: Sequence[Sequence[tuple[str, tuple[int, ...]]]],
    ) -> None:
        super().__init__()
        specs = [tf.TensorSpec(shape, tf.float32, name) for scale in heads for name, shape in scale]

        def decode(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
            rest = iter(tensors)
            return module.outputs([tuple(next(rest) for _ in scale) for scale in heads])

        self.detect = tf.function(decode, input_signature=specs, autograph=False)


def make_module(
    heads: Callable[[Any], Heads],
    contract: Contract,
    image_size: tuple[int, int],
    nms: str,
    settings: GraphNmsOptions,
    uint8: bool = False,
    batch: int | None = 1,
) -> DetectionModule | ClassificationModule:
    """What is exported for a task; see the two classes for the arguments."""
    if contract.task == "classify":
        return ClassificationModule(heads, image_size, nms == "raw", uint8, batch)
    return DetectionModule(heads, contract, image_size, nms, settings, uint8, batch)


def _rows(heads: Heads, part: int, size: int) -> list[tf.Tensor]:
    """One part of the heads, scale by scale, as (cells * anchors, size)."""
    return [tf.reshape(parts[part], [-1, size]) for parts in heads]


def _batched_rows(heads: Heads, part: int, size: int) -> list[tf.Tensor]:
    """One part of the heads, scale by scale, as (batch, cells * anchors, size)."""
    return [
        tf.reshape(parts[part], [-1, int(np.prod(parts[part].shape[1:])) // size, size]) for parts in heads
    ]


def _pick(scales: list[tf.Tensor], rows: tf.Tensor) -> tf.Tensor:
    """Rows of tensors as if they were one after another.

    Gathered from each and then added up, all but one times zero: to join the tensors first would cost more
    than the suppression after it. A choice (tf.where) would do, but in an integer graph each tensor has a
    scale of its own, and the converter gives the operands of a choice one scale without converting them.
    """
    picked, start = 0.0, 0
    for x in scales:
        count = x.shape[0]
        place = rows - start
        inside = tf.cast((place >= 0) & (place < count), tf.float32)
        picked += tf.gather(x, tf.clip_by_value(place, 0, count - 1)) * inside[:, None]
        start += count
    return picked


def _few_of_each(kept: SelectedBoxes, rows: int, most: int) -> SelectedBoxes:
    """At most `most` detections of a class, and `rows` together."""
    count = kept.scores.shape[0]
    valid = tf.range(count, dtype=tf.float32) < kept.count
    earlier = tf.constant(np.tri(count, k=-1, dtype=np.float32))
    same = tf.cast(kept.classes[:, None] == kept.classes[None], tf.float32) * earlier
    rank = tf.reduce_sum(same * tf.cast(valid, tf.float32)[None], 1)
    good = valid & (rank < most)
    scores, order = tf.math.top_k(tf.where(good, kept.scores, -tf.ones_like(kept.scores)), min(rows, count))
    picked = SelectedBoxes(
        tf.gather(kept.corners, order),
        scores,
        tf.gather(kept.classes, order),
        tf.minimum(tf.reduce_sum(tf.cast(good, tf.float32)), rows),
    )
    return picked if rows <= count else pad_rows(picked, rows - count)
