"""The YOLOv5 loss: complete IoU of boxes, cross-entropy of objectness and of classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import tensorflow as tf

from tfyolo.errors import TfyoloError
from tfyolo.training.detection.label_assignment import Assignment, assign_labels

LOSSES = ("box_loss", "obj_loss", "cls_loss")
"""Names in logs and in results.csv."""
FOCAL_ALPHA = 0.25
"""Weight of positives against negatives in the focal loss."""
_BALANCE = {3: (4.0, 1.0, 0.4)}
_BALANCE_DEFAULT = (4.0, 1.0, 0.25, 0.06, 0.02)


class Losses(NamedTuple):
    """Scalars, float32: `total` is the sum of the others (weighted by their gains) times the batch size."""

    total: Any
    box: Any
    obj: Any
    cls: Any
    objectness_by_scale: Any
    """(scales,) unweighted objectness loss, which autobalance follows."""


@dataclass(frozen=True)
class LossOptions:
    """Hyperparameters of the loss, by YOLOv5's names.

    Args:
        box: gain of the box loss.
        obj: gain of the objectness loss.
        cls: gain of the class loss.
        obj_pw: weight of positives in the objectness loss.
        cls_pw: weight of positives in the class loss.
        fl_gamma: gamma of the focal loss; 0 is plain cross-entropy.
        label_smoothing: share taken from the true class.
        anchor_t: largest ratio of sides of a box and its anchor.
    """

    box: float = 0.05
    obj: float = 1.0
    cls: float = 0.5
    obj_pw: float = 1.0
    cls_pw: float = 1.0
    fl_gamma: float = 0.0
    label_smoothing: float = 0.0
    anchor_t: float = 4.0

    @classmethod
    def of(cls, hyps: Any) -> LossOptions:
        """Those among a run's hyperparameters (`training.hyps.Hyps`)."""
        return cls(**{name: getattr(hyps, name) for name in cls.__dataclass_fields__})

    def scaled(self, classes: int, scales: int, image_size: int) -> LossOptions:
        """Gains for another number of classes, scales and image size than COCO's 80, 3 and 640."""
        from dataclasses import replace

        by_scales = 3 / scales
        return replace(
            self,
            box=self.box * by_scales,
            cls=self.cls * classes / 80 * by_scales,
            obj=self.obj * (image_size / 640) ** 2 * by_scales,
        )


class DetectionLoss:
    """The loss of raw heads against labels.

    Args:
        anchors_px: for each scale width, height, width, height, ... in pixels, as in `ModelSpec`.
        strides: of the scales.
        classes: number of classes.
        settings: gains and the like.

    Example:
        >>> loss = DetectionLoss(spec.anchors_px, spec.strides, spec.num_classes)  # doctest: +SKIP
        >>> loss(network(images, training=True), labels).total  # doctest: +SKIP
    """

    def __init__(
        self,
        anchors_px: Sequence[Sequence[float]],
        strides: Sequence[int],
        classes: int,
        settings: LossOptions = LossOptions(),
    ) -> None:
        if len(anchors_px) != len(strides):
            raise TfyoloError(f"{len(anchors_px)} rows of anchors, but {len(strides)} strides")
        self.classes, self.settings = classes, settings
        self.anchors_wh_cells = [
            tf.reshape(tf.constant(row, tf.float32), (-1, 2)) / stride
            for row, stride in zip(anchors_px, strides, strict=True)
        ]
        balance = _BALANCE.get(len(strides), _BALANCE_DEFAULT[: len(strides)])
        # The table is in the order of strides; v1.0 lists its scales the other way round.
        self.balance = tuple(balance[sorted(strides).index(stride)] for stride in strides)
        self.balance_reference = strides.index(16) if 16 in strides else 0
        """The scale whose weight autobalance keeps at 1."""

    def __call__(self, heads: Sequence[Any], labels: Any, balance: Any = None) -> Losses:
        """Compute the loss.

        Args:
            heads: per scale (batch, height, width, anchors * (5 + classes)) logits, any float type.
            labels: (batch, boxes, 5) class, center and size as shares of the image; class -1 pads.
            balance: (scales,) weights of the scales' objectness, by default YOLOv5's.

        Returns:
            On one device the losses; on several, the device's share: their sum is what one device would
            compute of the whole batch.
        """
        balance = tf.constant(self.balance, tf.float32) if balance is None else balance
        labels = tf.cast(labels, tf.float32)
        parts = [self._scale(head, labels, i) for i, head in enumerate(heads)]
        box, objectness, cls = (tf.stack(part) for part in zip(*parts, strict=True))
        s = self.settings
        box, cls = s.box * tf.reduce_sum(box), s.cls * tf.reduce_sum(cls)
        obj = s.obj * tf.reduce_sum(objectness * balance)
        batch = tf.cast(tf.shape(labels)[0], tf.float32) * _replicas()
        return Losses((box + obj + cls) * batch, box, obj, cls, objectness)

    def _scale(self, head: Any, labels: Any, index: int) -> tuple[Any, Any, Any]:
        """Box, objectness and class loss of one scale, before gains."""
        anchors = self.anchors_wh_cells[index]
        shape, channels = tf.shape(head), 5 + self.classes
        cells = tf.reshape(tf.cast(head, tf.float32), (-1, channels))  # one row for each cell and anchor
        matches = assign_labels(labels, (shape[1], shape[2]), anchors, self.settings.anchor_t)
        found = tf.gather(cells, matches.cells)
        weight = tf.cast(matches.valid, tf.float32)
        count = tf.maximum(_over_replicas(tf.reduce_sum(weight)), 1.0)

        iou = ciou(decode_local(found, matches), matches.boxes_xywh_cells)
        iou = tf.where(matches.valid, iou, 0.0)
        box = tf.reduce_sum(weight * (1.0 - iou)) / count
        target = objectness_targets(tf.maximum(tf.stop_gradient(iou), 0.0), matches, tf.shape(cells)[0])
        s = self.settings
        objectness = tf.reduce_mean(self._entropy(cells[:, 4], target, s.obj_pw)) / _replicas()
        if self.classes == 1:
            return box, objectness, tf.constant(0.0)
        smooth = s.label_smoothing
        truth = tf.one_hot(matches.classes, self.classes, 1.0 - 0.5 * smooth, 0.5 * smooth)
        entropy = tf.reduce_mean(self._entropy(found[:, 5:], truth, s.cls_pw), -1)
        return box, objectness, tf.reduce_sum(weight * entropy) / count

    def _entropy(self, logits: Any, truth: Any, positive_weight: float) -> Any:
        """Binary cross-entropy, element by element, focal if asked for.

        Source: Lin et al. 2017, Focal Loss, eq. 5, with soft targets.
        """
        if positive_weight == 1.0:
            entropy = tf.nn.sigmoid_cross_entropy_with_logits(truth, logits)
        else:
            entropy = tf.nn.weighted_cross_entropy_with_logits(truth, logits, positive_weight)
        gamma = self.settings.fl_gamma
        if gamma == 0.0:
            return entropy
        probability = tf.sigmoid(logits)
        agreement = truth * probability + (1.0 - truth) * (1.0 - probability)
        alpha = truth * FOCAL_ALPHA + (1.0 - truth) * (1.0 - FOCAL_ALPHA)
        # The power's slope is infinite at 0 for gamma below 1.
        return entropy * alpha * tf.pow(tf.maximum(1.0 - agreement, 1e-9), gamma)


def _replicas() -> int:
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def _over_replicas(value: Any) -> Any:
    """The sum over all devices: a mean is to be that of the whole batch, whatever the devices' shares."""
    if _replicas() == 1:
        return value
    return tf.distribute.get_replica_context().all_reduce("sum", value)


def objectness_targets(iou: Any, matches: Assignment, size: Any) -> Any:
    """(size,) overlap that each prediction is to announce; 0 where no label is its own.

    Where several labels meet in one prediction, the last in `matches.order` counts, whatever the order in
    which a device writes.
    """
    at = matches.cells[:, None]
    last = tf.tensor_scatter_nd_max(tf.zeros([size], tf.int32), at, matches.order)
    counts = matches.valid & (tf.gather(last, matches.cells) == matches.order)
    return tf.tensor_scatter_nd_max(tf.zeros([size]), at, tf.where(counts, iou, 0.0))


def decode_local(found: Any, matches: Assignment) -> Any:
    """(n, 4) predicted boxes: center from the cell's corner, and size, in cells (the v6.0 head)."""
    xy = 2.0 * tf.sigmoid(found[:, 0:2]) - 0.5
    wh = tf.square(2.0 * tf.sigmoid(found[:, 2:4])) * matches.anchors_wh_cells
    return tf.concat([xy, wh], -1)


def ciou(a_xywh: Any, b_xywh: Any, eps: float = 1e-7) -> Any:
    """Complete IoU of boxes, pair by pair, differentiable in both.

    Args:
        a_xywh: (n, 4) center, width and height, any unit.
        b_xywh: the same.
        eps: keeps boxes without area finite.

    Returns:
        (n,) at most 1.

    Source: Zheng et al. 2020, Distance-IoU Loss, eq. 10 to 12. The weight of the aspect term is a constant
    in the gradient.
    """
    (ax, ay, aw, ah), (bx, by, bw, bh) = (tf.unstack(box, axis=-1) for box in (a_xywh, b_xywh))
    half = 0.5
    left, right = ax - half * aw, ax + half * aw
    top, bottom = ay - half * ah, ay + half * ah
    b_left, b_right = bx - half * bw, bx + half * bw
    b_top, b_bottom = by - half * bh, by + half * bh
    inter = tf.maximum(tf.minimum(right, b_right) - tf.maximum(left, b_left), 0.0) * tf.maximum(
        tf.minimum(bottom, b_bottom) - tf.maximum(top, b_top), 0.0
    )
    union = aw * (ah + eps) + bw * (bh + eps) - inter + eps
    iou = inter / union
    hull_w = tf.maximum(right, b_right) - tf.minimum(left, b_left)
    hull_h = tf.maximum(bottom, b_bottom) - tf.minimum(top, b_top)
    diagonal = tf.square(hull_w) + tf.square(hull_h) + eps
    distance = tf.square(ax - bx) + tf.square(ay - by)
    aspect = 4 / math.pi**2 * tf.square(tf.atan(bw / (bh + eps)) - tf.atan(aw / (ah + eps)))
    alpha = tf.stop_gradient(aspect / (aspect - iou + (1.0 + eps)))
    return iou - distance / diagonal - alpha * aspect
