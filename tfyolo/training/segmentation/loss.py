"""Loss of segmentation models: that of detectors, and binary cross-entropy of masks inside of their boxes.

Source: Bolya et al. 2019, YOLACT, section 3.3; reductions and gains are those of YOLOv5 v7.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tfyolo.training.detection.label_assignment import assign_labels
from tfyolo.training.detection.loss import DetectionLoss, LossOptions, replicas

LOSSES = ("box_loss", "seg_loss", "obj_loss", "cls_loss")
"""Names in logs and in results.csv."""


class SegmentationLosses(NamedTuple):
    """Losses of a batch, float32.

    Attributes:
        total: scalar, batch size * (box + seg + obj + cls), which gradients are computed of.
        box: scalar, box loss times its gain.
        seg: scalar, mask loss times the gain of the box loss.
        obj: scalar, objectness loss times its gain.
        cls: scalar, class loss times its gain.
        objectness_by_scale: (scales,) objectness loss per feature map without weights, for autobalance.
    """

    total: Any
    box: Any
    seg: Any
    obj: Any
    cls: Any
    objectness_by_scale: Any


class SegmentationLoss:
    """Computes the loss of raw heads, prototypes, labels and masks.

    Args:
        anchors_px: per feature map width, height, width, height, ... in pixels, as in `ModelSpec`.
        strides: per feature map, in pixels.
        classes: number of classes.
        coefficients: number of mask coefficients per box, and of prototypes.
        settings: gains and other hyperparameters; defaults to those of YOLOv5.

    Example:
        >>> loss = SegmentationLoss(spec.anchors_px, spec.strides, spec.num_classes, 32)  # doctest: +SKIP
        >>> *heads, prototypes = network(images, training=True)  # doctest: +SKIP
        >>> loss(heads, prototypes, labels, masks).total  # doctest: +SKIP
    """

    def __init__(
        self,
        anchors_px: Sequence[Sequence[float]],
        strides: Sequence[int],
        classes: int,
        coefficients: int,
        settings: LossOptions | None = None,
    ) -> None:
        self.boxes = DetectionLoss(anchors_px, strides, classes, settings or LossOptions(), coefficients)
        self.coefficients = coefficients

    def __call__(
        self, heads: Sequence[Any], prototypes: Any, labels: Any, masks: Any, balance: Any = None
    ) -> SegmentationLosses:
        """Compute the loss.

        Args:
            heads: per feature map (batch, height, width, anchors * (5 + classes + coefficients)) logits, any
                float type.
            prototypes: (batch, mask height, mask width, coefficients), any float type.
            labels: float32 (batch, boxes, 5): class id, then center x, center y, width and height relative to
                the image; rows with class id -1 are padding.
            masks: either (batch, height, width), where k marks the pixels of row k - 1 of `labels`, or
                (batch, boxes, height, width) in 0..1, one mask per label. Masks of another size than the
                prototypes are resized.
            balance: (scales,) weights of the objectness losses; default to those of YOLOv5.

        Returns:
            The losses; on several devices the share of this device.
        """
        found = self.boxes(heads, labels, balance)
        labels = tf.cast(labels, tf.float32)
        prototypes = tf.cast(prototypes, tf.float32)
        masks = resize_masks(
            tf.convert_to_tensor(masks), (prototypes.shape[1], prototypes.shape[2]), tf.shape(prototypes)[1:3]
        )
        seg = tf.add_n([self._scale(head, prototypes, labels, masks, i) for i, head in enumerate(heads)])
        batch = tf.cast(tf.shape(labels)[0], tf.float32) * replicas()
        seg = seg * self.boxes.settings.box / batch
        return SegmentationLosses(
            found.total + seg * batch, found.box, seg, found.obj, found.cls, found.objectness_by_scale
        )

    def _scale(self, head: Any, prototypes: Any, labels: Any, masks: Any, index: int) -> Any:
        """Return the mask loss of one feature map: the mean over positives per image, summed over images."""
        shape, batch = tf.shape(head), tf.shape(labels)[0]
        anchors = self.boxes.anchors_wh_cells[index]
        matches = assign_labels(labels, (shape[1], shape[2]), anchors, self.boxes.settings.anchor_t)
        values = tf.reshape(head, [-1, 5 + self.boxes.classes + self.coefficients])
        coefficients = tf.cast(tf.gather(values[:, -self.coefficients :], matches.cells), tf.float32)
        candidates = tf.shape(labels)[1] * (tf.size(matches.cells) // tf.maximum(tf.size(labels) // 5, 1))
        coefficients = tf.reshape(coefficients, [batch, candidates, self.coefficients])
        valid = tf.reshape(matches.valid, [batch, candidates])
        # One image after another: the number of positives differs, and masks padded to the largest number of
        # a batch would take many times the memory.
        losses = tf.map_fn(
            lambda image: _image_loss(*image),
            (coefficients, valid, prototypes, labels[..., 1:5], masks),
            fn_output_signature=tf.float32,
        )
        return tf.reduce_sum(losses)


def _image_loss(coefficients: Any, valid: Any, prototypes: Any, boxes_xywh_norm: Any, masks: Any) -> Any:
    """Return the mask loss of one image and feature map: the mean over positives.

    Args:
        coefficients: float32 (candidates, k), of the predictions that labels are assigned to.
        valid: bool (candidates,), True for positives; each label has equally many candidates.
        prototypes: float32 (height, width, k).
        boxes_xywh_norm: (boxes, 4) labels, relative to the image.
        masks: index mask (height, width), or one mask per label (boxes, height, width).
    """
    positives = tf.cast(tf.where(valid)[:, 0], tf.int32)
    rows = positives // tf.maximum(tf.size(valid) // tf.maximum(tf.shape(boxes_xywh_norm)[0], 1), 1)
    logits = tf.einsum("pk,hwk->phw", tf.gather(coefficients, positives), prototypes)
    boxes = tf.gather(boxes_xywh_norm, rows)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(_targets(masks, rows), logits)
    # The mean over the whole map, relative to the area of the box.
    each = tf.reduce_mean(entropy * _inside(boxes, tf.shape(logits)), [1, 2]) / (boxes[:, 2] * boxes[:, 3])
    return tf.reduce_sum(each) / tf.cast(tf.maximum(tf.size(positives), 1), tf.float32)


def resize_masks(masks: Any, static_size: tuple[int | None, int | None], size: Any) -> Any:
    """Resize masks to the size of the prototypes with the nearest neighbor, as YOLOv5 does.

    Args:
        masks: (..., height, width) of any type.
        static_size: height and width of the prototypes as far as the graph knows them; equal sizes need no
            operation.
        size: int32 (2,) height and width of the prototypes.

    Returns:
        Masks of the same type.
    """
    if tuple(masks.shape[-2:]) == tuple(static_size) and None not in static_size:
        return masks
    given = tf.shape(masks)[-2:]
    for axis in (0, 1):
        source = tf.range(size[axis]) * given[axis] // size[axis]
        masks = tf.gather(masks, source, axis=masks.shape.rank - 2 + axis)
    return masks


def _targets(masks: Any, rows: Any) -> Any:
    """Return the mask of each positive.

    Args:
        masks: index mask (height, width), or one mask per label (boxes, height, width).
        rows: (positives,) index of the label.

    Returns:
        float32 (positives, height, width).
    """
    if masks.shape.rank == 3:
        return tf.cast(tf.gather(masks, rows), tf.float32)
    return tf.cast(tf.cast(masks, tf.int32) == rows[:, None, None] + 1, tf.float32)


def _inside(boxes_xywh_norm: Any, shape: Any) -> Any:
    """Return 1 for pixels of a mask inside of its box, else 0.

    Args:
        boxes_xywh_norm: (positives, 4) center, width and height relative to the image.
        shape: shape of the masks, (positives, height, width).

    Returns:
        float32 (positives, height, width).
    """
    size = tf.cast(tf.stack([shape[2], shape[1]]), tf.float32)
    center, half = boxes_xywh_norm[:, :2] * size, boxes_xywh_norm[:, 2:] * size / 2
    low, high = center - half, center + half
    x, y = (tf.range(side, dtype=tf.float32) for side in (size[0], size[1]))
    across = (x >= low[:, :1]) & (x < high[:, :1])  # (positives, width)
    down = (y >= low[:, 1:]) & (y < high[:, 1:])
    return tf.cast(down[:, :, None] & across[:, None, :], tf.float32)
