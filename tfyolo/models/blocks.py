"""The blocks of YOLOv5 and YOLOv3: one function on an `Ops` (models/ops.py) each, and a table of their names.

A block is written once: with `KerasOps` it builds layers, with `ShapeOps` it counts parameters and
operations without TensorFlow. Layers are named after their counterpart in a PyTorch state dict
(`model.2.cv1.conv`), so that weights map by name.

All blocks have these arguments:
    ops, x, name: `KerasOps` or `ShapeOps`; input (batch, height, width, channels); prefix of layer names.
    filters: number of output channels.
    kernel, stride, padding, groups: as in PyTorch; padding defaults to half of the kernel.
    act: True for the model's activation, the name of another one, or False for none.
    shortcut: add the input to the output of bottlenecks, if the channels are equal.
    expansion, repeats: hidden channels of bottlenecks, relative to `filters`; number of inner bottlenecks.
They return the output (batch, height / stride, width / stride, filters).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from tfyolo.models.ops import Ops, Tensor

# Types of arguments. arguments.py checks every configuration against them.
Count = Annotated[int, Field(ge=1, le=65536)]
Border = Annotated[int, Field(ge=0, le=1024)]
Expansion = Annotated[float, Field(gt=0, le=16)]
Epsilon = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class Block:
    """A block that a model configuration can name."""

    build: Callable[..., Any]
    """`build(ops, x, name, **arguments)`; the names and types of its keywords are the block's arguments."""
    inputs: Literal["one", "many"] = "one"
    """Whether `from` is one index or a list."""
    repeats: Literal["chain", "inside"] = "chain"
    """Whether repeats put copies one after another or are an argument (`repeats`) of the block."""
    scaled: bool = True
    """Whether the first argument is a number of filters, multiplied by the model's width."""
    stride: Callable[[Mapping[str, Any]], float] = lambda arguments: arguments.get("stride", 1)
    """How much smaller the output is than the input, from the arguments."""


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
    """Apply convolution, batch normalization and activation (the model's, another by name, or none)."""
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
    """Apply a depthwise Conv: as many groups as the greatest common divisor of the channels."""
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
    """
    padding = kernel // 2 if padding is None else padding
    return conv(ops, x, f"{name}.conv", filters, 2 * kernel, 2 * stride, 2 * padding, act=act)


def plain_conv2d(
    ops: Ops, x: Tensor, name: str, filters: Count, kernel: Count = 1, stride: Count = 1, padding: Border = 0
) -> Tensor:
    """Apply a convolution with bias: the prediction layers of v1.0."""
    return ops.conv2d(x, name, filters, kernel, stride, padding, bias=True)


def bottleneck(
    ops: Ops,
    x: Tensor,
    name: str,
    filters: Count,
    shortcut: bool = True,
    groups: Count = 1,
    expansion: Expansion = 0.5,
) -> Tensor:
    """Apply 1 x 1 and 3 x 3 Conv, with a residual connection if the channels are equal."""
    y = conv(ops, x, f"{name}.cv1", int(filters * expansion))
    y = conv(ops, y, f"{name}.cv2", filters, 3, groups=groups)
    return ops.add([x, y], f"{name}.add") if shortcut and ops.channels(x) == filters else y


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
    """Apply the cross stage partial bottleneck of v1.0 to v3.1. Source: Wang et al. 2019, CSPNet."""
    hidden = int(filters * expansion)
    y = conv(ops, x, f"{name}.cv1", hidden)
    for i in range(repeats):
        y = bottleneck(ops, y, f"{name}.m.{i}", hidden, shortcut, groups, expansion=1.0)
    y = ops.conv2d(y, f"{name}.cv3", hidden, 1)
    y = ops.concat([y, ops.conv2d(x, f"{name}.cv2", hidden, 1)], f"{name}.cat")
    y = ops.activation(ops.batch_norm(y, f"{name}.bn"), f"{name}.act", ops.csp_activation)
    return conv(ops, y, f"{name}.cv4", filters)


Inner = Callable[[Ops, Tensor, str, int], Tensor]


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
    """Apply a CSP bottleneck with three convolutions, used since v4.0."""

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
    """Apply C3 with transformer layers of four heads; `shortcut` and `groups` have no effect."""

    def inner(ops: Ops, y: Tensor, name: str, hidden: int) -> Tensor:
        y = ops.add([y, ops.dense(y, f"{name}.linear", hidden)], f"{name}.position")
        for i in range(repeats):
            y = transformer_layer(ops, y, f"{name}.tr.{i}", hidden, heads=4)
        return y

    return _c3(ops, x, name, filters, expansion, inner)


def transformer_layer(ops: Ops, x: Tensor, name: str, channels: int, heads: int) -> Tensor:
    """Apply self-attention and two linear layers, both residual, without normalization."""
    query, key, value = (ops.dense(x, f"{name}.{part}", channels, bias=False) for part in "qkv")
    x = ops.add([ops.attention(query, key, value, f"{name}.ma", heads), x], f"{name}.add1")
    y = ops.dense(x, f"{name}.fc1", channels, bias=False)
    y = ops.dense(y, f"{name}.fc2", channels, bias=False)
    return ops.add([y, x], f"{name}.add2")


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
    """Compute half of the filters by Conv, the others by cheap operations (Han et al. 2020, GhostNet)."""
    y = conv(ops, x, f"{name}.cv1", filters // 2, kernel, stride, groups=groups, act=act)
    cheap = conv(ops, y, f"{name}.cv2", filters // 2, 5, groups=filters // 2, act=act)
    return ops.concat([y, cheap], f"{name}.cat")


def ghost_bottleneck(
    ops: Ops, x: Tensor, name: str, filters: Count, kernel: Count = 3, stride: Literal[1, 2] = 1
) -> Tensor:
    """Apply two GhostConv with a residual connection; depthwise convolutions implement the stride."""
    hidden = filters // 2
    y = ghost_conv(ops, x, f"{name}.conv.0", hidden)
    if stride == 2:
        y = dw_conv(ops, y, f"{name}.conv.1", hidden, kernel, stride, act=False)
    y = ghost_conv(ops, y, f"{name}.conv.2", filters, act=False)
    if stride == 2:
        x = dw_conv(ops, x, f"{name}.shortcut.0", ops.channels(x), kernel, stride, act=False)
        x = conv(ops, x, f"{name}.shortcut.1", filters, act=False)
    return ops.add([y, x], f"{name}.add")


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
    """Apply C3 with ghost bottlenecks; `shortcut` and `groups` have no effect, as in YOLOv5."""

    def inner(ops: Ops, y: Tensor, name: str, hidden: int) -> Tensor:
        for i in range(repeats):
            y = ghost_bottleneck(ops, y, f"{name}.{i}", hidden)
        return y

    return _c3(ops, x, name, filters, expansion, inner)


def spp(ops: Ops, x: Tensor, name: str, filters: Count, kernels: Sequence[Count] = (5, 9, 13)) -> Tensor:
    """Apply spatial pyramid pooling. Source: He et al. 2014, as in YOLOv3-SPP."""
    x = conv(ops, x, f"{name}.cv1", ops.channels(x) // 2)
    pooled = [ops.max_pool(x, f"{name}.m.{i}", k, 1, k // 2) for i, k in enumerate(kernels)]
    return conv(ops, ops.concat([x, *pooled], f"{name}.cat"), f"{name}.cv2", filters)


def sppf(ops: Ops, x: Tensor, name: str, filters: Count, kernel: Count = 5) -> Tensor:
    """Apply SPP(5, 9, 13) as three poolings of 5 in series: equal outputs, faster."""
    levels = [conv(ops, x, f"{name}.cv1", ops.channels(x) // 2)]
    for i in range(3):
        levels.append(ops.max_pool(levels[-1], f"{name}.m.{i}", kernel, 1, kernel // 2))
    return conv(ops, ops.concat(levels, f"{name}.cat"), f"{name}.cv2", filters)


def concat(ops: Ops, xs: Sequence[Tensor], name: str, dimension: Literal[1] = 1) -> Tensor:
    """Concatenate channels; `dimension` is PyTorch's channel axis."""
    return ops.concat(list(xs), f"{name}.cat")


def upsample(
    ops: Ops, x: Tensor, name: str, size: None = None, scale: Count = 2, mode: Literal["nearest"] = "nearest"
) -> Tensor:
    """Repeat every pixel `scale` times in both directions."""
    return ops.upsample(x, f"{name}.up", scale)


def max_pool(
    ops: Ops, x: Tensor, name: str, kernel: Count, stride: Count | None = None, padding: Border = 0
) -> Tensor:
    """Apply max pooling; the stride defaults to the kernel size, as in PyTorch."""
    stride = kernel if stride is None else stride
    if padding and (stride > 1 or 2 * padding != kernel - 1):
        raise ValueError("padding must be 0, or half of an odd kernel at stride 1")
    return ops.max_pool(x, f"{name}.pool", kernel, stride, padding)


def zero_pad(
    ops: Ops, x: Tensor, name: str, padding: Annotated[Sequence[Border], Field(min_length=4, max_length=4)]
) -> Tensor:
    """Pad with zeros; `padding` is left, right, top, bottom, as in PyTorch."""
    left, right, top, bottom = padding
    return ops.zero_pad(x, f"{name}.pad", ((top, bottom), (left, right)))


def run_block(
    ops: Ops, block: Block, inputs: Sequence[Tensor], name: str, arguments: Mapping[str, Any], repeats: int
) -> Tensor:
    """Apply one layer of a configuration: a block, `repeats` times.

    Raises:
        ValueError: the block does not accept these inputs.
    """
    x = list(inputs) if block.inputs == "many" else inputs[0]
    if block.repeats == "inside":
        return block.build(ops, x, name, **arguments, repeats=repeats)
    if repeats == 1:
        return block.build(ops, x, name, **arguments)
    for i in range(repeats):
        x = block.build(ops, x, f"{name}.{i}", **arguments)
    return x


def _pool_stride(arguments: Mapping[str, Any]) -> float:
    return arguments.get("stride") or arguments["kernel"]


BLOCKS: dict[str, Block] = {
    "Conv": Block(conv),
    "DWConv": Block(dw_conv),
    "Focus": Block(focus, stride=lambda arguments: 2 * arguments.get("stride", 1)),
    "Conv2d": Block(plain_conv2d, scaled=False),
    "Bottleneck": Block(bottleneck),
    "BottleneckCSP": Block(bottleneck_csp, repeats="inside"),
    "C3": Block(c3, repeats="inside"),
    "C3TR": Block(c3_transformer, repeats="inside"),
    "C3Ghost": Block(c3_ghost, repeats="inside"),
    "GhostConv": Block(ghost_conv),
    "GhostBottleneck": Block(ghost_bottleneck),
    "SPP": Block(spp),
    "SPPF": Block(sppf),
    "Concat": Block(concat, inputs="many", scaled=False),
    "Upsample": Block(upsample, scaled=False, stride=lambda arguments: 1 / arguments.get("scale", 2)),
    "MaxPool2d": Block(max_pool, scaled=False, stride=_pool_stride),
    "ZeroPad2d": Block(zero_pad, scaled=False),
}
"""Every block a configuration can name, heads (heads.py) apart. YOLOv5's prefix `nn.` is optional."""
