"""Operations of a network, recorded while its blocks run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from tfyolo.models.keras_ops import NORMALIZE, scale_and_offset
from tfyolo.models.ops import Normalization, Padding

IMAGES = "images"
"""Name of the network's input."""

Kind = Literal[
    "conv",
    "batch_norm",
    "activation",
    "add",
    "concat",
    "max_pool",
    "zero_pad",
    "upsample",
    "attention",
    "global_pool",
]


@dataclass(frozen=True)
class Node:
    """An operation of the network.

    Attributes:
        name: name of its output, as YOLOv5 names modules: `model.0.act`.
        kind: kind of operation.
        inputs: names of its input tensors.
        channels: number of channels of its output.
        arguments: arguments that depend on the kind, such as stride and padding.
        layer: name of the Keras layer with its weights, if any.
        function: name of an activation; of a convolution, a fused activation or empty.
    """

    name: str
    kind: Kind
    inputs: tuple[str, ...]
    channels: int
    arguments: dict[str, Any] = field(default_factory=dict)
    layer: str = ""
    function: str = ""


class Ref(NamedTuple):
    """Symbolic tensor of the recorder.

    Attributes:
        name: name of the node that computes it; `images` is the input.
        channels: number of channels.
    """

    name: str
    channels: int


@dataclass
class Recorder:
    """An `Ops` that records operations.

    Attributes:
        csp_activation: name of the activation inside BottleneckCSP.
        nodes: recorded operations, in the order of execution.
        constants: weights by layer name that no layer of the Keras model has, such as those of normalization.
    """

    csp_activation: str
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def _note(
        self, name: str, kind: Kind, xs: list[Ref], channels: int, layer: str = "", **arguments: Any
    ) -> Ref:
        self.nodes.append(Node(name, kind, tuple(x.name for x in xs), channels, arguments, layer))
        return Ref(name, channels)

    def channels(self, x: Ref) -> int:
        return x.channels

    def conv2d(
        self,
        x: Ref,
        name: str,
        filters: int,
        kernel: int,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        bias: bool = False,
    ) -> Ref:
        padding = kernel // 2 if padding is None else padding
        return self._note(
            name, "conv", [x], filters, name, kernel=kernel, stride=stride, padding=padding, groups=groups
        )

    def normalize(self, images: Ref, normalization: Normalization) -> Ref:
        """Normalize images with a depthwise convolution, which every format supports, in int8 too."""
        scale, offset = scale_and_offset(normalization)
        self.constants[NORMALIZE] = [scale.reshape(1, 1, 1, -1), offset]
        channels = images.channels
        return self.conv2d(images, NORMALIZE, channels, kernel=1, groups=channels, bias=True)

    def batch_norm(self, x: Ref, name: str, epsilon: float | None = None) -> Ref:
        return self._note(name, "batch_norm", [x], x.channels, name, epsilon=epsilon)

    def activation(self, x: Ref, name: str, act: bool | str) -> Ref:
        function = "" if act is True else (act or "linear")
        if function == "linear":
            return x
        self.nodes.append(Node(name, "activation", (x.name,), x.channels, function=function))
        return Ref(name, x.channels)

    def add(self, xs: list[Ref], name: str) -> Ref:
        return self._note(name, "add", xs, xs[0].channels)

    def concat(self, xs: list[Ref], name: str) -> Ref:
        return self._note(name, "concat", xs, sum(x.channels for x in xs)) if len(xs) > 1 else xs[0]

    def max_pool(self, x: Ref, name: str, kernel: int, stride: int, padding: int) -> Ref:
        return self._note(name, "max_pool", [x], x.channels, kernel=kernel, stride=stride, padding=padding)

    def zero_pad(self, x: Ref, name: str, padding: Padding) -> Ref:
        return self._note(name, "zero_pad", [x], x.channels, padding=padding)

    def upsample(self, x: Ref, name: str, scale: int) -> Ref:
        return self._note(name, "upsample", [x], x.channels, scale=scale)

    def global_pool(self, x: Ref, name: str) -> Ref:
        return self._note(name, "global_pool", [x], x.channels)

    def dropout(self, x: Ref, name: str, rate: float) -> Ref:
        return x

    def dense(self, x: Ref, name: str, channels: int, bias: bool = True) -> Ref:
        return self._note(name, "conv", [x], channels, name, kernel=1, stride=1, padding=0, groups=1)

    def attention(self, query: Ref, key: Ref, value: Ref, name: str, heads: int) -> Ref:
        return self._note(name, "attention", [query, key, value], query.channels, name, heads=heads)
