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
        valid = tf.reshape(matches.valid, [batch, -1])  # (batch, candidates)
        # Most candidates are no positives, and a mask per candidate would not fit into memory: the positives
        # of each image are moved to the front, up to the largest number in the batch.
        count = tf.reduce_sum(tf.cast(valid, tf.int32), 1)
        most = tf.reduce_max(count)
        first = tf.argsort(tf.cast(valid, tf.int32), direction="DESCENDING", stable=True)[:, :most]
        weight = tf.cast(tf.gather(valid, first, batch_dims=1), tf.float32)  # (batch, positives)
        cells = tf.gather(tf.reshape(matches.cells, [batch, -1]), first, batch_dims=1)
        values = tf.reshape(head, [-1, 5 + self.boxes.classes + self.coefficients])
        coefficients = tf.cast(tf.gather(values[:, -self.coefficients :], cells), tf.float32)
        logits = tf.einsum("bpk,bhwk->bphw", coefficients, prototypes)

        candidates = tf.shape(valid)[1] // tf.maximum(tf.shape(labels)[1], 1)
        rows = first // tf.maximum(candidates, 1)  # of the labels
        boxes = tf.gather(labels[..., 1:5], rows, batch_dims=1)
        targets = _targets(masks, rows)
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits) * _inside(boxes, tf.shape(logits))
        # The mean over the whole map, relative to the area of the box.
        area = tf.where(weight > 0, boxes[..., 2] * boxes[..., 3], 1.0)
        each = tf.reduce_mean(entropy, [2, 3]) / area
        by_image = tf.reduce_sum(each * weight, 1) / tf.cast(tf.maximum(count, 1), tf.float32)
        return tf.reduce_sum(by_image)


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
        masks: index masks (batch, height, width), or one mask per label (batch, boxes, height, width).
        rows: (batch, positives) index of the label.

    Returns:
        float32 (batch, positives, height, width).
    """
    if masks.shape.rank == 4:
        return tf.cast(tf.gather(masks, rows, batch_dims=1), tf.float32)
    return tf.cast(tf.cast(masks, tf.int32)[:, None] == rows[:, :, None, None] + 1, tf.float32)


def _inside(boxes_xywh_norm: Any, shape: Any) -> Any:
    """Return 1 for pixels of a mask inside of its box, else 0.

    Args:
        boxes_xywh_norm: (batch, positives, 4) center, width and height relative to the image.
        shape: shape of the masks, (batch, positives, height, width).

    Returns:
        float32 (batch, positives, height, width).
    """
    size = tf.cast(tf.stack([shape[3], shape[2]]), tf.float32)
    center, half = boxes_xywh_norm[..., :2] * size, boxes_xywh_norm[..., 2:] * size / 2
    low, high = center - half, center + half
    x, y = (tf.range(side, dtype=tf.float32) for side in (size[0], size[1]))
    across = (x >= low[..., :1]) & (x < high[..., :1])  # (batch, positives, width)
    down = (y >= low[..., 1:]) & (y < high[..., 1:])
    return tf.cast(down[..., :, None] & across[..., None, :], tf.float32)
