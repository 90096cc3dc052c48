"""The network's operations in TensorFlow, float or with the rounding of its integer version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfyolo.models.arguments import LEAKY_SLOPE
from tfyolo.models.network import IMAGES, Network, Node
from tfyolo.models.quantization import KEEPS_SCALE, SIGMOID, QuantizationSpec, range_names

Tensor = Any


class Rounding:
    """Rounds tensors and kernels as the integer network does: TensorFlow's fake-quantization operations.

    The converter turns them into scales, so that no calibration is needed when a file is written.

    Args:
        network: whose tensors are rounded.
        spec: ranges.
    """

    def __init__(self, network: Network, spec: QuantizationSpec) -> None:
        self._spec, self._names = spec, range_names(network)

    def tensor(self, x: Tensor, name: str) -> Tensor:
        """Activations of the node `name`, on the grid of 256 values of its range."""
        owner = self._names[name]
        # What only a concatenation in float reads would have to be rounded on a scale that nothing has.
        if self._spec.is_float(name) or self._spec.is_float(owner):
            return x
        return fake_quantize(x, self._spec.ranges[owner])

    def sigmoid(self, x: Tensor, name: str) -> Tensor:
        """A sigmoid inside an activation, on the grid that integer kernels give it."""
        return x if self._spec.is_float(name) else fake_quantize(x, SIGMOID)

    def kernel(self, kernel: np.ndarray, node: Node) -> Tensor:
        """Weights (height, width, input, output channels) on the grid of int8."""
        if self._spec.is_float(node.name):
            return tf.constant(kernel)
        bounds = self._spec.kernel_bounds(node.layer, kernel)
        if self._spec.weights == "per_tensor":
            return tf.quantization.fake_quant_with_min_max_vars(
                kernel, -bounds[0], bounds[0], narrow_range=True, name=f"kernel/{node.layer}"
            )
        return tf.quantization.fake_quant_with_min_max_vars_per_channel(
            kernel, -bounds, bounds, narrow_range=True, name=f"kernel/{node.layer}"
        )


class NoRounding:
    """The float network."""

    def tensor(self, x: Tensor, name: str) -> Tensor:
        """`x`."""
        return x

    def sigmoid(self, x: Tensor, name: str) -> Tensor:
        """`x`."""
        return x

    def kernel(self, kernel: np.ndarray, node: Node) -> Tensor:
        """`kernel`."""
        return tf.constant(kernel)


class HalfWeights(NoRounding):
    """The float network, its weights stored as float16."""

    def kernel(self, kernel: np.ndarray, node: Node) -> Tensor:
        """`kernel`, float32 when it is used; as it is where float16 cannot hold it."""
        if not fits_half(kernel):
            return tf.constant(kernel)
        return tf.cast(tf.constant(kernel.astype(np.float16)), tf.float32)


def fits_half(kernel: np.ndarray) -> bool:
    """Whether float16 can hold its values."""
    return bool(np.abs(kernel).max() <= np.finfo(np.float16).max)


Roundings = Rounding | NoRounding


def fake_quantize(x: Tensor, limits: Sequence[float]) -> Tensor:
    """`x` rounded to 256 values between two limits, one of which values is zero."""
    return tf.quantization.fake_quant_with_min_max_args(x, min=limits[0], max=limits[1])


def run_network(
    network: Network,
    images: Tensor,
    rounding: Roundings | None = None,
    observe: Callable[[str, Tensor], None] = lambda name, x: None,
) -> list[tuple[Tensor, ...]]:
    """Execute.

    Args:
        network: from `Network.of`.
        images: (batch, height, width, 3) RGB in 0..1.
        rounding: of tensors and weights; none by default.
        observe: is shown every tensor with its name.

    Returns:
        Per scale the logits of boxes, objectness and classes; of a classifier its logits, (batch, 1, 1,
        classes), alone.
    """
    rounding = rounding or NoRounding()
    tensors = {IMAGES: rounding.tensor(images, IMAGES)}
    for node in network.nodes:
        x = run_node(network, node, [tensors[name] for name in node.inputs], rounding)
        observe(node.name, x)
        tensors[node.name] = x
    return [tuple(tensors[name] for name in parts) for parts in network.heads]


def run_node(network: Network, node: Node, xs: list[Tensor], rounding: Roundings) -> Tensor:
    """One operation; its output is rounded where an integer kernel would round it."""
    x = KINDS[node.kind](network, node, xs, rounding)
    return x if node.kind in KEEPS_SCALE else rounding.tensor(x, node.name)


def activate(x: Tensor, function: str, sigmoid: Callable[[Tensor], Tensor] = lambda x: x) -> Tensor:
    """An activation by name; `sigmoid` is applied to the sigmoid inside one."""
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
    """A convolution that pads symmetrically, as PyTorch's does, with bias and fused activation."""
    stride, padding, groups = (node.arguments[key] for key in ("stride", "padding", "groups"))
    size = node.arguments["kernel"]
    same = _same(x.shape[1:3], size, stride, padding)
    if padding and not same:
        x = tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    how = "SAME" if padding and same else "VALID"
    if groups > 1 and groups == x.shape[-1]:
        kernel = tf.reshape(kernel, [size, size, groups, node.channels // groups])
        y = tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], how)
    else:
        y = tf.nn.conv2d(x, kernel, stride, how)
    return activate(y + bias, node.function)


def _same(image_size: Any, size: int, stride: int, padding: int) -> bool:
    """Whether TensorFlow's SAME padding is `padding` on all four sides."""
    if stride == 1:
        return 2 * padding == size - 1
    return all(
        side is not None and max((-(-side // stride) - 1) * stride + size - side, 0) == 2 * padding
        for side in image_size
    )


def _conv(network: Network, node: Node, xs: list[Tensor], rounding: Roundings) -> Tensor:
    kernel, bias = network.weights[node.layer]
    return convolve(xs[0], rounding.kernel(kernel, node), tf.constant(bias), node)


def _activation(network: Network, node: Node, xs: list[Tensor], rounding: Roundings) -> Tensor:
    return activate(xs[0], node.function, lambda x: rounding.sigmoid(x, node.name))


def _max_pool(network: Network, node: Node, xs: list[Tensor], rounding: Roundings) -> Tensor:
    how = "SAME" if node.arguments["padding"] else "VALID"
    return tf.nn.max_pool2d(xs[0], node.arguments["kernel"], node.arguments["stride"], how)


def _upsample(network: Network, node: Node, xs: list[Tensor], rounding: Roundings) -> Tensor:
    # The one form that stays a single operation, version 1, in every format (models/layers.py says more).
    height, width = xs[0].shape[1:3]
    size = [height, width] if height and width else tf.shape(xs[0])[1:3]
    return tf.raw_ops.ResizeNearestNeighbor(
        images=xs[0], size=tf.convert_to_tensor(size) * node.arguments["scale"]
    )


def _zero_pad(network: Network, node: Node, xs: list[Tensor], rounding: Roundings) -> Tensor:
    return tf.pad(xs[0], [[0, 0], *map(list, node.arguments["padding"]), [0, 0]])


def _attention(network: Network, node: Node, xs: list[Tensor], rounding: Roundings) -> Tensor:
    """Keras' MultiHeadAttention over all positions; it has no integer kernel and stays in float.

    By matrix products, which every runtime has: TF.js has no einsum.
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


KINDS: dict[str, Callable[[Network, Node, list[Tensor], Roundings], Tensor]] = {
    "conv": _conv,
    "activation": _activation,
    "add": lambda network, node, xs, rounding: tf.add_n(xs) if len(xs) > 2 else xs[0] + xs[1],
    "concat": lambda network, node, xs, rounding: tf.concat(xs, -1),
    "max_pool": _max_pool,
    "upsample": _upsample,
    "zero_pad": _zero_pad,
    "global_pool": lambda network, node, xs, rounding: tf.reduce_mean(xs[0], [1, 2], keepdims=True),
    "attention": _attention,
}
