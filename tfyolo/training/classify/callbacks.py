"""What happens after each epoch of a classifier's training: validation, and a row of figures."""

from __future__ import annotations

from typing import Any

import keras

from tfyolo.data.classification.folders import FolderDataset
from tfyolo.data.detection.sample import Scan
from tfyolo.evaluation.classification import ClassificationMetrics, ClassifyValOptions, validate_classifier
from tfyolo.export.keras.runtime import KerasRuntime
from tfyolo.inference.classifier import Classifier
from tfyolo.progress import Progress
from tfyolo.training.callbacks import ResultsCsv

TOP1, TOP5 = "metrics/accuracy_top1", "metrics/accuracy_top5"


class ClassifierValidation(keras.callbacks.Callback):
    """Validates the averaged weights after each epoch, and puts figures into the logs.

    Args:
        dataset: with the split that `options` name.
        scan: of that split.
        options: of validation.
        every_epoch: otherwise after the last only.
        progress: is told how far it is.

    Example:
        >>> model.fit(stream, callbacks=[ClassifierValidation(read_folders("cells"))])  # doctest: +SKIP
    """

    puts_metrics = True  # into the logs, for the callbacks after it

    def __init__(
        self,
        dataset: FolderDataset,
        scan: Scan | None = None,
        options: ClassifyValOptions | None = None,
        every_epoch: bool = True,
        progress: Progress | None = None,
    ) -> None:
        super().__init__()
        self.dataset, self.scan, self.options = dataset, scan, options or ClassifyValOptions(plots=False)
        self.every_epoch, self.progress = every_epoch, progress
        self.classifier: Classifier | None = None
        self.metrics: ClassificationMetrics | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Measure."""
        if not self.every_epoch and epoch + 1 < (self.params or {}).get("epochs", 0):
            return
        if self.classifier is None:
            size = self.model.image_size
            self.classifier = Classifier(KerasRuntime(self.model.averaged, self.model.contract), (size, size))
        self.metrics = validate_classifier(
            self.classifier, self.dataset, self.options, progress=self.progress, scan=self.scan
        )
        self.scan = self.metrics.scan
        if logs is not None:
            top1, top5, loss = self.metrics.top1, self.metrics.top5, self.metrics.loss
            logs.update({"val/loss": loss, TOP1: top1, TOP5: top5, "fitness": top1})


class ClassifierResultsCsv(ResultsCsv):
    """Adds a row for each epoch to `results.csv`, with the columns of YOLOv5's classify/train.py."""

    COLUMNS = ("epoch", "train/loss", "train/accuracy", "val/loss", TOP1, TOP5, "x/lr0", "x/lr1", "x/lr2")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the file anew."""
        trained = {
            f"train/{name}": (logs or {})[name] for name in ("loss", "accuracy") if name in (logs or {})
        }
        super().on_epoch_end(epoch, {**(logs or {}), **trained})
