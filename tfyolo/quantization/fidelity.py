"""How near a quantized network is to the float one; mAP and top-1 move too much by chance to choose by."""

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
_LOOSE = NmsOptions(confidence=0.001, iou=0.6, multi_label=True)


class Fidelity(Protocol):
    """Accumulates image by image."""

    def add(self, exact: Heads, rounded: Heads) -> None:
        """Heads of one image: the float network's and the quantized one's."""

    @property
    def score_error(self) -> float:
        """Mean absolute error of scores."""

    @property
    def fidelity(self) -> float:
        """Agreement with the float network, 1 at best."""


def find_fidelity(contract: Contract) -> Fidelity:
    """For the task of a model."""
    return ClassifierFidelity() if contract.task == "classify" else DetectorFidelity(contract)


class ClassifierFidelity:
    """Of a classifier."""

    def __init__(self) -> None:
        self._error, self._same, self._images = 0.0, 0, 0

    def add(self, exact: Heads, rounded: Heads) -> None:
        """Logits of one image."""
        wanted, found = (softmax(heads[0][0].reshape(-1)) for heads in (exact, rounded))
        self._error += float(np.abs(wanted - found).mean())
        self._same += int(wanted.argmax() == found.argmax())
        self._images += 1

    @property
    def score_error(self) -> float:
        """Mean absolute error of probabilities."""
        return self._error / max(self._images, 1)

    @property
    def fidelity(self) -> float:
        """Share of images that both networks take for the same class."""
        return self._same / max(self._images, 1)


@dataclass
class DetectorFidelity:
    """Of a detector.

    Attributes:
        contract: of the detector.
    """

    contract: Contract

    def __post_init__(self) -> None:
        self._error, self._values = 0.0, 0
        self._rows: list[tuple[np.ndarray, ...]] = []

    def add(self, exact: Heads, rounded: Heads) -> None:
        """Heads of one image: the float network's and the quantized one's."""
        self.add_scores(exact, rounded)
        self.add_detections(self.detect(exact), self.detect(rounded))

    def add_scores(self, exact: Heads, rounded: Heads) -> None:
        """Count the score error of one image."""
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
        """Count the agreement of one image; detections as validation has them, in pixels of the input."""
        truth, found = exact[exact.scores > CONFIDENT], rounded
        correct = match(found.boxes_xyxy_px, found.class_ids, truth.boxes_xyxy_px, truth.class_ids)
        self._rows.append((correct, found.scores, found.class_ids, truth.class_ids))

    @property
    def score_error(self) -> float:
        """Mean absolute error of objectness and class scores where the float network sees something."""
        return self._error / max(self._values, 1)

    @property
    def fidelity(self) -> float:
        """mAP50-95 of the quantized detections, with the float model's confident ones as the truth."""
        return average_precision(*map(np.concatenate, zip(*self._rows, strict=True))).map50_95

    def detect(self, heads: Heads) -> Detections:
        """Detections of raw heads, with the thresholds of validation."""
        candidates = decode(
            [join_parts(parts) for parts in heads], self.contract.anchors_px, self.contract.strides, 0.001
        )
        return non_max_suppression(candidates, _LOOSE)
