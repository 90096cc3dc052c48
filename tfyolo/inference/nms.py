"""Non-maximum suppression (NMS) in NumPy, with YOLOv5's options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfyolo.deprecation import renamed_arguments, warn_renamed
from tfyolo.export.runtime.predictions import Candidates, Detections

MAX_CANDIDATES = 30_000
"""Maximum number of candidates that take part in NMS, by descending score, as in YOLOv5."""


@renamed_arguments(classes="class_ids", iou="iou_threshold")
@dataclass(frozen=True)
class NmsOptions:
    """Options of non-maximum suppression; the defaults are YOLOv5's for detection.

    Attributes:
        confidence: confidence threshold; a score (objectness times class score) has to exceed it.
        iou_threshold: IoU above which the lower-scoring box is suppressed.
        class_ids: indices of the classes to keep; None keeps all.
        agnostic: let boxes of different classes suppress each other.
        multi_label: keep a box once per class above the threshold, as validation does; False keeps only its
            best class.
        max_detections: maximum number of boxes per image.

    Example:
        >>> NmsOptions(confidence=0.4, class_ids=[0, 2]).iou_threshold
        0.45
    """

    confidence: float = 0.25
    iou_threshold: float = 0.45
    class_ids: Sequence[int] | None = None
    agnostic: bool = False
    multi_label: bool = False
    max_detections: int = 300

    @property
    def classes(self) -> Sequence[int] | None:
        """Old name of `class_ids`."""
        warn_renamed("`NmsOptions.classes`", "`class_ids`")
        return self.class_ids

    @property
    def iou(self) -> float:
        """Old name of `iou_threshold`."""
        warn_renamed("`NmsOptions.iou`", "`iou_threshold`")
        return self.iou_threshold


def non_max_suppression(candidates: Candidates, options: NmsOptions = NmsOptions()) -> Detections:
    """Suppress boxes whose IoU with a higher-scoring box exceeds the threshold.

    Args:
        candidates: decoded boxes (n, 4) and class scores (n, classes) of one image.
        options: thresholds.

    Returns:
        At most `options.max_detections` boxes, sorted by descending score; ties keep the candidates' order.

    Example:
        >>> boxes = np.float32([[0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]])
        >>> non_max_suppression(Candidates(boxes, np.float32([[0.9], [0.8], [0.7]]))).scores.tolist()
        [0.8999999761581421, 0.699999988079071]
    """
    boxes, scores = candidates.boxes_xyxy_px, candidates.scores
    if options.multi_label and scores.shape[1] > 1:
        box, label = np.nonzero(scores > options.confidence)
        score = scores[box, label]
    else:
        label = scores.argmax(1) if len(scores) else np.zeros(0, np.int64)
        score = scores[np.arange(len(scores)), label]
        box = np.nonzero(score > options.confidence)[0]
        label, score = label[box], score[box]
    if options.class_ids is not None:
        selected = np.isin(label, options.class_ids)
        box, label, score = box[selected], label[selected], score[selected]
    order = np.argsort(-score, kind="stable")[:MAX_CANDIDATES]
    found = Detections(
        boxes[box[order]],
        score[order],
        label[order].astype(np.int64),
        candidates.problem,
        None if candidates.coefficients is None else candidates.coefficients[box[order]],
        candidates.prototypes,
    )
    return found[_greedy(found, options)]


def refine(detections: Detections, options: NmsOptions) -> Detections:
    """Apply stricter options to detections that a graph with NMS inside returned.

    Thresholds looser than the graph's have no effect: suppressed boxes are not in the graph's output.

    Args:
        detections: output of the graph for one image.
        options: thresholds.

    Returns:
        The remaining detections, sorted by descending score.
    """
    keep = detections.scores > options.confidence
    if options.class_ids is not None:
        keep &= np.isin(detections.class_ids, options.class_ids)
    found = detections[keep]
    return found[_greedy(found, options)]


def _greedy(found: Detections, options: NmsOptions) -> np.ndarray:
    """Greedy NMS; return the indices of the boxes that are kept, by descending score."""
    x1, y1, x2, y2 = np.ascontiguousarray(found.boxes_xyxy_px.T)
    area = (x2 - x1) * (y2 - y1)
    # Class-agnostic NMS treats all boxes as one class.
    group = np.zeros_like(found.class_ids) if options.agnostic else found.class_ids
    remaining = np.arange(len(found))
    kept: list[int] = []
    while len(remaining) and len(kept) < options.max_detections:
        best, remaining = remaining[0], remaining[1:]
        kept.append(best)
        width = np.minimum(x2[best], x2[remaining]) - np.maximum(x1[best], x1[remaining])
        height = np.minimum(y2[best], y2[remaining]) - np.maximum(y1[best], y1[remaining])
        intersection = np.maximum(width, 0) * np.maximum(height, 0)
        union = area[best] + area[remaining] - intersection
        kept_by_iou = intersection <= options.iou_threshold * union
        remaining = remaining[kept_by_iou | (group[remaining] != group[best])]
    return np.asarray(kept, np.int64)
