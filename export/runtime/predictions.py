"""What a runtime returns for one image; boxes in pixels of the network's input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Candidates:
    """Decoded boxes before non-maximum suppression."""

    boxes_xyxy_px: np.ndarray
    """(n, 4) float32."""
    scores: np.ndarray
    """(n, classes) float32: objectness times class score."""
    problem: str = ""
    """What was left out of the model's output, since it is no box; empty where nothing was."""


@dataclass(frozen=True)
class Detections:
    """Boxes after non-maximum suppression, best first."""

    boxes_xyxy_px: np.ndarray
    """(n, 4) float32."""
    scores: np.ndarray
    """(n,) float32."""
    class_ids: np.ndarray
    """(n,) int64."""
    problem: str = ""
    """As of `Candidates`."""

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: np.ndarray | slice) -> Detections:
        return Detections(self.boxes_xyxy_px[index], self.scores[index], self.class_ids[index], self.problem)


@dataclass(frozen=True)
class Probabilities:
    """What a classifier makes of an image."""

    values: np.ndarray
    """(classes,) float32, together 1."""


Prediction = Candidates | Detections | Probabilities
