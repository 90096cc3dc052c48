"""Training batches of a classifier, in tf.data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfyolo.data.caches.image_table import ImageTable
from tfyolo.data.classification.augment import (
    BatchAugmenter,
    ClassificationAugmentationOptions,
    ImageAugmenter,
    middle,
)
from tfyolo.data.detection.sample import Sample
from tfyolo.errors import TfyoloError

_DETAIL = 2
"""Images are decoded no smaller than this times the input, since a random crop shows a part of them."""
_AUTO_CACHE_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True)
class ClassificationPipelineOptions:
    """Options of a pipeline.

    Attributes:
        image_size: side of the images in pixels.
        batch: images in a batch.
        seed: seed of all random numbers.
        cache: cache decoded images in `ram` or on `disk` (the cache folder); `none` disables it, and `auto`
            uses `ram` for up to 512 MiB of images.
    """

    image_size: int = 224
    batch: int = 64
    seed: int = 0
    cache: str = "auto"


class ClassificationPipeline:
    """Batches of images and class labels, for Keras' `fit` or a custom loop.

    Epoch e depends only on the seed and e. Every batch is full: an epoch is a permutation of the images, and
    its last batch is filled from the start of the permutation.

    Args:
        samples: from `scan_folders`.
        classes: number of classes.
        augmentation: hyperparameters; None uses the center crop of each image, in the order of `samples`.
        options: image size, batch size, seed, cache.
        progress: called as `progress(done, total)` while images are cached.

    Raises:
        TfyoloError: there are no samples, or TensorFlow cannot decode an image.

    Example:
        >>> options = ClassificationAugmentationOptions()
        >>> pipeline = ClassificationPipeline(scan.samples, 3, options)  # doctest: +SKIP
        >>> images, labels = next(iter(pipeline.stream()))  # doctest: +SKIP
        >>> images.shape, labels.shape  # doctest: +SKIP
        (TensorShape([64, 224, 224, 3]), TensorShape([64, 3]))
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        classes: int,
        augmentation: ClassificationAugmentationOptions | None,
        options: ClassificationPipelineOptions = ClassificationPipelineOptions(),
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        if not samples:
            raise TfyoloError("there are no images to train on")
        self.options, self.augmentation, self.classes, self.size = (
            options,
            augmentation,
            classes,
            len(samples),
        )
        self.steps_per_epoch = math.ceil(self.size / options.batch)
        detail, cache = _DETAIL * options.image_size, options.cache
        if cache == "auto":
            cache = "ram" if _decoded_bytes(samples, detail) <= _AUTO_CACHE_BYTES else "none"
        self.table = ImageTable(samples, detail, cache=cache, progress=progress)
        self.labels = tf.constant(np.array([sample.classes[0] for sample in samples]), tf.int32)
        self._one = self._all = None
        if augmentation is not None:
            self._one = ImageAugmenter(augmentation, options.image_size, options.seed)
            if augmentation.mixup or augmentation.cutmix:
                self._all = BatchAugmenter(augmentation, options.seed)

    def stream(self, first_epoch: int = 0, epochs: int | None = None) -> tf.data.Dataset:
        """Return batches from the start of an epoch.

        Args:
            first_epoch: counted from 0.
            epochs: number of epochs; endless by default.

        Returns:
            A `tf.data.Dataset` of `images`, float32 (batch, size, size, 3) RGB in 0..1, and `labels`, float32
            (batch, classes), whose rows sum to 1.
        """
        last = tf.int64.max if epochs is None else first_epoch + epochs
        # AutoGraph would find nothing to convert, and double the time of tracing.
        epoch, example, finish = map(
            tf.autograph.experimental.do_not_convert, (self._epoch, self._example, self._finish)
        )
        data = tf.data.Dataset.range(first_epoch, last).flat_map(epoch)
        data = data.map(example, tf.data.AUTOTUNE, deterministic=True)
        data = data.batch(self.options.batch, drop_remainder=True)
        return data.map(finish, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)

    def _epoch(self, epoch: Any) -> tf.data.Dataset:
        """Return pairs of (element, index of the image) of an epoch."""
        order = tf.range(self.size)
        if self.augmentation is not None:
            seed = tf.stack([tf.constant(self.options.seed + 1, tf.int64), epoch])
            order = tf.random.experimental.stateless_shuffle(order, seed)
        total = self.steps_per_epoch * self.options.batch
        order = tf.tile(order, [math.ceil(total / self.size)])[:total]
        return tf.data.Dataset.from_tensor_slices((epoch * total + tf.range(total, dtype=tf.int64), order))

    def _example(self, element: Any, index: Any) -> tuple[Any, Any, Any]:
        pixels, size = self.table.pixels(index), self.options.image_size
        image = middle(pixels, size) if self._one is None else self._one(pixels, element)
        image = tf.ensure_shape(image, (size, size, 3))
        return element, image, tf.one_hot(self.labels[index], self.classes)

    def _finish(self, elements: Any, images: Any, labels: Any) -> tuple[Any, Any]:
        if self._all is None:
            return images, labels
        return self._all(images, labels, elements[0] // self.options.batch)


def _decoded_bytes(samples: Sequence[Sample], size: int) -> int:
    """Estimate the size in bytes of all images as `ImageTable` decodes them."""
    total = 0
    for height, width in (sample.hw for sample in samples):
        ratio = next((r for r in (8, 4, 2) if max(height, width) / r >= size), 1)
        total += 3 * (height // ratio) * (width // ratio)
    return total
