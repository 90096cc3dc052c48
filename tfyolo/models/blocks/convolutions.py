"""Convolutions: Conv, DWConv, Focus, Conv2d, GhostConv."""

from __future__ import annotations

import math
from typing import Literal

from tfyolo.models.blocks.block import Border, Count
from tfyolo.models.ops import Ops, Tensor


def conv(
    ops: Ops,
    x: Tensor,
    name: str,
    filters: Count,
    kernel: Count = 1,
    stride: Count = 1,
    padding: Border | None = None,
    groups: Count = 1,
    act: bool | str = True,
    *,
    bn_epsilon: float | None = None,
) -> Tensor:
    """Apply convolution, batch normalization and activation.

    Args:
        ops: implementation of `Ops`.
        x: input (batch, height, width, channels).
        name: prefix of layer names.
        filters: number of output channels.
        kernel: height and width of the kernel.
        stride: step of the kernel in both directions.
        padding: zeros added on each side; defaults to `kernel // 2`.
        groups: number of channel groups that are convolved separately.
        act: True for the model's activation, the name of another one, or False for none.
        bn_epsilon: epsilon of the batch normalization; defaults to the model's.

    Returns:
        Output (batch, height / stride, width / stride, filters) with the default padding.
    """
    x = ops.conv2d(x, f"{name}.conv", filters, kernel, stride, padding, groups)
    x = ops.batch_norm(x, f"{name}.bn", bn_epsilon)
    return ops.activation(x, f"{name}.act", act)


def dw_conv(
    ops: Ops,
    x: Tensor,
    name: str,
    filters: Count,
    kernel: Count = 1,
    stride: Count = 1,
    act: bool | str = True,
) -> Tensor:
    """Apply a depthwise Conv: as many groups as the greatest common divisor of the channels.

    Args:
        ops: implementation of `Ops`.
        x: input (batch, height, width, channels).
        name: prefix of layer names.
        filters: number of output channels.
        kernel: height and width of the kernel, padded by `kernel // 2`.
        stride: step of the kernel in both directions.
        act: True for the model's activation, the name of another one, or False for none.

    Returns:
        Output (batch, height / stride, width / stride, filters).
    """
    groups = math.gcd(ops.channels(x), filters)
    return conv(ops, x, name, filters, kernel, stride, groups=groups, act=act)


def focus(
    ops: Ops,
    x: Tensor,
    name: str,
    filters: Count,
    kernel: Count = 1,
    stride: Count = 1,
    padding: Border | None = None,
    groups: Literal[1] = 1,
    act: bool | str = True,
) -> Tensor:
    """Apply Focus (space-to-depth and Conv of v1.0 to v5.0) as the equivalent single convolution.

    A k x k convolution over the four 2 x 2 phases of the image is a 2k x 2k convolution of stride 2 over the
    image itself; v6.0 made the same replacement. weights/mapping.py rearranges the kernel.

    Args:
        ops: implementation of `Ops`.
        x: input (batch, height, width, channels).
        name: prefix of layer names.
        filters: number of output channels.
        kernel: height and width of Focus's kernel, on the image at half its size.
        stride: step of that kernel in both directions.
        padding: zeros added on each side of the image at half its size; defaults to `kernel // 2`.
        groups: only 1 is supported.
        act: True for the model's activation, the name of another one, or False for none.

    Returns:
        Output (batch, height / (2 stride), width / (2 stride), filters) with the default padding.
    """
    padding = kernel // 2 if padding is None else padding
    return conv(ops, x, f"{name}.conv", filters, 2 * kernel, 2 * stride, 2 * padding, act=act)


def plain_conv2d(
    ops: Ops, x: Tensor, name: str, filters: Count, kernel: Count = 1, stride: Count = 1, padding: Border = 0
) -> Tensor:
    """Apply a convolution with bias: the prediction layers of v1.0.

    Args:
        ops: implementation of `Ops`.
        x: input (batch, height, width, channels).
        name: name of the layer.
        filters: number of output channels; not scaled by the model's width.
        kernel: height and width of the kernel.
        stride: step of the kernel in both directions.
        padding: zeros added on each side.

    Returns:
        Output (batch, height, width, filters) with the default kernel, stride and padding.
    """
    return ops.conv2d(x, name, filters, kernel, stride, padding, bias=True)


def ghost_conv(
    ops: Ops,
    x: Tensor,
    name: str,
    filters: Count,
    kernel: Count = 1,
    stride: Count = 1,
    groups: Count = 1,
    act: bool | str = True,
) -> Tensor:
    """Compute half of the filters by Conv, the others from them by a 5 x 5 depthwise Conv.

    Args:
        ops: implementation of `Ops`.
        x: input (batch, height, width, channels).
        name: prefix of layer names.
        filters: number of output channels; of an odd number, one less is computed.
        kernel: height and width of the first kernel, padded by `kernel // 2`.
        stride: step of the first kernel in both directions.
        groups: number of channel groups of the first convolution.
        act: True for the model's activation, the name of another one, or False for none.

    Returns:
        Output (batch, height / stride, width / stride, filters).

    Source: Han et al. 2020, GhostNet.
    """
    y = conv(ops, x, f"{name}.cv1", filters // 2, kernel, stride, groups=groups, act=act)
    cheap = conv(ops, y, f"{name}.cv2", filters // 2, 5, groups=filters // 2, act=act)
    return ops.concat([y, cheap], f"{name}.cat")
