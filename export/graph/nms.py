"""Kinds of non-maximum suppression (NMS) in an exported graph, one function per kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import tensorflow as tf

from tfyolo.export.graph.boxes import Boxes, ClassGrid, SelectedBoxes, pad_rows, to_corners
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.tflite.entry import POSTPROCESS

_MIN_IOU = 1e-6
"""The kernel of TFLite_Detection_PostProcess refuses 0, which makes the same choice."""

Suppress = Callable[[Boxes, int, GraphNmsOptions, ClassGrid], SelectedBoxes]
"""Called with boxes, the number of rows to return, the options and the grid of classes."""


def combined(boxes: Boxes, rows: int, options: GraphNmsOptions, grid: ClassGrid) -> SelectedBoxes:
    """TensorFlow's CombinedNonMaxSuppression, for formats that TensorFlow runs.

    Args:
        boxes: n boxes, relative to the input.
        rows: number of rows to return.
        options: confidence and IoU thresholds, and whether NMS ignores classes (`agnostic`).
        grid: cells that keep boxes of different classes apart.

    Returns:
        Selected boxes in `rows` rows.
    """
    centers = boxes.centers if options.agnostic else grid.apart(boxes)
    corners, scores, count = _combined(centers, boxes.scores, rows, options)
    if not options.agnostic:
        classes = grid.locate(corners)
        return SelectedBoxes(grid.back(corners, classes), scores, classes, count)
    # The operation returns no indices, so the class is looked up by the box, which it returns unchanged.
    equal = tf.reduce_all(corners[:, None] == to_corners(centers)[None], -1)
    first = tf.argmax(equal & (scores[:, None] == boxes.scores[None]), 1)
    return SelectedBoxes(corners, scores, tf.gather(boxes.classes, first), count)


def _combined(
    centers: tf.Tensor, scores: tf.Tensor, rows: int, options: GraphNmsOptions
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Run CombinedNonMaxSuppression as if all boxes had one class; return corners, scores and count."""
    out = tf.image.combined_non_max_suppression(
        to_corners(centers)[None, :, None],
        scores[None, :, None],
        max_output_size_per_class=rows,
        max_total_size=rows,
        iou_threshold=options.iou_threshold,
        score_threshold=options.confidence,
        clip_boxes=False,
    )
    return out.nmsed_boxes[0], out.nmsed_scores[0], tf.cast(out.valid_detections[0], tf.float32)


def postprocess(boxes: Boxes, rows: int, options: GraphNmsOptions, grid: ClassGrid) -> SelectedBoxes:
    """TFLite_Detection_PostProcess, which every TensorFlow Lite runtime has built in.

    The converter replaces the function below with the operation. TensorFlow runs its body, `combined`, so the
    SavedModel gives detections as well. The operation takes sizes as logarithms relative to an anchor: with
    an anchor of size 1 at the origin it returns decoded boxes unchanged.

    The NMS per class of the operation (`use_regular_nms`) is wrong on several threads: with LiteRT 2.3 boxes
    are missing, and with more than 100 detections it writes past its buffers. The other mode ignores classes,
    which is correct for classes in separate cells of the grid, and for `agnostic`.

    Args:
        boxes: n boxes, relative to the input; n is static.
        rows: number of rows to return.
        options: confidence and IoU thresholds, and whether NMS ignores classes (`agnostic`).
        grid: cells that keep boxes of different classes apart.

    Returns:
        Selected boxes in `rows` rows.
    """
    count = boxes.scores.shape[0]
    classes = grid.num_classes if options.agnostic else 1
    attributes = {
        "max_detections": rows,
        "max_classes_per_detection": 1,
        "num_classes": classes,
        "nms_score_threshold": _next_above(options.confidence),
        "nms_iou_threshold": max(options.iou_threshold, _MIN_IOU),
        "y_scale": 1.0,
        "x_scale": 1.0,
        "h_scale": 1.0,
        "w_scale": 1.0,
        "use_regular_nms": False,
    }
    implements = [f'name: "{POSTPROCESS}"', *(_attribute(*item) for item in attributes.items())]

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
        candidates = Boxes(
            tf.concat([encodings[0, :, :2], sizes], 1),
            tf.reduce_max(scores[0], 1),
            tf.cast(tf.argmax(scores[0], 1), tf.float32),
        )
        selected = combined(candidates, rows, replace(options, agnostic=True), grid)
        return [selected.corners[None], selected.classes[None], selected.scores[None], selected.count[None]]

    centers = boxes.centers if options.agnostic else grid.apart(boxes)
    # The logarithm of a size of 0 is -infinity, and a box with NaN fails the whole operation.
    encodings = tf.concat([centers[:, :2], tf.math.log(tf.maximum(centers[:, 2:], 1e-9))], 1)
    anchors = tf.constant([[0.0, 0.0, 1.0, 1.0]] * count)
    scores = boxes.scores[:, None]
    if options.agnostic and classes > 1:
        scores *= tf.one_hot(tf.cast(boxes.classes, tf.int32), classes)
    corners, class_indices, best, valid = detection_postprocess(encodings[None], scores[None], anchors)
    corners, best = tf.reshape(corners, [rows, 4]), tf.reshape(best, [rows])
    if options.agnostic:
        return SelectedBoxes(corners, best, tf.reshape(class_indices, [rows]), tf.reshape(valid, []))
    located = grid.locate(corners)
    return SelectedBoxes(grid.back(corners, located), best, located, tf.reshape(valid, []))


def builtin(boxes: Boxes, rows: int, options: GraphNmsOptions, grid: ClassGrid) -> SelectedBoxes:
    """NON_MAX_SUPPRESSION_V5, which TensorFlow and TensorFlow Lite have.

    TensorFlow Lite selects a box of area 0 again and again, until all rows are full, because that does not
    overlap itself: the operation sees each box at least as large as the rounding of its coordinates.

    Args:
        boxes: n boxes, relative to the input.
        rows: number of rows to return.
        options: confidence and IoU thresholds, and whether NMS ignores classes (`agnostic`).
        grid: cells that keep boxes of different classes apart.

    Returns:
        Selected boxes in `rows` rows.
    """
    centers = boxes.centers if options.agnostic else grid.apart(boxes)
    sizes = tf.maximum(centers[:, 2:], grid.smallest_size)
    out = tf.raw_ops.NonMaxSuppressionV5(
        boxes=to_corners(tf.concat([centers[:, :2], sizes], 1)),
        scores=boxes.scores,
        max_output_size=rows,
        iou_threshold=options.iou_threshold,
        score_threshold=options.confidence,
        soft_nms_sigma=0.0,
        pad_to_max_output_size=True,
    )
    return _picked(boxes, out.selected_indices, tf.cast(out.valid_outputs, tf.float32))


def builtin_v4(boxes: Boxes, rows: int, options: GraphNmsOptions, grid: ClassGrid) -> SelectedBoxes:
    """NON_MAX_SUPPRESSION_V4, for TF.js: version 5 of TF.js neither pads its outputs nor counts the boxes.

    TF.js pads version 4 to the number of input boxes at most, so further rows are added here.

    Args:
        boxes: n boxes, relative to the input; n is static.
        rows: number of rows to return.
        options: confidence and IoU thresholds, and whether NMS ignores classes (`agnostic`).
        grid: cells that keep boxes of different classes apart.

    Returns:
        Selected boxes in `rows` rows.
    """
    padded_rows = min(rows, boxes.scores.shape[0])
    out = tf.raw_ops.NonMaxSuppressionV4(
        boxes=to_corners(boxes.centers if options.agnostic else grid.apart(boxes)),
        scores=boxes.scores,
        max_output_size=padded_rows,
        iou_threshold=options.iou_threshold,
        score_threshold=options.confidence,
        pad_to_max_output_size=True,
    )
    selected = _picked(boxes, out.selected_indices, tf.cast(out.valid_outputs, tf.float32))
    return selected if rows <= padded_rows else pad_rows(selected, rows - padded_rows)


def _picked(boxes: Boxes, rows: tf.Tensor, count: tf.Tensor) -> SelectedBoxes:
    """Return the boxes with these row indices."""
    corners = tf.gather(to_corners(boxes.centers), rows)
    anchors = None if boxes.anchors is None else tf.gather(boxes.anchors, rows)
    return SelectedBoxes(
        corners, tf.gather(boxes.scores, rows), tf.gather(boxes.classes, rows), count, anchors
    )


MAX_ROUNDS = 24
"""Rounds of `tensor`: the maximum length of a chain of boxes in which each overlaps the one before it."""
MIN_COMPARED = 512
"""Minimum number of boxes that `tensor` compares with each other."""


def num_compared(rows: int, count: int) -> int:
    """Return how many of the `count` best boxes `tensor` compares with each other to select `rows`."""
    return min(max(MIN_COMPARED, 3 * rows), count)


def tensor(boxes: Boxes, rows: int, options: GraphNmsOptions, grid: ClassGrid) -> SelectedBoxes:
    """NMS from basic operations with static shapes, for runtimes without an NMS operation.

    A box is selected if no selected box of a higher score overlaps it. Starting with all boxes selected, each
    round applies this rule to all boxes at once, as a product of a matrix and a vector. Round k gives the
    final result for boxes at the end of chains of up to k overlapping boxes.

    Args:
        boxes: n boxes, relative to the input; n is static. The best `num_compared(rows, n)` are compared.
        rows: number of rows to return.
        options: confidence and IoU thresholds, and whether NMS ignores classes (`agnostic`).
        grid: cells that keep boxes of different classes apart.

    Returns:
        Selected boxes in `rows` rows.
    """
    centers = boxes.centers if options.agnostic else grid.apart(boxes)
    scores, order = tf.math.top_k(boxes.scores, num_compared(rows, boxes.scores.shape[0]))
    corners = to_corners(tf.gather(centers, order))
    size, count = tf.gather(boxes.centers[:, 2:], order), corners.shape[0]
    intersection, area = _side(corners, 0) * _side(corners, 1), size[:, 0] * size[:, 1]
    # 1 to n, from scores, which are above -1: of a constant, converters would store the n x n matrix.
    place = tf.cumsum(tf.cast(scores > -1.0, tf.float32))
    has_higher_score = tf.cast(_in_columns(place) > place[None], tf.float32)
    union = area[:, None] + area[None] - intersection
    suppresses = has_higher_score * tf.cast(intersection > options.iou_threshold * union, tf.float32)
    valid = tf.cast(scores > options.confidence, tf.float32)[:, None]
    is_selected = valid
    for _ in range(MAX_ROUNDS):
        is_selected = valid * tf.cast(tf.matmul(suppresses, is_selected) < 0.5, tf.float32)
    # Suppressed boxes get negative scores and sort after the selected ones, whose scores are in 0..1.
    ranked, best = tf.math.top_k(scores * is_selected[:, 0] - (1.0 - is_selected[:, 0]), min(rows, count))
    selected = _picked(boxes, tf.gather(order, best), tf.minimum(tf.reduce_sum(is_selected), rows))
    selected = selected._replace(scores=ranked)
    return selected if rows <= count else pad_rows(selected, rows - count)


def _side(corners: tf.Tensor, axis: int) -> tf.Tensor:
    """Return the length of the intersection of each pair of boxes along an axis, (n, n)."""
    low, high = corners[:, axis], corners[:, 2 + axis]
    lows, highs = _in_columns(low), _in_columns(high)
    return tf.maximum(tf.minimum(highs, high[None]) - tf.maximum(lows, low[None]), 0.0)


def _in_columns(values: tf.Tensor) -> tf.Tensor:
    """Return values (n,) in each column of an (n, n) matrix.

    A product broadcasts: in the wasm backend of TF.js, minimum and maximum broadcast 20 times slower.
    """
    return tf.matmul(values[:, None], tf.ones((1, values.shape[0])))


def _next_above(threshold: float) -> float:
    """Return the next float32 above a threshold, since the operation keeps scores equal to its threshold."""
    return min(float(np.nextafter(np.float32(threshold), np.float32(1))), 1.0)


def _attribute(key: str, value: bool | int | float) -> str:
    """Return an attribute of `experimental_implements` in the text format of protocol buffers."""
    kind = {bool: "b", int: "i", float: "f"}[type(value)]
    text = str(value).lower() if kind == "b" else value
    return f'attr {{ key: "{key}" value {{ {kind}: {text} }} }}'


OUTSIDE = ("pipeline", "efficient")
"""Kinds of NMS that follow the TensorFlow graph: Core ML's second model, TensorRT's plugin."""

NMS: dict[str, Suppress | None] = {
    "postprocess": postprocess,
    "builtin": builtin,
    "builtin_v4": builtin_v4,
    "combined": combined,
    "tensor": tensor,
    "none": None,
    "raw": None,
}
"""Functions by kind. `none` returns all boxes and scores, `raw` the logits of the heads; `builtin_v4` is
`builtin` for TF.js."""
