"""How far a quantized network's heads are from the float network's: a loss that needs no labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

BOX_GAIN = 8.0
"""Weight of boxes beside scores: with 2, scores came near the float model's quicker than boxes did."""


def distillation_loss(heads: Sequence[Sequence[Any]], teacher: Sequence[Sequence[Any]]) -> Any:
    """Difference of two networks' predictions, where the float one sees something.

    Scores are compared by the relative entropy of their probabilities, which weighs a logit by how much it
    can change its score; box logits by their squared difference. Boxes and classes count as much as the
    float model's objectness says that there is an object.

    Args:
        heads: per scale the logits of boxes, objectness and classes, (batch, height, width, channels).
        teacher: those of the float network.

    Returns:
        A scalar, per object that the float network sees.
    """
    total, objects = 0.0, 1e-3
    for (box, objectness, classes), (box_t, objectness_t, classes_t) in zip(heads, teacher, strict=True):
        share = tf.stop_gradient(tf.sigmoid(objectness_t))
        anchors = objectness.shape[-1]
        objects += tf.reduce_sum(share)
        total += tf.reduce_sum(_relative_entropy(objectness, objectness_t))
        for x, y, gain, compare in (
            (box, box_t, BOX_GAIN, lambda a, b: tf.square(a - b)),
            (classes, classes_t, 1.0, _relative_entropy),
        ):
            shape = tf.concat([tf.shape(objectness), [x.shape[-1] // anchors]], 0)
            difference = tf.reshape(compare(x, y), shape)
            total += gain * tf.reduce_sum(share * tf.reduce_sum(difference, -1))
    return total / objects


def _relative_entropy(logits: Any, teacher: Any) -> Any:
    """Of two Bernoulli distributions, by their logits; zero where they agree."""
    truth = tf.sigmoid(teacher)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits
    return entropy(truth, logits) - entropy(truth, teacher)
