"""From raw heads to boxes or probabilities, on NumPy.

The exported graphs have the same formula in export/graph/module.py."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfyolo.export.runtime.predictions import Candidates
from tfyolo.models.spec import Anchors


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Logistic function that does not overflow."""
    return 1 / (1 + np.exp(-np.clip(x, -80, 80)))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis, float32."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)


def join_parts(parts: Sequence[np.ndarray]) -> np.ndarray:
    """A raw head (height, width, anchors * (5 + classes)) of its logits of boxes, objectness, classes."""
    cells = (*parts[1].shape, -1)  # objectness has one channel an anchor
    joined = np.concatenate([part.reshape(cells) for part in parts], -1)
    return joined.reshape(*joined.shape[:2], -1)


def decode(
    heads: Sequence[np.ndarray], anchors_px: Anchors, strides: Sequence[int], confidence: float = 0.0
) -> Candidates:
    """Boxes and scores of one image.

    Only cells whose objectness exceeds `confidence` are decoded: objectness bounds the score, and nearly all
    cells of an image are empty.

    Args:
        heads: per scale (height, width, anchors * (5 + classes)) float32 logits.
        anchors_px: per scale width, height pairs.
        strides: per scale, in pixels.
        confidence: lowest objectness of interest; 0 keeps every cell.

    Returns:
        Candidates in pixels of the input.

    Source: YOLOv5 v2.0 and later: xy = (2 sigmoid(t) - 0.5 + cell) * stride, wh = (2 sigmoid(t))^2 * anchor.
    """
    threshold = np.log(confidence / (1 - confidence)) if 0 < confidence < 1 else -np.inf
    boxes, scores = [], []
    for head, anchor_row, stride in zip(heads, anchors_px, strides, strict=True):
        height, width = head.shape[:2]
        anchors = np.asarray(anchor_row, np.float32).reshape(-1, 2)
        head = head.reshape(height, width, len(anchors), -1)
        y, x, anchor = np.nonzero(head[..., 4] > threshold)
        values = sigmoid(head[y, x, anchor])
        center = (2 * values[:, :2] - 0.5 + np.stack([x, y], 1)) * stride
        half = 2 * values[:, 2:4] ** 2 * anchors[anchor]
        boxes.append(np.concatenate([center - half, center + half], 1))
        scores.append(values[:, 5:] * values[:, 4:5])
    return Candidates(np.concatenate(boxes).astype(np.float32), np.concatenate(scores).astype(np.float32))
