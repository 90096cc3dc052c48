"""The exported graph of each task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfyolo.export.graph.masks import SegmentationModule
from tfyolo.export.graph.module import ClassificationModule, DetectionModule, Heads
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.models.contract import Contract

_WITH_BOXES = {"detect": DetectionModule, "segment": SegmentationModule}
"""By task."""


def make_module(
    heads: Callable[[Any], Heads],
    contract: Contract,
    image_size: tuple[int, int],
    nms: str,
    options: GraphNmsOptions,
    uint8: bool = False,
    batch: int | None = 1,
) -> DetectionModule | ClassificationModule:
    """Return the `tf.Module` to export.

    Args:
        heads: function from images in 0..1 to the raw heads.
        contract: contract of the exported model; its task selects the class.
        image_size: fixed input size (height, width) in pixels.
        nms: a key of `NMS`.
        options: thresholds and limits of NMS.
        uint8: take images as uint8, 0..255.
        batch: number of images at once; None for any number.

    Returns:
        The module; its function `detect` maps images to named outputs.
    """
    if contract.task == "classify":
        return ClassificationModule(heads, image_size, nms == "raw", uint8, batch)
    return _WITH_BOXES[contract.task](heads, contract, image_size, nms, options, uint8, batch)
