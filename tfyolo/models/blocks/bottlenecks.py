"""Residual blocks: Bottleneck, GhostBottleneck and the transformer layer of C3TR."""

from __future__ import annotations

from typing import Literal

from tfyolo.models.blocks.block import Count, Expansion
from tfyolo.models.blocks.convolutions import conv, dw_conv, ghost_conv
from tfyolo.models.ops import Ops, Tensor


def bottleneck(
    ops: Ops,
    x: Tensor,
    name: str,
    filters: Count,
    shortcut: bool = True,
    groups: Count = 1,
    expansion: Expansion = 0.5,
) -> Tensor:
    """Apply 1 x 1 and 3 x 3 Conv, with a residual connection if the channels are equal.

    Args:
        ops: implementation of `Ops`.
        x: input (batch, height, width, channels).
        name: prefix of layer names.
        filters: number of output channels.
        shortcut: whether to add the input to the output where both have `filters` channels.
        groups: number of channel groups of the 3 x 3 convolution.
        expansion: hidden channels relative to `filters`.

    Returns:
        Output (batch, height, width, filters).
    """
    y = conv(ops, x, f"{name}.cv1", int(filters * expansion))
    y = conv(ops, y, f"{name}.cv2", filters, 3, groups=groups)
    return ops.add([x, y], f"{name}.add") if shortcut and ops.channels(x) == filters else y


def ghost_bottleneck(
    ops: Ops, x: Tensor, name: str, filters: Count, kernel: Count = 3, stride: Literal[1, 2] = 1
) -> Tensor:
    """Apply two GhostConv with a residual connection; depthwise convolutions implement the stride.

    Args:
        ops: implementation of `Ops`.
        x: input (batch, height, width, channels); with stride 1, it needs `filters` channels.
        name: prefix of layer names.
        filters: number of output channels.
        kernel: height and width of the depthwise kernels; no effect with stride 1.
        stride: 1, or 2 to halve height and width.

    Returns:
        Output (batch, height / stride, width / stride, filters).

    Source: Han et al. 2020, GhostNet.
    """
    hidden = filters // 2
    y = ghost_conv(ops, x, f"{name}.conv.0", hidden)
    if stride == 2:
        y = dw_conv(ops, y, f"{name}.conv.1", hidden, kernel, stride, act=False)
    y = ghost_conv(ops, y, f"{name}.conv.2", filters, act=False)
    if stride == 2:
        x = dw_conv(ops, x, f"{name}.shortcut.0", ops.channels(x), kernel, stride, act=False)
        x = conv(ops, x, f"{name}.shortcut.1", filters, act=False)
    return ops.add([y, x], f"{name}.add")


def transformer_layer(ops: Ops, x: Tensor, name: str, channels: int, heads: int) -> Tensor:
    """Apply self-attention and two linear layers, both residual, without normalization.

    Args:
        ops: implementation of `Ops`.
        x: input (batch, height, width, channels); attention is over all positions.
        name: prefix of layer names.
        channels: number of channels of input and output.
        heads: number of attention heads; a divisor of `channels`.

    Returns:
        Output (batch, height, width, channels).
    """
    query, key, value = (ops.dense(x, f"{name}.{part}", channels, bias=False) for part in "qkv")
    x = ops.add([ops.attention(query, key, value, f"{name}.ma", heads), x], f"{name}.add1")
    y = ops.dense(x, f"{name}.fc1", channels, bias=False)
    y = ops.dense(y, f"{name}.fc2", channels, bias=False)
    return ops.add([y, x], f"{name}.add2")
