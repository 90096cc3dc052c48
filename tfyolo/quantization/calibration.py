"""Post-training quantization: ranges and weights are chosen layer by layer, in the order of execution.

For every layer both the float inputs and the outputs of the preceding quantized layers are known, so that its
weights can compensate for part of their error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfyolo.export.graph.nodes import (
    NoQuantization,
    SigmoidFakeQuantization,
    activate,
    fake_quantize,
    run_network,
    run_node,
)
from tfyolo.models.network import Network, Weights
from tfyolo.models.nodes import IMAGES, Node
from tfyolo.models.quantization import (
    INT8_MAX,
    Placement,
    QuantizationSpec,
    Range,
    round_to_int8,
    weight_bounds,
)
from tfyolo.progress import Progress, no_progress
from tfyolo.quantization.budget.options import FloatBudget
from tfyolo.quantization.ranges import Function, ObservedTensor, estimate
from tfyolo.quantization.reconstruction import reconstruct

BATCH = 8
PATCHES = 12_000
"""Places of a tensor, over all images, from which a layer is fitted: ten for each weight of a channel."""
VALUES = 30_000
"""Values of a tensor from which its range is estimated."""
WITH_SIGMOID = 3
"""Parts of a raw head that a sigmoid follows, from the first on: box, objectness and classes."""


@dataclass(frozen=True)
class CalibrationOptions:
    """Options of calibration.

    Attributes:
        ranges: estimator of ranges, a key of `ESTIMATORS`.
        reconstruct: fit weights and biases layer by layer (GPTQ); otherwise weights are rounded to nearest.
        keep_float: see `QuantizationSpec`.
        seed: seed for sampling positions and values.
        budget: what keeping further parts in float may cost; the parts are searched for. None or a share of
            0 keeps none. `calibrate` itself takes no budget; `calibrate_on_dataset` and `calibrate_model` do.

    Example:
        >>> CalibrationOptions(keep_float=("model.24",)).ranges
        'mse'
    """

    ranges: str = "mse"
    reconstruct: bool = True
    keep_float: tuple[str, ...] = ()
    seed: int = 0
    budget: FloatBudget | None = None


def calibrate(
    network: Network,
    images: np.ndarray,
    options: CalibrationOptions | None = None,
    progress: Progress = no_progress,
) -> tuple[Network, QuantizationSpec]:
    """Choose ranges of all tensors, and quantize the weights.

    Args:
        network: the float network.
        images: uint8 (n, height, width, 3) RGB, letterboxed.
        options: how.
        progress: called as `progress(label, done, total)` after each step.

    Returns:
        The network with int8 weights (as floats on the int8 grid), and its quantization.
    """
    return _Walk(network, images, options or CalibrationOptions()).run(progress)


class _Walk:
    """Float and quantized tensors of all images, of the layers that are still needed."""

    def __init__(self, network: Network, images: np.ndarray, options: CalibrationOptions) -> None:
        self.network, self.options = network, options
        self.placement = Placement.of(network, options.keep_float)
        self.left = network.consumers
        self.random = np.random.default_rng(options.seed)
        self.ranges: dict[str, Range] = {IMAGES: (0.0, 1.0)}
        self.bounds: dict[str, tuple[float, ...]] = {}
        self.weights: dict[str, Weights] = {}
        self.is_float = self.placement.is_float
        self.after = {node.inputs[0]: node.function for node in network.nodes if node.kind == "activation"}
        self.attention = _attention(network, images)
        exact = (images.astype(np.float32) / 255).astype(np.float16)
        self.exact = {IMAGES: exact}
        self.rounded = {IMAGES: exact}
        self.entered: dict[str, np.ndarray] = {}

    def run(self, progress: Progress) -> tuple[Network, QuantizationSpec]:
        nodes = self.network.nodes
        for index, node in enumerate(nodes):
            self._step(node)
            for name in node.inputs:
                self.left[name] -= 1
                if not self.left[name]:
                    del self.exact[name], self.rounded[name]
                    self.entered.pop(name, None)
            progress("calibrating layers", index + 1, len(nodes))
        spec = QuantizationSpec(
            ranges=self.ranges,
            bounds=self.bounds,
            keep_float=self.options.keep_float,
            method=f"calibrated: {self.options.ranges}",
        )
        return self.network.with_weights(self.weights), spec

    def _step(self, node: Node) -> None:
        exact, _ = self._map([self.exact[name] for name in node.inputs], node, self.network, NoQuantization())
        inputs = [self._read(name, node) for name in node.inputs]
        in_float, network = self.is_float(node.name), self.network
        if node.kind == "conv":
            weights = self._weights(node, exact, inputs[0])
            self.weights[node.layer] = weights
            network = network.with_weights({node.layer: weights})
        rounding = NoQuantization() if in_float else SigmoidFakeQuantization()
        rounded, extremes = self._map(inputs, node, network, rounding)
        if self.placement.ranges[node.name] == node.name:
            observed = ObservedTensor(*extremes, self._sample(rounded), self._function(node))
            self.ranges[node.name] = estimate(self.options.ranges, observed)
            if not in_float:
                _round_in_place(rounded, self.ranges[node.name])
        self.exact[node.name], self.rounded[node.name] = exact, rounded

    def _read(self, name: str, node: Node) -> np.ndarray:
        """Return a tensor as a node of the quantized network reads it."""
        limits = self.ranges.get(self.placement.entering(name, node.name) or "")
        # The range of a concatenation is not known yet when its inputs are read; its output is rounded.
        if limits is None:
            return self.rounded[name]
        if name not in self.entered:
            self.entered[name] = self.rounded[name].copy()
            _round_in_place(self.entered[name], limits)
        return self.entered[name]

    def _function(self, node: Node) -> Function:
        """Return the function that follows a tensor: its activation, or the sigmoid after the heads."""
        if any(node.name in parts[:WITH_SIGMOID] and len(parts) > 1 for parts in self.network.heads):
            return lambda x: 1 / (1 + np.exp(-x))
        function = self.after.get(node.name, "")
        if not function:
            return lambda x: x
        return lambda x: activate(tf.constant(x, tf.float32), function).numpy()

    def _map(
        self, inputs: list[np.ndarray], node: Node, network: Network, rounding: NoQuantization
    ) -> tuple[np.ndarray, tuple[float, float]]:
        """Compute the output of a node for all images, before fake quantization, with minimum and maximum."""
        outputs, low, high = [], 0.0, 0.0
        for start in range(0, len(self.attention), BATCH):
            xs = [tf.cast(tensor[start : start + BATCH], tf.float32) for tensor in inputs]
            x = run_node(network, node, xs, rounding)
            low, high = min(low, float(tf.reduce_min(x))), max(high, float(tf.reduce_max(x)))
            outputs.append(tf.cast(x, tf.float16).numpy())
        return np.concatenate(outputs), (low, high)

    def _places(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sample positions (image, row, column), more of them where the float model detects objects."""
        weights = tf.image.resize(self.attention[..., None], (height, width), "area").numpy()[..., 0]
        each = max(PATCHES // len(weights), 1)
        chosen = []
        for index, weight in enumerate(weights.reshape(len(weights), -1)):
            count = min(each, len(weight))
            drawn = self.random.choice(len(weight), count, replace=False, p=weight / weight.sum())
            chosen.append(np.stack([np.full(count, index), drawn // width, drawn % width]))
        image, row, column = np.concatenate(chosen, 1)
        return image, row, column

    def _sample(self, tensor: np.ndarray) -> np.ndarray:
        """Sample values of a tensor, mostly where the float model detects objects."""
        values = tensor[self._places(*tensor.shape[1:3])].reshape(-1)
        return self.random.choice(values, min(VALUES, len(values)), replace=False).astype(np.float32)

    def _weights(self, node: Node, exact: np.ndarray, rounded: np.ndarray) -> Weights:
        """Quantize the weights of a layer.

        Args:
            node: a convolution.
            exact: its output in the float network.
            rounded: its input in the quantized network.
        """
        kernel, bias = self.network.weights[node.layer]
        if self.is_float(node.name):
            return Weights(kernel, bias)
        bounds = weight_bounds(kernel, "per_channel")
        self.bounds[node.layer] = tuple(map(float, bounds))
        step = bounds / INT8_MAX
        nearest = Weights((round_to_int8(kernel / step) * step).astype(np.float32), bias)
        if not self.options.reconstruct or node.arguments["groups"] > 1:
            return nearest
        places = self._places(*exact.shape[1:3])
        inputs = _patches(rounded, places, node)
        flat = _patches(self.exact[node.inputs[0]], places, node)
        outputs = flat @ kernel.reshape(-1, kernel.shape[-1]) + bias
        return reconstruct(inputs, outputs, kernel, bounds)


def _round_in_place(tensor: np.ndarray, limits: Range) -> None:
    """Fake-quantize a float16 tensor (n, height, width, channels), a few images at a time."""
    for start in range(0, len(tensor), BATCH):
        part = slice(start, start + BATCH)
        tensor[part] = fake_quantize(tf.cast(tensor[part], tf.float32), limits).numpy()


def _patches(tensor: np.ndarray, places: tuple[np.ndarray, np.ndarray, np.ndarray], node: Node) -> np.ndarray:
    """Return (n, height * width * channels) float32: the input patches of a kernel at these positions."""
    size, stride, padding = (node.arguments[key] for key in ("kernel", "stride", "padding"))
    image, row, column = places
    height, width = tensor.shape[1:3]
    columns = []
    for i in range(size):
        for j in range(size):
            y, x = row * stride + i - padding, column * stride + j - padding
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            part = tensor[image, np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)].astype(np.float32)
            columns.append(part * inside[:, None])
    return np.concatenate(columns, 1)


def _attention(network: Network, images: np.ndarray) -> np.ndarray:
    """Return (n, height / 8, width / 8) weights of positions: the float model's objectness plus a constant.

    All positions of a classifier have equal weights.
    """
    if len(network.heads[0]) == 1:
        return np.ones((len(images), *(-(-side // 8) for side in images.shape[1:3])), np.float32)
    forward = tf.function(lambda batch: run_network(network, batch), autograph=False)
    maps = []
    for start in range(0, len(images), BATCH):
        batch = tf.cast(images[start : start + BATCH], tf.float32) / 255
        scales = [parts for parts in forward(batch) if len(parts) > 1]  # without prototypes of masks
        heads = [tf.reduce_max(tf.sigmoid(parts[1]), -1, keepdims=True) for parts in scales]
        size = max((head.shape[1:3] for head in heads), key=lambda hw: hw[0])
        maps.append(tf.reduce_max([tf.image.resize(head, size, "nearest") for head in heads], 0)[..., 0])
    return np.concatenate(maps) + 0.02
