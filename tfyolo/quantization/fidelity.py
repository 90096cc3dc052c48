"""Similarity of a quantized network to the float network; mAP and top-1 are too noisy to compare settings.

Each metric has a 95 % interval by bootstrap over images, and so has the difference of two networks that were
measured on the same images.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.evaluation.bootstrap import (
    ImageRow,
    Interval,
    interval,
    mean_average_precisions,
    weighted_means,
)
from tfyolo.evaluation.metrics import match, match_overlaps
from tfyolo.evaluation.segmentation.mask_iou import pairwise_mask_iou
from tfyolo.export.runtime.decode import decode, join_parts, sigmoid, softmax
from tfyolo.export.runtime.predictions import Candidates, Detections
from tfyolo.inference.boxes import iou
from tfyolo.inference.nms import NmsOptions, non_max_suppression
from tfyolo.inference.segmentation.masks import Masks, crop_masks, mask_probabilities, prototype_masks
from tfyolo.models.contract import Contract

Heads = Sequence[tuple[np.ndarray, ...]]
"""Of one image, per scale: logits of boxes, objectness and classes, (height, width, channels), and mask
coefficients and then the prototypes of a segmentation model; of a classifier its logits, (1, 1, classes),
alone."""
SEEN = 0.05
"""Objectness from which a place counts in the score error."""
MOST_MASKS = 50
"""Masks of an image that are compared, those of the highest scores."""
CONFIDENT = 0.25
"""Score of the float model's detections that fidelity takes for the truth."""
_LOOSE = NmsOptions(confidence=0.001, iou_threshold=0.6, multi_label=True)


class Fidelity(ABC):
    """Accumulates similarity over images.

    Example:
        >>> first, other = ClassifierFidelity(), ClassifierFidelity()
        >>> exact, close, far = ([(np.array([[[x, 0.0]]]),)] for x in (2.0, 1.9, -2.0))
        >>> for heads in (close, far, close, close):
        ...     first.add(exact, heads)
        ...     other.add(exact, close)
        >>> first.fidelity, other.fidelity
        (0.75, 1.0)
        >>> f"{first.interval():.2f}, gain {other.gain(first):.2f}"
        '0.75 (0.25 to 1.00), gain 0.25 (0.00 to 0.75)'
    """

    @abstractmethod
    def add(self, exact: Heads, rounded: Heads) -> None:
        """Add the heads of one image, of the float and the quantized network."""

    @abstractmethod
    def add_errors(self, exact: Heads, rounded: Heads) -> None:
        """Add the errors of one image alone, which takes less time; not for `fidelity`."""

    @property
    @abstractmethod
    def images(self) -> int:
        """Return the number of images."""

    @abstractmethod
    def score_errors(self) -> np.ndarray:
        """Return (1 + resamples,) mean absolute errors of scores: of the images, and of each resample."""

    @abstractmethod
    def fidelities(self) -> np.ndarray:
        """Return (1 + resamples,) agreements with the float network, at most 1, likewise."""

    @abstractmethod
    def errors(self) -> tuple[float, ...]:
        """Return the errors that the search for float parts lowers: they vary less than `fidelity`."""

    @property
    def score_error(self) -> float:
        """Return the mean absolute error of scores."""
        return float(self.score_errors()[0])

    @property
    def fidelity(self) -> float:
        """Return the agreement with the float network, at most 1."""
        return float(self.fidelities()[0])

    def interval(self) -> Interval:
        """Return fidelity with its 95 % interval."""
        return interval(self.fidelities())

    def score_error_interval(self) -> Interval:
        """Return the score error with its 95 % interval."""
        return interval(self.score_errors())

    def gain(self, first: Fidelity) -> Interval:
        """Return fidelity minus that of another network, with the paired 95 % interval.

        Args:
            first: the other network, measured on the same images in the same order.

        Raises:
            TfyoloError: it was measured on another number of images.
        """
        return interval(_paired(self, first, lambda one: one.fidelities()))

    def score_error_change(self, first: Fidelity) -> Interval:
        """Return the score error minus that of another network, with the paired 95 % interval.

        Args:
            first: the other network, measured on the same images in the same order.

        Raises:
            TfyoloError: it was measured on another number of images.
        """
        return interval(_paired(self, first, lambda one: one.score_errors()))


def _paired(one: Fidelity, first: Fidelity, values: Callable[[Fidelity], np.ndarray]) -> np.ndarray:
    if one.images != first.images:
        raise TfyoloError(f"networks were measured on {first.images} and {one.images} images")
    return values(one) - values(first)


def find_fidelity(contract: Contract) -> Fidelity:
    """Return the accumulator for the task of a model."""
    return _FIDELITIES[contract.task](contract)


class ClassifierFidelity(Fidelity):
    """Similarity of classifiers: the error of probabilities, and the fraction of equal classes."""

    def __init__(self) -> None:
        self._errors: list[float] = []
        self._same: list[float] = []

    @property
    def images(self) -> int:
        """Return the number of images."""
        return len(self._same)

    def add(self, exact: Heads, rounded: Heads) -> None:
        """Add the logits of one image."""
        wanted, found = (softmax(heads[0][0].reshape(-1)) for heads in (exact, rounded))
        self._errors.append(float(np.abs(wanted - found).mean()))
        self._same.append(float(wanted.argmax() == found.argmax()))

    def add_errors(self, exact: Heads, rounded: Heads) -> None:
        """Add the logits of one image."""
        self.add(exact, rounded)

    def score_errors(self) -> np.ndarray:
        """Return the mean absolute errors of probabilities."""
        return weighted_means(self._errors, [1] * self.images)

    def errors(self) -> tuple[float, ...]:
        """Return the score error."""
        return (self.score_error,)

    def fidelities(self) -> np.ndarray:
        """Return the fractions of images to which both networks give the same class."""
        return weighted_means(self._same, [1] * self.images)


class DetectorFidelity(Fidelity):
    """Similarity of detectors: error of scores, and mAP with the float model's detections as ground truth.

    Args:
        contract: contract of the detector.
    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._errors: list[float] = []
        self._values: list[int] = []
        self._box_errors: list[float] = []
        self._boxes: list[int] = []
        self._rows: list[ImageRow] = []

    @property
    def images(self) -> int:
        """Return the number of images."""
        return max(len(self._rows), len(self._values))

    def add(self, exact: Heads, rounded: Heads) -> None:
        """Add the heads of one image, of the float and the quantized network."""
        self.add_errors(exact, rounded)
        self.add_detections(self.detect(exact), self.detect(rounded))

    def add_errors(self, exact: Heads, rounded: Heads) -> None:
        """Add the errors of scores and boxes of one image."""
        total, values = 0.0, 0
        for parts, parts_q in zip(exact, rounded, strict=True):
            (objectness, classes), (objectness_q, classes_q) = parts[1:3], parts_q[1:3]
            there, there_q = sigmoid(objectness), sigmoid(objectness_q)
            seen = there > SEEN
            cells = (*there.shape, -1)
            of_class = [sigmoid(x.reshape(cells)[seen]) for x in (classes, classes_q)]
            total += float(np.abs(there - there_q)[seen].sum() + np.abs(of_class[0] - of_class[1]).sum())
            values += int(seen.sum()) + of_class[0].size
        self._errors.append(total)
        self._values.append(values)
        boxes, boxes_q = (seen.boxes_xyxy_px for seen in self._seen(exact, rounded))
        self._box_errors.append(float((1 - iou(boxes, boxes_q)).sum()))
        self._boxes.append(len(boxes))

    def add_detections(self, exact: Detections, rounded: Detections) -> None:
        """Add the detections of one image, with the thresholds of validation, in pixels of the input."""
        truth, found = exact[exact.scores > CONFIDENT], rounded
        correct = match(found.boxes_xyxy_px, found.class_ids, truth.boxes_xyxy_px, truth.class_ids)
        self._rows.append((correct, found.scores, found.class_ids, truth.class_ids))

    def score_errors(self) -> np.ndarray:
        """Return the mean absolute errors of scores where the float network detects objects."""
        return weighted_means(self._errors, self._values)

    @property
    def box_error(self) -> float:
        """Return the mean of 1 - IoU with the float network's box, where that one detects objects."""
        return sum(self._box_errors) / max(sum(self._boxes), 1)

    def errors(self) -> tuple[float, ...]:
        """Return the score error and the box error."""
        return self.score_error, self.box_error

    def fidelities(self) -> np.ndarray:
        """Return mAP50-95 of the quantized detections, with confident float detections as ground truth."""
        return mean_average_precisions(self._rows)

    def detect(self, heads: Heads) -> Detections:
        """Return the detections of raw heads, with the thresholds of validation."""
        return non_max_suppression(self._decode(heads, 0.001), _LOOSE)

    def _seen(self, exact: Heads, rounded: Heads) -> tuple[Candidates, Candidates]:
        """Return the boxes of both networks at the places where the float network sees an object."""
        there_too = [(box, parts[1], *rest) for (box, _, *rest), parts in zip(rounded, exact, strict=True)]
        return self._decode(exact, SEEN), self._decode(there_too, SEEN)

    def _decode(self, heads: Heads, objectness: float) -> Candidates:
        joined, contract = [join_parts(parts) for parts in heads], self.contract
        masks = contract.num_coefficients or 0
        return decode(joined, contract.anchors_px, contract.strides, objectness, masks)


class SegmenterFidelity(DetectorFidelity):
    """Similarity of segmentation models: errors of scores, boxes and masks, and mAP of masks.

    Fidelity takes the masks of the float model's confident detections for the ground truth.

    Args:
        contract: contract of the segmentation model.
    """

    def __init__(self, contract: Contract) -> None:
        super().__init__(contract)
        self._mask_errors: list[float] = []
        self._masks: list[int] = []

    def add_errors(self, exact: Heads, rounded: Heads) -> None:
        """Add the errors of scores, boxes and masks of one image."""
        super().add_errors(exact[:-1], rounded[:-1])
        seen, seen_q = self._seen(exact[:-1], rounded[:-1])
        best = np.argsort(-seen.scores.max(1, initial=0), kind="stable")[:MOST_MASKS]
        ((prototypes,), (prototypes_q,)) = exact[-1], rounded[-1]
        boxes = seen.boxes_xyxy_px[best] / self.contract.prototype_stride
        masks, masks_q = (
            crop_masks(mask_probabilities(candidates.coefficients[best], mapped), boxes)  # type: ignore[index]
            for candidates, mapped in ((seen, prototypes), (seen_q, prototypes_q))
        )
        areas = np.maximum(crop_masks(np.ones_like(masks), boxes).sum((1, 2)), 1)
        self._mask_errors.append(float((np.abs(masks - masks_q).sum((1, 2)) / areas).sum()))
        self._masks.append(len(best))

    def add_detections(self, exact: Detections, rounded: Detections) -> None:
        """Add the detections of one image, with the thresholds of validation, in pixels of the input."""
        truth = exact[exact.scores > CONFIDENT]
        masks, masks_truth = (self._masks_of(found) for found in (rounded, truth))
        overlaps = pairwise_mask_iou(masks, masks_truth)
        correct = match_overlaps(overlaps, rounded.class_ids, truth.class_ids)
        self._rows.append((correct, rounded.scores, rounded.class_ids, truth.class_ids))

    def _masks_of(self, found: Detections) -> Masks:
        """Return the masks of detections at the size of the prototypes."""
        if found.masks is not None:
            height, width = found.masks.shape[1:]
        elif found.prototypes is not None:
            height, width = found.prototypes.shape[:2]
        else:
            raise TfyoloError("the detections have no masks")
        stride = self.contract.prototype_stride
        return prototype_masks(found, (height * stride, width * stride))

    @property
    def mask_error(self) -> float:
        """Return the mean absolute error of the probabilities of masks inside of their boxes."""
        return sum(self._mask_errors) / max(sum(self._masks), 1)

    def errors(self) -> tuple[float, ...]:
        """Return the errors of scores, boxes and masks."""
        return (*super().errors(), self.mask_error)

    def detect(self, heads: Heads) -> Detections:
        """Return the detections of raw heads, with prototypes, by the thresholds of validation."""
        candidates = replace(self._decode(heads[:-1], 0.001), prototypes=heads[-1][0])
        return non_max_suppression(candidates, _LOOSE)


_FIDELITIES: dict[str, Callable[[Contract], Fidelity]] = {
    "detect": DetectorFidelity,
    "classify": lambda contract: ClassifierFidelity(),
    "segment": SegmenterFidelity,
}
"""By task."""
