"""A validated and resolved model configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfyolo.models.ops import Normalization
from tfyolo.models.tasks import part_sizes

Anchors = tuple[tuple[float, ...], ...]
"""Width, height, width, height, ... per feature map, in pixels of the input."""

_GRID_ANCHORS = (1.25, 1.625, 2.0, 3.75, 4.125, 2.875)  # P3's default anchors in cells of its grid


@dataclass(frozen=True)
class Layer:
    """A resolved row of the configuration: absolute sources, scaled filters, named arguments.

    Attributes:
        index: position in the network, from 0.
        section: `backbone`, `neck` or `head`.
        sources: indices of the layers it reads; -1 is the image.
        repeats: number of copies or of inner bottlenecks, scaled by the model's depth.
        block: a key of `BLOCKS` or `HEADS`, such as `C3`.
        arguments: keyword arguments of the block, with filters scaled by the model's width.
        stride: stride of its output, in pixels of the image.
    """

    index: int
    section: str
    sources: tuple[int, ...]
    repeats: int
    block: str
    arguments: dict[str, Any]
    stride: float


@dataclass(frozen=True)
class ModelSpec:
    """A resolved model configuration: `layers` in order, the last of them Detect, Classify or Segment.

    Attributes:
        name: name of the model, such as `yolov5n`.
        num_classes: number of classes.
        anchors: width, height, ... in pixels per feature map; a number of anchors per feature map before
            AutoAnchor; empty for a classifier.
        activation: name of the activation, such as `silu`.
        csp_activation: name of the activation inside BottleneckCSP.
        bn_epsilon: default epsilon of batch normalization.
        image_size: default side of the square input, in pixels.
        layers: all layers in order.
        normalization: mean and standard deviation by which images in 0..1 are normalized before the first
            layer; None for none.
        dropout: dropout rate of a classifier's head in training.
        config: the configuration as plain values: what a model file stores, and `parse_spec` accepts.

    Example:
        >>> from tfyolo.models import load_spec
        >>> spec = load_spec("yolov5n")
        >>> spec.strides, len(spec.layers)
        ((8, 16, 32), 25)
    """

    name: str
    num_classes: int
    anchors: Anchors | int
    activation: str
    csp_activation: str
    bn_epsilon: float
    image_size: int
    layers: tuple[Layer, ...]
    normalization: Normalization | None
    dropout: float
    config: dict[str, Any]

    @property
    def head(self) -> Layer:
        """The last layer."""
        return self.layers[-1]

    @property
    def task(self) -> str:
        """`detect`, `classify` or `segment`, by the last layer."""
        return self.head.block.lower()

    @property
    def strides(self) -> tuple[int, ...]:
        """Stride of each feature map of the head, in the order of the outputs (in v1.0 P5 is first)."""
        return tuple(int(self.layers[i].stride) for i in self.head.sources)

    @property
    def num_coefficients(self) -> int:
        """Number of mask coefficients per box, and of prototypes; 0 without masks."""
        return int(self.head.arguments.get("coefficients", 0))

    @property
    def parts(self) -> dict[str, int]:
        """Channels per anchor of each part of a raw head, in their order; empty for a classifier."""
        return part_sizes(self.task, self.num_classes, self.num_coefficients)

    @property
    def anchors_per_scale(self) -> int:
        """Number of anchors per feature map; 0 for a classifier."""
        if isinstance(self.anchors, int):
            return self.anchors
        return len(self.anchors[0]) // 2 if self.anchors else 0

    @property
    def anchors_px(self) -> Anchors:
        """Anchors per feature map; before AutoAnchor, those of P3 scaled with the stride."""
        if not isinstance(self.anchors, int):
            return self.anchors
        pairs = [_GRID_ANCHORS[2 * (i % 3) : 2 * (i % 3) + 2] for i in range(self.anchors)]
        grid = [value * (1 + i // 3) for i, pair in enumerate(pairs) for value in pair]
        return tuple(tuple(value * stride for value in grid) for stride in self.strides)
