"""Kinds of non-maximum suppression that an exported graph can hold, one function each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfyolo.export.graph.options import GraphNmsOptions


class Boxes(NamedTuple):
    """What suppression looks at."""

    centers: tf.Tensor
    """(n, 4): center y, center x, height, width relative to the input."""
    scores: tf.Tensor
    """(n,)."""
    classes: tf.Tensor
    """(n,) float32 indices."""


class SelectedBoxes(NamedTuple):
    """What suppression leaves, best first; rows past `count` are undefined."""

    corners: tf.Tensor
    """(rows, 4): ymin, xmin, ymax, xmax."""
    scores: tf.Tensor
    """(rows,)."""
    classes: tf.Tensor
    """(rows,) float32."""
    count: tf.Tensor
    """() float32."""


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
        """Between neighbors: centers lie within -0.1 and 1.1, so two boxes of neighbors never touch."""
        return 1.25 + self.largest

    def shift(self, classes: tf.Tensor) -> tf.Tensor:
        """(n, 2) float32 offsets in y and x of (n,) float32 class indices."""
        row = tf.floor((classes + 0.5) / self.side)
        return tf.stack([row, classes - row * self.side], 1) * self.step

    def locate(self, corners: tf.Tensor) -> tf.Tensor:
        """(n,) float32 class indices of (n, 4) shifted corners."""
        cell = tf.floor(((corners[:, :2] + corners[:, 2:]) / 2 - 0.5) / self.step + 0.5)
        return cell[:, 0] * self.side + cell[:, 1]

    def apart(self, boxes: Boxes) -> tf.Tensor:
        """(n, 4) centers and sizes with classes moved apart."""
        shifted = boxes.centers[:, :2] + self.shift(boxes.classes)
        return tf.concat([shifted, boxes.centers[:, 2:]], 1)

    def back(self, corners: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """(n, 4) corners where they belong."""
        shift = self.shift(classes)
        return corners - tf.concat([shift, shift], 1)


Suppress = Callable[[Boxes, int, GraphNmsOptions, ClassGrid], SelectedBoxes]
"""Called with boxes, the number of rows to return, thresholds and the grid of classes."""


def combined(boxes: Boxes, rows: int, settings: GraphNmsOptions, grid: ClassGrid) -> SelectedBoxes:
    """TensorFlow's CombinedNonMaxSuppression, for formats that TensorFlow runs."""
    centers = boxes.centers if settings.agnostic else grid.apart(boxes)
    corners, scores, count = _combined(centers, boxes.scores, rows, settings)
    if not settings.agnostic:
        classes = grid.locate(corners)
        return SelectedBoxes(grid.back(corners, classes), scores, classes, count)
    # The operation tells no indices, but hands boxes through unchanged.
    equal = tf.reduce_all(corners[:, None] == to_corners(centers)[None], -1)
    first = tf.argmax(equal & (scores[:, None] == boxes.scores[None]), 1)
    return SelectedBoxes(corners, scores, tf.gather(boxes.classes, first), count)


def _combined(
    centers: tf.Tensor, scores: tf.Tensor, rows: int, settings: GraphNmsOptions
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Corners, scores and count of what is left of boxes of one class."""
    out = tf.image.combined_non_max_suppression(
        to_corners(centers)[None, :, None],
        scores[None, :, None],
        max_output_size_per_class=rows,
        max_total_size=rows,
        iou_threshold=settings.iou,
        score_threshold=settings.confidence,
        clip_boxes=False,
    )
    return out.nmsed_boxes[0], out.nmsed_scores[0], tf.cast(out.valid_detections[0], tf.float32)


def postprocess(boxes: Boxes, rows: int, settings: GraphNmsOptions, grid: ClassGrid) -> SelectedBoxes:
    """TFLite_Detection_PostProcess, which every TensorFlow Lite runtime has built in.

    The converter replaces the function below by the operation; TensorFlow itself runs its body, `combined`,
    so the SavedModel detects too. The operation takes sizes as logarithms relative to an anchor, here of
    size 1 at the origin, which hands decoded boxes through exactly.

    Its own suppression by class (`use_regular_nms`) is wrong on several threads: seen in LiteRT 2.3, boxes go
    missing, and with more than 100 detections it writes past its buffers. The other mode suppresses without
    looking at classes, which is right for classes that stand apart, and for `agnostic`.
    """
    count = boxes.scores.shape[0]
    classes = grid.classes if settings.agnostic else 1
    attributes = {
        "max_detections": rows,
        "max_classes_per_detection": 1,
        "num_classes": classes,
        "nms_score_threshold": _next_above(settings.confidence),
        "nms_iou_threshold": settings.iou,
        "y_scale": 1.0,
        "x_scale": 1.0,
        "h_scale": 1.0,
        "w_scale": 1.0,
        "use_regular_nms": False,
    }
    implements = ['name: "TFLite_Detection_PostProcess"', *(_attribute(*item) for item in attributes.items())]

    @tf.function(
        experimental_implements=" ".join(implements),
        input_signature=[
            tf.TensorSpec((1, count, 4), tf.float32),
            tf.TensorSpec((1, count, classes), tf.float32),
            tf.TensorSpec((count, 4), tf.float32),
        ],
    )
    def detection_postprocess(encodings: tf.Tensor, scores: tf.Tensor, anchors: tf.Tensor) -> list[tf.Tensor]:
        sizes = tf.exp(encodings[0, :, 2:]) * anchors[:, 2:]
        inside = Boxes(
            tf.concat([encodings[0, :, :2], sizes], 1),
            tf.reduce_max(scores[0], 1),
            tf.cast(tf.argmax(scores[0], 1), tf.float32),
        )
        kept = combined(inside, rows, replace(settings, agnostic=True), grid)
        return [kept.corners[None], kept.classes[None], kept.scores[None], kept.count[None]]

    centers = boxes.centers if settings.agnostic else grid.apart(boxes)
    # A size of zero would be -infinity, and one box that is not a number fails the whole operation.
    encodings = tf.concat([centers[:, :2], tf.math.log(tf.maximum(centers[:, 2:], 1e-9))], 1)
    anchors = tf.constant([[0.0, 0.0, 1.0, 1.0]] * count)
    scores = boxes.scores[:, None]
    if settings.agnostic and classes > 1:
        scores *= tf.one_hot(tf.cast(boxes.classes, tf.int32), classes)
    corners, found, best, valid = detection_postprocess(encodings[None], scores[None], anchors)
    corners, best = tf.reshape(corners, [rows, 4]), tf.reshape(best, [rows])
    if settings.agnostic:
        return SelectedBoxes(corners, best, tf.reshape(found, [rows]), tf.reshape(valid, []))
    located = grid.locate(corners)
    return SelectedBoxes(grid.back(corners, located), best, located, tf.reshape(valid, []))


def builtin(boxes: Boxes, rows: int, settings: GraphNmsOptions, grid: ClassGrid) -> SelectedBoxes:
    """NON_MAX_SUPPRESSION_V5, an operation of its own in TensorFlow and in TensorFlow Lite."""
    centers = boxes.centers if settings.agnostic else grid.apart(boxes)
    out = tf.raw_ops.NonMaxSuppressionV5(
        boxes=to_corners(centers),
        scores=boxes.scores,
        max_output_size=rows,
        iou_threshold=settings.iou,
        score_threshold=settings.confidence,
        soft_nms_sigma=0.0,
        pad_to_max_output_size=True,
    )
    return _picked(boxes, out.selected_indices, tf.cast(out.valid_outputs, tf.float32))


def builtin_v4(boxes: Boxes, rows: int, settings: GraphNmsOptions, grid: ClassGrid) -> SelectedBoxes:
    """The same by version 4, for TF.js: its version 5 neither pads nor counts.

    Its version 4 pads to the number of boxes at most, whatever is asked for.
    """
    wanted = min(rows, boxes.scores.shape[0])
    out = tf.raw_ops.NonMaxSuppressionV4(
        boxes=to_corners(boxes.centers if settings.agnostic else grid.apart(boxes)),
        scores=boxes.scores,
        max_output_size=wanted,
        iou_threshold=settings.iou,
        score_threshold=settings.confidence,
        pad_to_max_output_size=True,
    )
    kept = _picked(boxes, out.selected_indices, tf.cast(out.valid_outputs, tf.float32))
    return kept if rows <= wanted else pad_rows(kept, rows - wanted)


def _picked(boxes: Boxes, rows: tf.Tensor, count: tf.Tensor) -> SelectedBoxes:
    """Boxes by their indices."""
    corners = tf.gather(to_corners(boxes.centers), rows)
    return SelectedBoxes(corners, tf.gather(boxes.scores, rows), tf.gather(boxes.classes, rows), count)


CHAIN = 24
"""Rounds of `tensor`: how long a chain of boxes, each suppressed by the one before it, may be."""
MATRIX = 512
"""Best boxes that `tensor` compares with each other; more where many are to be kept."""


def compared(rows: int, count: int) -> int:
    """How many of `count` boxes `tensor` compares to return `rows`."""
    return min(max(MATRIX, 3 * rows), count)


def tensor(boxes: Boxes, rows: int, settings: GraphNmsOptions, grid: ClassGrid) -> SelectedBoxes:
    """Plain operations with static shapes, for runtimes that have none for suppression.

    A box stays if no better box that stays overlaps it. Applied again and again, beginning with all, this
    rule settles box by box, from the best downwards; each round is one product of a matrix and a vector.
    """
    centers = boxes.centers if settings.agnostic else grid.apart(boxes)
    scores, order = tf.math.top_k(boxes.scores, compared(rows, boxes.scores.shape[0]))
    corners = to_corners(tf.gather(centers, order))
    size, count = tf.gather(boxes.centers[:, 2:], order), corners.shape[0]
    overlap, area = _side(corners, 0) * _side(corners, 1), size[:, 0] * size[:, 1]
    better = tf.constant([[float(j < i) for j in range(count)] for i in range(count)])
    union = area[:, None] + area[None] - overlap
    beats = better * tf.cast(overlap > settings.iou * union, tf.float32)
    valid = tf.cast(scores > settings.confidence, tf.float32)[:, None]
    stays = valid
    for _ in range(CHAIN):
        stays = valid * tf.cast(tf.matmul(beats, stays) < 0.5, tf.float32)
    # Those that stay first, in their order: scores are within 0 and 1.
    ranked, best = tf.math.top_k(scores * stays[:, 0] - (1.0 - stays[:, 0]), min(rows, count))
    kept = _picked(boxes, tf.gather(order, best), tf.minimum(tf.reduce_sum(stays), rows))
    kept = kept._replace(scores=ranked)
    return kept if rows <= count else pad_rows(kept, rows - count)


def _side(corners: tf.Tensor, axis: int) -> tf.Tensor:
    """(n, n): how long the overlap of each two boxes is along an axis."""
    low, high = corners[:, axis], corners[:, 2 + axis]
    # As a product: wasm spreads a column over a row twenty times slower inside minimum and maximum.
    ones = tf.ones((1, corners.shape[0]))
    lows, highs = tf.matmul(low[:, None], ones), tf.matmul(high[:, None], ones)
    return tf.maximum(tf.minimum(highs, high[None]) - tf.maximum(lows, low[None]), 0.0)


def pad_rows(kept: SelectedBoxes, more: int) -> SelectedBoxes:
    """With rows of zeros at the end."""
    return SelectedBoxes(
        tf.pad(kept.corners, [[0, more], [0, 0]]),
        tf.pad(kept.scores, [[0, more]]),
        tf.pad(kept.classes, [[0, more]]),
        kept.count,
    )


def to_corners(boxes: tf.Tensor) -> tf.Tensor:
    """(..., 4) center y, center x, height, width to ymin, xmin, ymax, xmax."""
    center, half = boxes[..., :2], boxes[..., 2:] / 2
    return tf.concat([center - half, center + half], -1)


def _next_above(threshold: float) -> float:
    """The least float32 above a score threshold: the operation keeps scores that equal its threshold."""
    return min(float(np.nextafter(np.float32(threshold), np.float32(1))), 1.0)


def _attribute(key: str, value: bool | int | float) -> str:
    kind = {bool: "b", int: "i", float: "f"}[type(value)]
    text = str(value).lower() if kind == "b" else value
    return f'attr {{ key: "{key}" value {{ {kind}: {text} }} }}'


OUTSIDE = ("pipeline", "efficient")
"""Kinds that stand behind the graph: CoreML's second model, TensorRT's plugin."""

NMS: dict[str, Suppress | None] = {
    "postprocess": postprocess,
    "builtin": builtin,
    "builtin_v4": builtin_v4,
    "combined": combined,
    "tensor": tensor,
    "none": None,
    "raw": None,
}
"""`none` returns all boxes and scores, `raw` the network's heads; `builtin_v4` is `builtin` for TF.js."""
