"""The operations of a network in TensorFlow, in float or with fake quantization."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfyolo.models.config.arguments import LEAKY_SLOPE
from tfyolo.models.network import Network
from tfyolo.models.nodes import IMAGES, Node
from tfyolo.models.quantization import INT8_MAX, KEEPS_SCALE, SIGMOID, Placement, QuantizationSpec

Tensor = Any
_NEXT_TO_ONE = float(np.nextafter(np.float32(1), np.float32(2)))


class FakeQuantization:
    """Fake quantization of tensors and kernels, with the scales of the integer network.

    TensorFlow Lite's converter turns these operations into the scales of an int8 file, so exporting needs no
    calibration.

    Args:
        network: the network.
        spec: ranges of its tensors, and the layers that stay in float.
    """

    def __init__(self, network: Network, spec: QuantizationSpec) -> None:
        self._spec, self._placement = spec, Placement.of(network, spec.keep_float)
        self._moved = {
            name
            for node in network.nodes
            if self._placement.is_float(node.name) and _moves_values(node)
            for name in node.inputs
        }

    def tensor(self, x: Tensor, name: str) -> Tensor:
        """Fake-quantize the output `x` of node `name` to the 256 values of its range."""
        return x if self._placement.is_float(name) else self._rounded(x, self._placement.ranges[name])

    def enters(self, name: str, reader: Node) -> tuple[str, float] | None:
        """Return how an integer node reads the output of a float node: its range, and a factor; else None.

        TensorFlow Lite's converter carries a scale on to operations that only move values, such as an
        upsampling or the padding of a convolution, and back to what they read. Where another reader needs
        another scale, it fails or uses a wrong one. So each kind of reader has a rounding of its own, and
        a product that the converter cannot remove, with a factor next to 1, keeps them apart.
        """
        limits = self._placement.entering(name, reader.name)
        if limits is None:
            return None
        factor = 1.0 if name not in self._moved else _NEXT_TO_ONE
        return limits, factor * _NEXT_TO_ONE**2 if reader.kind in (*KEEPS_SCALE, "concat") else factor

    def entering(self, x: Tensor, limits: str, factor: float) -> Tensor:
        """Fake-quantize the output of a float node for an integer node.

        Args:
            x: the output.
            limits: name of the range, from `enters`.
            factor: factor, from `enters`.
        """
        return self._rounded(x if factor == 1 else x * factor, limits)

    def _rounded(self, x: Tensor, range_name: str) -> Tensor:
        # Models that an older version calibrated have no ranges where float parts end.
        limits = self._spec.ranges.get(range_name)
        return x if limits is None else fake_quantize(x, limits)

    def sigmoid(self, x: Tensor, name: str) -> Tensor:
        """Fake-quantize the sigmoid inside an activation to the fixed scale that integer kernels give it."""
        return x if self._placement.is_float(name) else fake_quantize(x, SIGMOID)

    def kernel(self, kernel: np.ndarray, node: Node) -> Tensor:
        """Fake-quantize the kernel (height, width, input channels, output channels) of `node` to int8."""
        if self._placement.is_float(node.name):
            return tf.constant(kernel)
        bounds = self._spec.kernel_bounds(node.layer, kernel)
        if self._spec.weights == "per_tensor":
            return tf.quantization.fake_quant_with_min_max_vars(
                kernel, -bounds[0], bounds[0], narrow_range=True, name=f"kernel/{node.layer}"
            )
        return tf.quantization.fake_quant_with_min_max_vars_per_channel(
            kernel, -bounds, bounds, narrow_range=True, name=f"kernel/{node.layer}"
        )


class NoQuantization:
    """No fake quantization: the float network."""

    def tensor(self, x: Tensor, name: str) -> Tensor:
        """Return `x` unchanged."""
        return x

    def enters(self, name: str, reader: Node) -> tuple[str, float] | None:
        """Return None: there are no integer nodes."""
        return None

    def entering(self, x: Tensor, limits: str, factor: float) -> Tensor:
        """Return `x` unchanged.

        Args:
            x: the output of a node.
            limits: not used.
            factor: not used.
        """
        return x

    def sigmoid(self, x: Tensor, name: str) -> Tensor:
        """Return `x` unchanged."""
        return x

    def kernel(self, kernel: np.ndarray, node: Node) -> Tensor:
        """Return `kernel` as a constant."""
        return tf.constant(kernel)


class Float16Weights(NoQuantization):
    """The float network with weights stored as float16."""

    def kernel(self, kernel: np.ndarray, node: Node) -> Tensor:
        """Return `kernel` as a float16 constant, cast to float32; unchanged if float16 overflows."""
        if not fits_float16(kernel):
            return tf.constant(kernel)
        return tf.cast(tf.constant(kernel.astype(np.float16)), tf.float32)


def fits_float16(kernel: np.ndarray) -> bool:
    """Return True if all values of `kernel` are within the range of float16."""
    return bool(np.abs(kernel).max() <= np.finfo(np.float16).max)


Quantization = FakeQuantization | NoQuantization


class SigmoidFakeQuantization(NoQuantization):
    """Fake quantization of nothing but the sigmoid inside an activation.

    Calibration and QAT quantize tensors and kernels themselves, since their ranges are not final yet.
    """

    def sigmoid(self, x: Tensor, name: str) -> Tensor:
        """Round to multiples of 1/256: the fixed output scale of TensorFlow Lite's int8 LOGISTIC."""
        return fake_quantize(x, SIGMOID)


def fake_quantize(x: Tensor, limits: Sequence[Any]) -> Tensor:
    """Round a tensor to the nearest of 256 evenly spaced values, one of which is zero.

    Args:
        x: float32, any shape.
        limits: lowest and highest value of the range: two floats, or two scalar tensors, which
            receive gradients.

    Returns:
        The shape of `x`. Its gradient is 1 inside the range and 0 outside (straight-through estimator).

    Source: Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference, eq. 12.
    """
    low, high = limits
    if tf.is_tensor(low) or tf.is_tensor(high):
        return tf.quantization.fake_quant_with_min_max_vars(x, low, high)
    return tf.quantization.fake_quant_with_min_max_args(x, min=low, max=high)


def _moves_values(node: Node) -> bool:
    """Return whether a node has an operation that only moves values, which in int8 keeps their scale."""
    return node.kind in (*KEEPS_SCALE, "concat") or (node.kind == "conv" and node.arguments["padding"] > 0)


def fake_quantize_steps(x: Tensor) -> Tensor:
    """Round weights in units of their quantization step to int8: integers from -127 to 127, as float32."""
    return tf.quantization.fake_quant_with_min_max_args(x, -INT8_MAX, INT8_MAX, narrow_range=True)


def run_network(
    network: Network,
    images: Tensor,
    quantization: Quantization | None = None,
    observe: Callable[[str, Tensor], None] = lambda name, x: None,
) -> list[tuple[Tensor, ...]]:
    """Run a network on images.

    Args:
        network: from `Network.of`.
        images: float32 (batch, height, width, 3) RGB in 0..1.
        quantization: fake quantization of tensors and weights; none by default.
        observe: called as `observe(name, tensor)` with the output of each node.

    Returns:
        Per scale the logits of boxes, objectness and classes, each (batch, height, width, anchors * values).
        For a classifier one tuple with its logits, (batch, 1, 1, num_classes).
    """
    quantization = quantization or NoQuantization()
    tensors = {IMAGES: quantization.tensor(images, IMAGES)}
    entered: dict[tuple[str, str, float], Tensor] = {}

    def read(name: str, reader: Node) -> Tensor:
        how = quantization.enters(name, reader)
        if how is None:
            return tensors[name]
        key = name, how[0], how[1]
        if key not in entered:  # once for all readers of a kind
            entered[key] = quantization.entering(tensors[name], *how)
        return entered[key]

    for node in network.nodes:
        x = run_node(network, node, [read(name, node) for name in node.inputs], quantization)
        observe(node.name, x)
        tensors[node.name] = x
    return [tuple(tensors[name] for name in parts) for parts in network.heads]


def run_node(network: Network, node: Node, xs: list[Tensor], quantization: Quantization) -> Tensor:
    """Run one node of a network.

    Args:
        network: from `Network.of`; it has the node's weights.
        node: a node of `network`.
        xs: its inputs in order, float32 (batch, height, width, channels).
        quantization: fake quantization of its weights, and of its output where an integer kernel quantizes.

    Returns:
        Output, float32 (batch, height, width, channels).
    """
    x = KINDS[node.kind](network, node, xs, quantization)
    return x if node.kind in KEEPS_SCALE else quantization.tensor(x, node.name)


def activate(x: Tensor, function: str, sigmoid: Callable[[Tensor], Tensor] = lambda x: x) -> Tensor:
    """Apply an activation function by name.

    Args:
        x: float32, any shape.
        function: name of the activation, such as `silu`; "" for none.
        sigmoid: applied to the sigmoid inside SiLU; unchanged by default.

    Returns:
        The shape of `x`.
    """
    return _ACTIVATIONS[function](x, sigmoid)


_ACTIVATIONS: dict[str, Callable[[Tensor, Callable[[Tensor], Tensor]], Tensor]] = {
    "": lambda x, _: x,
    "silu": lambda x, sigmoid: x * sigmoid(tf.sigmoid(x)),
    "relu": lambda x, _: tf.nn.relu(x),
    "relu6": lambda x, _: tf.nn.relu6(x),
    "leaky_relu": lambda x, _: tf.nn.leaky_relu(x, LEAKY_SLOPE),
    "hard_swish": lambda x, _: x * tf.nn.relu6(x + 3.0) * (1 / 6),
}


def convolve(x: Tensor, kernel: Tensor, bias: Tensor, node: Node) -> Tensor:
    """Convolve with symmetric padding, as PyTorch does, add the bias and apply the activation of `node`.

    Args:
        x: (batch, height, width, input channels).
        kernel: (height, width, input channels / groups, output channels).
        bias: (output channels,).
        node: node of kind `conv`: stride, padding, groups and fused activation.

    Returns:
        Output (batch, height, width, output channels).
    """
    stride, padding, groups = (node.arguments[key] for key in ("stride", "padding", "groups"))
    size = node.arguments["kernel"]
    same = _same(x.shape[1:3], size, stride, padding)
    if padding and not same:
        x = tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    padding_mode = "SAME" if padding and same else "VALID"
    if groups > 1 and groups == x.shape[-1]:
        kernel = tf.reshape(kernel, [size, size, groups, node.channels // groups])
        y = tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], padding_mode)
    else:
        y = tf.nn.conv2d(x, kernel, stride, padding_mode)
    return activate(y + bias, node.function)


def _same(image_size: Any, size: int, stride: int, padding: int) -> bool:
    """Return True if TensorFlow's SAME padding equals `padding` on all four sides."""
    if stride == 1:
        return 2 * padding == size - 1
    return all(
        side is not None and max((-(-side // stride) - 1) * stride + size - side, 0) == 2 * padding
        for side in image_size
    )


def _conv(network: Network, node: Node, xs: list[Tensor], quantization: Quantization) -> Tensor:
    kernel, bias = network.weights[node.layer]
    return convolve(xs[0], quantization.kernel(kernel, node), tf.constant(bias), node)


def _activation(network: Network, node: Node, xs: list[Tensor], quantization: Quantization) -> Tensor:
    return activate(xs[0], node.function, lambda x: quantization.sigmoid(x, node.name))


def _max_pool(network: Network, node: Node, xs: list[Tensor], quantization: Quantization) -> Tensor:
    padding = "SAME" if node.arguments["padding"] else "VALID"
    return tf.nn.max_pool2d(xs[0], node.arguments["kernel"], node.arguments["stride"], padding)


def _upsample(network: Network, node: Node, xs: list[Tensor], quantization: Quantization) -> Tensor:
    # This form is a single operation of version 1 in every format; models/layers.py has the details.
    height, width = xs[0].shape[1:3]
    size = [height, width] if height and width else tf.shape(xs[0])[1:3]
    return tf.raw_ops.ResizeNearestNeighbor(
        images=xs[0], size=tf.convert_to_tensor(size) * node.arguments["scale"]
    )


def _zero_pad(network: Network, node: Node, xs: list[Tensor], quantization: Quantization) -> Tensor:
    return tf.pad(xs[0], [[0, 0], *map(list, node.arguments["padding"]), [0, 0]])


def _attention(network: Network, node: Node, xs: list[Tensor], quantization: Quantization) -> Tensor:
    """Keras' MultiHeadAttention over all positions, in float, since it has no integer kernel.

    It uses matrix products in place of the einsum of Keras, which TF.js does not support.
    """
    shape, arrays = tf.shape(xs[0]), network.attention[node.name]
    projected = []
    for x, kernel, bias in zip(xs, arrays[0:6:2], arrays[1:6:2], strict=True):
        channels, heads, size = kernel.shape
        y = tf.matmul(tf.reshape(x, [-1, channels]), kernel.reshape(channels, -1)) + bias.reshape(-1)
        projected.append(tf.transpose(tf.reshape(y, [shape[0], -1, heads, size]), [0, 2, 1, 3]))
    query, key, value = projected
    weights = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) / np.sqrt(query.shape[-1]))
    y, kernel = tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3]), arrays[6]
    flat = tf.reshape(y, [-1, kernel.shape[0] * kernel.shape[1]])
    return tf.reshape(tf.matmul(flat, kernel.reshape(-1, kernel.shape[-1])) + arrays[7], shape)


KINDS: dict[str, Callable[[Network, Node, list[Tensor], Quantization], Tensor]] = {
    "conv": _conv,
    "activation": _activation,
    "add": lambda network, node, xs, quantization: tf.add_n(xs) if len(xs) > 2 else xs[0] + xs[1],
    "concat": lambda network, node, xs, quantization: tf.concat(xs, -1),
    "max_pool": _max_pool,
    "upsample": _upsample,
    "zero_pad": _zero_pad,
    "global_pool": lambda network, node, xs, quantization: tf.reduce_mean(xs[0], [1, 2], keepdims=True),
    "attention": _attention,
}
"""Functions by kind of node, called with the network, the node, its inputs and the quantization."""
