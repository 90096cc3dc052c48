"""Every block that a model configuration can name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfyolo.models.blocks.block import Block
from tfyolo.models.blocks.bottlenecks import bottleneck, ghost_bottleneck
from tfyolo.models.blocks.convolutions import conv, dw_conv, focus, ghost_conv, plain_conv2d
from tfyolo.models.blocks.csp import bottleneck_csp, c3, c3_ghost, c3_transformer
from tfyolo.models.blocks.pooling import max_pool, spp, sppf
from tfyolo.models.blocks.resampling import concat, upsample, zero_pad


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
