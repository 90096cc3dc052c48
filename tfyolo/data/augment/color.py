"""Hue, saturation and brightness augmentation as one 3 x 3 matrix, the fastest form in TensorFlow."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from tfyolo.data.augment.options import AugmentationOptions
from tfyolo.data.augment.random_stream import RandomStream

_LUMA = (0.213, 0.715, 0.072)


def color_matrix(hue_turns: Any, saturation: Any, value: Any) -> Any:
    """Return a (3, 3) color matrix m, to be applied as `rgb @ m`.

    Args:
        hue_turns: rotation of the hue, in full turns.
        saturation: factor of the distance from the gray with the same luma.
        value: brightness factor.

    Returns:
        float32 (3, 3).

    Source: W3C Filter Effects, feColorMatrix `hueRotate` and `saturate`.
    """
    angle = hue_turns * (2.0 * math.pi)
    cos, sin = tf.cos(angle), tf.sin(angle)
    luma = tf.constant([[weight] * 3 for weight in _LUMA])  # columns: every channel becomes the luma
    eye = tf.eye(3)
    quarter = tf.constant([[-0.213, 0.143, -0.787], [-0.715, 0.140, 0.715], [0.928, -0.283, 0.072]])
    turned = luma + cos * (eye - luma) + sin * quarter
    return value * tf.matmul(turned, luma + saturation * (eye - luma))


def jitter(image: Any, random: RandomStream, options: AugmentationOptions) -> Any:
    """Augment the colors of an image.

    Args:
        image: float32 (height, width, 3) RGB in 0..255.
        random: stream that three numbers are drawn from.
        options: largest changes of hue (`hsv_h`), saturation (`hsv_s`) and brightness (`hsv_v`).

    Returns:
        float32 of the same shape; values can exceed 0..255.
    """
    hue = random.uniform(-options.hsv_h, options.hsv_h)
    saturation = 1.0 + random.uniform(-options.hsv_s, options.hsv_s)
    value = 1.0 + random.uniform(-options.hsv_v, options.hsv_v)
    if not (options.hsv_h or options.hsv_s or options.hsv_v):
        return image
    return tf.matmul(image, color_matrix(hue, saturation, value))
