"""The exported graph: network, decoding and non-maximum suppression as TensorFlow operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import tensorflow as tf

from tfyolo.export.graph.anchor_grid import AnchorGrid
from tfyolo.export.graph.boxes import Boxes, ClassGrid, SelectedBoxes, pad_rows, to_corners
from tfyolo.export.graph.nms import NMS, Suppress
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.models.contract import Contract
from tfyolo.models.outputs import raw_outputs

CANDIDATES = "candidates"
"""Name of the TopK operations that select the boxes for NMS; NMS does not depend on their order."""
Heads = Sequence[tuple[Any, ...]]
"""Per scale the logits of boxes, objectness and classes, (batch, height, width, anchors * values), and the
coefficients of masks, if there are any; then one tuple per output of the whole image: the logits of a
classifier, (batch, 1, 1, num_classes), or the prototypes of masks, (batch, height / 4, width / 4, k)."""


def signature(
    function: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    image_size: tuple[int, int],
    uint8: bool,
    batch: int | None,
) -> Any:
    """Return a `tf.function` of a fixed signature, with one input `images`, (batch, height, width, 3).

    Args:
        function: function from images to outputs by name.
        image_size: fixed input size (height, width) in pixels.
        uint8: whether images are uint8, or float32.
        batch: number of images at once; None for any number.

    Returns:
        A `tf.function` from `images` to the outputs of `function`.
    """
    spec = tf.TensorSpec((batch, *image_size, 3), tf.uint8 if uint8 else tf.float32, name="images")
    return tf.function(function, input_signature=[spec], autograph=False)


def _to_unit_range(images: tf.Tensor) -> tf.Tensor:
    """Return images as float32 in 0..1."""
    return tf.cast(images, tf.float32) / 255.0 if images.dtype == tf.uint8 else images


class ClassificationModule(tf.Module):
    """A classifier with the signature of exported models: the network, followed by softmax.

    Args:
        heads: function from images (batch, height, width, 3) in 0..1 to the logits.
        image_size: fixed input size (height, width) in pixels.
        raw: return logits, without softmax.
        uint8: take images as uint8, 0..255.
        batch: number of images at once; None for any number.
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
        return self.outputs(self._heads(_to_unit_range(images)))

    def outputs(self, heads: Heads) -> dict[str, tf.Tensor]:
        """Return the outputs of the signature, `logits` or `probabilities`, for the heads."""
        logits = heads[0][0]
        flat = tf.reshape(logits, [-1, logits.shape[-1]])
        return {"logits": flat} if self._raw else {"probabilities": tf.nn.softmax(flat)}


class DetectionModule(tf.Module):
    """A detector with the signature of exported models: the network, followed by decoding and NMS.

    Subclasses add outputs by extending `_all_boxes` and `_detections`.

    Args:
        heads: function from images (1, height, width, 3) in 0..1 to the raw heads.
        contract: contract of the exported model.
        image_size: fixed input size (height, width) in pixels.
        nms: a key of `NMS`.
        options: thresholds and limits of NMS.
        uint8: take images as uint8, 0..255.
        batch: number of images at once; None for any number, without NMS only.
    """

    def __init__(
        self,
        heads: Callable[[Any], Heads],
        contract: Contract,
        image_size: tuple[int, int],
        nms: str,
        options: GraphNmsOptions,
        uint8: bool = False,
        batch: int | None = 1,
    ) -> None:
        super().__init__()
        self.heads, self._nms, self._options, self._contract = heads, nms, options, contract
        self._cells = AnchorGrid(contract, image_size)
        self._raw = raw_outputs(contract)
        self._classes = len(contract.names)
        largest = max(4 * size / min(image_size) for row in contract.anchors_px for size in row)
        self._grid = ClassGrid(self._classes, largest)
        self.detect = signature(self._detect, image_size, uint8, batch)

    def _detect(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.outputs(self.heads(_to_unit_range(images)))

    def outputs(self, heads: Heads) -> dict[str, tf.Tensor]:
        """Return the outputs of the signature for the raw heads: logits, all boxes, or detections."""
        if self._nms == "raw":
            return {
                name: tf.identity(x)
                for names, parts in zip(self._raw, heads, strict=True)
                for name, x in zip(names, parts, strict=True)
            }
        if self._nms == "none":
            return self._all_boxes(heads)
        return self._detections(self._select(heads), heads)

    def _all_boxes(self, heads: Heads) -> dict[str, tf.Tensor]:
        """Return all boxes and their scores by name."""
        sizes = (4, 1, self._classes)
        parts = [tf.concat(batched_rows(heads, i, size), 1) for i, size in enumerate(sizes)]
        centers = self._cells.decode(parts[0], tf.constant(self._cells.table))
        return {"boxes": to_corners(centers), "scores": tf.sigmoid(parts[2]) * tf.sigmoid(parts[1])}

    def _select(self, heads: Heads) -> SelectedBoxes:
        """Return the boxes that NMS selects."""
        suppress = cast(Suppress, NMS[self._nms])
        boxes = self._candidates(*(rows_of(heads, i, size) for i, size in enumerate((4, 1, self._classes))))
        rows, per_class = self._options.max_detections, self._options.per_class
        if per_class is None or per_class >= rows:
            return suppress(boxes, rows, self._options, self._grid)
        all_selected = suppress(boxes, boxes.scores.shape[0], self._options, self._grid)
        return _limit_per_class(all_selected, rows, per_class, self._classes)

    def _candidates(
        self, box: list[tf.Tensor], objectness: list[tf.Tensor], classes: list[tf.Tensor]
    ) -> Boxes:
        """Return the boxes that take part in NMS: at most `candidates`, those of highest objectness."""
        limit, cells = self._options.candidates, tf.constant(self._cells.table)
        logits = tf.concat(objectness, 0)[:, 0]
        anchors: tf.Tensor = tf.range(logits.shape[0])
        if limit < logits.shape[0]:
            # A score is at most its objectness, so boxes of low objectness need not be decoded.
            logits, anchors = tf.math.top_k(logits, limit, name=CANDIDATES)
            cells = tf.gather(cells, anchors)
            box, classes = [gather_rows(box, anchors)], [gather_rows(classes, anchors)]
        centers, class_logits = self._cells.decode(tf.concat(box, 0), cells), tf.concat(classes, 0)
        objectness_scores = tf.sigmoid(logits)
        if self._options.best_class_only:
            label = tf.cast(tf.argmax(class_logits, 1, tf.int32), tf.float32)
            scores = tf.sigmoid(tf.reduce_max(class_logits, 1)) * objectness_scores
            return Boxes(centers, scores, label, anchors)
        pairs = tf.reshape(tf.sigmoid(class_logits) * objectness_scores[:, None], [-1])
        top = tf.math.top_k(pairs, min(limit, pairs.shape[0]), name=CANDIDATES)
        # Integer division: with --half the converter would multiply by an inexact float16 reciprocal.
        row = top.indices // self._classes
        label = tf.cast(top.indices - row * self._classes, tf.float32)
        return Boxes(tf.gather(centers, row), top.values, label, tf.gather(anchors, row))

    def _valid(self, selected: SelectedBoxes) -> tf.Tensor:
        """Return bool (rows,), true for rows that hold a box."""
        return tf.range(self._options.max_detections, dtype=tf.float32) < selected.count

    def _detections(self, selected: SelectedBoxes, heads: Heads) -> dict[str, tf.Tensor]:
        """Return the outputs by name; unused rows, which TFLite's kernel does not write, are set to zero.

        Args:
            selected: boxes that NMS selected.
            heads: raw heads, for outputs that subclasses add.
        """
        valid = self._valid(selected)
        corners = tf.where(valid[:, None], selected.corners, tf.zeros_like(selected.corners))
        return {
            "detection_boxes": corners[None],
            "detection_classes": tf.where(valid, selected.classes, tf.zeros_like(selected.classes))[None],
            "detection_scores": tf.where(valid, selected.scores, tf.zeros_like(selected.scores))[None],
            "num_detections": tf.reshape(selected.count, [1]),
        }


class DecodingModule(tf.Module):
    """Decoding and NMS of another module without its network, for integer models (see tflite/flatbuffer.py).

    Args:
        module: the module.
        heads: per scale the name and the shape of each raw head, which are the float32 inputs.
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


def rows_of(heads: Heads, part: int, size: int) -> list[tf.Tensor]:
    """Return one part of the heads per scale, as rows.

    Args:
        heads: raw heads of one image.
        part: place of the part in a head; see models/tasks.py.
        size: number of values per anchor.

    Returns:
        Tensors (cells * anchors, size).
    """
    return [tf.reshape(parts[part], [-1, size]) for parts in heads]


def batched_rows(heads: Heads, part: int, size: int) -> list[tf.Tensor]:
    """Return one part of the heads per scale, as rows of each image.

    Args:
        heads: raw heads of a batch.
        part: place of the part in a head; see models/tasks.py.
        size: number of values per anchor.

    Returns:
        Tensors (batch, cells * anchors, size).
    """
    return [
        tf.reshape(parts[part], [-1, int(np.prod(parts[part].shape[1:])) // size, size]) for parts in heads
    ]


def gather_rows(scales: list[tf.Tensor], rows: tf.Tensor) -> tf.Tensor:
    """Return rows of the concatenation of tensors, without concatenating them.

    Rows are gathered from each tensor, and all but one of the results are multiplied by zero before they are
    added: concatenating first would take longer than NMS. `tf.where` in place of the product would be wrong
    in an integer graph: each tensor has its own scale, and the converter does not requantize the operands of
    a select.

    Args:
        scales: tensors (n_i, size), one per scale.
        rows: (k,) int32 row indices.

    Returns:
        (k, size) float32.
    """
    gathered, start = 0.0, 0
    for x in scales:
        count = x.shape[0]
        local_row = rows - start
        inside = tf.cast((local_row >= 0) & (local_row < count), tf.float32)
        gathered += tf.gather(x, tf.clip_by_value(local_row, 0, count - 1)) * inside[:, None]
        start += count
    return gathered


def _limit_per_class(selected: SelectedBoxes, rows: int, per_class: int, num_classes: int) -> SelectedBoxes:
    """Limit the selected boxes to `per_class` per class and `rows` in total."""
    count = selected.scores.shape[0]
    valid = tf.range(count, dtype=tf.float32) < selected.count
    is_class = selected.classes[:, None] == tf.range(num_classes, dtype=tf.float32)[None]
    found = tf.cast(is_class & valid[:, None], tf.float32)  # (count, classes)
    rank = tf.reduce_sum(tf.cumsum(found, 0) * found, 1)  # from 1, within the class
    within_limit = valid & (rank <= per_class)
    scores = tf.where(within_limit, selected.scores, -tf.ones_like(selected.scores))
    scores, order = tf.math.top_k(scores, min(rows, count))
    limited = SelectedBoxes(
        tf.gather(selected.corners, order),
        scores,
        tf.gather(selected.classes, order),
        tf.minimum(tf.reduce_sum(tf.cast(within_limit, tf.float32)), rows),
        None if selected.anchors is None else tf.gather(selected.anchors, order),
    )
    return limited if rows <= count else pad_rows(limited, rows - count)
