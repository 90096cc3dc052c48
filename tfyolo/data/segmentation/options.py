"""Options of the masks that a segmentation model is trained on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MaskOptions:
    """Options of training masks, by YOLOv5's names.

    Attributes:
        ratio: size of the images relative to that of the masks; the stride of the model's prototypes.
        overlap: one index mask per image, in which smaller objects are drawn over larger ones; False for one
            mask per object, which needs more memory.

    Example:
        >>> MaskOptions(overlap=False).ratio
        4
    """

    ratio: int = 4
    overlap: bool = True
