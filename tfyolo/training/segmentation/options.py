"""Options of a segmentation model's training run."""

from __future__ import annotations

from dataclasses import dataclass

from tfyolo.training.detection.options import TrainOptions


@dataclass(frozen=True)
class SegmentOptions(TrainOptions):
    """Options of `tfyolo segment train`: those of `TrainOptions`, and two of the masks.

    Without `cfg`, a run that starts from the weights of a detector trains the segmentation model of its name,
    such as `yolov5n-seg` for `yolov5n`.

    Attributes:
        mask_ratio: pixels of the training images per pixel of the masks that the loss compares with; 4 is the
            size of the prototypes.
        overlap: one index mask per image, in which smaller objects are drawn over larger ones; False for one
            mask per object, which needs more memory.

    Example:
        >>> from pathlib import Path
        >>> SegmentOptions(Path("coco128-seg.yaml"), weights="yolov5n.pt", epochs=60).mask_ratio
        4
    """

    mask_ratio: int = 4
    overlap: bool = True
