"""Kinds of non-maximum suppression that an exported graph can hold.

Each suppresses boxes of one class: graph.py has moved the classes apart, so that they cannot meet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf


@dataclass(frozen=True)
class NmsSettings:
    """What an exported graph keeps.

    Attributes:
        confidence: lowest score.
        iou: overlap beyond which the lower box of a class goes.
        max_detections: rows of the outputs.
        candidates: boxes of highest objectness that are decoded, and most that are suppressed.
        multi_label: a box may have several classes, as when mAP is measured; otherwise only its best.
    """

    confidence: float = 0.25
    iou: float = 0.45
    max_detections: int = 100
    candidates: int = 1000
    multi_label: bool = False


class Kept(NamedTuple):
    """What suppression leaves, best first; rows past `count` are undefined."""

    corners: tf.Tensor
    """(max_detections, 4): ymin, xmin, ymax, xmax."""
    scores: tf.Tensor
    """(max_detections,)."""
    count: tf.Tensor
    """() float32."""


Suppress = Callable[[tf.Tensor, tf.Tensor, NmsSettings], Kept]


def combined(boxes: tf.Tensor, scores: tf.Tensor, settings: NmsSettings) -> Kept:
    """TensorFlow's CombinedNonMaxSuppression, for formats that TensorFlow runs.

    Args:
        boxes: (n, 4) centre y, centre x, height, width.
        scores: (n,).
        settings: thresholds.
    """
    out = tf.image.combined_non_max_suppression(
        to_corners(boxes)[None, :, None],
        scores[None, :, None],
        max_output_size_per_class=settings.max_detections,
        max_total_size=settings.max_detections,
        iou_threshold=settings.iou,
        score_threshold=settings.confidence,
        clip_boxes=False,
    )
    return Kept(out.nmsed_boxes[0], out.nmsed_scores[0], tf.cast(out.valid_detections[0], tf.float32))


def postprocess(boxes: tf.Tensor, scores: tf.Tensor, settings: NmsSettings) -> Kept:
    """TFLite_Detection_PostProcess, which every TensorFlow Lite runtime has built in.

    The converter replaces the function below by the operation; TensorFlow itself runs its body, `combined`,
    so the SavedModel detects too. The operation takes sizes as logarithms relative to an anchor, here of
    size 1 at the origin, which hands decoded boxes through exactly.

    Its own suppression by class (`use_regular_nms`) is wrong on several threads: seen in LiteRT 2.3, boxes go
    missing, and with more than 100 detections it writes past its buffers. With one class it is not needed.
    """
    count, rows = boxes.shape[0], settings.max_detections
    attributes = {
        "max_detections": rows,
        "max_classes_per_detection": 1,
        "num_classes": 1,
        "nms_score_threshold": settings.confidence,
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
            tf.TensorSpec((1, count, 1), tf.float32),
            tf.TensorSpec((count, 4), tf.float32),
        ],
    )
    def detection_postprocess(encodings: tf.Tensor, scores: tf.Tensor, anchors: tf.Tensor) -> list[tf.Tensor]:
        sizes = tf.exp(encodings[0, :, 2:]) * anchors[:, 2:]
        kept = combined(tf.concat([encodings[0, :, :2], sizes], 1), scores[0, :, 0], settings)
        classes = tf.zeros_like(kept.scores)
        return [kept.corners[None], classes[None], kept.scores[None], kept.count[None]]

    # A size of zero would be -infinity, and one box that is not a number fails the whole operation.
    encodings = tf.concat([boxes[:, :2], tf.math.log(tf.maximum(boxes[:, 2:], 1e-9))], 1)
    anchors = tf.constant([[0.0, 0.0, 1.0, 1.0]] * count)
    corners, _, best, valid = detection_postprocess(encodings[None], scores[None, :, None], anchors)
    return Kept(tf.reshape(corners, [rows, 4]), tf.reshape(best, [rows]), tf.reshape(valid, []))


def to_corners(boxes: tf.Tensor) -> tf.Tensor:
    """(n, 4) centre y, centre x, height, width to ymin, xmin, ymax, xmax."""
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    return tf.concat([centre - half, centre + half], 1)


def _attribute(key: str, value: bool | int | float) -> str:
    kind = {bool: "b", int: "i", float: "f"}[type(value)]
    text = str(value).lower() if kind == "b" else value
    return f'attr {{ key: "{key}" value {{ {kind}: {text} }} }}'


NMS: dict[str, Suppress | None] = {"postprocess": postprocess, "combined": combined, "none": None}
