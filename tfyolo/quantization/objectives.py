"""What quantization-aware training lowers, by task: distance from the float network, the task's own loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import tensorflow as tf

from tfyolo.models.contract import Contract
from tfyolo.quantization.distillation import distillation_loss
from tfyolo.training.detection.loss import DetectionLoss, LossOptions

Heads = Sequence[Sequence[Any]]
"""Of a batch, as `run_network` gives them: per scale the logits, in parts."""


class Objective(Protocol):
    """Two losses of the network's raw outputs, each a scalar."""

    def distillation(self, heads: Heads, teacher: Heads) -> Any:
        """How far the outputs are from those of the float network; no labels are needed."""

    def from_labels(self, heads: Heads, labels: Any) -> Any:
        """The loss that the float network was trained by."""


class DetectionObjective:
    """Of a detector.

    Args:
        contract: of the detector.
        settings: gains of YOLOv5's loss, scaled for the dataset and image size.
    """

    def __init__(self, contract: Contract, settings: LossOptions | None = None) -> None:
        self._contract = contract
        classes = len(contract.names)
        self._loss = DetectionLoss(contract.anchors_px, contract.strides, classes, settings or LossOptions())

    def distillation(self, heads: Heads, teacher: Heads) -> Any:
        """See distillation.py."""
        return distillation_loss(heads, teacher, self._contract.anchors_px, self._contract.strides)

    def from_labels(self, heads: Heads, labels: Any) -> Any:
        """YOLOv5's loss, of an image."""
        raw = [_join(parts) for parts in heads]
        return self._loss(raw, labels).total / tf.cast(tf.shape(raw[0])[0], tf.float32)


class ClassificationObjective:
    """Of a classifier.

    Args:
        label_smoothing: share of a label that is spread over all classes.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self._smoothing = label_smoothing

    def distillation(self, heads: Heads, teacher: Heads) -> Any:
        """Relative entropy of the float network's probabilities and these, of an image."""
        ((logits,),), ((logits_t,),) = heads, teacher
        truth = tf.nn.softmax(logits_t)
        difference = tf.nn.log_softmax(logits_t) - tf.nn.log_softmax(logits)
        return tf.reduce_mean(tf.reduce_sum(truth * difference, -1))

    def from_labels(self, heads: Heads, labels: Any) -> Any:
        """Cross-entropy, of an image; labels are (batch, classes), each row's sum 1."""
        ((logits,),) = heads
        smooth = labels * (1.0 - self._smoothing) + self._smoothing / labels.shape[-1]
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(smooth, logits[:, 0, 0]))


def _join(parts: Any) -> Any:
    """A raw head (batch, height, width, anchors * (5 + classes)) of its three parts."""
    shape = tf.concat([tf.shape(parts[1]), [-1]], 0)
    joined = tf.concat([tf.reshape(part, shape) for part in parts], -1)
    return tf.reshape(joined, tf.concat([shape[:3], [sum(part.shape[-1] for part in parts)]], 0))
