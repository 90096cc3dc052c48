"""Training batches of a detector or a segmentation model, in tf.data and TensorFlow operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfyolo.data.augment.compose import Composer
from tfyolo.data.augment.options import AugmentationOptions
from tfyolo.data.caches.image_table import ImageTable
from tfyolo.data.detection.sample import Sample
from tfyolo.data.segmentation.masks import draw_masks, resize_masks
from tfyolo.data.segmentation.options import MaskOptions
from tfyolo.errors import TfyoloError

_BOXES_MULTIPLE = 16
_MULTI_SCALE = (0.5, 1.5)


@dataclass(frozen=True)
class PipelineOptions:
    """Options of a pipeline.

    Attributes:
        image_size: side of the training images in pixels; a multiple of `stride`.
        batch: images per batch, of all workers together.
        seed: seed of all random numbers.
        rect: rectangular batches of images with similar aspect ratios, without mosaics.
        multi_scale: resize each batch to a random size between 0.5 and 1.5 times `image_size`.
        cache: cache decoded images in `ram` or on `disk` (the cache folder); `none` disables it.
        max_boxes: rows of labels per image; defaults to as many as a batch needs.
        stride: largest stride of the network.
        single_cls: give all labels class 0.
        deterministic: return batches in the same order in every run; False is slightly faster.
        masks: masks for a segmentation model; None for a detector.
    """

    image_size: int = 640
    batch: int = 16
    seed: int = 0
    rect: bool = False
    multi_scale: bool = False
    cache: str = "none"
    max_boxes: int | None = None
    stride: int = 32
    single_cls: bool = False
    deterministic: bool = True
    masks: MaskOptions | None = None


class Pipeline:
    """Batches of augmented images and labels of a split.

    Epoch e depends only on the seed and e, so a resumed run gets the same batches as an uninterrupted one.
    Every batch is full: an epoch is a permutation of the images, and its last batch is filled from the start
    of the permutation.

    Args:
        samples: images with their labels, from a scan.
        augmentation: hyperparameters; None only letterboxes, in the order of `samples`.
        options: image size, batch size, seed, cache.
        progress: called as `progress(done, total)` while images are cached.

    Raises:
        TfyoloError: there are no samples, or TensorFlow cannot decode an image.

    Example:
        >>> from tfyolo.data.detection.scan import read_dataset, scan_split
        >>> samples = scan_split(read_dataset("bccd-mini"), "train").samples
        >>> pipeline = Pipeline(samples, AugmentationOptions(), PipelineOptions(image_size=320))
        >>> images, labels = next(iter(pipeline.stream()))
        >>> images.shape, labels.shape[::2]
        (TensorShape([16, 320, 320, 3]), TensorShape([16, 5]))
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        augmentation: AugmentationOptions | None,
        options: PipelineOptions,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        if not samples:
            raise TfyoloError("there are no images to train on")
        if options.image_size % options.stride:
            nearest = max(round(options.image_size / options.stride), 1) * options.stride
            raise TfyoloError(
                f"the image size {options.image_size} is not a multiple of the stride {options.stride}",
                fix=f"use --img {nearest}",
            )
        masks = options.masks
        if masks is not None and (masks.ratio < 1 or options.stride % masks.ratio):
            raise TfyoloError(
                f"the mask ratio {masks.ratio} does not divide the stride {options.stride}",
                fix="use a power of two, such as 4",
            )
        self.options, self.augmentation = options, augmentation
        self.size = len(samples)
        self.steps_per_epoch = math.ceil(self.size / options.batch)
        outlines = masks is not None
        self.table = ImageTable(
            samples, options.image_size, options.single_cls, options.cache, progress, outlines
        )
        self._composer = Composer(
            self.table, augmentation, options.image_size, options.seed, not options.rect, outlines
        )
        self._order, self._batch_hw = _plan(samples, options)

    def stream(
        self,
        first_epoch: int = 0,
        epochs: int | None = None,
        *,
        image_weights: np.ndarray | None = None,
        shard: tuple[int, int] = (0, 1),
    ) -> tf.data.Dataset:
        """Return batches from the start of an epoch.

        Args:
            first_epoch: counted from 0.
            epochs: number of epochs; endless by default.
            image_weights: (n,) sampling weights of images; replaces the permutation.
            shard: (i, k): the i-th of k equal parts of each batch, for the i-th of k workers.

        Returns:
            A `tf.data.Dataset` of `images`, uint8 (batch, height, width, 3) RGB, and `labels`, float32
            (batch, boxes, 5): class id, center and size relative to the image; rows with class id -1 are
            padding. With masks, instead of `labels` a dictionary of `labels` and `masks`: int32 (batch,
            height / ratio, width / ratio), where k marks the pixels of row k - 1 of the labels and 0 none,
            or without `overlap` uint8 (batch, boxes, height / ratio, width / ratio), one mask per row.

        Raises:
            TfyoloError: the batch size is not divisible by the number of shards.
        """
        index, parts = shard
        if self.options.batch % parts:
            raise TfyoloError(
                f"a batch of {self.options.batch} images cannot be split evenly among {parts} workers",
                fix=f"use --batch-size {max(self.options.batch // parts, 1) * parts}",
            )
        weights = None if image_weights is None else _log(image_weights)
        last = None if epochs is None else first_epoch + epochs
        numbers = tf.data.Dataset.range(first_epoch, last if last is not None else tf.int64.max)
        # AutoGraph would find nothing to convert, and multiply the time of tracing.
        epoch, example, finish = map(
            tf.autograph.experimental.do_not_convert, (self._epoch, self._example, self._finish)
        )
        data = numbers.flat_map(lambda number: epoch(number, weights, index, parts))
        data = data.map(example, tf.data.AUTOTUNE, deterministic=self.options.deterministic)
        size, boxes, masks = self.options.batch // parts, self.options.max_boxes, self.options.masks
        shapes: dict[str, list[int | None]] = {"labels": [boxes, 5]}
        fillers: dict[str, Any] = {"labels": -1.0}
        if masks is not None:
            shapes["masks"] = [None, None] if masks.overlap else [boxes, None, None]
            fillers["masks"] = np.int32(0) if masks.overlap else np.uint8(0)
        data = data.padded_batch(
            size,
            ([], [None, None, 3], shapes),
            padding_values=(np.int64(0), np.uint8(114), fillers),
            drop_remainder=True,
        )
        return data.map(finish, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

    def _epoch(self, epoch: Any, weights: Any, index: int, parts: int) -> tf.data.Dataset:
        """Return triples (epoch, position, index of the image) of this worker's part of an epoch."""
        order = self._permutation(epoch, weights)
        total = self.steps_per_epoch * self.options.batch
        order = tf.tile(order, [math.ceil(total / self.size)])[:total]
        places = tf.range(total, dtype=tf.int64)
        if self._batch_hw is not None and self.augmentation is not None:  # whole batches change places
            batches = tf.random.experimental.stateless_shuffle(
                tf.range(self.steps_per_epoch), tf.stack([tf.constant(self.options.seed, tf.int64), epoch])
            )
            places = tf.reshape(tf.gather(tf.reshape(places, (self.steps_per_epoch, -1)), batches), [-1])
        share = self.options.batch // parts
        rows = tf.reshape(places, (self.steps_per_epoch, parts, share))[:, index]
        places = tf.reshape(rows, [-1])
        elements = epoch * total + places
        return tf.data.Dataset.from_tensor_slices((elements, places, tf.gather(order, places)))

    def _permutation(self, epoch: Any, weights: Any) -> Any:
        """Return (n,) indices of images in the order of an epoch."""
        seed = tf.stack([tf.constant(self.options.seed + 1, tf.int64), tf.cast(epoch, tf.int64)])
        if weights is not None:
            return tf.random.stateless_categorical(weights[None], self.size, seed, tf.int32)[0]
        order = tf.constant(self._order, tf.int32)
        if self.augmentation is None or self._batch_hw is not None:
            return order
        return tf.random.experimental.stateless_shuffle(order, seed)

    def _example(self, element: Any, position: Any, index: Any) -> tuple[Any, Any, dict[str, Any]]:
        size = self.options.image_size
        out_hw: Any = (size, size)
        if self._batch_hw is not None:
            out_hw = tf.unstack(tf.constant(self._batch_hw)[position // self.options.batch])
        image, labels, outlines = self._composer(index, element, tuple(out_hw))
        if self.options.max_boxes is not None:
            labels = labels[: self.options.max_boxes]
        targets = {"labels": labels}
        if self.options.masks is not None:
            count = tf.shape(labels)[0]
            targets["masks"] = draw_masks(outlines, count, tuple(out_hw), self.options.masks)
        return element, image, targets

    def _finish(self, elements: Any, images: Any, targets: dict[str, Any]) -> tuple[Any, Any]:
        labels = targets["labels"]
        labels = tf.where(labels[..., :1] < 0, tf.constant([-1.0, 0, 0, 0, 0]), labels)
        missing = tf.constant(0)
        if self.options.max_boxes is None:
            missing = -tf.shape(labels)[1] % _BOXES_MULTIPLE
            missing = tf.where(tf.shape(labels)[1] == 0, _BOXES_MULTIPLE, missing)
            filler = tf.tile(tf.constant([[[-1.0, 0, 0, 0, 0]]]), [tf.shape(labels)[0], missing, 1])
            labels = tf.concat([labels, filler], 1)
        fixed = self._batch_hw is None and not self.options.multi_scale
        if fixed:
            size = self.options.image_size
            images.set_shape((None, size, size, 3))
        if self.options.multi_scale:
            images = self._rescale(elements[0], images)
        if self.options.masks is None:
            return images, labels
        masks, ratio = targets["masks"], self.options.masks.ratio
        if not self.options.masks.overlap:
            masks = tf.pad(masks, [[0, 0], [0, missing], [0, 0], [0, 0]])
        if fixed:
            masks.set_shape((*masks.shape[:-2], size // ratio, size // ratio))
        if self.options.multi_scale:
            masks = resize_masks(masks, tf.shape(images)[1:3] // ratio)
        return images, {"labels": labels, "masks": masks}

    def _rescale(self, element: Any, images: Any) -> Any:
        """Resize a batch to a random multiple of the stride."""
        stride, size = self.options.stride, self.options.image_size
        batch = element // self.options.batch  # equal on all workers
        low, high = (round(size * factor / stride) for factor in _MULTI_SCALE)
        seed = tf.stack([tf.constant(self.options.seed + 2, tf.int64), batch])
        cells = tf.random.stateless_uniform([], seed, max(low, 1), high + 1, tf.int32)
        factor = tf.cast(cells * stride, tf.float32) / tf.cast(
            tf.reduce_max(tf.shape(images)[1:3]), tf.float32
        )
        sides = tf.cast(tf.shape(images)[1:3], tf.float32) * factor / stride
        target = tf.maximum(tf.cast(tf.round(sides), tf.int32), 1) * stride
        resized = tf.raw_ops.ResizeBilinear(images=images, size=target, half_pixel_centers=True)
        return tf.saturate_cast(resized + 0.5, tf.uint8)


def _plan(samples: Sequence[Sample], options: PipelineOptions) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the order of images and, for rectangular batches, (height, width) of each batch."""
    if not options.rect:
        return np.arange(len(samples)), None
    ratios = np.array([sample.hw[0] / sample.hw[1] for sample in samples])
    order = np.argsort(ratios, kind="stable")
    count = math.ceil(len(samples) / options.batch)
    filled = np.resize(order, count * options.batch).reshape(count, -1)
    sizes = []
    for batch in filled:
        part = ratios[batch]
        height, width = min(1.0, part.max()), min(1.0, 1 / part.min())
        sizes.append([math.ceil(side * options.image_size / options.stride) for side in (height, width)])
    return order, np.array(sizes, np.int32) * options.stride


def _log(weights: np.ndarray) -> Any:
    """Convert weights to logits."""
    return tf.math.log(tf.maximum(tf.constant(weights, tf.float32), 1e-12))
