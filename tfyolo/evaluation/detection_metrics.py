"""Options and metrics of detection validation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfyolo.data.detection.class_map import distinct_names
from tfyolo.data.detection.scan import Scan
from tfyolo.deprecation import renamed_arguments, warn_renamed
from tfyolo.evaluation.metrics import ApResult


@renamed_arguments(batch="batch_size", iou="iou_threshold")
@dataclass(frozen=True)
class ValOptions:
    """Options of `validate`; the defaults are YOLOv5's.

    Attributes:
        split: `train`, `val` or `test`.
        batch_size: number of images in one call of the model; exported files may take fewer.
        confidence: confidence threshold of predictions.
        iou_threshold: IoU threshold of NMS.
        max_detections: maximum number of boxes per image.
        rect: pad each batch only to whole grid cells, where the input size is not fixed.
        augment: test-time augmentation.
        single_cls: count all classes as one.
        plots: draw curves, the confusion matrix and mosaics.
        save_json: write predictions.json and compute the COCO protocol's figures.
        annotations: COCO JSON of the ground truth for `save_json`; made from the labels by default.

    Example:
        >>> ValOptions(split="test", plots=False).iou_threshold
        0.6
    """

    split: str = "val"
    batch_size: int = 32
    confidence: float = 0.001
    iou_threshold: float = 0.6
    max_detections: int = 300
    rect: bool = True
    augment: bool = False
    single_cls: bool = False
    plots: bool = True
    save_json: bool = False
    annotations: Path | None = None

    @property
    def batch(self) -> int:
        """Old name of `batch_size`."""
        warn_renamed("`ValOptions.batch`", "`batch_size`")
        return self.batch_size

    @property
    def iou(self) -> float:
        """Old name of `iou_threshold`."""
        warn_renamed("`ValOptions.iou`", "`iou_threshold`")
        return self.iou_threshold


@dataclass(frozen=True)
class Metrics:
    """Detection metrics of one validation; `to_dict` is the content of metrics.json.

    Attributes:
        result: figures and curves of each class; class indices are those of `names`.
        names: class names of the dataset.
        scan: image and label counts of the split.
        speed_ms: milliseconds per image of each step.
        settings: options, image size and runtime of the validation.
        problems: faults of images and labels.
        coco: metrics of the COCO protocol; None unless `save_json` was set.
        notes: how the model's classes were matched to the dataset's, if their numbers differ.

    Example:
        >>> import tfyolo
        >>> tfyolo.load("bccd-n").evaluate("bccd-mini", split="test").map50  # doctest: +SKIP
    """

    result: ApResult
    names: tuple[str, ...]
    scan: Scan
    speed_ms: dict[str, float]
    settings: dict[str, Any]
    problems: tuple[str, ...]
    coco: dict[str, float] | None = None
    notes: tuple[str, ...] = ()

    @property
    def map50(self) -> float:
        """Mean average precision at IoU 0.5."""
        return self.result.map50

    @property
    def map50_95(self) -> float:
        """Mean average precision over IoU 0.5 to 0.95."""
        return self.result.map50_95

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON, rounded to reproducible digits."""
        r = self.result
        rows = zip(r.class_ids, r.labels, r.precision, r.recall, r.f1, r.ap50, r.ap.mean(1), strict=True)
        keys = ("labels", "precision", "recall", "f1", "map50", "map50_95")
        names = distinct_names(self.names)
        per_class = {
            names[row[0]]: {
                key: int(value) if key == "labels" else round(float(value), 5)
                for key, value in zip(keys, row[1:], strict=True)
            }
            for row in rows
        }
        scan = self.scan
        return {
            "precision": round(r.mean_precision, 5),
            "recall": round(r.mean_recall, 5),
            "map50": round(r.map50, 5),
            "map50_95": round(r.map50_95, 5),
            "per_class": per_class,
            "speed_ms": {key: round(value, 2) for key, value in self.speed_ms.items()},
            "images": {
                "used": len(scan.samples),
                "with_labels": scan.found,
                "without_label_file": scan.missing,
                "with_empty_label_file": scan.empty,
                "corrupt": scan.corrupt,
            },
            "settings": self.settings,
            "problems": list(self.problems),
            **({"notes": list(self.notes)} if self.notes else {}),
            **({"coco": self.coco} if self.coco else {}),
        }
