"""Pooling: SPP, SPPF, MaxPool2d."""

from __future__ import annotations

from collections.abc import Sequence

from tfyolo.models.blocks.block import Border, Count
from tfyolo.models.blocks.convolutions import conv
from tfyolo.models.ops import Ops, Tensor


def spp(ops: Ops, x: Tensor, name: str, filters: Count, kernels: Sequence[Count] = (5, 9, 13)) -> Tensor:
    """Apply spatial pyramid pooling: concatenate max poolings of several sizes.

    Args:
        ops: implementation of `Ops`.
        x: input (batch, height, width, channels).
        name: prefix of layer names.
        filters: number of output channels.
        kernels: odd window sizes; every pooling has stride 1 and keeps the size.

    Returns:
        Output (batch, height, width, filters).

    Source: He et al. 2014, Spatial Pyramid Pooling, as in YOLOv3-SPP.
    """
    x = conv(ops, x, f"{name}.cv1", ops.channels(x) // 2)
    pooled = [ops.max_pool(x, f"{name}.m.{i}", k, 1, k // 2) for i, k in enumerate(kernels)]
    return conv(ops, ops.concat([x, *pooled], f"{name}.cat"), f"{name}.cv2", filters)


def sppf(ops: Ops, x: Tensor, name: str, filters: Count, kernel: Count = 5) -> Tensor:
    """Apply SPP as three equal poolings in series, which is faster.

    With kernel 5, the outputs equal those of SPP with kernels 5, 9 and 13.

    Args:
        ops: implementation of `Ops`.
        x: input (batch, height, width, channels).
        name: prefix of layer names.
        filters: number of output channels.
        kernel: odd window size of each pooling, with stride 1.

    Returns:
        Output (batch, height, width, filters).
    """
    levels = [conv(ops, x, f"{name}.cv1", ops.channels(x) // 2)]
    for i in range(3):
        levels.append(ops.max_pool(levels[-1], f"{name}.m.{i}", kernel, 1, kernel // 2))
    return conv(ops, ops.concat(levels, f"{name}.cat"), f"{name}.cv2", filters)


def max_pool(
    ops: Ops, x: Tensor, name: str, kernel: Count, stride: Count | None = None, padding: Border = 0
) -> Tensor:
    """Apply max pooling.

    Args:
        ops: implementation of `Ops`.
        x: input (batch, height, width, channels).
        name: prefix of the layer name.
        kernel: height and width of the window.
        stride: step of the window; defaults to `kernel`, as in PyTorch.
        padding: border on each side that never is the maximum: 0, or half of an odd kernel at stride 1.

    Returns:
        Output (batch, height / stride, width / stride, channels).

    Raises:
        ValueError: another padding.
    """
    stride = kernel if stride is None else stride
    if padding and (stride > 1 or 2 * padding != kernel - 1):
        raise ValueError("padding must be 0, or half of an odd kernel at stride 1")
    return ops.max_pool(x, f"{name}.pool", kernel, stride, padding)
