"""Non-maximum suppression on NumPy, with YOLOv5's options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfyolo.deprecation import renamed_arguments, warn_renamed
from tfyolo.export.runtime.predictions import Candidates, Detections

MAX_CANDIDATES = 30_000
"""Best candidates that are looked at, as in YOLOv5."""


@renamed_arguments(classes="class_ids")
@dataclass(frozen=True)
class NmsOptions:
    """Thresholds of non-maximum suppression; the defaults are those of detection.

    Attributes:
        confidence: lowest score, objectness times class score.
        iou: overlap beyond which the lower box goes.
        class_ids: indices to keep; None keeps all.
        agnostic: boxes of different classes suppress each other too.
        multi_label: a box may have several classes, as validation has it; otherwise only its best.
        max_detections: most boxes returned for an image.
    """

    confidence: float = 0.25
    iou: float = 0.45
    class_ids: Sequence[int] | None = None
    agnostic: bool = False
    multi_label: bool = False
    max_detections: int = 300

    @property
    def classes(self) -> Sequence[int] | None:
        """Old name of `class_ids`."""
        warn_renamed("`NmsOptions.classes`", "`class_ids`")
        return self.class_ids


def non_max_suppression(candidates: Candidates, options: NmsOptions = NmsOptions()) -> Detections:
    """Keep the best box of each group of overlapping ones.

    Returns:
        At most `options.max_detections`, best first; of equal scores the earlier candidate first.

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
        wanted = np.isin(label, options.class_ids)
        box, label, score = box[wanted], label[wanted], score[wanted]
    order = np.argsort(-score, kind="stable")[:MAX_CANDIDATES]
    found = Detections(boxes[box[order]], score[order], label[order].astype(np.int64), candidates.problem)
    return found[_greedy(found, options)]


def refine(detections: Detections, options: NmsOptions) -> Detections:
    """What stricter options leave of detections whose graph has suppressed already.

    Thresholds looser than the graph's change nothing: what it dropped is gone.
    """
    keep = detections.scores > options.confidence
    if options.class_ids is not None:
        keep &= np.isin(detections.class_ids, options.class_ids)
    found = detections[keep]
    return found[_greedy(found, options)]


def _greedy(found: Detections, options: NmsOptions) -> np.ndarray:
    """Indices of the boxes that no better box of their class overlaps too much."""
    x1, y1, x2, y2 = np.ascontiguousarray(found.boxes_xyxy_px.T)
    area = (x2 - x1) * (y2 - y1)
    # Agnostic suppression is suppression within one class.
    group = np.zeros_like(found.class_ids) if options.agnostic else found.class_ids
    left = np.arange(len(found))
    kept: list[int] = []
    while len(left) and len(kept) < options.max_detections:
        best, left = left[0], left[1:]
        kept.append(best)
        width = np.minimum(x2[best], x2[left]) - np.maximum(x1[best], x1[left])
        height = np.minimum(y2[best], y2[left]) - np.maximum(y1[best], y1[left])
        overlap = np.maximum(width, 0) * np.maximum(height, 0)
        union = area[best] + area[left] - overlap
        left = left[(overlap <= options.iou * union) | (group[left] != group[best])]
    return np.asarray(kept, np.int64)
