"""Similarity of a quantized network to the float network; mAP and top-1 are too noisy to compare settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tfyolo.evaluation.metrics import average_precision, match
from tfyolo.export.runtime.decode import decode, join_parts, sigmoid, softmax
from tfyolo.export.runtime.predictions import Detections
from tfyolo.inference.nms import NmsOptions, non_max_suppression
from tfyolo.models.contract import Contract

Heads = Sequence[tuple[np.ndarray, ...]]
"""Of one image, per scale: logits of boxes, objectness and classes, (height, width, channels); of a
classifier its logits, (1, 1, classes), alone."""
SEEN = 0.05
"""Objectness from which a place counts in the score error."""
CONFIDENT = 0.25
"""Score of the float model's detections that fidelity takes for the truth."""
_LOOSE = NmsOptions(confidence=0.001, iou_threshold=0.6, multi_label=True)


class Fidelity(Protocol):
    """Accumulates similarity over images."""

    def add(self, exact: Heads, rounded: Heads) -> None:
        """Add the heads of one image, of the float and the quantized network."""

    @property
    def score_error(self) -> float:
        """Return the mean absolute error of scores."""

    @property
    def fidelity(self) -> float:
        """Return the agreement with the float network, at most 1."""


def find_fidelity(contract: Contract) -> Fidelity:
    """Return the accumulator for the task of a model."""
    return ClassifierFidelity() if contract.task == "classify" else DetectorFidelity(contract)


class ClassifierFidelity:
    """Similarity of classifiers."""

    def __init__(self) -> None:
        self._error, self._same, self._images = 0.0, 0, 0

    def add(self, exact: Heads, rounded: Heads) -> None:
        """Add the logits of one image."""
        wanted, found = (softmax(heads[0][0].reshape(-1)) for heads in (exact, rounded))
        self._error += float(np.abs(wanted - found).mean())
        self._same += int(wanted.argmax() == found.argmax())
        self._images += 1

    @property
    def score_error(self) -> float:
        """Return the mean absolute error of probabilities."""
        return self._error / max(self._images, 1)

    @property
    def fidelity(self) -> float:
        """Return the fraction of images to which both networks give the same class."""
        return self._same / max(self._images, 1)


@dataclass
class DetectorFidelity:
    """Similarity of detectors.

    Attributes:
        contract: contract of the detector.
    """

    contract: Contract

    def __post_init__(self) -> None:
        self._error, self._values = 0.0, 0
        self._rows: list[tuple[np.ndarray, ...]] = []

    def add(self, exact: Heads, rounded: Heads) -> None:
        """Add the heads of one image, of the float and the quantized network."""
        self.add_scores(exact, rounded)
        self.add_detections(self.detect(exact), self.detect(rounded))

    def add_scores(self, exact: Heads, rounded: Heads) -> None:
        """Add the score error of one image."""
        for (_, objectness, classes), (_, objectness_q, classes_q) in zip(exact, rounded, strict=True):
            there, there_q = sigmoid(objectness), sigmoid(objectness_q)
            seen = there > SEEN
            cells = (*there.shape, -1)
            of_class = [sigmoid(x.reshape(cells)[seen]) for x in (classes, classes_q)]
            self._error += float(
                np.abs(there - there_q)[seen].sum() + np.abs(of_class[0] - of_class[1]).sum()
            )
            self._values += int(seen.sum()) + of_class[0].size

    def add_detections(self, exact: Detections, rounded: Detections) -> None:
        """Add the detections of one image, with the thresholds of validation, in pixels of the input."""
        truth, found = exact[exact.scores > CONFIDENT], rounded
        correct = match(found.boxes_xyxy_px, found.class_ids, truth.boxes_xyxy_px, truth.class_ids)
        self._rows.append((correct, found.scores, found.class_ids, truth.class_ids))

    @property
    def score_error(self) -> float:
        """Return the mean absolute error of scores where the float network detects objects."""
        return self._error / max(self._values, 1)

    @property
    def fidelity(self) -> float:
        """Return mAP50-95 of the quantized detections, with confident float detections as ground truth."""
        return average_precision(*map(np.concatenate, zip(*self._rows, strict=True))).map50_95

    def detect(self, heads: Heads) -> Detections:
        """Return the detections of raw heads, with the thresholds of validation."""
        candidates = decode(
            [join_parts(parts) for parts in heads], self.contract.anchors_px, self.contract.strides, 0.001
        )
        return non_max_suppression(candidates, _LOOSE)
