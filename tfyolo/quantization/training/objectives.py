"""Losses of QAT by task: distillation from the float network, and the task's training loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import tensorflow as tf

from tfyolo.models.contract import Contract
from tfyolo.quantization.training.distillation import distillation_loss, mask_distillation_loss
from tfyolo.training.detection.loss import DetectionLoss, LossOptions
from tfyolo.training.segmentation.loss import SegmentationLoss

Heads = Sequence[Sequence[Any]]
"""Of a batch, as `run_network` gives them: per scale the logits, in parts."""


class Objective(Protocol):
    """Losses of raw outputs, each a scalar."""

    def distillation(self, heads: Heads, teacher: Heads) -> Any:
        """Return the distance from the outputs of the float network; needs no labels."""

    def from_labels(self, heads: Heads, labels: Any) -> Any:
        """Return the training loss of the float network."""


class DetectionObjective:
    """Losses of a detector.

    Args:
        contract: contract of the detector.
        settings: gains of YOLOv5's loss, scaled to classes and image size.
    """

    def __init__(self, contract: Contract, settings: LossOptions | None = None) -> None:
        self._contract = contract
        classes = len(contract.names)
        self._loss = DetectionLoss(contract.anchors_px, contract.strides, classes, settings or LossOptions())

    def distillation(self, heads: Heads, teacher: Heads) -> Any:
        """Return the distillation loss (distillation.py)."""
        return distillation_loss(heads, teacher, self._contract.anchors_px, self._contract.strides)

    def from_labels(self, heads: Heads, labels: Any) -> Any:
        """Return YOLOv5's loss per image."""
        raw = [_join(parts) for parts in heads]
        return self._loss(raw, labels).total / tf.cast(tf.shape(raw[0])[0], tf.float32)


MASK_GAIN = 8.0
"""Weight of the distance of masks relative to that of boxes and scores."""


class SegmentationObjective(DetectionObjective):
    """Losses of a segmentation model: those of a detector, and the distance of masks.

    Args:
        contract: contract of the segmentation model.
        settings: gains of YOLOv5's loss, scaled to classes and image size.
    """

    def __init__(self, contract: Contract, settings: LossOptions | None = None) -> None:
        super().__init__(contract, settings)
        coefficients = contract.num_coefficients or 0
        self._segmentation_loss = SegmentationLoss(
            contract.anchors_px, contract.strides, len(contract.names), coefficients, settings
        )

    def distillation(self, heads: Heads, teacher: Heads) -> Any:
        """Return the distillation loss of boxes, scores and masks (distillation.py)."""
        boxes = super().distillation(heads[:-1], teacher[:-1])
        return boxes + MASK_GAIN * mask_distillation_loss(heads, teacher)

    def from_labels(self, heads: Heads, labels: Any) -> Any:
        """Return YOLOv5's loss per image; labels are those of the segmentation pipeline, with masks."""
        *raw, prototypes = [_join(parts) for parts in heads[:-1]] + [heads[-1][0]]
        losses = self._segmentation_loss(raw, prototypes, labels["labels"], labels["masks"])
        return losses.total / tf.cast(tf.shape(prototypes)[0], tf.float32)


class ClassificationObjective:
    """Losses of a classifier.

    Args:
        label_smoothing: fraction of the label that is distributed over all classes.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self._smoothing = label_smoothing

    def distillation(self, heads: Heads, teacher: Heads) -> Any:
        """Return the relative entropy to the float network's probabilities, per image."""
        ((logits,),), ((logits_t,),) = heads, teacher
        truth = tf.nn.softmax(logits_t)
        difference = tf.nn.log_softmax(logits_t) - tf.nn.log_softmax(logits)
        return tf.reduce_mean(tf.reduce_sum(truth * difference, -1))

    def from_labels(self, heads: Heads, labels: Any) -> Any:
        """Return the cross-entropy per image; labels are (batch, classes), whose rows sum to 1."""
        ((logits,),) = heads
        smooth = labels * (1.0 - self._smoothing) + self._smoothing / labels.shape[-1]
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(smooth, logits[:, 0, 0]))


def _join(parts: Any) -> Any:
    """Join the parts of a raw head to (batch, height, width, anchors * values)."""
    shape = tf.concat([tf.shape(parts[1]), [-1]], 0)
    joined = tf.concat([tf.reshape(part, shape) for part in parts], -1)
    return tf.reshape(joined, tf.concat([shape[:3], [sum(part.shape[-1] for part in parts)]], 0))
