"""Options and metrics of the validation of detectors and segmentation models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfyolo.argument_checks import check_choice, check_fraction, check_whole
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
        retina_masks: enlarge the masks of predictions.json and mosaics to the image before they are cropped
            to their boxes, instead of after; of segmentation models only. The metrics do not change.

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
    retina_masks: bool = False

    def __post_init__(self) -> None:
        check_choice("split", self.split, ("train", "val", "test"))
        check_fraction(confidence=self.confidence, iou_threshold=self.iou_threshold)
        check_whole(batch_size=self.batch_size, max_detections=self.max_detections)

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
    """Metrics of one validation; `to_dict` is the content of metrics.json.

    Attributes:
        result: figures and curves of each class, of boxes; class ids are those of `names`.
        names: class names of the dataset.
        scan: image and label counts of the split.
        speed_ms: milliseconds per image of each step.
        settings: options, image size and runtime of the validation.
        problems: faults of images and labels.
        coco: metrics of the COCO protocol, of boxes; None unless `save_json` was set.
        notes: how the model's classes were matched to the dataset's, if their numbers differ.
        mask_result: the same as `result`, of masks; None for detectors.
        mask_coco: the same as `coco`, of masks; None for detectors.

    Example:
        >>> import tfyolo
        >>> metrics = tfyolo.load("bccd-n").evaluate("bccd-mini", split="test")
        >>> round(metrics.map50, 2)
        0.9
    """

    result: ApResult
    names: tuple[str, ...]
    scan: Scan
    speed_ms: dict[str, float]
    settings: dict[str, Any]
    problems: tuple[str, ...]
    coco: dict[str, float] | None = None
    notes: tuple[str, ...] = ()
    mask_result: ApResult | None = None
    mask_coco: dict[str, float] | None = None

    @property
    def map50(self) -> float:
        """Mean average precision of boxes at IoU 0.5."""
        return self.result.map50

    @property
    def map50_95(self) -> float:
        """Mean average precision of boxes over IoU 0.5 to 0.95."""
        return self.result.map50_95

    @property
    def mask_map50(self) -> float | None:
        """Mean average precision of masks at IoU 0.5; None for detectors."""
        return None if self.mask_result is None else self.mask_result.map50

    @property
    def mask_map50_95(self) -> float | None:
        """Mean average precision of masks over IoU 0.5 to 0.95; None for detectors."""
        return None if self.mask_result is None else self.mask_result.map50_95

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON, rounded to reproducible digits."""
        scan = self.scan
        return {
            **_figures(self.result, self.names),
            **self._mask_dict(),
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

    def _mask_dict(self) -> dict[str, Any]:
        """Return what metrics.json has of masks, under `mask`."""
        if self.mask_result is None:
            return {}
        coco = {"coco": self.mask_coco} if self.mask_coco else {}
        return {"mask": {**_figures(self.mask_result, self.names), **coco}}


def _figures(result: ApResult, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the means and the figures of each class as plain values."""
    columns = (result.labels, result.precision, result.recall, result.f1, result.ap50, result.ap.mean(1))
    keys = ("labels", "precision", "recall", "f1", "map50", "map50_95")
    distinct = distinct_names(names)
    per_class = {
        distinct[class_id]: {
            key: int(value) if key == "labels" else round(float(value), 5)
            for key, value in zip(keys, row, strict=True)
        }
        for class_id, *row in zip(result.class_ids, *columns, strict=True)
    }
    return {
        "precision": round(result.mean_precision, 5),
        "recall": round(result.mean_recall, 5),
        "map50": round(result.map50, 5),
        "map50_95": round(result.map50_95, 5),
        "per_class": per_class,
    }
