"""Predictions of a runtime for one image; boxes are in pixels of the network's input."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Candidates:
    """Decoded boxes before non-maximum suppression.

    Attributes:
        boxes_xyxy_px: (n, 4) float32.
        scores: (n, num_classes) float32, objectness times class probability.
        problem: description of invalid boxes that were removed from the output of the model; "" for none.
        coefficients: (n, k) float32 mask coefficients; None without masks.
        prototypes: (height / 4, width / 4, k) float32, which the coefficients of a box weight; None without
            masks.
        strides: (n,) int stride of the feature map that predicts each box, in pixels; None if unknown.
    """

    boxes_xyxy_px: np.ndarray
    scores: np.ndarray
    problem: str = ""
    coefficients: np.ndarray | None = None
    prototypes: np.ndarray | None = None
    strides: np.ndarray | None = None

    def __getitem__(self, index: np.ndarray | slice) -> Candidates:
        return replace(
            self,
            boxes_xyxy_px=self.boxes_xyxy_px[index],
            scores=self.scores[index],
            coefficients=None if self.coefficients is None else self.coefficients[index],
            strides=None if self.strides is None else self.strides[index],
        )


@dataclass(frozen=True)
class Detections:
    """Boxes after non-maximum suppression, by descending score.

    Attributes:
        boxes_xyxy_px: (n, 4) float32.
        scores: (n,) float32.
        class_ids: (n,) int64 class ids.
        problem: description of invalid boxes that were removed from the output of the model; "" for none.
        coefficients: (n, k) float32 mask coefficients; None without masks.
        prototypes: (height / 4, width / 4, k) float32, which the coefficients of a box weight; None without
            masks.
        masks: (n, height / 4, width / 4) float32 in 0..1, cropped to their boxes, where the graph has
            assembled them; None otherwise.
    """

    boxes_xyxy_px: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray
    problem: str = ""
    coefficients: np.ndarray | None = None
    prototypes: np.ndarray | None = None
    masks: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: np.ndarray | slice) -> Detections:
        return replace(
            self,
            boxes_xyxy_px=self.boxes_xyxy_px[index],
            scores=self.scores[index],
            class_ids=self.class_ids[index],
            coefficients=None if self.coefficients is None else self.coefficients[index],
            masks=None if self.masks is None else self.masks[index],
        )


@dataclass(frozen=True)
class Probabilities:
    """Class probabilities of an image.

    Attributes:
        values: (num_classes,) float32, with the sum 1.
    """

    values: np.ndarray


Prediction = Candidates | Detections | Probabilities
