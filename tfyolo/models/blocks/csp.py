"""Cross stage partial blocks: BottleneckCSP, C3, C3TR, C3Ghost."""

from __future__ import annotations

from collections.abc import Callable

from tfyolo.models.blocks.block import Count, Expansion
from tfyolo.models.blocks.bottlenecks import bottleneck, ghost_bottleneck, transformer_layer
from tfyolo.models.blocks.convolutions import conv
from tfyolo.models.ops import Ops, Tensor

Inner = Callable[[Ops, Tensor, str, int], Tensor]


def bottleneck_csp(
    ops: Ops,
    x: Tensor,
    name: str,
    filters: Count,
    shortcut: bool = True,
    groups: Count = 1,
    expansion: Expansion = 0.5,
    *,
    repeats: int = 1,
) -> Tensor:
    """Apply the cross stage partial bottleneck of v1.0 to v3.1.

    Args:
        ops: implementation of `Ops`.
        x: input (batch, height, width, channels).
        name: prefix of layer names.
        filters: number of output channels.
        shortcut: whether the bottlenecks inside have residual connections.
        groups: number of channel groups of their 3 x 3 convolutions.
        expansion: channels of each branch relative to `filters`.
        repeats: number of bottlenecks in series.

    Returns:
        Output (batch, height, width, filters).

    Source: Wang et al. 2019, CSPNet.
    """
    hidden = int(filters * expansion)
    y = conv(ops, x, f"{name}.cv1", hidden)
    for i in range(repeats):
        y = bottleneck(ops, y, f"{name}.m.{i}", hidden, shortcut, groups, expansion=1.0)
    y = ops.conv2d(y, f"{name}.cv3", hidden, 1)
    y = ops.concat([y, ops.conv2d(x, f"{name}.cv2", hidden, 1)], f"{name}.cat")
    y = ops.activation(ops.batch_norm(y, f"{name}.bn"), f"{name}.act", ops.csp_activation)
    return conv(ops, y, f"{name}.cv4", filters)


def _c3(ops: Ops, x: Tensor, name: str, filters: Count, expansion: float, inner: Inner) -> Tensor:
    """Apply two 1 x 1 branches, one followed by `inner`, and a third 1 x 1 Conv: the structure of C3."""
    hidden = int(filters * expansion)
    y = inner(ops, conv(ops, x, f"{name}.cv1", hidden), f"{name}.m", hidden)
    y = ops.concat([y, conv(ops, x, f"{name}.cv2", hidden)], f"{name}.cat")
    return conv(ops, y, f"{name}.cv3", filters)


def c3(
    ops: Ops,
    x: Tensor,
    name: str,
    filters: Count,
    shortcut: bool = True,
    groups: Count = 1,
    expansion: Expansion = 0.5,
    *,
    repeats: int = 1,
) -> Tensor:
    """Apply a CSP bottleneck with three convolutions, used since v4.0.

    Args:
        ops: implementation of `Ops`.
        x: input (batch, height, width, channels).
        name: prefix of layer names.
        filters: number of output channels.
        shortcut: whether the bottlenecks inside have residual connections.
        groups: number of channel groups of their 3 x 3 convolutions.
        expansion: channels of each branch relative to `filters`.
        repeats: number of bottlenecks in series.

    Returns:
        Output (batch, height, width, filters).
    """

    def inner(ops: Ops, y: Tensor, name: str, hidden: int) -> Tensor:
        for i in range(repeats):
            y = bottleneck(ops, y, f"{name}.{i}", hidden, shortcut, groups, expansion=1.0)
        return y

    return _c3(ops, x, name, filters, expansion, inner)


def c3_transformer(
    ops: Ops,
    x: Tensor,
    name: str,
    filters: Count,
    shortcut: bool = True,
    groups: Count = 1,
    expansion: Expansion = 0.5,
    *,
    repeats: int = 1,
) -> Tensor:
    """Apply C3 with transformer layers of four heads in place of bottlenecks.

    Args:
        ops: implementation of `Ops`.
        x: input (batch, height, width, channels).
        name: prefix of layer names.
        filters: number of output channels.
        shortcut: no effect, as in YOLOv5.
        groups: no effect, as in YOLOv5.
        expansion: channels of each branch relative to `filters`.
        repeats: number of transformer layers in series.

    Returns:
        Output (batch, height, width, filters).
    """

    def inner(ops: Ops, y: Tensor, name: str, hidden: int) -> Tensor:
        y = ops.add([y, ops.dense(y, f"{name}.linear", hidden)], f"{name}.position")
        for i in range(repeats):
            y = transformer_layer(ops, y, f"{name}.tr.{i}", hidden, heads=4)
        return y

    return _c3(ops, x, name, filters, expansion, inner)


def c3_ghost(
    ops: Ops,
    x: Tensor,
    name: str,
    filters: Count,
    shortcut: bool = True,
    groups: Count = 1,
    expansion: Expansion = 0.5,
    *,
    repeats: int = 1,
) -> Tensor:
    """Apply C3 with ghost bottlenecks.

    Args:
        ops: implementation of `Ops`.
        x: input (batch, height, width, channels).
        name: prefix of layer names.
        filters: number of output channels.
        shortcut: no effect, as in YOLOv5.
        groups: no effect, as in YOLOv5.
        expansion: channels of each branch relative to `filters`.
        repeats: number of ghost bottlenecks in series.

    Returns:
        Output (batch, height, width, filters).
    """

    def inner(ops: Ops, y: Tensor, name: str, hidden: int) -> Tensor:
        for i in range(repeats):
            y = ghost_bottleneck(ops, y, f"{name}.{i}", hidden)
        return y

    return _c3(ops, x, name, filters, expansion, inner)
