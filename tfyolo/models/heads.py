"""What a network ends in: the detection head, one convolution per scale, or the classification head."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tfyolo.models.blocks import Block, Count, Epsilon, conv
from tfyolo.models.ops import Ops, Tensor
from tfyolo.models.spec import ModelSpec


def detect(ops: Ops, xs: list[Tensor], name: str, spec: ModelSpec, convolve: bool) -> list[Tensor]:
    """Raw heads, per scale (batch, height / stride, width / stride, anchors * (5 + classes)), logits.

    The channels are anchor by anchor: x, y, width, height, objectness, class scores. v1.0 has its
    convolutions among the layers before (`convolve` False) and lists P5 first.
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
    """Logits (batch, classes) by a 1 x 1 Conv, the mean over all positions, dropout and a linear layer.

    Checkpoints may have another activation and batch-norm epsilon here than elsewhere: YOLOv5 makes this head
    after the rest, with PyTorch's defaults.
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
    """The arguments that a row of a configuration may give to Classify."""


CLASSIFY = Block(_classify_arguments, scaled=False)
"""What checks them."""


def initialize_biases(model: Any, spec: ModelSpec) -> None:
    """Set the prediction layers' biases so that an untrained detector expects few objects.

    Objectness begins at 8 objects an image of 640 pixels, each class at 0.6 / (classes - 0.99999) of them.

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
