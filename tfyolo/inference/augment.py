"""Test-time augmentation: candidates of an image at three scales, one of them flipped."""

from __future__ import annotations

import math

import cv2
import numpy as np

from tfyolo.data.images.letterbox import PAD_VALUE
from tfyolo.export.runtime.base import Runtime
from tfyolo.export.runtime.predictions import Candidates, Detections, Probabilities

VARIANTS: tuple[tuple[float, bool], ...] = ((1.0, False), (0.83, True), (0.67, False))
"""Scale, and whether mirrored left to right: YOLOv5's."""


def predict_augmented(runtime: Runtime, images: np.ndarray, confidence: float) -> list[Candidates]:
    """Predict all variants of images; candidates are in pixels of the unscaled input.

    Args:
        runtime: runtime of any format; smaller variants are padded if its input size is fixed.
        images: uint8 (batch, height, width, 3) RGB, letterboxed.
        confidence: candidates with lower objectness can be omitted.

    Returns:
        Candidates per image; NMS removes duplicates of the variants.
    """
    classes, (height, width) = len(runtime.contract.names), images.shape[1:3]
    found: list[list[Candidates]] = [[] for _ in images]
    for scale, mirrored in VARIANTS:
        # Sizes are rounded to whole pixels, as in YOLOv5; boxes are scaled back by the actual ratio.
        small_wh = int(width * scale), int(height * scale)
        ratio = np.array([small_wh[0] / width, small_wh[1] / height] * 2, np.float32)
        batch = np.stack([_variant(image, small_wh, mirrored, runtime) for image in images])
        for index, prediction in enumerate(runtime(batch, confidence)):
            assert not isinstance(prediction, Probabilities)  # only detectors come here
            boxes, scores = prediction.boxes_xyxy_px / ratio, _by_class(prediction, classes)
            if mirrored:
                boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)
            found[index].append(Candidates(boxes, scores, prediction.problem))
    return [
        Candidates(
            np.concatenate([c.boxes_xyxy_px for c in part]),
            np.concatenate([c.scores for c in part]),
            next((c.problem for c in part if c.problem), ""),
        )
        for part in found
    ]


def _variant(image: np.ndarray, small_wh: tuple[int, int], mirrored: bool, runtime: Runtime) -> np.ndarray:
    image = image[:, ::-1] if mirrored else image
    if small_wh == image.shape[1::-1]:
        return image
    small = cv2.resize(np.ascontiguousarray(image), small_wh)
    stride = max(runtime.contract.strides)
    out_height, out_width = runtime.input_hw or (
        math.ceil(small.shape[0] / stride) * stride,
        math.ceil(small.shape[1] / stride) * stride,
    )
    out = np.full((out_height, out_width, 3), PAD_VALUE, np.uint8)
    out[: small.shape[0], : small.shape[1]] = small
    return out


def _by_class(prediction: Candidates | Detections, classes: int) -> np.ndarray:
    if isinstance(prediction, Candidates):
        return prediction.scores
    return np.eye(classes, dtype=np.float32)[prediction.class_ids] * prediction.scores[:, None]
