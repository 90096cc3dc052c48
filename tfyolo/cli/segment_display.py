"""Display of `tfyolo segment train`: losses, and mAP of boxes (B) and masks (M), in 80 columns."""

from __future__ import annotations

from tfyolo.cli.train_display import Columns, Display

_COLUMNS: Columns = {
    "box": ("box_loss", 7, 4),
    "seg": ("seg_loss", 7, 4),
    "obj": ("obj_loss", 7, 4),
    "cls": ("cls_loss", 7, 4),
    "B50": ("metrics/mAP_0.5(B)", 7, 3),
    "B50-95": ("metrics/mAP_0.5:0.95(B)", 7, 3),
    "M50": ("metrics/mAP_0.5(M)", 7, 3),
    "M50-95": ("metrics/mAP_0.5:0.95(M)", 7, 3),
}


class SegmentDisplay(Display):
    """A live display; pass `callback()` to training.

    Args:
        epochs: number of epochs of the run.
    """

    columns: Columns = _COLUMNS
    losses: tuple[str, ...] = ("box_loss", "seg_loss", "obj_loss", "cls_loss")
