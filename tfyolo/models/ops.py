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
        """Apply a convolution with zero padding.

        Args:
            x: input (batch, height, width, channels).
            name: name of the layer.
            filters: number of output channels.
            kernel: height and width of the kernel.
            stride: step of the kernel in both directions.
            padding: zeros added on each side, as in PyTorch; defaults to `kernel // 2`.
            groups: number of channel groups that are convolved separately.
            bias: whether to add a bias per output channel.

        Returns:
            Output (batch, height, width, filters).
        """

    def normalize(self, images: Tensor, normalization: Normalization) -> Tensor:
        """Subtract a mean and divide by a standard deviation per channel."""

    def batch_norm(self, x: Tensor, name: str, epsilon: float | None = None) -> Tensor:
        """Apply batch normalization with momentum 0.97 (PyTorch's 0.03).

        Args:
            x: input (batch, height, width, channels).
            name: name of the layer.
            epsilon: added to the variance; defaults to the model's.

        Returns:
            Output of the same shape.
        """

    def activation(self, x: Tensor, name: str, act: bool | str) -> Tensor:
        """Apply an activation function.

        Args:
            x: input of any shape.
            name: name of the layer.
            act: True for the model's activation, the name of another one, or False for none.

        Returns:
            Output of the same shape.
        """

    def add(self, xs: list[Tensor], name: str) -> Tensor:
        """Add two tensors."""

    def concat(self, xs: list[Tensor], name: str) -> Tensor:
        """Concatenate channels."""

    def max_pool(self, x: Tensor, name: str, kernel: int, stride: int, padding: int) -> Tensor:
        """Apply max pooling.

        Args:
            x: input (batch, height, width, channels).
            name: name of the layer.
            kernel: height and width of the window.
            stride: step of the window in both directions.
            padding: border on each side: 0, or half of an odd kernel with stride 1.

        Returns:
            Output (batch, height, width, channels).
        """

    def zero_pad(self, x: Tensor, name: str, padding: Padding) -> Tensor:
        """Pad height and width with zeros.

        Args:
            x: input (batch, height, width, channels).
            name: name of the layer.
            padding: ((top, bottom), (left, right)) in pixels of the feature map.

        Returns:
            Output (batch, height + top + bottom, width + left + right, channels).
        """

    def upsample(self, x: Tensor, name: str, scale: int) -> Tensor:
        """Upsample by nearest neighbor.

        Args:
            x: input (batch, height, width, channels).
            name: name of the layer.
            scale: ratio of output size to input size.

        Returns:
            Output (batch, height * scale, width * scale, channels).
        """

    def global_pool(self, x: Tensor, name: str) -> Tensor:
        """Average over all positions, to one position."""

    def dropout(self, x: Tensor, name: str, rate: float) -> Tensor:
        """Apply dropout in training.

        Args:
            x: input of any shape.
            name: name of the layer.
            rate: fraction of the elements set to zero.

        Returns:
            Output of the same shape.
        """

    def dense(self, x: Tensor, name: str, channels: int, bias: bool = True) -> Tensor:
        """Apply a linear layer to the channels of every position.

        Args:
            x: input (..., input channels).
            name: name of the layer.
            channels: number of output channels.
            bias: whether to add a bias per output channel.

        Returns:
            Output (..., channels).
        """

    def attention(self, query: Tensor, key: Tensor, value: Tensor, name: str, heads: int) -> Tensor:
        """Apply multi-head attention over all positions, with PyTorch's input and output projections.

        Args:
            query: (batch, height, width, channels).
            key: of the same shape.
            value: of the same shape.
            name: name of the layer.
            heads: number of attention heads; a divisor of the channels.

        Returns:
            Output (batch, height, width, channels).
        """


class Shape(NamedTuple):
    """Shape of a tensor, without the batch.

    Attributes:
        height: number of rows.
        width: number of columns.
        channels: number of channels.
    """

    height: int
    width: int
    channels: int


@dataclass
class Cost:
    """Cost of a layer for one image.

    Attributes:
        parameters: number of trainable parameters.
        multiply_adds: number of multiply-add operations, as `ShapeOps` counts them.
        activations: number of elements of the tensors it writes.
    """

    parameters: int = 0
    multiply_adds: float = 0.0
    activations: int = 0

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

    Attributes:
        csp_activation: name of the activation inside BottleneckCSP.
        costs: cost per layer of the configuration, by name (`model.3`).
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
        if len(set(xs)) > 1:
            sizes = ", ".join(f"{x.height}x{x.width}x{x.channels}" for x in xs)
            raise ValueError(f"inputs of one shape are needed to add them, got {sizes}")
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
