"""Options of the non-maximum suppression (NMS) inside an exported graph."""

from __future__ import annotations

from dataclasses import dataclass

from tfyolo.deprecation import renamed_arguments, warn_renamed


@renamed_arguments(iou="iou_threshold")
@dataclass(frozen=True)
class GraphNmsOptions:
    """Options of the non-maximum suppression (NMS) inside an exported graph.

    They are constants of the exported file. `NmsOptions` are those of NMS in NumPy, which may differ in each
    call.

    Attributes:
        confidence: confidence threshold; boxes with a lower score are removed. 0 to 1.
        iou_threshold: IoU above which the lower-scoring of two boxes of a class is suppressed.
        max_detections: maximum number of boxes per image, the rows of the outputs.
        candidates: number of boxes of highest objectness that are decoded and take part in NMS.
        multi_label: let a box have several classes, as when mAP is measured; by default its best one.
        agnostic: let boxes of different classes suppress each other; a box then has one class.
        per_class: maximum number of boxes per class and image; None for no limit besides `max_detections`.

    Example:
        >>> GraphNmsOptions(confidence=0.4).iou_threshold
        0.45
    """

    confidence: float = 0.25
    iou_threshold: float = 0.45
    max_detections: int = 100
    candidates: int = 1000
    multi_label: bool = False
    agnostic: bool = False
    per_class: int | None = None

    @property
    def best_class_only(self) -> bool:
        """Whether a box has its best class only; with several, it would suppress itself if `agnostic`."""
        return self.agnostic or not self.multi_label

    @property
    def iou(self) -> float:
        """Old name of `iou_threshold`."""
        warn_renamed("`GraphNmsOptions.iou`", "`iou_threshold`")
        return self.iou_threshold
