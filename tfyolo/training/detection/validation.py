"""Validation of a detector in training: precision, recall and mAP of the EMA weights, as a Keras callback."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tfyolo.data.detection.dataset import Dataset
from tfyolo.data.detection.dataset_yaml import read_dataset
from tfyolo.data.detection.sample import Scan
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.accumulator import labels_xyxy_px
from tfyolo.evaluation.batches import Batch
from tfyolo.evaluation.detection_metrics import Metrics, ValOptions
from tfyolo.evaluation.metrics import IOU_THRESHOLDS, ApResult, average_precision, match
from tfyolo.evaluation.validator import validate
from tfyolo.export.keras.runtime import KerasRuntime
from tfyolo.inference.boxes import xywh_to_xyxy
from tfyolo.inference.detection import DetectionPredictor
from tfyolo.inference.nms import NmsOptions
from tfyolo.progress import Progress
from tfyolo.training.detection.loss import LOSSES
from tfyolo.training.validation import ValidationCallback, choose_validation

if TYPE_CHECKING:
    from tfyolo.training.detection.model import DetectorTraining

METRICS = ("metrics/precision", "metrics/recall", "metrics/mAP_0.5", "metrics/mAP_0.5:0.95")
"""Columns of YOLOv5's results.csv, in the order of `NAMES`."""
NAMES = ("precision", "recall", "map50", "map50_95")


def fitness(map50: float, map50_95: float) -> float:
    """Return the number by which YOLOv5 chooses the best epoch: 0.1 mAP50 + 0.9 mAP50-95.

    Args:
        map50: mAP at IoU 0.5, 0 to 1.
        map50_95: mAP averaged over IoU 0.5 to 0.95, 0 to 1.

    Returns:
        The fitness, 0 to 1.

    Example:
        >>> round(fitness(0.8, 0.5), 2)
        0.53
    """
    return 0.1 * map50 + 0.9 * map50_95


class _DetectorValidation(ValidationCallback):
    def yolov5_logs(self, results: dict[str, float]) -> dict[str, float]:
        """Return `fitness` and the columns of YOLOv5's results.csv."""
        return {
            **dict(zip(METRICS, (results[name] for name in NAMES), strict=True)),
            **{f"val/{name}": results[name] for name in LOSSES},
            "fitness": fitness(results["map50"], results["map50_95"]),
        }


class Validation(_DetectorValidation):
    """Validates the EMA weights on the `val` split of a dataset after each epoch.

    Args:
        dataset: dataset with a `val` split.
        scan: scan of that split, if there is one already.
        options: options of validation.
        image_size: side of the images in pixels; defaults to that of training.
        every_epoch: validate after each epoch; otherwise only after the last.
        progress: called as `progress(label, done, total)` after each batch.
        frequency: epochs between validations, if `every_epoch`.

    Attributes:
        metrics: metrics of the last validation.

    Example:
        >>> model.fit(stream, callbacks=[Validation(dataset)])  # doctest: +SKIP
    """

    def __init__(
        self,
        dataset: Dataset,
        scan: Scan | None = None,
        options: ValOptions | None = None,
        image_size: int | None = None,
        every_epoch: bool = True,
        progress: Progress | None = None,
        frequency: int = 1,
    ) -> None:
        super().__init__(every_epoch, frequency)
        self.dataset, self.scan, self.image_size = dataset, scan, image_size
        self.options = options or ValOptions(plots=False)
        self.progress = progress
        self.detector: DetectionPredictor | None = None
        self.metrics: Metrics | None = None

    def validate(self) -> dict[str, float]:
        """Validate now.

        Returns:
            `loss`, `box_loss`, `obj_loss`, `cls_loss` (means over batches), `precision`, `recall`, `map50`,
            `map50_95`.
        """
        model = cast("DetectorTraining", self.model)
        if self.detector is None:
            self.detector = detector_of(model, self.image_size)
        runtime = cast(KerasRuntime, self.detector.runtime)
        losses: list[list[float]] = []

        def observe(batch: Batch) -> None:
            found = model.head_losses(runtime.heads, batch_labels(batch, self.options.single_cls))
            losses.append([float(found.box), float(found.obj), float(found.cls)])

        self.metrics = validate(
            self.detector, self.dataset, self.options, progress=self.progress, scan=self.scan, observe=observe
        )
        self.scan = self.metrics.scan
        return _results(losses, self.metrics.result)


class BatchValidation(_DetectorValidation):
    """Validates the EMA weights on batches of images and labels, as `fit` takes them.

    Args:
        batches: pairs of uint8 images (batch, height, width, 3) and float32 labels (batch, boxes, 5).
    """

    def __init__(self, batches: Iterable[Any]) -> None:
        super().__init__()
        self.batches = batches

    def validate(self) -> dict[str, float]:
        """Validate now; see `Validation.validate`."""
        model = cast("DetectorTraining", self.model)
        options = ValOptions()
        nms = NmsOptions(
            options.confidence, options.iou_threshold, multi_label=True, max_detections=options.max_detections
        )
        detector = detector_of(model)
        runtime = cast(KerasRuntime, detector.runtime)
        losses: list[list[float]] = []
        correct, scores, predicted, labeled = [], [], [], []
        for images, labels in self.batches:
            images, labels = np.asarray(images), np.asarray(labels, np.float32)
            detections, _ = detector.detect_batch(images, nms)
            found = model.head_losses(runtime.heads, labels)
            losses.append([float(found.box), float(found.obj), float(found.cls)])
            height, width = images.shape[1:3]
            for rows, boxes in zip(labels, detections, strict=True):
                rows = rows[rows[:, 0] >= 0]
                truth = xywh_to_xyxy(rows[:, 1:]) * np.array([width, height] * 2, np.float32)
                classes = rows[:, 0].astype(np.int64)
                correct.append(match(boxes.boxes_xyxy_px, boxes.class_ids, truth, classes, IOU_THRESHOLDS))
                scores.append(boxes.scores)
                predicted.append(boxes.class_ids)
                labeled.append(classes)
        if not losses:
            raise TfyoloError("validation_data has no batches", fix="pass at least one batch")
        return _results(
            losses, average_precision(*map(np.concatenate, (correct, scores, predicted, labeled)))
        )


def validation_of(data: Any, frequency: int = 1) -> ValidationCallback:
    """Return the callback that validates on `data`.

    Args:
        data: `TrainingData`, the path of a dataset, a pair of arrays, or batches of images and labels.
        frequency: epochs between validations.
    """
    return choose_validation(data, lambda path: Validation(read_dataset(path)), BatchValidation, frequency)


def detector_of(model: DetectorTraining, image_size: int | None = None) -> DetectionPredictor:
    """Return a detector that runs the EMA weights.

    Args:
        model: model in training.
        image_size: side of the images in pixels; defaults to that of training.
    """
    side = image_size or model.image_size
    return DetectionPredictor(KerasRuntime(model.averaged, model.contract), (side, side))


def _results(losses: list[list[float]], result: ApResult) -> dict[str, float]:
    """Losses (means over batches) and metrics by name."""
    box, obj, cls = np.mean(losses, 0) if losses else (0.0, 0.0, 0.0)
    values = (result.mean_precision, result.mean_recall, result.map50, result.map50_95)
    return {
        "loss": float(box + obj + cls),
        **dict(zip(LOSSES, map(float, (box, obj, cls)), strict=True)),
        **dict(zip(NAMES, map(float, values), strict=True)),
    }


def batch_labels(batch: Batch, single_cls: bool = False) -> np.ndarray:
    """Return the labels of a validation batch in the format of the loss.

    Args:
        batch: images and samples.
        single_cls: give all boxes class 0.

    Returns:
        float32 (batch, boxes, 5): class id, center x, center y, width, height relative to the input; rows
        with class id -1 are padding.
    """
    height, width = batch.images.shape[1:3]
    longest = max((len(sample.classes) for sample in batch.samples), default=0)
    labels = np.zeros((len(batch.samples), max(longest, 1), 5), np.float32)
    labels[..., 0] = -1
    for row, sample, box in zip(labels, batch.samples, batch.letterboxes, strict=True):
        corners = box.to_input(labels_xyxy_px(sample)) / np.array([width, height] * 2, np.float32)
        count = len(sample.classes)
        row[:count, 0] = 0 if single_cls else sample.classes
        row[:count, 1:3] = (corners[:, :2] + corners[:, 2:]) / 2
        row[:count, 3:] = corners[:, 2:] - corners[:, :2]
    return labels
