"""Operations that blocks consist of: the interface, and an implementation that only counts.

`ShapeOps` uses the same block functions as the Keras builder and adds up parameters and multiply-adds, so
`tfyolo summary yolov5x6` needs neither TensorFlow nor 560 MB of weights.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

Tensor = Any
Padding = tuple[tuple[int, int], tuple[int, int]]
Normalization = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of red, green and blue, of values in 0..1."""


class Ops(Protocol):
    """Interface of the operations of blocks, on tensors (batch, height, width, channels)."""

    @property
    def csp_activation(self) -> str:
        """Name of the activation inside BottleneckCSP."""

    def channels(self, x: Tensor) -> int:
        """Return the number of channels."""

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
        """Apply a convolution with zero padding, `kernel // 2` by default, as in PyTorch."""

    def normalize(self, images: Tensor, normalization: Normalization) -> Tensor:
        """Subtract a mean and divide by a standard deviation per channel."""

    def batch_norm(self, x: Tensor, name: str, epsilon: float | None = None) -> Tensor:
        """Apply batch normalization with momentum 0.97 (PyTorch's 0.03); epsilon defaults to the model's."""

    def activation(self, x: Tensor, name: str, act: bool | str) -> Tensor:
        """Apply the model's activation (True), a named one, or none (False)."""

    def add(self, xs: list[Tensor], name: str) -> Tensor:
        """Add two tensors."""

    def concat(self, xs: list[Tensor], name: str) -> Tensor:
        """Concatenate channels."""

    def max_pool(self, x: Tensor, name: str, kernel: int, stride: int, padding: int) -> Tensor:
        """Apply max pooling; padding is 0, or half of an odd kernel with stride 1."""

    def zero_pad(self, x: Tensor, name: str, padding: Padding) -> Tensor:
        """Zeros (top, bottom), (left, right)."""

    def upsample(self, x: Tensor, name: str, scale: int) -> Tensor:
        """Upsample by nearest neighbor."""

    def global_pool(self, x: Tensor, name: str) -> Tensor:
        """Average over all positions, to one position."""

    def dropout(self, x: Tensor, name: str, rate: float) -> Tensor:
        """Apply dropout in training."""

    def dense(self, x: Tensor, name: str, channels: int, bias: bool = True) -> Tensor:
        """Apply a linear layer to the channels of every position."""

    def attention(self, query: Tensor, key: Tensor, value: Tensor, name: str, heads: int) -> Tensor:
        """Apply multi-head attention over all positions, with PyTorch's input and output projections."""


class Shape(NamedTuple):
    """Shape of a tensor, without the batch."""

    height: int
    width: int
    channels: int


@dataclass
class Cost:
    """Cost of a layer for one image."""

    parameters: int = 0
    multiply_adds: float = 0.0
    activations: int = 0
    """Elements of the tensors it writes."""

    @property
    def gflops(self) -> float:
        """GFLOPs: multiply-adds count as two operations."""
        return 2e-9 * self.multiply_adds


@dataclass
class ShapeOps:
    """Counts costs instead of computing; costs are grouped by the prefix of names: `model.3` of `model.3.bn`.

    It also validates configurations: invalid operations raise ValueError.

    GFLOPs are counted as in YOLOv5's tables: batch normalization as four multiply-adds per element; biases,
    activations and the inside of attention layers are not counted.
    """

    csp_activation: str = "silu"
    costs: defaultdict[str, Cost] = field(default_factory=lambda: defaultdict(Cost))

    def _count(self, name: str, out: Shape, parameters: int = 0, multiply_adds: float = 0.0) -> Shape:
        cost = self.costs[".".join(name.split(".")[:2])]
        cost.parameters += parameters
        cost.multiply_adds += multiply_adds
        cost.activations += math.prod(out)
        return out

    def channels(self, x: Shape) -> int:
        return x.channels

    def conv2d(
        self,
        x: Shape,
        name: str,
        filters: int,
        kernel: int,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        bias: bool = False,
    ) -> Shape:
        if filters < 1 or x.channels % groups or filters % groups:
            raise ValueError(
                f"{x.channels} input and {filters} output channels do not divide into {groups} groups"
            )
        height, width = _windows(x, kernel, stride, kernel // 2 if padding is None else padding)
        per_filter = kernel * kernel * x.channels // groups
        out = Shape(height, width, filters)
        return self._count(name, out, filters * (per_filter + bias), math.prod(out) * per_filter)

    def normalize(self, images: Shape, normalization: Normalization) -> Shape:
        return images

    def batch_norm(self, x: Shape, name: str, epsilon: float | None = None) -> Shape:
        return self._count(name, x, 2 * x.channels, 4 * math.prod(x))

    def activation(self, x: Shape, name: str, act: bool | str) -> Shape:
        return self._count(name, x) if act else x

    def add(self, xs: list[Shape], name: str) -> Shape:
        return self._count(name, xs[0])

    def concat(self, xs: list[Shape], name: str) -> Shape:
        if len({x[:2] for x in xs}) > 1:
            sizes = ", ".join(f"{x.height}x{x.width}" for x in xs)
            raise ValueError(f"Concat needs inputs of one size, got {sizes}")
        return self._count(name, Shape(*xs[0][:2], sum(x.channels for x in xs)))

    def max_pool(self, x: Shape, name: str, kernel: int, stride: int, padding: int) -> Shape:
        height, width = _windows(x, kernel, stride, padding)
        return self._count(name, Shape(height, width, x.channels))

    def zero_pad(self, x: Shape, name: str, padding: Padding) -> Shape:
        return self._count(name, Shape(x.height + sum(padding[0]), x.width + sum(padding[1]), x.channels))

    def upsample(self, x: Shape, name: str, scale: int) -> Shape:
        return self._count(name, Shape(x.height * scale, x.width * scale, x.channels))

    def global_pool(self, x: Shape, name: str) -> Shape:
        return self._count(name, Shape(1, 1, x.channels))

    def dropout(self, x: Shape, name: str, rate: float) -> Shape:
        return x

    def dense(self, x: Shape, name: str, channels: int, bias: bool = True) -> Shape:
        out = Shape(*x[:2], channels)
        return self._count(name, out, channels * (x.channels + bias), math.prod(out) * x.channels)

    def attention(self, query: Shape, key: Shape, value: Shape, name: str, heads: int) -> Shape:
        if query.channels % heads:
            raise ValueError(f"{query.channels} channels do not divide into {heads} attention heads")
        return self._count(name, query, 4 * query.channels * (query.channels + 1))


def _windows(x: Shape, kernel: int, stride: int, padding: int) -> tuple[int, int]:
    """Return height and width after a sliding window."""
    height, width = ((size + 2 * padding - kernel) // stride + 1 for size in x[:2])
    if height < 1 or width < 1:
        raise ValueError(f"its input of {x.height}x{x.width} is smaller than the kernel of {kernel}")
    return height, width
