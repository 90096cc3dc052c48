"""The detection head: one convolution per scale, whose outputs are the model's raw heads."""

from __future__ import annotations

import math
from typing import Any

from tfyolo.models.ops import Ops, Tensor
from tfyolo.models.spec import ModelSpec


def detect(ops: Ops, xs: list[Tensor], name: str, spec: ModelSpec, convolve: bool) -> list[Tensor]:
    """Raw heads, per scale (batch, height / stride, width / stride, anchors * (5 + classes)), logits.

    The channels are anchor by anchor: x, y, width, height, objectness, class scores. v1.0 has its
    convolutions among the layers before (`convolve` False) and lists P5 first.
    """
    if not convolve:
        return xs
    filters = spec.anchors_per_scale * (5 + spec.classes)
    return [ops.conv2d(x, f"{name}.m.{i}", filters, 1, bias=True) for i, x in enumerate(xs)]


def initialise_biases(model: Any, spec: ModelSpec) -> None:
    """Set the prediction layers' biases so that an untrained model expects few objects.

    Objectness begins at 8 objects an image of 640 pixels, each class at 0.6 / (classes - 0.99999) of them.

    Source: Lin et al. 2017, Focal Loss, section 3.3, with YOLOv5's numbers.
    """
    layer = spec.detect
    names = [f"model.{layer.index}.m.{i}" for i in range(len(layer.sources))]
    if not layer.arguments["convolve"]:
        names = [f"model.{i}" for i in layer.sources]
    for name, stride in zip(names, spec.strides, strict=True):
        bias = model.get_layer(name).bias
        values = bias.numpy().reshape(spec.anchors_per_scale, 5 + spec.classes)
        values[:, 4] = math.log(8 / (640 / stride) ** 2)
        values[:, 5:] = math.log(0.6 / (spec.classes - 0.99999))
        bias.assign(values.reshape(-1))
