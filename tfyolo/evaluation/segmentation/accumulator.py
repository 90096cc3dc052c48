"""Accumulation of predicted and ground-truth masks, beside the boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar

import numpy as np

from tfyolo.data.detection.frame import Frame
from tfyolo.data.detection.scan import Sample
from tfyolo.data.images.letterbox import Letterbox
from tfyolo.data.segmentation.ground_truth import ground_truth_index
from tfyolo.evaluation.accumulator import DetectionAccumulator, Row
from tfyolo.evaluation.metrics import IOU_THRESHOLDS, ApResult, match_overlaps
from tfyolo.evaluation.mosaic import Example
from tfyolo.evaluation.segmentation.coco_masks import (
    Rle,
    add_outlines,
    check_outlines,
    encode,
    in_frame,
)
from tfyolo.evaluation.segmentation.mask_iou import mask_iou
from tfyolo.export.runtime.predictions import Detections
from tfyolo.inference.segmentation.masks import Masks, prototype_masks
from tfyolo.inference.segmentation.predictor import image_masks


@dataclass
class InstanceAccumulator(DetectionAccumulator):
    """Collects predictions and ground truth of boxes and masks, and computes the metrics of both.

    Attributes:
        correct_masks: per image (n, thresholds) bool, true positives at each IoU threshold of masks.
        run_lengths: per image the masks at its size, if predictions.json is written.
    """

    iou_types: ClassVar[tuple[str, ...]] = ("bbox", "segm")

    correct_masks: list[np.ndarray] = field(default_factory=list)
    run_lengths: list[list[Rle]] = field(default_factory=list)

    def add(self, sample: Sample, letterbox: Letterbox, found: Detections) -> None:
        """Add the predictions of one image.

        Args:
            sample: the image and its ground truth.
            letterbox: mapping from the image to the input of the model.
            found: predictions with masks, in pixels of the input, sorted by descending confidence.
        """
        super().add(sample, letterbox, found)
        start = perf_counter()
        self.correct_masks.append(match_masks(sample, letterbox, found))
        if self.options.save_json:
            self.run_lengths.append(encode_all(found, letterbox, self.options.retina_masks))
        self.speed_ms["masks"] = self.speed_ms.get("masks", 0.0) + 1e3 * (perf_counter() - start)

    def mask_result(self) -> ApResult:
        """Compute precision, recall and average precision of the masks of all images so far."""
        return self._average_precision(self.correct_masks)

    def example(self, image: np.ndarray, sample: Sample, letterbox: Letterbox, found: Detections) -> Example:
        """Return what a mosaic shows of an image, with masks.

        Args:
            image: uint8 (height, width, 3) RGB, letterboxed.
            sample: the image and its ground truth.
            letterbox: mapping from the image to the input of the model.
            found: predictions in pixels of the input; only confident ones are shown.
        """
        shown = super().example(image, sample, letterbox, found)
        index, order = ground_truth_index(sample, letterbox, stride=1)
        in_input = Letterbox.fit(letterbox.out_hw, letterbox.out_hw)
        confident = replace(shown.found, prototypes=found.prototypes)
        return replace(
            shown,
            label_masks=Masks.of_index(index, order),
            found_masks=image_masks(confident, in_input, self.options.retina_masks),
        )

    def coco_ground_truth(self, names: Sequence[str]) -> dict[str, Any]:
        """Convert the labels of all images so far to a COCO annotations dictionary with outlines."""
        return add_outlines(super().coco_ground_truth(names), [sample for sample, _ in self.detections])

    def coco_rows(self, number: int, image_id: int, frame: Frame, categories: Sequence[int]) -> list[Row]:
        """Convert the predictions of one image to COCO's results format, with masks."""
        rows, masks = super().coco_rows(number, image_id, frame, categories), self.run_lengths[number]
        if frame.orientation != 1 or frame.hw != self.detections[number][0].hw:
            masks = [in_frame(mask, frame) for mask in masks]
        return [{**row, "segmentation": mask} for row, mask in zip(rows, masks, strict=True)]

    def check_annotations(self, annotations: Mapping[str, Any], path: Path) -> None:
        """Refuse COCO annotations without outlines.

        Raises:
            TfyoloError: an object has no outline, or an image no size.
        """
        check_outlines(annotations, path)


def match_masks(sample: Sample, letterbox: Letterbox, found: Detections) -> np.ndarray:
    """Find the true positives among the detections of one image, by the IoU of masks.

    Args:
        sample: the image and its ground truth.
        letterbox: mapping from the image to the input of the model.
        found: predictions with masks, in pixels of the input, sorted by descending confidence.

    Returns:
        bool (n, thresholds), true positives at each IoU threshold.
    """
    correct = np.zeros((len(found), len(IOU_THRESHOLDS)), bool)
    # Only the mask of a detection of a labeled class can match, so that others are not assembled.
    candidates = np.flatnonzero(np.isin(found.class_ids, sample.classes))
    if len(candidates):
        compared = found[candidates]
        masks = prototype_masks(compared, letterbox.out_hw)
        stride = letterbox.out_hw[0] // masks.image_size[0]
        iou = mask_iou(masks, *ground_truth_index(sample, letterbox, stride))
        correct[candidates] = match_overlaps(iou, compared.class_ids, sample.classes)
    return correct


def encode_all(found: Detections, letterbox: Letterbox, retina_masks: bool) -> list[Rle]:
    """Return the run lengths of the masks of all detections, at the size of the image.

    A candidate that several classes detect has one mask, which is assembled once: with the low confidence
    threshold of validation that saves two of three.

    Args:
        found: predictions with masks, in pixels of the input.
        letterbox: mapping from the image to the input of the model.
        retina_masks: enlarge masks before they are cropped, instead of after.
    """
    if found.coefficients is None:
        return encode(image_masks(found, letterbox, retina_masks))
    keys = np.hstack([found.boxes_xyxy_px, found.coefficients])
    _, first, position = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    encoded = encode(image_masks(found[first], letterbox, retina_masks))
    return [encoded[index] for index in position.reshape(-1)]
