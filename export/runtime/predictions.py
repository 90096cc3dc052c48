"""Predictions of a runtime for one image; boxes are in pixels of the network's input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Candidates:
    """Decoded boxes before non-maximum suppression.

    Attributes:
        boxes_xyxy_px: (n, 4) float32.
        scores: (n, num_classes) float32, objectness times class probability.
        problem: description of invalid boxes that were removed from the output of the model; "" for none.
    """

    boxes_xyxy_px: np.ndarray
    scores: np.ndarray
    problem: str = ""


@dataclass(frozen=True)
class Detections:
    """Boxes after non-maximum suppression, by descending score.

    Attributes:
        boxes_xyxy_px: (n, 4) float32.
        scores: (n,) float32.
        class_ids: (n,) int64 class indices.
        problem: description of invalid boxes that were removed from the output of the model; "" for none.
    """

    boxes_xyxy_px: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray
    problem: str = ""

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: np.ndarray | slice) -> Detections:
        return Detections(self.boxes_xyxy_px[index], self.scores[index], self.class_ids[index], self.problem)


@dataclass(frozen=True)
class Probabilities:
    """Class probabilities of an image.

    Attributes:
        values: (num_classes,) float32, with the sum 1.
    """

    values: np.ndarray


Prediction = Candidates | Detections | Probabilities
