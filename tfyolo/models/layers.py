"""A layer that Keras 3 lacks in a form that every export format supports."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfyolo")
class NearestUpsample(keras.layers.Layer):
    """Repeat every pixel `scale` times in both directions, as one ResizeNearestNeighbor operation.

    `keras.layers.UpSampling2D` computes the same through a 5-D Tile, which WebGPU and the Edge TPU refuse,
    and `tf.image.resize` becomes a half-pixel version of the operation that the Edge TPU refuses.

    Args:
        scale: a whole number.
    """

    def __init__(self, scale: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """(batch, height, width, channels) to (batch, scale * height, scale * width, channels)."""
        height, width = inputs.shape[1], inputs.shape[2]
        size = tf.shape(inputs)[1:3] if height is None or width is None else tf.constant([height, width])
        return tf.raw_ops.ResizeNearestNeighbor(images=inputs, size=size * self.scale)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape with height and width multiplied by `scale`."""
        batch, height, width, channels = input_shape
        return (batch, height and height * self.scale, width and width * self.scale, channels)

    def get_config(self) -> dict[str, Any]:
        """Return the configuration that Keras saves."""
        return {**super().get_config(), "scale": self.scale}
