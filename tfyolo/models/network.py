"""The network as a list of plain operations, with batch normalization folded and heads split.

Exporters and quantization start from it, not from Keras layers. `Network.of(model, spec)` uses the same block
functions as the Keras builder, so every architecture is written once.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from tfyolo.models.build import run_layers
from tfyolo.models.nodes import IMAGES, Node, Recorder, Ref
from tfyolo.models.spec import ModelSpec
from tfyolo.models.tasks import TASKS

FUSED = ("relu", "relu6")
"""Activations that an integer convolution applies itself."""
_END = "outputs"


class Weights(NamedTuple):
    """Weights of one convolution.

    Attributes:
        kernel: float32 (height, width, input channels / groups, output channels).
        bias: float32 (output channels,).
    """

    kernel: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class Network:
    """The network up to its raw heads and prototypes, or up to the logits of a classifier.

    Attributes:
        nodes: operations in the order of execution.
        weights: weights of convolutions by `Node.layer`, with batch normalization folded.
        attention: arrays of attention layers, in Keras' order.
        heads: names of the outputs in groups, as in `raw_outputs` (outputs.py): per feature map the parts of
            the raw head (tasks.py), such as box, objectness and class logits; then one name per output of the
            whole image: the prototypes, or the logits (batch, 1, 1, classes) of a classifier.

    Example:
        >>> import tfyolo
        >>> detector = tfyolo.load("bccd-n")
        >>> network = Network.of(detector.model, detector.contract.spec)
        >>> network.nodes[0].name, network.nodes[1].name
        ('model.0.conv', 'model.0.act')
    """

    nodes: tuple[Node, ...]
    weights: dict[str, Weights]
    attention: dict[str, list[np.ndarray]]
    heads: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, model: Any, spec: ModelSpec) -> Network:
        """Return the network of a Keras model of `build_model(spec)` (keras or tf_keras)."""
        recorder = Recorder(spec.csp_activation)
        outputs = run_layers(recorder, Ref(IMAGES, 3), spec)
        kernels = {layer.name: layer.get_weights() for layer in model.layers if layer.get_weights()}
        kernels |= recorder.constants
        # A node that reads all outputs, so that their names follow when nodes are renamed or removed.
        end = Node(_END, "concat", tuple(ref.name for ref in outputs), 0)
        nodes, weights = _fold(_named([*recorder.nodes, end], spec.activation), kernels, spec.bn_epsilon)
        *nodes, end = _fuse(nodes)
        scales = len(outputs) - len(TASKS[spec.task].shared)
        nodes, heads = _split_heads(nodes, weights, end.inputs[:scales], spec)
        heads += tuple((name,) for name in end.inputs[scales:])
        attention = {node.name: kernels[node.name] for node in nodes if node.kind == "attention"}
        return cls(tuple(nodes), weights, attention, heads)

    @property
    def consumers(self) -> Counter[str]:
        """Return the number of nodes and heads that read each tensor."""
        counts = Counter(name for node in self.nodes for name in node.inputs)
        counts.update(name for parts in self.heads for name in parts)
        return counts

    def with_weights(self, weights: dict[str, Weights]) -> Network:
        """Return the network with some weights replaced."""
        return replace(self, weights={**self.weights, **weights})

    def load_into(self, model: Any, spec: ModelSpec) -> None:
        """Load the weights into a Keras model of `build_model(spec)`; the inverse of `of`.

        Batch normalization becomes the addition of a bias (scale 1, mean 0), so that the model computes
        exactly this network in inference.
        """
        layers = {layer.name: layer for layer in model.layers}
        merged = _merge_heads(self.weights, spec)
        recorder = Recorder(spec.csp_activation)
        run_layers(recorder, Ref(IMAGES, 3), spec)
        normalized = _normalized(recorder.nodes)
        merged = {name: weights for name, weights in merged.items() if name not in recorder.constants}
        epsilons = {
            node.name: node.arguments["epsilon"] for node in recorder.nodes if node.name in normalized
        }
        biases = {name: merged[name].bias for name in merged}
        for name, weights in merged.items():
            kernel = weights.kernel
            arrays = layers[name].get_weights()
            own_bias = [] if len(arrays) == 1 else [np.zeros_like(weights.bias)]
            if name not in {part for parts in normalized.values() for part, _ in parts}:
                own_bias = own_bias and [weights.bias]
            layers[name].set_weights([kernel.reshape(arrays[0].shape), *own_bias])
        for name, parts in normalized.items():
            bias = np.concatenate([biases[part] for part, _ in parts])
            one = np.ones_like(bias)
            epsilon = epsilons[name] or spec.bn_epsilon
            layers[name].set_weights([one, bias, 0 * one, one - np.float32(epsilon)])
        for name, arrays in self.attention.items():
            layers[name].set_weights(arrays)


def _named(nodes: list[Node], activation: str) -> list[Node]:
    """Return nodes with named activations; `linear` activations are removed."""
    named = []
    renamed: dict[str, str] = {}
    for node in nodes:
        node = replace(node, inputs=tuple(renamed.get(name, name) for name in node.inputs))
        if node.kind == "activation" and not node.function:
            node = replace(node, function=activation)
        if node.function == "linear":
            renamed[node.name] = node.inputs[0]
            continue
        named.append(node)
    return named


def _normalized(nodes: list[Node]) -> dict[str, list[tuple[str, int]]]:
    """Return, for each batch normalization, the convolutions whose channels it reads, in order."""
    by_name = {node.name: node for node in nodes}
    found = {}
    for node in nodes:
        if node.kind == "batch_norm":
            source = by_name[node.inputs[0]]
            parts = source.inputs if source.kind == "concat" else (source.name,)
            found[node.name] = [(part, by_name[part].channels) for part in parts]
    return found


def _fold(
    nodes: list[Node], kernels: dict[str, list[np.ndarray]], epsilon: float
) -> tuple[list[Node], dict[str, Weights]]:
    """Fold batch normalization into the preceding convolutions."""
    weights = {}
    for node in nodes:
        if node.kind == "conv":
            first, *biases = kernels[node.layer]
            kernel = np.asarray(first, np.float32)
            if kernel.ndim == 2:  # a linear layer
                kernel = kernel[None, None]
            elif kernel.shape[-2] * kernel.shape[-1] == node.channels and node.arguments["groups"] > 1:
                kernel = kernel.reshape(*kernel.shape[:2], 1, node.channels)  # depth-wise, in Keras' layout
            weights[node.layer] = Weights(
                kernel, biases[0] if biases else np.zeros(node.channels, np.float32)
            )
    renamed = {}
    own = {node.name: node.arguments["epsilon"] or epsilon for node in nodes if node.kind == "batch_norm"}
    for name, parts in _normalized(nodes).items():
        gamma, beta, mean, variance = (np.asarray(array, np.float64) for array in kernels[name])
        scale, start = gamma / np.sqrt(variance + own[name]), 0
        for part, channels in parts:
            here = slice(start, start + channels)
            kernel, bias = weights[part]
            moved = (bias - mean[here]) * scale[here] + beta[here]
            weights[part] = Weights((kernel * scale[here]).astype(np.float32), np.asarray(moved, np.float32))
            start += channels
        renamed[name] = next(node.inputs[0] for node in nodes if node.name == name)
    return [
        replace(node, inputs=tuple(renamed.get(source, source) for source in node.inputs))
        for node in nodes
        if node.kind != "batch_norm"
    ], weights


def _fuse(nodes: list[Node]) -> list[Node]:
    """Fuse ReLU and ReLU6 into convolutions without other consumers."""
    reads = Counter(name for node in nodes for name in node.inputs)
    by_name = {node.name: node for node in nodes}
    fused = {
        node.inputs[0]: node
        for node in nodes
        if node.function in FUSED and by_name[node.inputs[0]].kind == "conv" and reads[node.inputs[0]] == 1
    }
    gone = {node.name for node in fused.values()}
    return [
        replace(node, name=fused[node.name].name, function=fused[node.name].function)
        if node.name in fused
        else node
        for node in nodes
        if node.name not in gone
    ]


def _split_heads(
    nodes: list[Node], weights: dict[str, Weights], outputs: tuple[str, ...], spec: ModelSpec
) -> tuple[list[Node], tuple[tuple[str, ...], ...]]:
    """Split each prediction layer into parts, whose ranges differ so much that int8 needs a scale each."""
    split = []
    for node in nodes:
        if node.name not in outputs:
            split.append(node)
            continue
        kernel, bias = weights.pop(node.layer)
        for part, columns in _columns(spec).items():
            name = f"{node.name}.{part}"
            weights[name] = Weights(kernel[..., columns], bias[columns])
            split.append(replace(node, name=name, layer=name, channels=len(columns)))
    return split, tuple(tuple(f"{output}.{part}" for part in spec.parts) for output in outputs)


def _merge_heads(weights: dict[str, Weights], spec: ModelSpec) -> dict[str, Weights]:
    """Merge the weights of split heads; the inverse of `_split_heads`."""
    if not spec.parts:
        return dict(weights)
    order = np.argsort(np.concatenate([*_columns(spec).values()]))
    merged = {}
    for name, value in weights.items():
        head, _, part = name.rpartition(".")
        if part not in spec.parts:
            merged[name] = value
        elif head not in merged:
            kernels, biases = zip(*(weights[f"{head}.{part}"] for part in spec.parts), strict=True)
            merged[head] = Weights(np.concatenate(kernels, -1)[..., order], np.concatenate(biases)[order])
    return merged


def _columns(spec: ModelSpec) -> dict[str, np.ndarray]:
    """Return the channels of each part of a raw head, ordered by anchor."""
    anchors, sizes = spec.anchors_per_scale, spec.parts
    grid = np.arange(anchors * sum(sizes.values())).reshape(anchors, -1)
    parts = np.split(grid, np.cumsum([*sizes.values()])[:-1], axis=1)
    return {part: columns.reshape(-1) for part, columns in zip(sizes, parts, strict=True)}
