"""`Ops` as Keras layers, on Keras 3 or on tf_keras."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from tfyolo.models.config.arguments import LEAKY_SLOPE
from tfyolo.models.ops import Normalization, Padding, Tensor

NORMALIZE = "normalize"
"""Name of the layer that normalizes images, the first of a network that has one."""


def scale_and_offset(normalization: Normalization) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and offset, (3,) float32 each: normalized images are `images * scale + offset`."""
    mean, deviation = (np.asarray(values, np.float64) for values in normalization)
    return (1 / deviation).astype(np.float32), (-mean / deviation).astype(np.float32)


@dataclass(frozen=True)
class KerasOps:
    """Blocks' operations as Keras layers (see `Ops` for what each does).

    Attributes:
        keras: the module `keras` (version 3) or `tf_keras`.
        act: name of the model's activation.
        csp_activation: name of the activation inside BottleneckCSP.
        bn_epsilon: default epsilon of batch normalization.
        synchronized_bn: whether batch normalization computes its statistics over all devices in training.
    """

    keras: ModuleType
    act: str
    csp_activation: str
    bn_epsilon: float
    synchronized_bn: bool = False

    def channels(self, x: Tensor) -> int:
        return int(x.shape[-1])

    def conv2d(
        self,
        x: Tensor,
        name: str,
        filters: int,
        kernel: int,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        bias: bool = False,
    ) -> Tensor:
        layers, channels = self.keras.layers, self.channels(x)
        padding = kernel // 2 if padding is None else padding
        # Keras' "same" padding equals PyTorch's only without stride; with stride it would shift boxes.
        same = stride == 1 and 2 * padding == kernel - 1
        if padding and not same:
            x = self.zero_pad(x, f"{name}.pad", ((padding, padding), (padding, padding)))
        # PyTorch's default: uniform within 1 / sqrt(fan in). One initializer per layer, so that seeds differ.
        initializer = self.keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        common = {"strides": stride, "padding": "same" if same else "valid", "use_bias": bias, "name": name}
        if groups > 1 and groups == channels:
            multiplier = filters // channels
            layer = layers.DepthwiseConv2D(
                kernel, depth_multiplier=multiplier, depthwise_initializer=initializer, **common
            )
        else:
            layer = layers.Conv2D(filters, kernel, groups=groups, kernel_initializer=initializer, **common)
        return layer(x)

    def normalize(self, images: Tensor, normalization: Normalization) -> Tensor:
        scale, offset = scale_and_offset(normalization)
        return self.keras.layers.Rescaling(scale.tolist(), offset.tolist(), name=NORMALIZE)(images)

    def batch_norm(self, x: Tensor, name: str, epsilon: float | None = None) -> Tensor:
        layer = self.keras.layers.BatchNormalization(**self._batch_norm_arguments(epsilon), name=name)
        return layer(x)

    def _batch_norm_arguments(self, epsilon: float | None) -> dict[str, Any]:
        """Return the arguments of a batch normalization; epsilon defaults to the model's."""
        return {
            "epsilon": self.bn_epsilon if epsilon is None else epsilon,
            "momentum": 0.97,
            "synchronized": self.synchronized_bn,
        }

    def activation(self, x: Tensor, name: str, act: bool | str) -> Tensor:
        layers = self.keras.layers
        kind = (self.act if act is True else act) or "linear"
        if kind == "linear":
            return x
        if kind == "leaky_relu":
            return layers.LeakyReLU(LEAKY_SLOPE, name=name)(x)
        if kind == "hard_swish":  # x relu6(x + 3) / 6; tf_keras' own hard_sigmoid is another function
            gate = layers.ReLU(6.0, name=f"{name}.relu6")(layers.Rescaling(1.0, 3.0, name=f"{name}.shift")(x))
            return layers.Multiply(name=name)([x, layers.Rescaling(1 / 6, name=f"{name}.scale")(gate)])
        # TFMOT knows SiLU as swish.
        return layers.Activation({"silu": "swish"}.get(kind, kind), name=name)(x)

    def add(self, xs: list[Tensor], name: str) -> Tensor:
        return self.keras.layers.Add(name=name)(xs)

    def concat(self, xs: list[Tensor], name: str) -> Tensor:
        return self.keras.layers.Concatenate(name=name)(xs) if len(xs) > 1 else xs[0]

    def max_pool(self, x: Tensor, name: str, kernel: int, stride: int, padding: int) -> Tensor:
        return self.keras.layers.MaxPooling2D(kernel, stride, "same" if padding else "valid", name=name)(x)

    def zero_pad(self, x: Tensor, name: str, padding: Padding) -> Tensor:
        return self.keras.layers.ZeroPadding2D(padding, name=name)(x)

    def upsample(self, x: Tensor, name: str, scale: int) -> Tensor:
        if self.keras.__name__ == "tf_keras":
            return self.keras.layers.UpSampling2D(scale, interpolation="nearest", name=name)(x)
        from tfyolo.models.layers import NearestUpsample

        return NearestUpsample(scale, name=name)(x)

    def global_pool(self, x: Tensor, name: str) -> Tensor:
        return self.keras.layers.GlobalAveragePooling2D(name=name)(x)

    def dropout(self, x: Tensor, name: str, rate: float) -> Tensor:
        return self.keras.layers.Dropout(rate, name=name)(x) if rate else x

    def dense(self, x: Tensor, name: str, channels: int, bias: bool = True) -> Tensor:
        return self.keras.layers.Dense(channels, use_bias=bias, name=name)(x)

    def attention(self, query: Tensor, key: Tensor, value: Tensor, name: str, heads: int) -> Tensor:
        channels = self.channels(query)
        layer = self.keras.layers.MultiHeadAttention(
            heads, channels // heads, attention_axes=(1, 2), name=name
        )
        return layer(query, value, key)
