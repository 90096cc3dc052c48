"""Kinds of non-maximum suppression that an exported graph can hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class NmsSettings:
    """Thresholds that an exported graph keeps.

    Attributes:
        confidence: lowest score.
        iou: overlap beyond which the lower box of a class goes.
        max_detections: rows of the outputs.
        candidates: boxes of highest objectness that are decoded and suppressed.
    """

    confidence: float = 0.25
    iou: float = 0.45
    max_detections: int = 100
    candidates: int = 1000


Outputs = Mapping[str, tf.Tensor]
Suppress = Callable[[tf.Tensor, tf.Tensor, NmsSettings], Outputs]


def combined(boxes: tf.Tensor, scores: tf.Tensor, settings: NmsSettings) -> Outputs:
    """TensorFlow's own operation, for formats that TensorFlow runs: per class, several classes a box.

    Args:
        boxes: (n, 4) centre y, centre x, height, width relative to the input.
        scores: (n, classes).
        settings: thresholds.
    """
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    corners = tf.concat([centre - half, centre + half], 1)
    out = tf.image.combined_non_max_suppression(
        corners[None, :, None],
        scores[None],
        max_output_size_per_class=settings.max_detections,
        max_total_size=settings.max_detections,
        iou_threshold=settings.iou,
        score_threshold=settings.confidence,
        clip_boxes=False,
    )
    return _outputs(
        out.nmsed_boxes, out.nmsed_classes, out.nmsed_scores, tf.cast(out.valid_detections, tf.float32)
    )


def postprocess(boxes: tf.Tensor, scores: tf.Tensor, settings: NmsSettings) -> Outputs:
    """TFLite_Detection_PostProcess, which every TensorFlow Lite runtime has built in.

    The converter replaces the function below by the operation; TensorFlow itself runs its body, `combined`,
    so the SavedModel detects too. The operation takes sizes as logarithms relative to an anchor, here of
    size 1 at the origin, which hands decoded boxes through exactly.
    """
    count, classes = boxes.shape[0], scores.shape[1]
    attributes = {
        "max_detections": settings.max_detections,
        "max_classes_per_detection": 1,
        "detections_per_class": settings.max_detections,
        "num_classes": classes,
        "nms_score_threshold": settings.confidence,
        "nms_iou_threshold": settings.iou,
        "y_scale": 1.0,
        "x_scale": 1.0,
        "h_scale": 1.0,
        "w_scale": 1.0,
        "use_regular_nms": True,
    }
    implements = " ".join(
        [
            'name: "TFLite_Detection_PostProcess"',
            *(_attribute(key, value) for key, value in attributes.items()),
        ]
    )

    @tf.function(
        experimental_implements=implements,
        input_signature=[
            tf.TensorSpec((1, count, 4), tf.float32),
            tf.TensorSpec((1, count, classes), tf.float32),
            tf.TensorSpec((count, 4), tf.float32),
        ],
    )
    def detection_postprocess(encodings: tf.Tensor, scores: tf.Tensor, anchors: tf.Tensor) -> list[tf.Tensor]:
        sizes = tf.exp(encodings[0, :, 2:]) * anchors[:, 2:]
        out = combined(tf.concat([encodings[0, :, :2], sizes], 1), scores[0], settings)
        return [out[f"detection_{part}"] for part in ("boxes", "classes", "scores")] + [out["num_detections"]]

    # A width of zero would be -infinity, and one box that is not a number fails the whole operation.
    encodings = tf.concat([boxes[:, :2], tf.math.log(tf.maximum(boxes[:, 2:], 1e-9))], 1)
    anchors = tf.constant([[0.0, 0.0, 1.0, 1.0]] * count)
    corners, labels, best, valid = detection_postprocess(encodings[None], scores[None], anchors)
    size = settings.max_detections
    return _outputs(
        tf.reshape(corners, [1, size, 4]), tf.reshape(labels, [1, size]), tf.reshape(best, [1, size]), valid
    )


def _attribute(key: str, value: bool | int | float) -> str:
    kind = {bool: "b", int: "i", float: "f"}[type(value)]
    text = str(value).lower() if kind == "b" else value
    return f'attr {{ key: "{key}" value {{ {kind}: {text} }} }}'


def _outputs(boxes: tf.Tensor, classes: tf.Tensor, scores: tf.Tensor, count: tf.Tensor) -> Outputs:
    """The contract's names; rows past the count are zero (the TFLite kernel leaves them undefined)."""
    valid = tf.range(boxes.shape[1], dtype=tf.float32) < tf.reshape(count, [])
    return {
        "detection_boxes": tf.where(valid[None, :, None], boxes, tf.zeros_like(boxes)),
        "detection_classes": tf.where(valid[None], classes, tf.zeros_like(classes)),
        "detection_scores": tf.where(valid[None], scores, tf.zeros_like(scores)),
        "num_detections": tf.reshape(count, [1]),
    }


NMS: dict[str, Suppress | None] = {"postprocess": postprocess, "combined": combined, "none": None}
