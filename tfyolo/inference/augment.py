"""Test-time augmentation: candidates of an image at three scales, one of them flipped.

As in YOLOv5, the candidates of one feature map are left out of the largest and of the smallest variant: those
of the largest stride at full size, since the scaled-down variants show large objects at a size that fits the
anchors better, and those of the smallest stride at 0.67, since small objects have lost their detail there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from tfyolo.data.images.letterbox import PAD_VALUE
from tfyolo.export.runtime.base import Runtime
from tfyolo.export.runtime.predictions import Candidates, Detections, Probabilities


class Variant(NamedTuple):
    """A scaled copy of the image.

    Attributes:
        scale: its size, relative to the image.
        mirrored: flip it left to right.
        left_out: chooses the stride of the feature map whose candidates are left out; None keeps all.
    """

    scale: float
    mirrored: bool
    left_out: Callable[[Iterable[int]], int] | None


VARIANTS = (Variant(1.0, False, max), Variant(0.83, True, None), Variant(0.67, False, min))
"""YOLOv5's."""


def predict_augmented(runtime: Runtime, images: np.ndarray, confidence: float) -> list[Candidates]:
    """Predict all variants of images; candidates are in pixels of the unscaled input.

    Args:
        runtime: runtime of any format; smaller variants are padded if its input size is fixed.
        images: uint8 (batch, height, width, 3) RGB, letterboxed.
        confidence: candidates with lower objectness can be omitted.

    Returns:
        Candidates per image; NMS removes duplicates of the variants. Those of the largest stride at full
        size and of the smallest stride at 0.67 are left out, unless the model has one feature map, or the
        file has NMS inside and its boxes do not tell their feature map.
    """
    classes, (height, width) = len(runtime.contract.names), images.shape[1:3]
    found: list[list[Candidates]] = [[] for _ in images]
    for variant in VARIANTS:
        scale, mirrored, _ = variant
        # Sizes are rounded to whole pixels, as in YOLOv5; boxes are scaled back by the actual ratio.
        small_wh = int(width * scale), int(height * scale)
        ratio = np.array([small_wh[0] / width, small_wh[1] / height] * 2, np.float32)
        batch = np.stack([_variant(image, small_wh, mirrored, runtime) for image in images])
        for index, prediction in enumerate(runtime(batch, confidence)):
            assert not isinstance(prediction, Probabilities)  # only detectors come here
            prediction = _clipped(prediction, variant, runtime.contract.strides)
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


def _clipped(
    prediction: Candidates | Detections, variant: Variant, strides: Sequence[int]
) -> Candidates | Detections:
    """Leave out the candidates of the feature map that a variant does not contribute."""
    if not isinstance(prediction, Candidates) or variant.left_out is None or len(strides) == 1:
        return prediction
    rows = prediction.strides
    return prediction if rows is None else prediction[rows != variant.left_out(strides)]


def _by_class(prediction: Candidates | Detections, classes: int) -> np.ndarray:
    if isinstance(prediction, Candidates):
        return prediction.scores
    return np.eye(classes, dtype=np.float32)[prediction.class_ids] * prediction.scores[:, None]
