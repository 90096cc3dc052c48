"""Confusion matrix of a detector, with missed labels and false positives."""

from __future__ import annotations

import numpy as np

from tfyolo.inference.boxes import Array, iou_matrix


class ConfusionMatrix:
    """Counts of (predicted class, true class) over images.

    `counts[p, t]` is the number of labels of class `t` detected as class `p`: rows are predicted, columns are
    true (YOLOv5's convention). The last row and column are the background: `counts[-1, t]` are missed labels,
    `counts[p, -1]` false positives; `counts[-1, -1]` stays 0.

    Unlike YOLOv5, false positives are also counted in images without matched labels.

    Args:
        class_count: number of classes.
        conf: confidence threshold.
        iou: IoU threshold of a match, independent of the classes.

    Example:
        >>> matrix = ConfusionMatrix(2)
        >>> box = np.array([[0, 0, 10, 10]], np.float32)
        >>> matrix.add(box, np.array([0.9]), np.array([1]), box, np.array([0]))
        >>> matrix.counts.tolist()
        [[0, 0, 0], [1, 0, 0], [0, 0, 0]]
    """

    def __init__(self, class_count: int, conf: float = 0.25, iou: float = 0.45) -> None:
        self.class_count, self.conf, self.iou = class_count, conf, iou
        self.counts = np.zeros((class_count + 1, class_count + 1), np.int64)

    def add(
        self,
        detections_xyxy: Array,
        det_conf: Array,
        det_classes: Array,
        labels_xyxy: Array,
        label_classes: Array,
    ) -> None:
        """Add one image.

        A detection is matched to the label with the highest IoU, and a label to the detection with the
        highest IoU.

        Args:
            detections_xyxy: (n, 4) corners, any unit.
            det_conf: (n,) confidence.
            det_classes: (n,) classes.
            labels_xyxy: (m, 4) corners in the same unit.
            label_classes: (m,) classes.
        """
        kept = np.asarray(det_conf) > self.conf
        boxes = np.asarray(detections_xyxy).reshape(-1, 4)[kept]
        predicted = np.asarray(det_classes)[kept].astype(np.int64)
        labels = np.asarray(labels_xyxy).reshape(-1, 4)
        true = np.asarray(label_classes).astype(np.int64)
        det_met, label_met = _pairs(iou_matrix(boxes, labels), self.iou)
        size = self.class_count + 1
        np.add.at(self.counts, (predicted[det_met], true[label_met]), 1)
        self.counts[-1] += np.bincount(np.delete(true, label_met), minlength=size)
        self.counts[:, -1] += np.bincount(np.delete(predicted, det_met), minlength=size)

    def normalized(self) -> Array:
        """Return counts divided by column sums, float64: how the labels of a class were detected.

        Columns without labels are 0.
        """
        return self.counts / np.maximum(self.counts.sum(0, keepdims=True), 1)


def _pairs(overlap: Array, threshold: float) -> tuple[Array, Array]:
    """Match as YOLOv5: keep the best label of each detection, then the best detection of each label."""
    if overlap.size == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    label, best = overlap.argmax(1), overlap.max(1)
    detection = np.flatnonzero(best > threshold)
    detection = detection[np.argsort(-best[detection], kind="stable")]
    _, first = np.unique(label[detection], return_index=True)
    return detection[first], label[detection[first]]
