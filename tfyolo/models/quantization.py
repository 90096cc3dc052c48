"""The quantization of a model: a range per tensor, and the scheme of its weights.

A `QuantizationSpec` belongs to a model and is saved with it. Calibration fills it, quantization-aware
training trains it, every exporter reads it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from tfyolo.errors import TfyoloError
from tfyolo.models.network import Network
from tfyolo.models.nodes import IMAGES
from tfyolo.text import all_close

SIGMOID = (0.0, 255 / 256)
"""Range of an integer LOGISTIC's output: its scale is fixed to 1/256."""
INT8_MAX = 127
"""Largest int8 weight: weights are symmetric, so -128 is not used."""
KEEPS_SCALE = ("max_pool", "upsample", "zero_pad")
"""Operations whose integer kernels return their input's scale."""

Range = tuple[float, float]


class QuantizationSpec(BaseModel):
    """Ranges and weight scheme of an int8 model.

    Attributes:
        ranges: minimum and maximum of each tensor, by the names of `range_names`; each range contains zero.
            Calibration gives those of float nodes as well, since integer nodes may read them.
        weights: symmetric int8 with one scale per output channel, or one per kernel (`per_tensor`).
        bounds: per layer, the largest magnitude that int8 weights can represent, one per output channel;
            defaults to that of the kernel itself.
        keep_float: nodes that stay in float, by name or by a prefix that ends before a dot: `model.9`,
            `model.24.m.0.box`.
        method: how the ranges were found, for people.

    Example:
        >>> spec = QuantizationSpec(ranges={"images": (0.0, 1.0)}, method="by hand")
        >>> spec.keep_float
        ()
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ranges: dict[str, Range]
    weights: Literal["per_channel", "per_tensor"] = "per_channel"
    bounds: dict[str, tuple[float, ...]] = {}
    keep_float: tuple[str, ...] = ()
    method: str = Field(default="", max_length=200)

    @field_validator("ranges")
    @classmethod
    def _check(cls, ranges: dict[str, Range]) -> dict[str, Range]:
        for name, (low, high) in ranges.items():
            if not (math.isfinite(low) and math.isfinite(high) and low <= 0 <= high and low < high):
                raise ValueError(f"{name}: {low} to {high} is not a range that contains zero")
        return ranges

    def kernel_bounds(self, layer: str, kernel: np.ndarray) -> np.ndarray:
        """Return (output channels,) float32: the bounds of a layer, by default those of its kernel."""
        known = self.bounds.get(layer)
        return weight_bounds(kernel, self.weights) if known is None else np.asarray(known, np.float32)

    def kernel_steps(self, layer: str, kernel: np.ndarray) -> np.ndarray:
        """Return (output channels,) float32: the quantization steps of a layer's int8 kernel."""
        return self.kernel_bounds(layer, kernel) / np.float32(INT8_MAX)


@dataclass(frozen=True)
class Placement:
    """Which nodes of a network compute in float, and where tensors change between float and int8.

    A float tensor that an integer node reads is rounded on the way to that node only; float nodes read it
    unrounded.

    Attributes:
        float_nodes: names of the nodes in float.
        ranges: by tensor, the name of its range.
        concatenations: names of the nodes that concatenate.

    Example:
        >>> import tfyolo
        >>> from tfyolo.models.network import Network
        >>> detector = tfyolo.load("bccd-n")
        >>> network = Network.of(detector.model, detector.contract.spec)
        >>> Placement.of(network, ("model.24",)).is_float("model.24.m.0.box")
        True
    """

    float_nodes: frozenset[str]
    ranges: Mapping[str, str]
    concatenations: frozenset[str]

    @classmethod
    def of(cls, network: Network, keep_float: Sequence[str]) -> Placement:
        """Place the nodes of a network.

        Args:
            network: the network.
            keep_float: see `QuantizationSpec`. Between float nodes, operations without weights, such as a
                concatenation, are in float as well: in int8 they would round what is dequantized again.
        """
        kept = tuple(keep_float)
        chosen = {
            node.name
            for node in network.nodes
            if any(node.name == name or node.name.startswith(f"{name}.") for name in kept)
        }
        float_nodes = frozenset(chosen | _between(network, chosen)) if chosen else frozenset()
        concatenations = frozenset(node.name for node in network.nodes if node.kind == "concat")
        return cls(float_nodes, range_names(network, float_nodes), concatenations)

    def is_float(self, name: str) -> bool:
        """Return whether a node computes in float; the images are integers."""
        return name in self.float_nodes

    def entering(self, name: str, reader: str) -> str | None:
        """Return the range in which an integer node reads the output of a float node; None for other nodes.

        An integer concatenation reads it in its own range, which saves a second rounding.

        Args:
            name: the node that is read.
            reader: the node that reads it.
        """
        if name not in self.float_nodes or reader in self.float_nodes:
            return None
        return self.ranges[reader if reader in self.concatenations else name]


def check_names(network: Network, names: Sequence[str]) -> None:
    """Check names of layers to keep in float.

    Args:
        network: the network.
        names: see `QuantizationSpec.keep_float`.

    Raises:
        TfyoloError: a name is neither that of a node nor a prefix of one.
    """
    parts = [node.name.split(".") for node in network.nodes]
    known = sorted({".".join(words[:length]) for words in parts for length in range(1, len(words) + 1)})
    for name in names:
        if name not in known:
            near = all_close(name, known)
            raise TfyoloError(
                f"the network has no layer `{name}` to keep in float",
                fix=f"did you mean {' or '.join(near)}?"
                if near
                else f"use names such as {parts[0][0]}.0 or {network.nodes[-1].name}",
            )


def _between(network: Network, chosen: set[str]) -> set[str]:
    """Return the nodes without weights between float nodes.

    Only float nodes read them, and all that they read is float; of an addition, part of it. TensorFlow Lite's
    converter gives a concatenation of which one input is int8 the scale of that input, so that it cannot be
    in float.
    """
    readers: dict[str, set[str]] = defaultdict(set)
    for node in network.nodes:
        for name in node.inputs:
            readers[name].add(node.name)
    heads = {name for parts in network.heads for name in parts}
    bare = [node for node in network.nodes if node.kind != "conv" and node.name not in heads]
    found = {node.name for node in bare}
    while True:
        floats = chosen | found
        wrong = set()
        for node in bare:
            inside = [name in floats for name in node.inputs]
            enough = any(inside) if node.kind == "add" else all(inside)
            if node.name in found and not (enough and readers[node.name] <= floats):
                wrong.add(node.name)
        if not wrong:
            return found - chosen
        found -= wrong


def range_names(network: Network, float_nodes: Collection[str] = ()) -> dict[str, str]:
    """Return the name of the range of each tensor: its own name, or that of a tensor with the same scale.

    Outputs of pooling, padding and upsampling have the scale of their input. A tensor that only an integer
    concatenation reads has the scale of its output, because int8 concatenation would otherwise round it a
    second time.

    Args:
        network: the network.
        float_nodes: names of the nodes in float.
    """
    owner = {IMAGES: IMAGES}
    for node in network.nodes:
        keeps = node.kind in KEEPS_SCALE and node.name not in float_nodes
        owner[node.name] = owner[node.inputs[0]] if keeps else node.name
    readers: dict[str, set[str]] = defaultdict(set)
    kinds = {node.name: node.kind for node in network.nodes}
    for node in network.nodes:
        if owner[node.name] == node.name:
            for name in node.inputs:
                readers[owner[name]].add(node.name)
    joined = {
        name: next(iter(where))
        for name, where in readers.items()
        if len(where) == 1
        and kinds[next(iter(where))] == "concat"
        and name != IMAGES
        and next(iter(where)) not in float_nodes
    }

    def last(name: str) -> str:
        return last(joined[name]) if name in joined else name

    return {name: last(own) for name, own in owner.items()}


def round_to_int8(steps: np.ndarray) -> np.ndarray:
    """Round weights in units of their quantization step to int8: whole numbers from -127 to 127.

    Example:
        >>> round_to_int8(np.array([0.4, -2.6, 500.0])).tolist()
        [0.0, -3.0, 127.0]
    """
    return np.clip(np.round(steps), -INT8_MAX, INT8_MAX)


def weight_bounds(kernel: np.ndarray, scheme: str) -> np.ndarray:
    """Return the largest magnitude of int8 weights: one per output channel, or one for the whole kernel.

    Args:
        kernel: (height, width, input, output channels).
        scheme: `per_channel` or `per_tensor`, as in `QuantizationSpec.weights`.

    Returns:
        (output channels,) float32, never zero.
    """
    magnitudes = np.abs(kernel).max((0, 1, 2))
    bounds = magnitudes if scheme == "per_channel" else np.full_like(magnitudes, magnitudes.max())
    return np.maximum(bounds, 1e-6).astype(np.float32)
