"""Loss of YOLOv5: complete IoU of boxes, binary cross-entropy of objectness and of class scores."""

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
"""Weight of positives in the focal loss; negatives have 1 - alpha."""
_BALANCE = {3: (4.0, 1.0, 0.4)}
_BALANCE_DEFAULT = (4.0, 1.0, 0.25, 0.06, 0.02)


class Losses(NamedTuple):
    """Losses of a batch, float32.

    Attributes:
        total: scalar, batch size * (box + obj + cls), which gradients are computed of.
        box: scalar, box loss times its gain.
        obj: scalar, objectness loss times its gain.
        cls: scalar, class loss times its gain.
        objectness_by_scale: (scales,) objectness loss per feature map without weights, for autobalance.
    """

    total: Any
    box: Any
    obj: Any
    cls: Any
    objectness_by_scale: Any


@dataclass(frozen=True)
class LossOptions:
    """Hyperparameters of the loss, with YOLOv5's names.

    Attributes:
        box: gain of the box loss.
        obj: gain of the objectness loss.
        cls: gain of the class loss.
        obj_pw: weight of positives in the objectness loss.
        cls_pw: weight of positives in the class loss.
        fl_gamma: gamma of the focal loss; 0 disables it.
        label_smoothing: targets are 1 - label_smoothing / 2 and label_smoothing / 2.
        anchor_t: largest ratio of a side of a box to that of its anchor.
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
        """Return the hyperparameters of the loss among all hyperparameters of a run.

        Args:
            hyps: `Hyps` of the run.
        """
        return cls(**{name: getattr(hyps, name) for name in cls.__dataclass_fields__})

    def scaled(self, classes: int, scales: int, image_size: int) -> LossOptions:
        """Scale gains, which YOLOv5 defines for 80 classes, 3 feature maps and images of 640 pixels.

        The class loss is a mean over classes and the objectness loss one over grid cells: scaling keeps the
        balance of the three losses.

        Args:
            classes: number of classes.
            scales: number of feature maps.
            image_size: side of the training images in pixels.

        Returns:
            Options with scaled `box`, `cls` and `obj`.
        """
        from dataclasses import replace

        by_scales = 3 / scales
        return replace(
            self,
            box=self.box * by_scales,
            cls=self.cls * classes / 80 * by_scales,
            obj=self.obj * (image_size / 640) ** 2 * by_scales,
        )


class DetectionLoss:
    """Computes the loss of raw heads and labels.

    Args:
        anchors_px: per feature map width, height, width, height, ... in pixels, as in `ModelSpec`.
        strides: per feature map, in pixels.
        classes: number of classes.
        settings: gains and other hyperparameters.
        coefficients: number of mask coefficients per box, which have no part in this loss.

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
        coefficients: int = 0,
    ) -> None:
        if len(anchors_px) != len(strides):
            raise TfyoloError(f"{len(anchors_px)} rows of anchors, but {len(strides)} strides")
        self.classes, self.settings, self.coefficients = classes, settings, coefficients
        self.anchors_wh_cells = [
            tf.reshape(tf.constant(row, tf.float32), (-1, 2)) / stride
            for row, stride in zip(anchors_px, strides, strict=True)
        ]
        balance = _BALANCE.get(len(strides), _BALANCE_DEFAULT[: len(strides)])
        # The table is in the order of strides; v1.0 lists its scales the other way round.
        self.balance = tuple(balance[sorted(strides).index(stride)] for stride in strides)
        self.balance_reference = strides.index(16) if 16 in strides else 0
        """Index of the feature map whose weight autobalance keeps at 1."""

    def __call__(self, heads: Sequence[Any], labels: Any, balance: Any = None) -> Losses:
        """Compute the loss.

        Args:
            heads: per feature map (batch, height, width, anchors * (5 + classes + coefficients)) logits, any
                float type.
            labels: float32 (batch, boxes, 5): class id, then center x, center y, width and height relative to
                the image; rows with class id -1 are padding.
            balance: (scales,) weights of the objectness losses; default to those of YOLOv5.

        Returns:
            The losses; on several devices the share of this device: the sum over devices equals the losses of
            the whole batch on one device.
        """
        balance = tf.constant(self.balance, tf.float32) if balance is None else balance
        labels = tf.cast(labels, tf.float32)
        parts = [self._scale(head, labels, i) for i, head in enumerate(heads)]
        box, objectness, cls = (tf.stack(part) for part in zip(*parts, strict=True))
        s = self.settings
        box, cls = s.box * tf.reduce_sum(box), s.cls * tf.reduce_sum(cls)
        obj = s.obj * tf.reduce_sum(objectness * balance)
        batch = tf.cast(tf.shape(labels)[0], tf.float32) * replicas()
        return Losses((box + obj + cls) * batch, box, obj, cls, objectness)

    def _scale(self, head: Any, labels: Any, index: int) -> tuple[Any, Any, Any]:
        """Return box, objectness and class loss of one feature map, without gains."""
        anchors = self.anchors_wh_cells[index]
        shape, channels = tf.shape(head), 5 + self.classes + self.coefficients
        cells = tf.reshape(tf.cast(head, tf.float32), (-1, channels))  # one row per prediction
        matches = assign_labels(labels, (shape[1], shape[2]), anchors, self.settings.anchor_t)
        positives = tf.gather(cells, matches.cells)
        weight = tf.cast(matches.valid, tf.float32)
        count = tf.maximum(_over_replicas(tf.reduce_sum(weight)), 1.0)

        iou = ciou(decode_local(positives, matches), matches.boxes_xywh_cells)
        iou = tf.where(matches.valid, iou, 0.0)
        box = tf.reduce_sum(weight * (1.0 - iou)) / count
        target = objectness_targets(tf.maximum(tf.stop_gradient(iou), 0.0), matches, tf.shape(cells)[0])
        s = self.settings
        objectness = tf.reduce_mean(self._entropy(cells[:, 4], target, s.obj_pw)) / replicas()
        if self.classes == 1:
            return box, objectness, tf.constant(0.0)
        smooth = s.label_smoothing
        targets = tf.one_hot(matches.classes, self.classes, 1.0 - 0.5 * smooth, 0.5 * smooth)
        entropy = tf.reduce_mean(self._entropy(positives[:, 5 : 5 + self.classes], targets, s.cls_pw), -1)
        return box, objectness, tf.reduce_sum(weight * entropy) / count

    def _entropy(self, logits: Any, targets: Any, positive_weight: float) -> Any:
        """Return the element-wise binary cross-entropy, or the focal loss if `fl_gamma` is not 0.

        Args:
            logits: logits of any shape.
            targets: targets in 0..1, of the same shape.
            positive_weight: factor of the loss of positives.

        Source: Lin et al. 2017, Focal Loss for Dense Object Detection, eq. 5, with soft targets.
        """
        if positive_weight == 1.0:
            entropy = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
        else:
            entropy = tf.nn.weighted_cross_entropy_with_logits(targets, logits, positive_weight)
        gamma = self.settings.fl_gamma
        if gamma == 0.0:
            return entropy
        probability = tf.sigmoid(logits)
        agreement = targets * probability + (1.0 - targets) * (1.0 - probability)
        alpha = targets * FOCAL_ALPHA + (1.0 - targets) * (1.0 - FOCAL_ALPHA)
        # For gamma below 1 the derivative of the power is infinite at 0: the minimum keeps gradients finite.
        return entropy * alpha * tf.pow(tf.maximum(1.0 - agreement, 1e-9), gamma)


def replicas() -> int:
    """Return the number of devices that share a batch."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def _over_replicas(value: Any) -> Any:
    """Return the sum over all devices: means are computed over the whole batch, not per device."""
    if replicas() == 1:
        return value
    return tf.distribute.get_replica_context().all_reduce("sum", value)


def objectness_targets(iou: Any, matches: Assignment, size: Any) -> Any:
    """Return the objectness target of each prediction: IoU with the assigned box, 0 for negatives.

    If several labels are assigned to one prediction, that of the highest `order` counts. Scatter operations
    write duplicates in an undefined order, therefore the highest order is determined first.

    Args:
        iou: (n,) IoU of predicted and assigned boxes, at least 0.
        matches: the assignment.
        size: number of predictions.

    Returns:
        float32 (size,).
    """
    at = matches.cells[:, None]
    last = tf.tensor_scatter_nd_max(tf.zeros([size], tf.int32), at, matches.order)
    counts = matches.valid & (tf.gather(last, matches.cells) == matches.order)
    return tf.tensor_scatter_nd_max(tf.zeros([size]), at, tf.where(counts, iou, 0.0))


def decode_local(found: Any, matches: Assignment) -> Any:
    """Decode the boxes of assigned predictions.

    Centers reach from -0.5 to 1.5 cells, so that neighbors of the center cell can predict a box; sizes reach
    4 times the anchor, which is also the limit of label assignment.

    Args:
        found: (n, 5 + classes) logits.
        matches: the assignment.

    Returns:
        (n, 4) center relative to the corner of the grid cell, width and height, in cells.

    Source: YOLOv5 v6.0, Detect layer; Wang et al. 2020, Scaled-YOLOv4, for the sigmoid of sizes.
    """
    xy = 2.0 * tf.sigmoid(found[:, 0:2]) - 0.5
    wh = tf.square(2.0 * tf.sigmoid(found[:, 2:4])) * matches.anchors_wh_cells
    return tf.concat([xy, wh], -1)


def ciou(a_xywh: Any, b_xywh: Any, eps: float = 1e-7) -> Any:
    """Compute the complete IoU of pairs of boxes, differentiable in both.

    IoU, minus the squared distance of centers relative to the diagonal of the enclosing box, minus a term for
    different aspect ratios: unlike IoU, it has a gradient for boxes that do not overlap.

    Args:
        a_xywh: (n, 4) center x, center y, width, height in any unit.
        b_xywh: (n, 4) in the same unit.
        eps: added to denominators; keeps the result finite for boxes without area.

    Returns:
        (n,) CIoU, at most 1, which it is for equal boxes.

    Source: Zheng et al. 2020, Distance-IoU Loss, eq. 10 to 12. The weight of the aspect term is constant in
    the gradient, as in the code of the authors.
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
