"""The parts of a network that may stay in float: its modules, their blocks, single layers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfyolo.export.graph.nodes import run_network
from tfyolo.models.keras_ops import NORMALIZE
from tfyolo.models.network import Network


@dataclass(frozen=True)
class Part:
    """A part of a network.

    Attributes:
        name: prefix of the names of its nodes, for `QuantizationSpec.keep_float`: `model.23.cv3`.
        layers: names of its convolutions.
        children: the parts that it consists of.
    """

    name: str
    layers: frozenset[str]
    children: tuple[Part, ...]

    def within(self, kept: Collection[str]) -> bool:
        """Return whether one of the kept parts is this part or contains it."""
        return any(self.name == name or self.name.startswith(f"{name}.") for name in kept)

    def added_to(self, kept: Collection[str]) -> tuple[str, ...]:
        """Return the names of the kept parts and this one, without the parts that this one contains."""
        return (*(name for name in kept if not name.startswith(f"{self.name}.")), self.name)


def modules_of(network: Network) -> tuple[Part, ...]:
    """Return the modules with convolutions, such as `model.23`, in the order of execution.

    The normalization of a classifier's images is left out: it has no trained weights.
    """
    names = [node.name for node in network.nodes if node.kind == "conv" and node.layer != NORMALIZE]
    return _parts("model", frozenset(names), names)


def _parts(parent: str, layers: frozenset[str], order: list[str]) -> tuple[Part, ...]:
    """Return the parts below a name that hold fewer layers than it, in the order of execution."""
    depth = parent.count(".") + 2
    groups: dict[str, set[str]] = {}
    for name in order:
        if name in layers and name.count(".") + 1 >= depth:
            groups.setdefault(".".join(name.split(".")[:depth]), set()).add(name)
    found: list[Part] = []
    for name, inside in groups.items():
        children = _parts(name, frozenset(inside), order)
        if inside == layers:  # `model.24.m` is all of `model.24`
            return children
        found.append(Part(name, frozenset(inside), children))
    return tuple(found)


def multiply_adds(network: Network, image_size: tuple[int, int]) -> dict[str, int]:
    """Return the multiply-adds of each convolution for one image.

    Args:
        network: the network.
        image_size: input size (height, width) in pixels.
    """
    shapes: dict[str, Any] = {}

    @tf.function(autograph=False)
    def forward(images: Any) -> Any:
        return run_network(network, images, None, lambda name, x: shapes.__setitem__(name, x.shape))

    forward.get_concrete_function(tf.TensorSpec((1, *image_size, 3), tf.float32))
    return {
        node.name: int(np.prod(shapes[node.name][1:3])) * network.weights[node.layer].kernel.size
        for node in network.nodes
        if node.kind == "conv"
    }
