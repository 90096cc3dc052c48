"""Accumulation of predictions and ground truth over the images of a validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tfyolo.data.detection.frame import Frame
from tfyolo.data.detection.scan import Sample
from tfyolo.data.images.letterbox import Letterbox
from tfyolo.evaluation import coco
from tfyolo.evaluation.batches import Batch
from tfyolo.evaluation.confusion import ConfusionMatrix
from tfyolo.evaluation.detection_metrics import ValOptions
from tfyolo.evaluation.metrics import ApResult, average_precision, match
from tfyolo.evaluation.mosaic import MIN_CONFIDENCE, Example
from tfyolo.export.runtime.predictions import Detections
from tfyolo.inference.boxes import xywh_to_xyxy

Row = dict[str, Any]
"""A prediction in COCO's results format."""


def labels_xyxy_px(sample: Sample) -> np.ndarray:
    """Return the ground-truth boxes of an image, (n, 4) float32 corners in its pixels."""
    height, width = sample.hw
    return xywh_to_xyxy(sample.boxes_xywh_norm) * np.array([width, height, width, height], np.float32)


@dataclass
class DetectionAccumulator:
    """Collects predictions and ground truth image by image, and computes the metrics of all.

    Attributes:
        options: options of the validation.
        confusion: confusion matrix of the images so far.
        correct: per image (n, thresholds) bool, true positives at each IoU threshold.
        scores: per image (n,) confidences of the predictions.
        predicted: per image (n,) predicted class ids.
        labeled: per image (m,) class ids of the ground truth.
        detections: each image's sample and its predictions in pixels of the image.
        speed_ms: total milliseconds of each step.
        problems: faults of images.
        faulty: images for which the model's output has rows that are not boxes.
    """

    iou_types: ClassVar[tuple[str, ...]] = ("bbox",)
    """What COCO's protocol measures: keys of `coco_figures`."""

    options: ValOptions
    confusion: ConfusionMatrix
    correct: list[np.ndarray] = field(default_factory=list)
    scores: list[np.ndarray] = field(default_factory=list)
    predicted: list[np.ndarray] = field(default_factory=list)
    labeled: list[np.ndarray] = field(default_factory=list)
    detections: list[tuple[Sample, Detections]] = field(default_factory=list)
    speed_ms: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    faulty: list[str] = field(default_factory=list)

    def add(self, sample: Sample, letterbox: Letterbox, found: Detections) -> None:
        """Add the predictions of one image.

        Args:
            sample: the image and its ground truth.
            letterbox: mapping from the image to the input of the model.
            found: predictions, boxes in pixels of the input, sorted by descending confidence.
        """
        if found.problem:
            self.faulty.append(f"{sample.image}: {found.problem}")
        boxes, ground_truth = letterbox.to_image(found.boxes_xyxy_px), labels_xyxy_px(sample)
        self.correct.append(match(boxes, found.class_ids, ground_truth, sample.classes))
        self.scores.append(found.scores)
        self.predicted.append(found.class_ids)
        self.labeled.append(sample.classes)
        # Without the prototypes, which would take gigabytes for a large dataset.
        self.detections.append((sample, Detections(boxes, found.scores, found.class_ids)))
        self.confusion.add(boxes, found.scores, found.class_ids, ground_truth, sample.classes)

    def example(self, image: np.ndarray, sample: Sample, letterbox: Letterbox, found: Detections) -> Example:
        """Return what a mosaic shows of an image.

        Args:
            image: uint8 (height, width, 3) RGB, letterboxed.
            sample: the image and its ground truth.
            letterbox: mapping from the image to the input of the model.
            found: predictions in pixels of the input; only confident ones are shown.
        """
        boxes = letterbox.to_input(labels_xyxy_px(sample))
        confident = found[found.scores > MIN_CONFIDENCE]
        return Example(image, sample.name, boxes, sample.classes, replace(confident, prototypes=None))

    def add_speed(self, batch: Batch, speed: dict[str, float]) -> None:
        """Add the time of one batch.

        Args:
            batch: images, with the time of loading them.
            speed: milliseconds per image of each step of the model.
        """
        parts = {
            "preprocess": batch.preprocess_ms,
            **{key: value * len(batch.images) for key, value in speed.items()},
        }
        for key, value in parts.items():
            self.speed_ms[key] = self.speed_ms.get(key, 0.0) + value

    def result(self) -> ApResult:
        """Compute precision, recall and average precision of the boxes of all images so far."""
        return self._average_precision(self.correct)

    def mask_result(self) -> ApResult | None:
        """Compute the same of masks; None without masks."""
        return None

    def coco_ground_truth(self, names: Sequence[str]) -> dict[str, Any]:
        """Convert the labels of all images so far to a COCO annotations dictionary.

        Args:
            names: class names of the dataset.
        """
        return coco.ground_truth([sample for sample, _ in self.detections], names)

    def coco_rows(self, number: int, image_id: int, frame: Frame, categories: Sequence[int]) -> list[Row]:
        """Convert the predictions of one image to COCO's results format.

        Args:
            number: number of the image, in the order in which images were added.
            image_id: its id in the annotations.
            frame: coordinate system of its annotations.
            categories: COCO category ids by class id.
        """
        sample, detections = self.detections[number]
        boxes = detections.boxes_xyxy_px
        if frame.size_wh != (sample.hw[1], sample.hw[0]):
            boxes = frame.boxes_to_pixels(boxes / np.tile(sample.hw[::-1], 2))
        return coco.results(image_id, boxes, detections.scores, detections.class_ids, categories)

    def check_annotations(self, annotations: Mapping[str, Any], path: Path) -> None:
        """Refuse COCO annotations that lack what the predictions are compared with.

        Args:
            annotations: from `coco.read_annotations`.
            path: path of the file.
        """

    def _average_precision(self, correct: list[np.ndarray]) -> ApResult:
        return average_precision(*map(np.concatenate, (correct, self.scores, self.predicted, self.labeled)))
