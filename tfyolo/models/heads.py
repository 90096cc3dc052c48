"""Heads: detection (one convolution per feature map), segmentation and classification."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from tfyolo.models.blocks import Block, Count, Epsilon, conv, upsample
from tfyolo.models.ops import Ops, Tensor
from tfyolo.models.spec import ModelSpec


def detect(ops: Ops, xs: list[Tensor], name: str, spec: ModelSpec, convolve: bool) -> list[Tensor]:
    """Compute the raw heads of a detector.

    The channels of each anchor are x, y, width, height, objectness, class scores. In v1.0 the convolutions
    are separate layers (`convolve` False), and P5 is first.

    Args:
        ops: implementation of `Ops`.
        xs: feature maps (batch, height / stride, width / stride, channels), one per stride.
        name: prefix of layer names, such as `model.24`.
        spec: resolved configuration of the model.
        convolve: whether to apply the prediction layers; False returns `xs`.

    Returns:
        Logits per feature map, (batch, height / stride, width / stride, anchors * (5 + classes)).
    """
    if not convolve:
        return xs
    filters = spec.anchors_per_scale * sum(spec.parts.values())
    return [ops.conv2d(x, f"{name}.m.{i}", filters, 1, bias=True) for i, x in enumerate(xs)]


def segment(
    ops: Ops,
    xs: list[Tensor],
    name: str,
    spec: ModelSpec,
    coefficients: int = 32,
    prototypes: int = 256,
) -> list[Tensor]:
    """Compute the raw heads and the prototypes of a segmentation model.

    The channels of each anchor are those of a detector, followed by the mask coefficients. The mask of a box
    is the sum of the prototypes, weighted by the coefficients of the box.

    Args:
        ops: implementation of `Ops`.
        xs: feature maps (batch, height / stride, width / stride, channels), one per stride.
        name: prefix of layer names, such as `model.24`.
        spec: resolved configuration of the model.
        coefficients: number of mask coefficients per box, and of prototypes.
        prototypes: number of filters of the convolutions before the prototypes.

    Returns:
        Logits per feature map, (batch, height / stride, width / stride, anchors * (5 + classes +
        coefficients)), and the prototypes (batch, height / 4, width / 4, coefficients) from the feature map
        of stride 8.

    Source: Bolya et al. 2019, YOLACT, section 3; the layers are those of YOLOv5 v7.0.
    """
    heads = detect(ops, xs, name, spec, convolve=True)
    x = conv(ops, xs[0], f"{name}.proto.cv1", prototypes, 3)
    x = conv(ops, upsample(ops, x, f"{name}.proto.upsample"), f"{name}.proto.cv2", prototypes, 3)
    return [*heads, conv(ops, x, f"{name}.proto.cv3", coefficients)]


def classify(
    ops: Ops,
    xs: list[Tensor],
    name: str,
    spec: ModelSpec,
    filters: Count = 1280,
    act: bool | str = True,
    bn_epsilon: Epsilon | None = None,
) -> list[Tensor]:
    """Compute the logits of a classifier: 1 x 1 Conv, global average pooling, dropout and a linear layer.

    Checkpoints can have another activation and batch-norm epsilon here: YOLOv5 creates this head later, with
    PyTorch's defaults.

    Args:
        ops: implementation of `Ops`.
        xs: one feature map (batch, height, width, channels).
        name: prefix of layer names, such as `model.9`.
        spec: resolved configuration of the model: number of classes and dropout rate.
        filters: number of output channels of the convolution.
        act: True for the model's activation, the name of another one, or False for none.
        bn_epsilon: epsilon of the batch normalization; defaults to the model's.

    Returns:
        A list of one tensor of logits; (batch, classes) with `KerasOps`.
    """
    x = conv(ops, xs[0], f"{name}.conv", filters, act=act, bn_epsilon=bn_epsilon)
    x = ops.dropout(ops.global_pool(x, f"{name}.pool"), f"{name}.drop", spec.dropout)
    return [ops.dense(x, f"{name}.linear", spec.num_classes)]


HEADS: dict[str, Callable[..., list[Tensor]]] = {"Detect": detect, "Classify": classify, "Segment": segment}
"""By the name of a configuration's last layer."""


def _classify_arguments(
    ops: Ops,
    x: Tensor,
    name: str,
    filters: Count = 1280,
    act: bool | str = True,
    bn_epsilon: Epsilon | None = None,
) -> None:
    """Return the arguments that a row of a configuration can give to Classify."""


CLASSIFY = Block(_classify_arguments, scaled=False)
"""What checks them."""
MaskCount = Annotated[int, Field(ge=1, le=1024)]


def _segment_arguments(
    ops: Ops, x: Tensor, name: str, coefficients: MaskCount = 32, prototypes: MaskCount = 256
) -> None:
    """Return the arguments that a row of a configuration can give to Segment."""


SEGMENT = Block(_segment_arguments, scaled=False)
"""What checks them."""


def initialize_biases(model: Any, spec: ModelSpec) -> None:
    """Initialize the biases of the prediction layers, so that an untrained detector expects few objects.

    The prior of objectness is 8 objects per image of 640 pixels, that of each class 0.6 / (classes -
    0.99999).

    Source: Lin et al. 2017, Focal Loss, section 3.3, with YOLOv5's numbers.
    """
    if not spec.parts:
        return
    layer = spec.head
    names = [f"model.{layer.index}.m.{i}" for i in range(len(layer.sources))]
    if not layer.arguments.get("convolve", True):
        names = [f"model.{i}" for i in layer.sources]
    for name, stride in zip(names, spec.strides, strict=True):
        bias = model.get_layer(name).bias
        values = bias.numpy().reshape(spec.anchors_per_scale, -1)
        values[:, 4] = math.log(8 / (640 / stride) ** 2)
        values[:, 5 : 5 + spec.num_classes] = math.log(0.6 / (spec.num_classes - 0.99999))
        bias.assign(values.reshape(-1))
