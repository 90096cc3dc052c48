"""Blocks without weights that change the size or join feature maps: Concat, Upsample, ZeroPad2d."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from tfyolo.models.blocks.block import Border, Count
from tfyolo.models.ops import Ops, Tensor


def concat(ops: Ops, xs: Sequence[Tensor], name: str, dimension: Literal[1] = 1) -> Tensor:
    """Concatenate feature maps along their channels.

    Args:
        ops: implementation of `Ops`.
        xs: inputs (batch, height, width, channels), equal in height and width.
        name: prefix of the layer name.
        dimension: PyTorch's channel axis; only 1 is supported.

    Returns:
        Output (batch, height, width, sum of channels).
    """
    return ops.concat(list(xs), f"{name}.cat")


def upsample(
    ops: Ops, x: Tensor, name: str, size: None = None, scale: Count = 2, mode: Literal["nearest"] = "nearest"
) -> Tensor:
    """Upsample by nearest neighbor: repeat every pixel `scale` times in both directions.

    Args:
        ops: implementation of `Ops`.
        x: input (batch, height, width, channels).
        name: prefix of the layer name.
        size: PyTorch's output size; only None is supported.
        scale: ratio of output size to input size.
        mode: interpolation; only `nearest` is supported.

    Returns:
        Output (batch, height * scale, width * scale, channels).
    """
    return ops.upsample(x, f"{name}.up", scale)


def zero_pad(
    ops: Ops, x: Tensor, name: str, padding: Annotated[Sequence[Border], Field(min_length=4, max_length=4)]
) -> Tensor:
    """Pad height and width with zeros.

    Args:
        ops: implementation of `Ops`.
        x: input (batch, height, width, channels).
        name: prefix of the layer name.
        padding: left, right, top, bottom in pixels of the feature map, in PyTorch's order.

    Returns:
        Output (batch, height + top + bottom, width + left + right, channels).
    """
    left, right, top, bottom = padding
    return ops.zero_pad(x, f"{name}.pad", ((top, bottom), (left, right)))
