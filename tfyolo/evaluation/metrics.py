"""Precision, recall and mean average precision by YOLOv5's protocol (val.py of the v7.0 release)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfyolo.inference.boxes import Array, iou_matrix

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10, dtype=np.float32)
"""mAP50-95 is the mean over these."""
_EPS = 1e-16
_GRID = 1000


@dataclass(frozen=True)
class ApResult:
    """Metrics and curves per class; all arrays are float64, in the order of `class_ids`.

    Attributes:
        class_ids: int64 (classes,) classes with labels.
        labels: int64 (classes,) number of labels per class.
        tp: (classes,) true positives at IoU 0.5 and `confidence`.
        fp: (classes,) false positives there.
        precision: (classes,) at IoU 0.5 and `confidence`.
        recall: (classes,) at IoU 0.5 and `confidence`.
        f1: (classes,) harmonic mean of the two.
        ap: (classes, thresholds) average precision at each IoU threshold.
        confidence: confidence threshold at which the smoothed mean F1 is highest.
        grid: (1000,) 0..1, x values of all curves: confidence, or recall for `pr_curve`.
        precision_curve: (classes, 1000) precision over confidence, at IoU 0.5.
        recall_curve: (classes, 1000) recall over confidence, at IoU 0.5.
        f1_curve: (classes, 1000) F1 over confidence, at IoU 0.5.
        pr_curve: (classes, 1000) precision envelope over recall, at IoU 0.5.
    """

    class_ids: Array
    labels: Array
    tp: Array
    fp: Array
    precision: Array
    recall: Array
    f1: Array
    ap: Array
    confidence: float
    grid: Array
    precision_curve: Array
    recall_curve: Array
    f1_curve: Array
    pr_curve: Array

    @property
    def ap50(self) -> Array:
        """(classes,) average precision at IoU 0.5."""
        return self.ap[:, 0]

    @property
    def map50(self) -> float:
        """Mean of `ap50` over classes with labels; 0 without labels."""
        return float(self.ap[:, 0].mean()) if len(self.ap) else 0.0

    @property
    def map50_95(self) -> float:
        """Mean of `ap` over classes and thresholds; 0 without labels."""
        return float(self.ap.mean()) if len(self.ap) else 0.0

    @property
    def mean_precision(self) -> float:
        """Mean precision over classes with labels; 0 without labels."""
        return float(self.precision.mean()) if len(self.precision) else 0.0

    @property
    def mean_recall(self) -> float:
        """Mean recall over classes with labels; 0 without labels."""
        return float(self.recall.mean()) if len(self.recall) else 0.0


def match(
    detections_xyxy: Array,
    det_classes: Array,
    labels_xyxy: Array,
    label_classes: Array,
    iou_thresholds: Array = IOU_THRESHOLDS,
) -> Array:
    """Find the true positives among the detections of one image, at each IoU threshold.

    Each detection is matched to the label of its class with the highest IoU; if several detections match one
    label, the first one, which has the highest confidence, is the true positive. This equals YOLOv5's rule
    for detections sorted by confidence.

    Args:
        detections_xyxy: (n, 4) corners, any unit, sorted by descending confidence.
        det_classes: (n,) their classes.
        labels_xyxy: (m, 4) corners in the same unit.
        label_classes: (m,) their classes.
        iou_thresholds: (t,) minimum IoU of a match.

    Returns:
        bool (n, t), true positives at each threshold.

    Example:
        >>> box = np.array([[0.0, 0, 10, 10]], np.float32)
        >>> match(box, np.array([2]), box, np.array([2]), np.array([0.5, 0.9])).tolist()
        [[True, True]]
    """
    if not len(detections_xyxy) or not len(labels_xyxy):
        return np.zeros((len(detections_xyxy), len(iou_thresholds)), bool)
    return match_overlaps(
        iou_matrix(detections_xyxy, labels_xyxy), det_classes, label_classes, iou_thresholds
    )


def match_overlaps(
    iou: Array, det_classes: Array, label_classes: Array, iou_thresholds: Array = IOU_THRESHOLDS
) -> Array:
    """Find the true positives by the IoU of all pairs, of boxes or masks; the rule is that of `match`.

    Args:
        iou: (n, m) IoU of detections, sorted by descending confidence, and labels.
        det_classes: (n,) classes of the detections.
        label_classes: (m,) classes of the labels.
        iou_thresholds: (t,) minimum IoU of a match.

    Returns:
        bool (n, t), true positives at each threshold.

    Example:
        >>> iou = np.array([[0.8], [0.9]])
        >>> match_overlaps(iou, np.array([2, 2]), np.array([2]), np.array([0.5, 0.85])).tolist()
        [[True, False], [False, True]]
    """
    thresholds = np.asarray(iou_thresholds)
    correct = np.zeros((iou.shape[0], len(thresholds)), bool)
    if not iou.size:
        return correct
    overlap = np.where(np.asarray(det_classes)[:, None] == np.asarray(label_classes)[None, :], iou, -1)
    best_label, best_overlap = overlap.argmax(1), overlap.max(1)
    for column, threshold in enumerate(thresholds):
        candidates = np.flatnonzero(best_overlap >= threshold)
        _, first = np.unique(best_label[candidates], return_index=True)
        correct[candidates[first], column] = True
    return correct


def average_precision(tp: Array, conf: Array, pred_cls: Array, target_cls: Array) -> ApResult:
    """Compute precision, recall, F1 and average precision (AP) per class.

    Precision, recall and F1 are those at the confidence with the highest mean F1 over classes, smoothed by a
    box filter of a tenth of the grid. AP is the area under the precision envelope: the highest precision at a
    recall or any higher one, sampled at 101 recalls (COCO) and integrated by the trapezoidal rule (YOLOv5).

    Args:
        tp: bool (n, t), true positives at each IoU threshold (`match`) among the detections of all images;
            column 0 is IoU 0.5.
        conf: (n,) confidences.
        pred_cls: (n,) predicted class ids.
        target_cls: (m,) class ids of the labels of all images.

    Returns:
        Metrics and curves of classes with labels.

    Example:
        >>> one = average_precision(np.ones((1, 10), bool), np.array([0.9]), np.array([3]), np.array([3]))
        >>> round(one.map50_95, 3)
        0.995
    """
    tp, conf = np.asarray(tp), np.asarray(conf)
    order = np.argsort(-conf, kind="stable")
    tp, conf, pred_cls = tp[order], conf[order], np.asarray(pred_cls)[order]
    classes, labels = np.unique(np.asarray(target_cls).astype(np.int64), return_counts=True)
    grid = np.linspace(0, 1, _GRID)
    shape = (len(classes), _GRID)
    precision_curve, recall_curve, pr_curve = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    ap = np.zeros((len(classes), tp.shape[1]))
    for row, (class_id, label_count) in enumerate(zip(classes, labels, strict=True)):
        mine = pred_cls == class_id
        if not mine.any():
            continue
        hits = tp[mine].cumsum(0)
        misses = (~tp[mine].astype(bool)).cumsum(0)
        recall, precision = hits / (label_count + _EPS), hits / (hits + misses)
        # np.interp needs ascending x values, and confidences are descending: hence the signs.
        recall_curve[row] = np.interp(-grid, -conf[mine], recall[:, 0], left=0)
        precision_curve[row] = np.interp(-grid, -conf[mine], precision[:, 0], left=1)
        for column in range(tp.shape[1]):
            ap[row, column], points = _area(recall[:, column], precision[:, column])
            if column == 0:
                pr_curve[row] = np.interp(grid, *points)
    f1_curve = 2 * precision_curve * recall_curve / (precision_curve + recall_curve + _EPS)
    best = int(_smooth(f1_curve.mean(0), 0.1).argmax()) if len(classes) else 0
    precision, recall = precision_curve[:, best], recall_curve[:, best]
    true_positives = (recall * labels).round()
    return ApResult(
        class_ids=classes,
        labels=labels,
        tp=true_positives,
        fp=(true_positives / (precision + _EPS) - true_positives).round(),
        precision=precision,
        recall=recall,
        f1=f1_curve[:, best],
        ap=ap,
        confidence=float(grid[best]),
        grid=grid,
        precision_curve=precision_curve,
        recall_curve=recall_curve,
        f1_curve=f1_curve,
        pr_curve=pr_curve,
    )


def _area(recall: Array, precision: Array) -> tuple[float, tuple[Array, Array]]:
    """Return AP, and recalls and precisions of the envelope."""
    recall = np.concatenate([[0.0], recall, [1.0]])
    precision = np.concatenate([[1.0], precision, [0.0]])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    sampled = np.linspace(0, 1, 101)
    height = np.interp(sampled, recall, envelope)
    area = (np.diff(sampled) * (height[1:] + height[:-1]) / 2).sum()
    return float(area), (recall, envelope)


def _smooth(values: Array, fraction: float) -> Array:
    """Smooth with a box filter of about `fraction` of the values (an odd number), with repeated ends."""
    window = round(len(values) * fraction * 2) // 2 + 1
    padded = np.pad(values, window // 2, mode="edge")
    return np.convolve(padded, np.full(window, 1 / window), mode="valid")
