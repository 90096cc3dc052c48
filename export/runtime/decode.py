"""Decoding of raw heads to boxes or probabilities in NumPy.

Exported graphs use the same formula, in export/graph/anchor_grid.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfyolo.export.runtime.predictions import Candidates
from tfyolo.models.spec import Anchors


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return the logistic function of `x`, without overflow."""
    return 1 / (1 + np.exp(-np.clip(x, -80, 80)))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities along the last axis, float32."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)


def join_parts(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Join the parts of a raw head (models/tasks.py), each (height, width, channels), by anchor."""
    cells = (*parts[1].shape, -1)  # objectness has one channel per anchor
    joined = np.concatenate([part.reshape(cells) for part in parts], -1)
    return joined.reshape(*joined.shape[:2], -1)


def decode(
    heads: Sequence[np.ndarray],
    anchors_px: Anchors,
    strides: Sequence[int],
    confidence: float = 0.0,
    num_coefficients: int = 0,
) -> Candidates:
    """Decode boxes and scores of one image.

    Only boxes whose objectness exceeds `confidence` are decoded: the score of a box is at most its
    objectness, and nearly all grid cells of an image are empty.

    Args:
        heads: per scale (height, width, anchors * (5 + classes + num_coefficients)) float32 logits.
        anchors_px: per scale width, height pairs.
        strides: per scale, in pixels.
        confidence: objectness threshold; 0 decodes all boxes.
        num_coefficients: number of mask coefficients per box.

    Returns:
        Boxes, scores, mask coefficients and strides, without prototypes; boxes are in pixels of the input.

    Source: YOLOv5 v2.0 and later: xy = (2 sigmoid(t) - 0.5 + cell) * stride, wh = (2 sigmoid(t))^2 * anchor;
    v7.0: mask coefficients are multiplied by objectness.
    """
    threshold = np.log(confidence / (1 - confidence)) if 0 < confidence < 1 else -np.inf
    boxes, scores, coefficients, counts = [], [], [], []
    for head, anchor_row, stride in zip(heads, anchors_px, strides, strict=True):
        height, width = head.shape[:2]
        anchors = np.asarray(anchor_row, np.float32).reshape(-1, 2)
        head = head.reshape(height, width, len(anchors), -1)
        y, x, anchor = np.nonzero(head[..., 4] > threshold)
        rows = head[y, x, anchor]
        end = rows.shape[1] - num_coefficients
        values = sigmoid(rows[:, :end])
        # YOLOv5 weights them by objectness, which softens the borders of uncertain masks.
        coefficients.append(rows[:, end:] * values[:, 4:5])
        center = (2 * values[:, :2] - 0.5 + np.stack([x, y], 1)) * stride
        half = 2 * values[:, 2:4] ** 2 * anchors[anchor]
        boxes.append(np.concatenate([center - half, center + half], 1))
        scores.append(values[:, 5:] * values[:, 4:5])
        counts.append(len(rows))
    return Candidates(
        np.concatenate(boxes).astype(np.float32),
        np.concatenate(scores).astype(np.float32),
        coefficients=np.concatenate(coefficients).astype(np.float32) if num_coefficients else None,
        strides=np.repeat(np.asarray(strides), counts),
    )
