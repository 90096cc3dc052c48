"""Building the Keras network of a configuration, on Keras 3 or on tf_keras."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.models.arguments import LEAKY_SLOPE
from tfyolo.models.blocks import BLOCKS, run_block
from tfyolo.models.heads import HEADS, initialize_biases
from tfyolo.models.ops import Normalization, Ops, Padding, Shape, ShapeOps, Tensor
from tfyolo.models.spec import ModelSpec


def build_model(
    spec: ModelSpec,
    keras: ModuleType | None = None,
    image_size: tuple[int, int] | None = None,
    *,
    for_training: bool = False,
    synchronized_bn: bool = False,
) -> Any:
    """The network of `spec` with fresh weights.

    Args:
        spec: from `load_spec` or `parse_spec`.
        keras: the namespace to build on: `keras` (version 3, the default) or `tf_keras` (for TFMOT).
        image_size: fixed height and width of the input in pixels; None lets them vary by whole strides.
        for_training: use layers that train faster (train_layers.py) in place of Keras' own. The weights and
            their order stay the same: `build_model(spec).set_weights(trained.get_weights())` gives the
            network to save and export. tf_keras has no such layers and builds its own.
        synchronized_bn: batch statistics over all replicas of a `tf.distribute` strategy.

    Returns:
        A `keras.Model` from `images` (batch, height, width, 3), RGB in 0..1, to the list of raw heads, or for
        a classifier to its logits (batch, classes).

    Raises:
        TfyoloError: Keras 3 runs on a backend other than TensorFlow; `image_size` is too small.

    Example:
        >>> model = build_model(load_spec("yolov5n"))  # doctest: +SKIP
        >>> [tuple(head.shape) for head in model.outputs]  # doctest: +SKIP
        [(None, None, None, 255), (None, None, None, 255), (None, None, None, 255)]
    """
    keras = keras or import_keras()
    images = keras.Input((*(image_size or (None, None)), 3), name="images")
    make_ops = KerasOps
    if for_training and keras.__name__ == "keras":
        from tfyolo.models.train_layers import TrainingOps

        make_ops = TrainingOps
    ops = make_ops(keras, spec.activation, spec.csp_activation, spec.bn_epsilon, synchronized_bn)
    heads = run_layers(ops, images, spec)
    name = re.sub("[^A-Za-z0-9.-]", "_", spec.name).lstrip("_.-") or "model"  # what TensorFlow takes
    model = keras.Model(images, heads if spec.task == "detect" else heads[0], name=name)
    initialize_biases(model, spec)
    return model


def call_heads(model: Any, images: Any, *, training: bool = False) -> list[Any]:
    """Call a network that `build_model` has made.

    Returns:
        Its outputs as a list, of any length; Keras itself returns a single one as a tensor.
    """
    heads = model(images, training=training)
    return list(heads) if isinstance(heads, list | tuple) else [heads]


def count_model(spec: ModelSpec, image_size: tuple[int, int] = (640, 640)) -> tuple[ShapeOps, list[Any]]:
    """Parameters and operations of every layer, without building anything.

    Returns:
        The `ShapeOps` with costs under `model.0`, `model.1`, ..., and the shape of each layer's output.
    """
    ops = ShapeOps(spec.csp_activation)
    shapes: list[Any] = []
    run_layers(ops, Shape(*image_size, 3), spec, shapes)
    return ops, shapes


def run_layers(
    ops: Ops, images: Tensor, spec: ModelSpec, outputs: list[Tensor] | None = None
) -> list[Tensor]:
    """Apply the layers of `spec` in order; each output is appended to `outputs`. Returns the raw heads."""
    outputs = [] if outputs is None else outputs
    if spec.normalization:
        images = ops.normalize(images, spec.normalization)
    for layer in spec.layers:
        name = f"model.{layer.index}"
        inputs = [images if i < 0 else outputs[i] for i in layer.sources]
        if layer.block in HEADS:
            outputs.append(HEADS[layer.block](ops, inputs, name, spec, **layer.arguments))
            continue
        try:
            x = run_block(ops, BLOCKS[layer.block], inputs, name, layer.arguments, layer.repeats)
        except ValueError as error:
            raise TfyoloError(f"model {spec.name}, layer {layer.index} ({layer.block}): {error}") from error
        outputs.append(x)
    return outputs[-1]


NORMALIZE = "normalize"
"""Name of what normalizes images, before the first layer."""


def scale_and_offset(normalization: Normalization) -> tuple[np.ndarray, np.ndarray]:
    """(3,) float32 each: what images in 0..1 are multiplied by, and what is then added."""
    mean, deviation = (np.asarray(values, np.float64) for values in normalization)
    return (1 / deviation).astype(np.float32), (-mean / deviation).astype(np.float32)


def import_keras() -> ModuleType:
    """Keras 3 on TensorFlow.

    Raises:
        TfyoloError: KERAS_BACKEND (or ~/.keras/keras.json) names another backend.
    """
    fix = "set KERAS_BACKEND=tensorflow"
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")  # importing Keras would import that backend
    if backend == "tensorflow":
        try:
            import keras
        except (ImportError, ValueError) as error:
            raise TfyoloError(f"Keras cannot be imported: {error}", fix=fix) from error
        backend = keras.backend.backend()
    if backend != "tensorflow":
        raise TfyoloError(f"Keras runs on the backend `{backend}`, but tfyolo needs TensorFlow", fix=fix)
    return keras


@dataclass(frozen=True)
class KerasOps:
    """Blocks' operations as Keras layers (see `Ops` for what each does)."""

    keras: ModuleType
    act: str
    csp_activation: str
    bn_epsilon: float
    synchronized_bn: bool = False

    def channels(self, x: Tensor) -> int:  # noqa: D102
        return int(x.shape[-1])

    def conv2d(  # noqa: D102
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
        # Keras' "same" pads like PyTorch where nothing is strided over; elsewhere it would shift boxes.
        same = stride == 1 and 2 * padding == kernel - 1
        if padding and not same:
            x = self.zero_pad(x, f"{name}.pad", ((padding, padding), (padding, padding)))
        # PyTorch's default: uniform within 1 / sqrt(fan in). One object for each layer, so that seeds differ.
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

    def normalize(self, images: Tensor, normalization: Normalization) -> Tensor:  # noqa: D102
        scale, offset = scale_and_offset(normalization)
        return self.keras.layers.Rescaling(scale.tolist(), offset.tolist(), name=NORMALIZE)(images)

    def batch_norm(self, x: Tensor, name: str, epsilon: float | None = None) -> Tensor:  # noqa: D102
        layer = self.keras.layers.BatchNormalization(**self._batch_norm_arguments(epsilon), name=name)
        return layer(x)

    def _batch_norm_arguments(self, epsilon: float | None) -> dict[str, Any]:
        """Of one batch normalisation, whose epsilon is the model's unless given."""
        return {
            "epsilon": self.bn_epsilon if epsilon is None else epsilon,
            "momentum": 0.97,
            "synchronized": self.synchronized_bn,
        }

    def activation(self, x: Tensor, name: str, act: bool | str) -> Tensor:  # noqa: D102
        layers = self.keras.layers
        kind = (self.act if act is True else act) or "linear"
        if kind == "linear":
            return x
        if kind == "leaky_relu":
            return layers.LeakyReLU(LEAKY_SLOPE, name=name)(x)
        if kind == "hard_swish":  # x relu6(x + 3) / 6; tf_keras' own hard_sigmoid is another function
            gate = layers.ReLU(6.0, name=f"{name}.relu6")(layers.Rescaling(1.0, 3.0, name=f"{name}.shift")(x))
            return layers.Multiply(name=name)([x, layers.Rescaling(1 / 6, name=f"{name}.scale")(gate)])
        # TFMOT knows SiLU by its first name.
        return layers.Activation({"silu": "swish"}.get(kind, kind), name=name)(x)

    def add(self, xs: list[Tensor], name: str) -> Tensor:  # noqa: D102
        return self.keras.layers.Add(name=name)(xs)

    def concat(self, xs: list[Tensor], name: str) -> Tensor:  # noqa: D102
        return self.keras.layers.Concatenate(name=name)(xs) if len(xs) > 1 else xs[0]

    def max_pool(self, x: Tensor, name: str, kernel: int, stride: int, padding: int) -> Tensor:  # noqa: D102
        return self.keras.layers.MaxPooling2D(kernel, stride, "same" if padding else "valid", name=name)(x)

    def zero_pad(self, x: Tensor, name: str, padding: Padding) -> Tensor:  # noqa: D102
        return self.keras.layers.ZeroPadding2D(padding, name=name)(x)

    def upsample(self, x: Tensor, name: str, scale: int) -> Tensor:  # noqa: D102
        if self.keras.__name__ == "tf_keras":
            return self.keras.layers.UpSampling2D(scale, interpolation="nearest", name=name)(x)
        from tfyolo.models.layers import NearestUpsample

        return NearestUpsample(scale, name=name)(x)

    def global_pool(self, x: Tensor, name: str) -> Tensor:  # noqa: D102
        return self.keras.layers.GlobalAveragePooling2D(name=name)(x)

    def dropout(self, x: Tensor, name: str, rate: float) -> Tensor:  # noqa: D102
        return self.keras.layers.Dropout(rate, name=name)(x) if rate else x

    def dense(self, x: Tensor, name: str, channels: int, bias: bool = True) -> Tensor:  # noqa: D102
        return self.keras.layers.Dense(channels, use_bias=bias, name=name)(x)

    def attention(self, query: Tensor, key: Tensor, value: Tensor, name: str, heads: int) -> Tensor:  # noqa: D102
        channels = self.channels(query)
        layer = self.keras.layers.MultiHeadAttention(
            heads, channels // heads, attention_axes=(1, 2), name=name
        )
        return layer(query, value, key)
