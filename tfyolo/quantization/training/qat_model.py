"""The QAT model: a tf_keras model, annotated with TFMOT, with the fake quantization of the integer graph.

TFMOT needs Keras 2. Each node of the network is one layer that executes export/graph/nodes.py, so the QAT
model and the exported graph have one source; TFMOT's wrappers hold the quantizers and their trained ranges.

All trained values are expressed in their own quantization steps: a weight of 3.2 means 3.2 steps of its
channel. One learning rate then fits channels whose scales differ by a factor of a hundred.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import numpy as np
import tensorflow as tf

from tfyolo.export.graph.nodes import (
    KINDS,
    NoQuantization,
    SigmoidFakeQuantization,
    convolve,
    fake_quantize,
    fake_quantize_steps,
)
from tfyolo.libraries import require
from tfyolo.models.keras_ops import NORMALIZE
from tfyolo.models.network import Network, Weights
from tfyolo.models.nodes import IMAGES, Node
from tfyolo.models.quantization import (
    INT8_MAX,
    Placement,
    QuantizationSpec,
    round_to_int8,
)

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
require("tensorflow_model_optimization", "tf_keras")
import tensorflow_model_optimization as tfmot  # noqa: E402
import tf_keras  # noqa: E402

_tfq = tfmot.quantization.keras
LEVELS = 255


class NodeLayer(tf_keras.layers.Layer):
    """A node without trained weights.

    Args:
        node: fields of the `Node`.
        exact: whether it stays in float, without fake quantization.
    """

    def __init__(self, node: dict[str, Any], exact: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.node, self.exact = node, exact

    def call(self, inputs: Any) -> Any:
        """Execute the node."""
        node = _node(self.node)
        xs = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        rounding = NoQuantization() if self.exact else SigmoidFakeQuantization()
        return KINDS[node.kind](_NO_WEIGHTS, node, xs, rounding)

    def get_config(self) -> dict[str, Any]:
        """Return the configuration, from which TFMOT creates the layer again."""
        return {**super().get_config(), "node": self.node, "exact": self.exact}


class ConvLayer(tf_keras.layers.Layer):
    """A convolution whose kernel and bias are expressed in quantization steps.

    Args:
        node: fields of the `Node`.
        shape: shape of the kernel.
        step: (output channels,) quantization step of each channel's weights.
        bias_step: unit of the biases.
    """

    def __init__(
        self, node: dict[str, Any], shape: list[int], step: list[float], bias_step: list[float], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.node, self.shape, self.step, self.bias_step = node, list(shape), list(step), list(bias_step)

    def build(self, input_shape: Any) -> None:
        """Create the weights."""
        self.kernel = self.add_weight(name="kernel", shape=self.shape)
        self.bias = self.add_weight(name="bias", shape=self.shape[-1:])
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        """Apply the convolution; TFMOT passes the kernel through the quantizer."""
        node = _node(self.node)
        return convolve(inputs, self.kernel, self.bias * np.asarray(self.bias_step, np.float32), node)

    def get_config(self) -> dict[str, Any]:
        """Return the configuration, from which TFMOT creates the layer again."""
        own = {"node": self.node, "shape": self.shape, "step": self.step, "bias_step": self.bias_step}
        return {**super().get_config(), **own}


class KernelQuantizer(_tfq.quantizers.Quantizer):  # type: ignore[name-defined]
    """Fake quantization of weights that are expressed in steps.

    Args:
        step: quantization step of each output channel.
        exact: no fake quantization.
    """

    def __init__(self, step: list[float], exact: bool = False) -> None:
        self.step, self.exact = list(step), exact

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """Create no variables; called by TFMOT.

        Args:
            tensor_shape: shape of the kernel.
            name: prefix for names of variables.
            layer: layer that the kernel belongs to.

        Returns:
            An empty dictionary.
        """
        return {}

    def __call__(self, inputs: Any, training: Any, weights: dict[str, Any], **kwargs: Any) -> Any:
        """(height, width, input, output channels)."""
        step = np.asarray(self.step, np.float32)
        if self.exact:
            return inputs * step
        return fake_quantize_steps(inputs) * step

    def get_config(self) -> dict[str, Any]:
        """Return the configuration, for TFMOT."""
        return {"step": self.step, "exact": self.exact}


class RangeQuantizer(_tfq.quantizers.Quantizer):  # type: ignore[name-defined]
    """Fake quantization to 256 values between two trained limits.

    Args:
        low: initial lower limit.
        high: initial upper limit.
    """

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """Create the variables: the shift of each limit in steps; called by TFMOT.

        Args:
            tensor_shape: shape of the quantized tensor; not used.
            name: prefix of the names of the variables.
            layer: layer that the variables are added to.

        Returns:
            Scalar float32 variables `low` and `high`, initially 0.
        """
        return {
            end: layer.add_weight(name=f"{name}_{end}", shape=(), initializer="zeros")
            for end in ("low", "high")
        }

    def limits(self, weights: dict[str, Any]) -> tuple[Any, Any]:
        """Return the current limits, which include zero."""
        step = (self.high - self.low) / LEVELS
        low = tf.minimum(self.low + step * weights["low"], 0.0)
        return low, tf.maximum(self.high + step * weights["high"], low + step)

    def __call__(self, inputs: Any, training: Any, weights: dict[str, Any], **kwargs: Any) -> Any:
        """Any shape."""
        return fake_quantize(inputs, self.limits(weights))

    def get_config(self) -> dict[str, Any]:
        """Return the configuration, for TFMOT."""
        return {"low": self.low, "high": self.high}


class NodeConfig(_tfq.QuantizeConfig):  # type: ignore[name-defined]
    """TFMOT's quantize configuration of a node.

    Args:
        step: quantization step of the channels of a convolution; empty without a kernel.
        limits: lower and upper limit of the output; empty if it is not quantized, or by another node.
        exact: the kernel stays in float.
    """

    def __init__(self, step: list[float] = [], limits: list[float] = [], exact: bool = False) -> None:  # noqa: B006
        self.step, self.limits, self.exact = list(step), list(limits), exact

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
        """The kernel, if any."""
        return [(layer.kernel, KernelQuantizer(self.step, self.exact))] if self.step else []

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        """Replace the kernel by its fake-quantized version."""
        if self.step:
            (layer.kernel,) = quantize_weights

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        """Return none: activations are separate nodes."""
        return []

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        """None."""
        return

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """Return the quantizer of the output."""
        return [RangeQuantizer(*self.limits)] if self.limits else []

    def get_config(self) -> dict[str, Any]:
        """Return the configuration, for TFMOT."""
        return {"step": self.step, "limits": self.limits, "exact": self.exact}


_CLASSES = (NodeLayer, ConvLayer, KernelQuantizer, RangeQuantizer, NodeConfig)
_NO_WEIGHTS = Network((), {}, {}, ())


class QatModel:
    """The trainable model of a quantized network.

    Args:
        network: network with the initial weights, float or calibrated.
        spec: initial ranges of all tensors, and the weight scheme.
        image_size: fixed input size in pixels, or None.

    Attributes:
        model: tf_keras model from images (batch, height, width, 3) in 0..1 to all head tensors in order.
    """

    # AutoGraph, which tf_keras applies to each layer, would find nothing to convert and double the time.
    @tf.autograph.experimental.do_not_convert
    def __init__(
        self, network: Network, spec: QuantizationSpec, image_size: tuple[int, int] | None = None
    ) -> None:
        if network.attention:
            raise ValueError("attention has no integer kernel")
        self.network, self.spec = network, spec
        images = tf_keras.Input((*(image_size or (None, None)), 3), name=IMAGES)
        tensors = {IMAGES: images}
        self._placement = Placement.of(network, spec.keep_float)
        self._steps = {n.layer: self._units(n) for n in network.nodes if n.kind == "conv"}
        self._entered: dict[str, Any] = {}
        for node in network.nodes:
            inputs = [self._read(tensors, name, node) for name in node.inputs]
            layer = _tfq.quantize_annotate_layer(self._layer(node), self._config(node))
            tensors[node.name] = layer(inputs if len(inputs) > 1 else inputs[0])
        plain = tf_keras.Model(images, [tensors[name] for parts in network.heads for name in parts])
        with _tfq.quantize_scope({cls.__name__: cls for cls in _CLASSES}):
            self.model = _tfq.quantize_apply(plain)
        # TFMOT would learn the range of the images, which is known.
        (limits,) = (x.quantizer_vars for x in self.model.layers if hasattr(x, "quantizer_vars"))
        limits["min_var"].assign(0.0)
        limits["max_var"].assign(1.0)
        self._wrappers = {layer.name.removeprefix("quant_"): layer for layer in self.model.layers}
        for node in network.nodes:
            if node.kind == "conv":
                step, bias_step = self._steps[node.layer]
                weights, layer = network.weights[node.layer], self._wrappers[node.name]
                self._kernel(layer).assign(weights.kernel / step)
                layer.layer.bias.assign(weights.bias / bias_step)

    @property
    def trained_variables(self) -> list[Any]:
        """Return the trainable variables: all except the normalization of images."""
        fixed = [self._wrappers[node.name] for node in self.network.nodes if node.layer == NORMALIZE]
        constants = {id(v) for layer in fixed for v in (self._kernel(layer), layer.layer.bias)}
        return [v for v in self.model.trainable_variables if id(v) not in constants]

    def run(self, name: str, inputs: list[Any]) -> Any:
        """Execute a single node.

        Args:
            name: name of the node.
            inputs: input tensors of the node.
        """
        return self._wrappers[name](inputs if len(inputs) > 1 else inputs[0], training=False)

    def trained(self) -> tuple[Network, QuantizationSpec]:
        """Return the network with trained weights on the int8 grid, and its trained quantization."""
        weights, ranges = {}, dict(self.spec.ranges)
        bounds = dict(self.spec.bounds)
        for node in self.network.nodes:
            layer = self._wrappers[node.name]
            if node.kind == "conv":
                step, bias_step = self._steps[node.layer]
                kernel = self._kernel(layer).numpy()
                if not self._placement.is_float(node.name):
                    kernel = round_to_int8(kernel)
                    bounds[node.layer] = tuple(map(float, INT8_MAX * step))
                weights[node.layer] = Weights(kernel * step, layer.layer.bias.numpy() * bias_step)
            ranges.update(_ranges(layer, node.name))
        for name in self._entered:
            ranges.update(_ranges(self._wrappers[f"{name}.int8"], name))
        spec = self.spec.model_copy(update={"ranges": ranges, "bounds": bounds})
        return self.network.with_weights(weights), spec

    def _read(self, tensors: dict[str, Any], name: str, node: Node) -> Any:
        """Return a tensor as a node reads it: the output of a float node is rounded for integer nodes."""
        # An integer concatenation rounds its inputs itself.
        if self._placement.entering(name, node.name) != name or name not in self.spec.ranges:
            return tensors[name]
        if name not in self._entered:
            identity = tf_keras.layers.Activation("linear", name=f"{name}.int8")
            config = NodeConfig(limits=list(self.spec.ranges[name]))
            self._entered[name] = _tfq.quantize_annotate_layer(identity, config)(tensors[name])
        return self._entered[name]

    def _kernel(self, wrapper: Any) -> Any:
        (found,) = (v for v in wrapper.trainable_variables if "kernel" in v.name)
        return found

    def _units(self, node: Node) -> tuple[np.ndarray, np.ndarray]:
        """Return the quantization steps of each channel's weights and biases."""
        kernel, bias = self.network.weights[node.layer]
        step = self.spec.kernel_steps(node.layer, kernel)
        low, high = self.spec.ranges.get(self._placement.ranges[node.name], (0.0, 1.0))
        return step, np.full_like(bias, (high - low) / LEVELS)

    def _layer(self, node: Node) -> Any:
        if node.kind != "conv":
            return NodeLayer(asdict(node), self._placement.is_float(node.name), name=node.name)
        step, bias_step = self._steps[node.layer]
        shape = self.network.weights[node.layer].kernel.shape
        return ConvLayer(asdict(node), list(shape), step.tolist(), bias_step.tolist(), name=node.name)

    def _config(self, node: Node) -> NodeConfig:
        exact = self._placement.is_float(node.name)
        step = self._steps[node.layer][0].tolist() if node.kind == "conv" else []
        own = self._placement.ranges[node.name] == node.name and not exact
        return NodeConfig(step, list(self.spec.ranges[node.name]) if own else [], exact)


def _node(fields: dict[str, Any]) -> Node:
    return Node(**{**fields, "inputs": tuple(fields["inputs"])})


def _ranges(wrapper: Any, name: str) -> dict[str, tuple[float, float]]:
    """Return the trained range of the output of a TFMOT wrapper, by `name`; empty if it has none."""
    found = {}
    for quantizer in wrapper.quantize_config.get_output_quantizers(wrapper.layer):
        low, high = quantizer.limits(wrapper._output_quantizer_vars)
        found[name] = (float(low), float(high))
    return found
