"""Validation of a detector in training: precision, recall and mAP of the EMA weights, as a Keras callback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from tfyolo.data.detection.dataset import Dataset
from tfyolo.data.detection.sample import Scan
from tfyolo.evaluation.accumulator import labels_xyxy_px
from tfyolo.evaluation.batches import Batch
from tfyolo.evaluation.detection_metrics import Metrics, ValOptions
from tfyolo.evaluation.metrics import ApResult
from tfyolo.evaluation.validator import validate
from tfyolo.export.keras.runtime import KerasRuntime
from tfyolo.inference.detection import BoxPredictor, DetectionPredictor
from tfyolo.progress import Progress
from tfyolo.training.detection.loss import LOSSES
from tfyolo.training.validation import ValidationCallback

if TYPE_CHECKING:
    from tfyolo.training.detection.box_model import BoxTraining

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


def metrics_fitness(metrics: Metrics) -> float:
    """Return the fitness of a model: that of its boxes, plus that of its masks for a segmentation model.

    Args:
        metrics: result of `validate`.
    """
    results = (metrics.result, metrics.mask_result)
    return sum(fitness(result.map50, result.map50_95) for result in results if result is not None)


class BoxValidationCallback(ValidationCallback):
    """What validation of networks with anchors has in common: names of losses and metrics, and fitness.

    Attributes:
        loss_names: losses, in the order of the loss.
        columns: columns of YOLOv5's results.csv by the names of the metrics.
        prefixes: prefixes of the metrics whose fitness is added up.
    """

    loss_names: ClassVar[tuple[str, ...]] = LOSSES
    columns: ClassVar[dict[str, str]] = dict(zip(NAMES, METRICS, strict=True))
    prefixes: ClassVar[tuple[str, ...]] = ("",)

    def yolov5_logs(self, results: dict[str, float]) -> dict[str, float]:
        """Return `fitness` and the columns of YOLOv5's results.csv."""
        return {
            **{column: results[name] for name, column in self.columns.items()},
            **{f"val/{name}": results[name] for name in self.loss_names},
            "fitness": sum(fitness(results[f"{p}map50"], results[f"{p}map50_95"]) for p in self.prefixes),
        }

    def predictor(self, model: BoxTraining, image_size: int | None = None) -> BoxPredictor:
        """Return a predictor that runs the EMA weights.

        Args:
            model: model in training.
            image_size: side of the images in pixels; defaults to that of training.
        """
        return detector_of(model, image_size)

    def named_results(
        self, losses: Sequence[Any], *results: ApResult, sizes: Sequence[int] | None = None
    ) -> dict[str, float]:
        """Return losses and metrics by name.

        Args:
            losses: result of the loss for each batch.
            results: average precision, one per entry of `prefixes`.
            sizes: images of each batch, for a mean over images, as in Keras; None for a mean over batches, as
                in YOLOv5.
        """
        parts = [[float(part) for part in found[1:-1]] for found in losses]  # between total and by scale
        means = np.average(parts, 0, sizes) if parts else np.zeros(len(self.loss_names))
        metrics = [value for r in results for value in (r.mean_precision, r.mean_recall, r.map50, r.map50_95)]
        return {
            "loss": float(means.sum()),
            **dict(zip(self.loss_names, means.tolist(), strict=True)),
            **dict(zip(self.columns, map(float, metrics), strict=True)),
        }


class Validation(BoxValidationCallback):
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
        options = options or ValOptions(plots=False)
        # Losses are those of the heads of a batch, which the runtime would divide if it was larger.
        self.options = replace(options, batch_size=min(options.batch_size, KerasRuntime.max_batch))
        self.progress = progress
        self.detector: BoxPredictor | None = None
        self.metrics: Metrics | None = None

    def validate(self) -> dict[str, float]:
        """Validate now.

        Returns:
            `loss`, `box_loss`, `obj_loss`, `cls_loss` (means over batches), `precision`, `recall`, `map50`,
            `map50_95`.
        """
        model = cast("BoxTraining", self.model)
        if self.detector is None:
            self.detector = self.predictor(model, self.image_size)
        runtime = cast(KerasRuntime, self.detector.runtime)
        losses: list[Any] = []

        def observe(batch: Batch) -> None:
            losses.append(model.head_losses(runtime.heads, self.targets(batch)))

        self.metrics = validate(
            self.detector, self.dataset, self.options, progress=self.progress, scan=self.scan, observe=observe
        )
        self.scan = self.metrics.scan
        return self.named_results(losses, *self.results_of(self.metrics))

    def targets(self, batch: Batch) -> Any:
        """Return the ground truth of a validation batch in the format of the loss."""
        return batch_labels(batch, self.options.single_cls)

    def results_of(self, metrics: Metrics) -> tuple[ApResult, ...]:
        """Return average precision, one result per entry of `prefixes`."""
        return (metrics.result,)

    def map_per_class(self, num_classes: int) -> np.ndarray:
        """Return the mAP50-95 of each class in the last validation.

        Args:
            num_classes: number of classes.

        Returns:
            float64 (num_classes,), 0 for classes without labels and before the first validation. Several
            results are averaged.
        """
        values = np.zeros(num_classes)
        for result in self.results_of(self.metrics) if self.metrics is not None else ():
            values[result.class_ids] += result.ap.mean(1) / len(self.prefixes)
        return values


def detector_of(model: BoxTraining, image_size: int | None = None) -> DetectionPredictor:
    """Return a detector that runs the EMA weights.

    Args:
        model: model in training.
        image_size: side of the images in pixels; defaults to that of training.
    """
    side = image_size or model.image_size
    return DetectionPredictor(KerasRuntime(model.averaged, model.contract), (side, side))


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
