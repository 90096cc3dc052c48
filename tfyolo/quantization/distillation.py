"""How far a quantized network's heads are from the float network's: a loss that needs no labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

BOX_GAIN = 64.0
"""Weight of boxes beside scores: with less, scores come near the float model's quicker than boxes do."""
_LEAST_PX = 4.0
"""Boxes smaller than this count as this large: nothing so small is found."""


def distillation_loss(
    heads: Sequence[Sequence[Any]],
    teacher: Sequence[Sequence[Any]],
    anchors_px: Sequence[Sequence[float]],
    strides: Sequence[int],
) -> Any:
    """Difference of two networks' predictions, where the float one sees something.

    Scores are compared by the relative entropy of their probabilities, which weighs a logit by how much it
    can change its score, and boxes by what their difference takes from their IoU. Classes count as much as
    the float model's objectness says that there is an object, boxes as much as its square: the many cells
    that see next to nothing have the largest errors, and nobody looks at their boxes.

    Args:
        heads: per scale the logits of boxes, objectness and classes, (batch, height, width, channels).
        teacher: those of the float network.
        anchors_px: per scale width, height pairs.
        strides: per scale, in pixels.

    Returns:
        A scalar, per object that the float network sees.
    """
    total, objects = 0.0, 1e-3
    for parts, parts_t, anchors, stride in zip(heads, teacher, anchors_px, strides, strict=True):
        (box, objectness, classes), (box_t, objectness_t, classes_t) = parts, parts_t
        share = tf.stop_gradient(tf.sigmoid(objectness_t))
        objects += tf.reduce_sum(share)
        box, box_t = _by_anchor(box, objectness), _by_anchor(box_t, objectness)
        boxes = _box_difference(box, box_t, anchors, stride)
        kinds = _by_anchor(_relative_entropy(classes, classes_t), objectness)
        total += tf.reduce_sum(_relative_entropy(objectness, objectness_t))
        total += tf.reduce_sum(share * (BOX_GAIN * share * boxes + tf.reduce_sum(kinds, -1)))
    return total / objects


def _by_anchor(x: Any, objectness: Any) -> Any:
    anchors = objectness.shape[-1]
    return tf.reshape(x, tf.concat([tf.shape(objectness), [x.shape[-1] // anchors]], 0))


def _box_difference(box: Any, teacher: Any, anchors_px: Sequence[float], stride: int) -> Any:
    """Squared shift, and squared change of the logarithm of the size, in units of the box's own size.

    A box that moves by a small share of its size, or grows by it, loses that share of its IoU.
    """
    anchors = tf.reshape(tf.constant(anchors_px, tf.float32), (-1, 2))
    size_px = tf.stop_gradient(anchors * (2.0 * tf.sigmoid(teacher[..., 2:])) ** 2)
    shift_px = 2.0 * stride * (tf.sigmoid(box[..., :2]) - tf.sigmoid(teacher[..., :2]))
    growth = 2.0 * (tf.math.log_sigmoid(box[..., 2:]) - tf.math.log_sigmoid(teacher[..., 2:]))
    shift = shift_px / tf.maximum(size_px, _LEAST_PX)
    return tf.reduce_sum(tf.square(shift) + tf.square(growth), -1)


def _relative_entropy(logits: Any, teacher: Any) -> Any:
    """Of two Bernoulli distributions, by their logits; zero where they agree."""
    truth = tf.sigmoid(teacher)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits
    return entropy(truth, logits) - entropy(truth, teacher)
