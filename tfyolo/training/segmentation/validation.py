"""Validation of a segmentation model in training: mAP of boxes and masks of the EMA weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tfyolo.data.detection.dataset_yaml import read_dataset
from tfyolo.data.segmentation.ground_truth import ground_truth_index
from tfyolo.evaluation.batches import Batch
from tfyolo.evaluation.detection_metrics import Metrics
from tfyolo.evaluation.metrics import ApResult, match_overlaps
from tfyolo.evaluation.segmentation.mask_iou import mask_iou
from tfyolo.export.keras.runtime import KerasRuntime
from tfyolo.export.runtime.predictions import Detections
from tfyolo.inference.segmentation.masks import prototype_masks
from tfyolo.inference.segmentation.predictor import SegmentationPredictor
from tfyolo.training.detection.batch_validation import BatchValidation, Matched
from tfyolo.training.detection.validation import (
    METRICS,
    NAMES,
    BoxValidationCallback,
    Validation,
    batch_labels,
)
from tfyolo.training.segmentation.loss import LOSSES
from tfyolo.training.validation import ValidationCallback, choose_validation

if TYPE_CHECKING:
    from tfyolo.training.detection.box_model import BoxTraining

PREFIXES = ("", "mask_")
"""Prefixes of the names of metrics: of boxes, and of masks."""
COLUMNS = {
    f"{prefix}{name}": f"{column}({kind})"
    for prefix, kind in zip(PREFIXES, "BM", strict=True)
    for name, column in zip(NAMES, METRICS, strict=True)
}
"""Columns of YOLOv5's results.csv by the names of the metrics."""


class _SegmenterValidation(BoxValidationCallback):
    """Names of losses and metrics; fitness is the sum of that of boxes and that of masks, as in YOLOv5."""

    loss_names: ClassVar[tuple[str, ...]] = LOSSES
    columns: ClassVar[dict[str, str]] = COLUMNS
    prefixes: ClassVar[tuple[str, ...]] = PREFIXES

    def predictor(self, model: BoxTraining, image_size: int | None = None) -> SegmentationPredictor:
        """Return a predictor that runs the EMA weights."""
        side = image_size or model.image_size
        return SegmentationPredictor(KerasRuntime(model.averaged, model.contract), (side, side))


class SegmentationValidation(_SegmenterValidation, Validation):
    """Validates the EMA weights on the `val` split of a dataset after each epoch.

    The arguments are those of `Validation`.

    Example:
        >>> model.fit(stream, callbacks=[SegmentationValidation(dataset)])  # doctest: +SKIP
    """

    def targets(self, batch: Batch) -> dict[str, np.ndarray]:
        """Return labels and index masks of a validation batch."""
        return {"labels": batch_labels(batch, self.options.single_cls), "masks": batch_masks(batch)}

    def results_of(self, metrics: Metrics) -> tuple[ApResult, ...]:
        """Return average precision of boxes and of masks."""
        assert metrics.mask_result is not None  # the predictor is a segmentation model
        return metrics.result, metrics.mask_result


class SegmentationBatchValidation(_SegmenterValidation, BatchValidation):
    """Validates the EMA weights on batches of images, labels and masks, as `fit` takes them.

    Args:
        batches: pairs of uint8 images (batch, height, width, 3), and a dict with `labels` and `masks`.
    """

    def match_image(
        self, detections: Detections, targets: Any, index: int, image_size: tuple[int, int]
    ) -> Matched:
        """Match the boxes and the masks of one image of a batch with its ground truth."""
        boxes = super().match_image(detections, targets["labels"], index, image_size)
        masks = prototype_masks(detections, image_size)
        truth = np.asarray(targets["masks"][index])
        if truth.ndim == 3:  # one mask per label
            each = [resized(one > 0.5, masks.image_size).astype(np.int32) for one in truth]
            overlaps = [mask_iou(masks, one, np.array([0])) for one in each]
            overlap = np.concatenate(overlaps, 1) if overlaps else np.zeros((len(masks), 0), np.float32)
        else:
            rows = np.arange(targets["labels"].shape[1])
            overlap = mask_iou(masks, resized(truth, masks.image_size).astype(np.int32), rows)
        is_label = np.asarray(targets["labels"][index])[:, 0] >= 0
        correct = match_overlaps(overlap[:, is_label], detections.class_ids, boxes.labeled)
        return boxes._replace(correct=(*boxes.correct, correct))


def validation_of(data: Any, frequency: int = 1) -> ValidationCallback:
    """Return the callback that validates on `data`.

    Args:
        data: `TrainingData` with masks, the path of a dataset, a pair of arrays, or batches of images and
            targets.
        frequency: epochs between validations.
    """

    def on_batches(batches: Iterable[Any]) -> SegmentationBatchValidation:
        return SegmentationBatchValidation(batches)

    return choose_validation(
        data, lambda path: SegmentationValidation(read_dataset(path)), on_batches, frequency
    )


def batch_masks(batch: Batch) -> np.ndarray:
    """Return the masks of a validation batch in the format of the loss.

    Args:
        batch: images and samples.

    Returns:
        int32 (batch, height / 4, width / 4), where k marks the pixels of the k-th label and 0 none.
    """
    masks = []
    for sample, box in zip(batch.samples, batch.letterboxes, strict=True):
        index, order = ground_truth_index(sample, box)
        masks.append(np.concatenate([[0], order + 1]).astype(np.int32)[index])
    return np.stack(masks)


def resized(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a mask with the nearest neighbor, as the loss does.

    Args:
        mask: (height, width) of any type.
        size: (height, width) of the result.

    Example:
        >>> resized(np.array([[1, 2]]), (2, 4)).tolist()
        [[1, 1, 2, 2], [1, 1, 2, 2]]
    """
    rows, columns = (np.arange(new) * old // new for new, old in zip(size, mask.shape, strict=True))
    return mask[rows][:, columns]
