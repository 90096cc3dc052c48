"""Images and labels of a batch: what the losses read, and how a batch that they would misread is refused.

Any source can make the batches of `fit`, so the checks are part of the graph and see every batch. XLA leaves
them out (`jit_compile=True`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import tensorflow as tf

from tfyolo.errors import TfyoloError


class _Check(NamedTuple):
    """What values have to be.

    Attributes:
        sentence: what is wrong with `{value}`, the value farthest outside.
        fix: the remedy.
        slack: how far outside values may be: a cubic filter overshoots, float16 rounds.
    """

    sentence: str
    fix: str
    slack: float = 0.0


_CHECKS = {
    "float images": _Check(
        "float images must have values in 0..1, not {value:g}",
        "divide them by 255, or pass uint8 images",
        slack=0.1,
    ),
    "integer images": _Check("integer images must have values in 0..255, not {value:g}", "pass uint8 images"),
    "boxes": _Check(
        "boxes must be fractions of the image, in 0..1, not {value:g}",
        "divide center x and width by the width of the image, center y and height by its height",
        slack=0.01,
    ),
    "image channels": _Check(
        "images must have the shape (batch, height, width, 3), not (..., {value:g})",
        "pass RGB images in batches",
    ),
    "label columns": _Check(
        "labels must have the shape (batch, boxes, 5), not (..., {value:g})",
        "give each box a row of class id, center x, center y, width, height; class id -1 is padding",
    ),
    "class columns": _Check(
        "labels must have a column per class of the model, not {value:g}",
        "pass labels of these classes",
    ),
    "classes": _Check(
        "the labels have the class id {value:g}, but the model does not",
        "count class ids from 0, and make the model with the classes of the data",
    ),
}
_FOUND = re.compile(rf"\[tfyolo: ({'|'.join(_CHECKS)})\] \[([^\]]*)\]")


def unit_images(images: Any) -> Any:
    """Return images as float32 in 0..1.

    Args:
        images: (batch, height, width, 3) RGB: integers in 0..255, or floats in 0..1.
    """
    images = tf.convert_to_tensor(images)
    return tf.cast(images, tf.float32) / (255.0 if images.dtype.is_integer else 1.0)


def checked_images(images: Any) -> Any:
    """Return images of a batch unchanged.

    Args:
        images: (batch, height, width, 3) RGB: integers in 0..255, or floats in 0..1.

    Raises:
        TfyoloError: another shape; in eager mode other values, too.
    """
    images = tf.convert_to_tensor(images)
    if not _fits(images, 4, 3):
        raise TfyoloError(
            f"images must have the shape (batch, height, width, 3), not {_shape(images)}",
            fix=_CHECKS["image channels"].fix,
        )
    images = _require_last(images, 3, "image channels")
    if images.dtype == tf.uint8:
        return images
    check, highest = ("integer images", 255.0) if images.dtype.is_integer else ("float images", 1.0)
    return _require(images, images, highest, check)


def checked_boxes(labels: Any, num_classes: int) -> Any:
    """Return labels of boxes unchanged.

    Args:
        labels: (batch, boxes, 5): class id, then center x, center y, width and height relative to the image;
            rows with a negative class id are padding.
        num_classes: number of classes of the model.

    Raises:
        TfyoloError: another shape; in eager mode other values, too.
    """
    labels = tf.convert_to_tensor(labels)
    if not _fits(labels, 3, 5):
        raise TfyoloError(
            f"labels must have the shape (batch, boxes, 5), not {_shape(labels)}",
            fix=_CHECKS["label columns"].fix,
        )
    labels = _require_last(labels, 5, "label columns")
    values = tf.cast(labels, tf.float32)
    filled = values[..., :1] >= 0
    labels = _require(labels, tf.where(filled, values[..., :1], 0.0), num_classes - 1.0, "classes")
    return _require(labels, tf.where(filled, values[..., 1:], 0.0), 1.0, "boxes")


def checked_classes(labels: Any, num_classes: int) -> Any:
    """Return labels of a classifier as a probability per class.

    Args:
        labels: (batch, num_classes) probabilities, or integer class ids (batch,) or (batch, 1).
        num_classes: number of classes of the model.

    Returns:
        float32 (batch, num_classes).

    Raises:
        TfyoloError: another shape; in eager mode class ids that the model does not have, too.
    """
    labels = tf.convert_to_tensor(labels)
    if labels.shape.rank is None:  # traced for labels of different ranks
        rows = tf.shape(labels)[0]
        labels = tf.reshape(labels, [rows, -1])
        if labels.dtype.is_integer:
            labels = tf.ensure_shape(labels, [None, 1])
    if labels.dtype.is_integer and (labels.shape.rank == 1 or labels.shape[1:] == (1,)):
        class_ids = tf.reshape(labels, [-1])
        class_ids = _require(class_ids, tf.cast(class_ids, tf.float32), num_classes - 1.0, "classes")
        return tf.one_hot(class_ids, num_classes)
    if _fits(labels, 2, num_classes):
        return tf.cast(_require_last(labels, num_classes, "class columns"), tf.float32)
    raise TfyoloError(
        f"labels must be (batch, {num_classes}) with one probability per class, or integer class ids "
        f"(batch,), not {labels.dtype.name} {_shape(labels)}",
        fix="pass the labels of tfyolo.ClassificationData, or those of the classes of the model",
    )


@contextmanager
def refusals() -> Iterator[None]:
    """Raise what a check in the graph has found as a `TfyoloError` in a `with` block."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        found = _FOUND.search(str(error))
        if found is None:
            raise
        raise _refused(found[1], float(found[2])) from None


def _require(passed_on: Any, values: Any, highest: float, check: str) -> Any:
    """Return `passed_on`, once all values are numbers between 0 and `highest`."""
    values = tf.cast(tf.reshape(values, [-1]), tf.float32)
    values = tf.concat([values, [0.0]], 0)  # a batch can be without boxes
    outside = tf.maximum(-values, values - highest)
    outside = tf.where(tf.math.is_nan(values), float("inf"), outside)
    farthest = tf.argmax(outside)
    is_right, worst = outside[farthest] <= _CHECKS[check].slack, values[farthest]
    if tf.executing_eagerly():
        if not is_right:
            raise _refused(check, float(worst))
        return passed_on
    with tf.control_dependencies([tf.debugging.Assert(is_right, [f"tfyolo: {check}", worst])]):
        return tf.identity(passed_on)


def _require_last(tensor: Any, last: int, check: str) -> Any:
    """Return `tensor`, whose last dimension is checked in the graph if it is unknown until then.

    A step that has been traced for batches of several shapes knows only the dimensions that they share.
    """
    if tensor.shape.rank is not None and tensor.shape[-1] is not None:
        return tensor
    size = tf.shape(tensor)[-1]
    with tf.control_dependencies([tf.debugging.Assert(tf.equal(size, last), [f"tfyolo: {check}", size])]):
        return tf.identity(tensor)


def _refused(check: str, value: float) -> TfyoloError:
    return TfyoloError(_CHECKS[check].sentence.format(value=value), fix=_CHECKS[check].fix)


def _fits(tensor: Any, rank: int, last: int) -> bool:
    """Return whether a shape is right, as far as a `tf.data` pipeline knows it."""
    return tensor.shape.rank is None or (tensor.shape.rank == rank and tensor.shape[-1] in (last, None))


def _shape(tensor: Any) -> str:
    return "(" + ", ".join("batch" if side is None else str(side) for side in tensor.shape) + ")"
