"""What the detector asks of a runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from tfyolo.inference.decode import decode, join_parts
from tfyolo.inference.predictions import Candidates, Detections, Prediction
from tfyolo.models.contract import Contract
from tfyolo.models.network import PARTS


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


OUTPUTS = ("detection_boxes", "detection_classes", "detection_scores", "num_detections", "boxes", "scores")
"""Names of an exported graph's outputs (docs/architecture.md); raw heads have `raw_outputs`."""


def raw_outputs(contract: Contract) -> list[tuple[str, str, str]]:
    """Names of raw heads of box, objectness and classes, scale by scale."""
    return [tuple(f"{part}_{i}" for part in PARTS) for i in range(len(contract.strides))]  # type: ignore[misc]


def from_signature(outputs: Mapping[str, np.ndarray], contract: Contract, confidence: float) -> Prediction:
    """An exported graph's outputs, by signature name, as a prediction.

    Args:
        outputs: float arrays of one image.
        contract: of the file.
        confidence: candidates of lower objectness may be left out.
    """
    height, width = contract.image_size
    scale = np.array([width, height, width, height], np.float32)
    if "num_detections" in outputs:
        count = int(outputs["num_detections"][0])
        boxes = outputs["detection_boxes"][0, :count][:, [1, 0, 3, 2]] * scale
        classes = outputs["detection_classes"][0, :count].astype(np.int64)
        return Detections(boxes, outputs["detection_scores"][0, :count], classes)
    if "boxes" in outputs:
        return Candidates(outputs["boxes"][0][:, [1, 0, 3, 2]] * scale, outputs["scores"][0])
    heads = [join_parts([outputs[name][0] for name in names]) for names in raw_outputs(contract)]
    return decode(heads, contract.anchors_px, contract.strides, confidence)
