"""Heads: detection (one convolution per feature map) and classification."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tfyolo.models.blocks import Block, Count, Epsilon, conv
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
    filters = spec.anchors_per_scale * (5 + spec.num_classes)
    return [ops.conv2d(x, f"{name}.m.{i}", filters, 1, bias=True) for i, x in enumerate(xs)]


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


HEADS: dict[str, Callable[..., list[Tensor]]] = {"Detect": detect, "Classify": classify}
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


def initialize_biases(model: Any, spec: ModelSpec) -> None:
    """Initialize the biases of the prediction layers, so that an untrained detector expects few objects.

    The prior of objectness is 8 objects per image of 640 pixels, that of each class 0.6 / (classes -
    0.99999).

    Source: Lin et al. 2017, Focal Loss, section 3.3, with YOLOv5's numbers.
    """
    if spec.task == "classify":
        return
    layer = spec.head
    names = [f"model.{layer.index}.m.{i}" for i in range(len(layer.sources))]
    if not layer.arguments["convolve"]:
        names = [f"model.{i}" for i in layer.sources]
    for name, stride in zip(names, spec.strides, strict=True):
        bias = model.get_layer(name).bias
        values = bias.numpy().reshape(spec.anchors_per_scale, 5 + spec.num_classes)
        values[:, 4] = math.log(8 / (640 / stride) ** 2)
        values[:, 5:] = math.log(0.6 / (spec.num_classes - 0.99999))
        bias.assign(values.reshape(-1))
