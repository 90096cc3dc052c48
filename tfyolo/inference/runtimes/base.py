"""What the detector asks of a runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from tfyolo.inference.predictions import Candidates, Detections, Prediction
from tfyolo.models.contract import Contract


class Runtime(Protocol):
    """Runs one model file."""

    contract: Contract
    input_hw: tuple[int, int] | None
    """Height and width that the input is fixed to; None where any multiple of the largest stride will do."""
    max_batch: int
    """Most images in one call."""

    def __call__(self, images: np.ndarray, confidence: float) -> list[Prediction]:
        """Predict.

        Args:
            images: uint8 (batch, height, width, 3) RGB, letterboxed.
            confidence: candidates of lower objectness may be left out.

        Returns:
            One prediction an image, in pixels of the input.
        """


def from_signature(outputs: Mapping[str, np.ndarray], input_hw: tuple[int, int]) -> Prediction:
    """An exported graph's outputs, by signature name (docs/architecture.md), as a prediction."""
    height, width = input_hw
    scale = np.array([width, height, width, height], np.float32)
    if "num_detections" in outputs:
        count = int(outputs["num_detections"][0])
        boxes = outputs["detection_boxes"][0, :count][:, [1, 0, 3, 2]] * scale
        classes = outputs["detection_classes"][0, :count].astype(np.int64)
        return Detections(boxes, outputs["detection_scores"][0, :count], classes)
    return Candidates(outputs["boxes"][0][:, [1, 0, 3, 2]] * scale, outputs["scores"][0])
