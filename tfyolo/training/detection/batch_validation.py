"""Validation of a detector in training on batches, as Keras' `validation_data` and `evaluate` take them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from tfyolo.data.detection.dataset_yaml import read_dataset
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.detection_metrics import ValOptions
from tfyolo.evaluation.metrics import IOU_THRESHOLDS, average_precision, match
from tfyolo.export.keras.runtime import KerasRuntime
from tfyolo.export.runtime.predictions import Detections
from tfyolo.inference.boxes import xywh_to_xyxy
from tfyolo.inference.nms import NmsOptions
from tfyolo.training.detection.validation import BoxValidationCallback, Validation
from tfyolo.training.fit.batches import checked_images, unit_images
from tfyolo.training.validation import ValidationCallback, choose_validation

if TYPE_CHECKING:
    from tfyolo.training.detection.box_model import BoxTraining


class Matched(NamedTuple):
    """Detections of one image, matched with its ground truth.

    Attributes:
        correct: bool (n, thresholds) true positives, one array per entry of `prefixes`.
        scores: (n,) confidences.
        predicted: (n,) class ids of the detections.
        labeled: (m,) class ids of the ground truth.
    """

    correct: tuple[np.ndarray, ...]
    scores: np.ndarray
    predicted: np.ndarray
    labeled: np.ndarray


class BatchValidation(BoxValidationCallback):
    """Validates the EMA weights on batches of images and labels, as `fit` takes them.

    Args:
        batches: pairs of images and labels, as `fit` takes them. Float images are rounded to uint8, which
            files read.
    """

    def __init__(self, batches: Iterable[Any]) -> None:
        super().__init__()
        self.batches = batches

    def validate(self) -> dict[str, float]:
        """Validate now; see `Validation.validate`."""
        model = cast("BoxTraining", self.model)
        options = ValOptions()
        nms = NmsOptions(
            options.confidence, options.iou_threshold, multi_label=True, max_detections=options.max_detections
        )
        detector = self.predictor(model)
        runtime = cast(KerasRuntime, detector.runtime)
        losses: list[Any] = []
        sizes: list[int] = []
        images_seen: list[Matched] = []
        for images, targets in self.batches:
            targets = model.checked_labels(targets)
            images = np.rint(255 * unit_images(checked_images(images))).astype(np.uint8)
            size = images.shape[1], images.shape[2]
            found, _ = detector.detect_batch(images, nms)
            losses.append(model.head_losses(runtime.heads, targets))
            sizes.append(len(images))
            for index, detections in enumerate(found):
                images_seen.append(self.match_image(detections, targets, index, size))
        if not losses:
            raise TfyoloError("validation_data has no batches", fix="pass at least one batch")
        scores, predicted, labeled = (
            np.concatenate(part)
            for part in zip(*((m.scores, m.predicted, m.labeled) for m in images_seen), strict=True)
        )
        matches = zip(*(m.correct for m in images_seen), strict=True)
        return self.named_results(
            losses,
            *(average_precision(np.concatenate(part), scores, predicted, labeled) for part in matches),
            sizes=sizes,
        )

    def match_image(
        self, detections: Detections, targets: Any, index: int, image_size: tuple[int, int]
    ) -> Matched:
        """Match the detections of one image of a batch with its ground truth.

        Args:
            detections: detections, in pixels of the input.
            targets: ground truth of the batch, as the loss takes it.
            index: index of the image in the batch.
            image_size: (height, width) of the input in pixels.
        """
        boxes_xyxy_px, class_ids = ground_truth(targets, index, image_size)
        correct = match(
            detections.boxes_xyxy_px, detections.class_ids, boxes_xyxy_px, class_ids, IOU_THRESHOLDS
        )
        return Matched((correct,), detections.scores, detections.class_ids, class_ids)


def ground_truth(labels: Any, index: int, image_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels of one image of a batch.

    Args:
        labels: float32 (batch, boxes, 5), as the loss takes them.
        index: index of the image in the batch.
        image_size: (height, width) of the input in pixels.

    Returns:
        Boxes (n, 4) as corners in pixels of the input, and int64 class ids (n,), without padding.
    """
    rows = np.asarray(labels[index], np.float32)
    rows = rows[rows[:, 0] >= 0]
    height, width = image_size
    return xywh_to_xyxy(rows[:, 1:]) * np.array([width, height] * 2, np.float32), rows[:, 0].astype(np.int64)


def validation_of(data: Any, frequency: int = 1) -> ValidationCallback:
    """Return the callback that validates on `data`.

    Args:
        data: `TrainingData`, the path of a dataset, a pair of arrays, or batches of images and labels.
        frequency: epochs between validations.
    """
    return choose_validation(data, lambda path: Validation(read_dataset(path)), BatchValidation, frequency)
