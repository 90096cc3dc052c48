"""Validation of a classifier in training: top-1 and top-5 of the EMA weights, as a Keras callback."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import keras
import numpy as np

from tfyolo.data.classification.folders import FolderDataset, read_folders
from tfyolo.data.detection.sample import Scan
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.classification import (
    ClassificationMetrics,
    ClassifierValOptions,
    top_k,
    validate_classifier,
)
from tfyolo.export.keras.runtime import KerasRuntime
from tfyolo.inference.classification import ClassificationPredictor
from tfyolo.progress import Progress
from tfyolo.training.fit.batches import checked_images, unit_images
from tfyolo.training.model import TrainingModel
from tfyolo.training.validation import ValidationCallback, choose_validation

TOP1, TOP5 = "metrics/accuracy_top1", "metrics/accuracy_top5"


class _ClassifierValidation(ValidationCallback):
    def yolov5_logs(self, results: dict[str, float]) -> dict[str, float]:
        """Return `fitness` and the columns of YOLOv5's results.csv."""
        top1, top5 = results["accuracy"], results["top5"]
        return {"val/loss": results["loss"], TOP1: top1, TOP5: top5, "fitness": top1}


class ClassifierValidation(_ClassifierValidation):
    """Validates the EMA weights on a split of a dataset after each epoch.

    Args:
        dataset: dataset with the split that `options` names.
        scan: scan of that split, if there is one already.
        options: options of validation.
        every_epoch: validate after each epoch; otherwise only after the last.
        progress: called as `progress(label, done, total)` after each batch.
        frequency: epochs between validations, if `every_epoch`.

    Attributes:
        metrics: metrics of the last validation.

    Example:
        >>> model.fit(stream, callbacks=[ClassifierValidation(read_folders("cells"))])  # doctest: +SKIP
    """

    def __init__(
        self,
        dataset: FolderDataset,
        scan: Scan | None = None,
        options: ClassifierValOptions | None = None,
        every_epoch: bool = True,
        progress: Progress | None = None,
        frequency: int = 1,
    ) -> None:
        super().__init__(every_epoch, frequency)
        self.dataset, self.scan, self.options = dataset, scan, options or ClassifierValOptions(plots=False)
        self.progress = progress
        self.classifier: ClassificationPredictor | None = None
        self.metrics: ClassificationMetrics | None = None

    def validate(self) -> dict[str, float]:
        """Validate now.

        Returns:
            `loss`, `accuracy` (top-1) and `top5`.
        """
        model = cast(TrainingModel, self.model)
        if self.classifier is None:
            size = model.image_size
            self.classifier = ClassificationPredictor(
                KerasRuntime(model.averaged, model.contract), (size, size)
            )
        self.metrics = validate_classifier(
            self.classifier, self.dataset, self.options, progress=self.progress, scan=self.scan
        )
        self.scan = self.metrics.scan
        return {"loss": self.metrics.loss, "accuracy": self.metrics.top1, "top5": self.metrics.top5}


class ClassifierBatchValidation(_ClassifierValidation):
    """Validates the EMA weights on batches of images and labels, as `fit` takes them.

    Args:
        batches: pairs of images and labels, as `fit` takes them.
    """

    def __init__(self, batches: Iterable[Any]) -> None:
        super().__init__()
        self.batches = batches

    def validate(self) -> dict[str, float]:
        """Validate now; see `ClassifierValidation.validate`."""
        model = cast(TrainingModel, self.model)
        pairs = [
            (
                np.asarray(model(unit_images(checked_images(images)))),
                np.asarray(model.checked_labels(labels)),
            )
            for images, labels in self.batches
        ]
        if not pairs:
            raise TfyoloError("validation_data has no batches", fix="pass at least one batch")
        logits, labels = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)(labels, logits)
        top1, top5 = (float(top_k(logits, labels.argmax(1), count).mean()) for count in (1, 5))
        return {"loss": float(loss), "accuracy": top1, "top5": top5}


def validation_of(data: Any, frequency: int = 1) -> ValidationCallback:
    """Return the callback that validates on `data`.

    Args:
        data: `ClassificationData`, the folder of a dataset, a pair of arrays, or batches of images and
            labels.
        frequency: epochs between validations.
    """
    return choose_validation(
        data, lambda path: ClassifierValidation(read_folders(path)), ClassifierBatchValidation, frequency
    )
