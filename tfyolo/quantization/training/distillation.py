"""Distillation loss of detectors: distance between a quantized network's heads and the float network's.

It needs no labels. Source of the idea: Hinton et al. 2015, Distilling the Knowledge in a Neural Network;
the weights of boxes and classes are this project's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

BOX_GAIN = 64.0
"""Weight of the box loss relative to the score losses. With a lower one, scores converge to the float model's
before boxes do."""
MASKS = 32
"""Masks of an image that are compared."""
_MIN_SIZE_PX = 4.0
"""Lower limit of the box size that errors are divided by; detectors find no smaller objects."""


def distillation_loss(
    heads: Sequence[Sequence[Any]],
    teacher: Sequence[Sequence[Any]],
    anchors_px: Sequence[Sequence[float]],
    strides: Sequence[int],
) -> Any:
    """Compute the distance between the predictions of two networks, weighted by the teacher's objectness.

    Scores are compared by the Kullback-Leibler divergence of their probabilities: an error of a logit counts
    as much as it changes the score. Boxes are compared by their relative shift and growth, which approximates
    the loss of IoU. Class losses are weighted by the teacher's objectness and box losses by its square: most
    grid cells are background, have the largest box errors, and their boxes are never used.

    Args:
        heads: per scale the logits of boxes, objectness and classes of the trained network, each
            (batch, height, width, channels); further parts are ignored.
        teacher: the same for the float network.
        anchors_px: per scale width, height pairs in pixels.
        strides: per scale, in pixels.

    Returns:
        A scalar tensor: the loss per object that the teacher sees (the sum of its objectness).
    """
    total, objects = 0.0, 1e-3
    for parts, teacher_parts, anchors, stride in zip(heads, teacher, anchors_px, strides, strict=True):
        box, objectness, classes = parts[:3]
        teacher_box, teacher_objectness, teacher_classes = teacher_parts[:3]
        weight = tf.stop_gradient(tf.sigmoid(teacher_objectness))
        objects += tf.reduce_sum(weight)
        box, teacher_box = _by_anchor(box, objectness), _by_anchor(teacher_box, objectness)
        box_loss = _box_distance(box, teacher_box, anchors, stride)
        class_loss = _by_anchor(_bernoulli_divergence(classes, teacher_classes), objectness)
        total += tf.reduce_sum(_bernoulli_divergence(objectness, teacher_objectness))
        total += tf.reduce_sum(weight * (BOX_GAIN * weight * box_loss + tf.reduce_sum(class_loss, -1)))
    return total / objects


def mask_distillation_loss(heads: Sequence[Sequence[Any]], teacher: Sequence[Sequence[Any]]) -> Any:
    """Compute the distance between the masks of two networks, at the anchors that the teacher is surest of.

    Masks are compared by the Kullback-Leibler divergence of their probabilities, pixel by pixel, since errors
    of coefficients and prototypes matter only in their products. Each mask is weighted by the teacher's
    objectness.

    Args:
        heads: per scale the logits of boxes, objectness and classes and the mask coefficients of the trained
            network, each (batch, height, width, channels); then its prototypes, (batch, height, width, k).
        teacher: the same for the float network.

    Returns:
        A scalar tensor: the mean divergence over the pixels of masks.
    """
    *scales, (prototypes,) = heads
    *teacher_scales, (teacher_prototypes,) = teacher
    size = prototypes.shape[-1]
    objectness = tf.sigmoid(_rows(teacher_scales, 1, 1)[..., 0])
    weight, best = tf.math.top_k(objectness, min(MASKS, objectness.shape[1]))
    weight = tf.stop_gradient(weight)
    logits, teacher_logits = (
        tf.einsum(
            "bnk,bhwk->bnhw", tf.gather(_rows(parts, 3, size), best, batch_dims=1) * weight[..., None], maps
        )
        for parts, maps in ((scales, prototypes), (teacher_scales, teacher_prototypes))
    )
    divergence = tf.reduce_mean(_bernoulli_divergence(logits, teacher_logits), [2, 3])
    return tf.reduce_sum(divergence * weight) / (tf.reduce_sum(weight) + 1e-3)


def _rows(scales: Sequence[Sequence[Any]], part: int, size: int) -> Any:
    """Return one part of the heads of all scales as (batch, anchors, size)."""
    return tf.concat(
        [
            tf.reshape(parts[part], [-1, int(np.prod(parts[part].shape[1:])) // size, size])
            for parts in scales
        ],
        1,
    )


def _by_anchor(x: Any, objectness: Any) -> Any:
    """Reshape (batch, height, width, anchors * n) to (batch, height, width, anchors, n)."""
    anchors = objectness.shape[-1]
    return tf.reshape(x, tf.concat([tf.shape(objectness), [x.shape[-1] // anchors]], 0))


def _box_distance(box: Any, teacher: Any, anchors_px: Sequence[float], stride: int) -> Any:
    """Squared shift of the center and squared change of log size, relative to the teacher's box.

    A box that is shifted by a small fraction of its size, or grows by it, loses about that fraction of IoU.

    Args:
        box: logits (batch, height, width, anchors, 4): x, y, width, height.
        teacher: the same for the float network.
        anchors_px: width, height pairs of the scale, in pixels.
        stride: stride of the feature map, in pixels.

    Returns:
        (batch, height, width, anchors).

    Source: YOLOv5's decoding, `xy = (2 sigmoid(t) - 0.5 + grid) * stride`, `wh = (2 sigmoid(t))^2 * anchor`;
    the growth is the logarithm of the ratio of two `wh`.
    """
    anchors = tf.reshape(tf.constant(anchors_px, tf.float32), (-1, 2))
    size_px = tf.stop_gradient(anchors * (2.0 * tf.sigmoid(teacher[..., 2:])) ** 2)
    shift_px = 2.0 * stride * (tf.sigmoid(box[..., :2]) - tf.sigmoid(teacher[..., :2]))
    growth = 2.0 * (tf.math.log_sigmoid(box[..., 2:]) - tf.math.log_sigmoid(teacher[..., 2:]))
    shift = shift_px / tf.maximum(size_px, _MIN_SIZE_PX)
    return tf.reduce_sum(tf.square(shift) + tf.square(growth), -1)


def _bernoulli_divergence(logits: Any, teacher: Any) -> Any:
    """Kullback-Leibler divergence of sigmoid probabilities from the teacher's, elementwise; 0 where equal.

    Computed as a difference of cross-entropies, which is stable for logits of any size.
    """
    probability = tf.sigmoid(teacher)
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits
    return cross_entropy(probability, logits) - cross_entropy(probability, teacher)
