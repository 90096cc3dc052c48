"""The blocks of YOLOv5 and YOLOv3: one function on an `Ops` (models/ops.py) each, and a table of their names.

A block is written once: with `KerasOps` it builds layers, with `ShapeOps` it counts parameters and
operations without TensorFlow. Layers are named after their counterpart in a PyTorch state dict
(`model.2.cv1.conv`), so that weights map by name.

All blocks take `ops`, an input `x` (batch, height, width, channels) and `name`, the prefix of layer names.
The names and types of their other positional parameters are the arguments that a configuration row can have,
in this order; `kernel`, `stride`, `padding` and `groups` mean what they mean in PyTorch.
"""

from tfyolo.models.blocks.block import Block, Border, Count, Epsilon, Expansion, run_block
from tfyolo.models.blocks.bottlenecks import bottleneck, ghost_bottleneck, transformer_layer
from tfyolo.models.blocks.convolutions import conv, dw_conv, focus, ghost_conv, plain_conv2d
from tfyolo.models.blocks.csp import bottleneck_csp, c3, c3_ghost, c3_transformer
from tfyolo.models.blocks.pooling import max_pool, spp, sppf
from tfyolo.models.blocks.resampling import concat, upsample, zero_pad
from tfyolo.models.blocks.table import BLOCKS

__all__ = [
    "BLOCKS",
    "Block",
    "Border",
    "Count",
    "Epsilon",
    "Expansion",
    "bottleneck",
    "bottleneck_csp",
    "c3",
    "c3_ghost",
    "c3_transformer",
    "concat",
    "conv",
    "dw_conv",
    "focus",
    "ghost_bottleneck",
    "ghost_conv",
    "max_pool",
    "plain_conv2d",
    "run_block",
    "spp",
    "sppf",
    "transformer_layer",
    "upsample",
    "zero_pad",
]
