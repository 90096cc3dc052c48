"""Augmentation of classification images with Keras' preprocessing layers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import tensorflow as tf
from pydantic import BaseModel, ConfigDict, Field

from tfyolo.data.augment.random_stream import RandomStream

_RANGE = (0.0, 1.0)
_MIXUP_ALPHA = 0.2
_DRAWS = 10


class ClassificationAugmentationOptions(BaseModel):
    """Hyperparameters of augmentation; the defaults are those of YOLOv5's classification.

    Attributes:
        scale: smallest area of a random crop, as a fraction of the image's area.
        ratio: largest aspect ratio of a random crop.
        hflip: probability of a flip left to right.
        vflip: probability of a flip upside down.
        jitter: largest relative change of brightness, contrast and saturation; 0 disables it.
        hue: largest rotation of the hue, as a fraction of a full turn.
        randaugment: number of RandAugment operations, in place of color jitter; 0 disables it.
        magnitude: strength of these operations, in 0..1.
        mixup: probability that mixup blends the images of a batch.
        cutmix: probability that CutMix exchanges patches in a batch.

    Example:
        >>> ClassificationAugmentationOptions(scale=0.5).hflip
        0.5
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    scale: float = Field(0.08, gt=0, le=1, description="smallest share of an image's area in a random crop")
    ratio: float = Field(4 / 3, ge=1, le=10, description="largest proportion of a random crop's sides")
    hflip: float = Field(0.5, ge=0, le=1, description="probability of a flip left to right")
    vflip: float = Field(0.0, ge=0, le=1, description="probability of a flip upside down")
    jitter: float = Field(0.4, ge=0, le=0.9, description="brightness, contrast, saturation change by this")
    hue: float = Field(0.0, ge=0, le=0.5, description="hue turns by up to this share of a full turn")
    randaugment: int = Field(0, ge=0, le=8, description="operations of RandAugment, in place of color jitter")
    magnitude: float = Field(0.3, ge=0, le=1, description="their strength")
    mixup: float = Field(0.0, ge=0, le=1, description="probability that a batch is blended with itself")
    cutmix: float = Field(0.0, ge=0, le=1, description="probability that patches are exchanged in a batch")


class StepSeeds(keras.random.SeedGenerator):
    """Seeds that depend only on a key, not on how often a layer was called.

    Keras' own seed generator counts in a variable: results would depend on the order of threads, and a
    resumed run would start again from the first seed.

    Example:
        >>> seeds = StepSeeds()
        >>> with seeds.of(tf.constant([0, 7])):
        ...     first = seeds.next().numpy().tolist()
        >>> with seeds.of(tf.constant([0, 7])):
        ...     seeds.next().numpy().tolist() == first
        True
    """

    def __init__(self) -> None:
        super().__init__(seed=0)
        self._key: Any = None
        self._count = 0

    @contextmanager
    def of(self, key: Any) -> Iterator[None]:
        """Context manager: draw from this int32 (2,) key while a graph is traced."""
        self._key, self._count = key, 0
        try:
            yield
        finally:
            self._key = None

    def next(self, ordered: bool = True) -> Any:
        """Return the next int32 (2,) seed."""
        if self._key is None:
            return super().next(ordered)
        self._count += 1
        return tf.random.experimental.stateless_fold_in(self._key, self._count)


class QuickRandAugment(keras.layers.RandAugment):
    """RandAugment that computes only the drawn operations; Keras' layer computes all and selects.

    For one image at a time.

    Source: Cubuk et al. 2019, RandAugment.
    """

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        """Apply the drawn operations.

        Args:
            images: float32 (1, height, width, 3) in 0..1.
            transformation: drawn operations and their parameters, as the parent class returns them.
            training: False returns the images unchanged.

        Returns:
            float32 of the same shape.
        """
        if not training:
            return images
        for number in range(self.num_ops):
            branches = [
                partial(getattr(self, name).transform_images, images, how)
                for name, how in transformation["transforms"].items()
            ]
            images = tf.switch_case(transformation["layer_idxes"][number], branches)
        return images


class ImageAugmenter:
    """Augments one image: random resized crop, flips, color jitter or RandAugment.

    Args:
        options: hyperparameters.
        image_size: side of the result in pixels.
        seed: seed of the run.
    """

    def __init__(self, options: ClassificationAugmentationOptions, image_size: int, seed: int) -> None:
        self.options, self.image_size, self.seed, self.seeds = options, image_size, seed, StepSeeds()
        self.layers = [_prepared(layer, self.seeds) for layer in _layers(options)]
        for layer in self.layers:
            layer.build((None, image_size, image_size, 3))

    def __call__(self, image: Any, element: Any) -> Any:
        """Augment a uint8 (h, w, 3) image; returns float32 (size, size, 3) in 0..1.

        Args:
            image: uint8 (height, width, 3) RGB.
            element: int64 scalar, different for each image of each epoch.
        """
        random = RandomStream(self.seed, element)
        top, left, height, width = crop_window(random, tf.shape(image), self.options)
        augmented = resize(image[top : top + height, left : left + width], self.image_size)
        for probability, axis in ((self.options.hflip, 1), (self.options.vflip, 0)):
            if probability:
                augmented = tf.where(random.bernoulli(probability), tf.reverse(augmented, [axis]), augmented)
        with self.seeds.of(_key(self.seed, element)):
            for layer in self.layers:  # they take batches
                augmented = layer(augmented[None], training=True)[0]
        return tf.clip_by_value(augmented, 0.0, 1.0)


class BatchAugmenter:
    """Mixes images and labels of a batch: mixup and CutMix.

    Args:
        options: probabilities; if both are drawn for a batch, CutMix is applied.
        seed: seed of the run.

    Source: Zhang et al. 2017, mixup, with alpha 0.2; Yun et al. 2019, CutMix, with alpha 1.
    """

    def __init__(self, options: ClassificationAugmentationOptions, seed: int) -> None:
        self.options, self.seed, self.seeds = options, seed + 1, StepSeeds()
        self.mixup = _prepared(keras.layers.MixUp(alpha=_MIXUP_ALPHA), self.seeds)
        self.cutmix = _prepared(keras.layers.CutMix(factor=(1.0, 1.0)), self.seeds)

    def __call__(self, images: Any, labels: Any, batch: Any) -> tuple[Any, Any]:
        """Mix images float32 (n, h, w, 3) and labels float32 (n, classes), with some probability.

        Args:
            images: float32 (n, height, width, 3) in 0..1.
            labels: float32 (n, classes) probabilities.
            batch: int64 scalar, different for each batch of each epoch.
        """
        random, given = RandomStream(self.seed, batch), (images, labels)
        for probability, layer in ((self.options.mixup, self.mixup), (self.options.cutmix, self.cutmix)):
            if probability:
                mixed, is_mixed = self._mix(layer, *given, batch), random.bernoulli(probability)
                images, labels = tf.where(is_mixed, mixed[0], images), tf.where(is_mixed, mixed[1], labels)
        return images, labels

    def _mix(self, layer: Any, images: Any, labels: Any, batch: Any) -> tuple[Any, Any]:
        with self.seeds.of(_key(self.seed, batch)):
            mixed = layer({"images": images, "labels": labels}, training=True)
        return mixed["images"], mixed["labels"]


def crop_window(
    random: RandomStream, shape: Any, options: ClassificationAugmentationOptions
) -> tuple[Any, ...]:
    """Draw a random resized crop.

    Its relative area is uniform in `scale`..1, its aspect ratio log-uniform in 1/`ratio`..`ratio`. The first
    of ten draws that fits is used, or else the largest center crop with an allowed aspect ratio.

    Args:
        random: stream that 22 numbers are drawn from.
        shape: int32 (3,) shape of the image: height, width, channels.
        options: smallest relative area (`scale`) and largest aspect ratio (`ratio`).

    Returns:
        Top, left, height and width in pixels, int32 scalars.

    Source: Szegedy et al. 2014, Going Deeper with Convolutions, section 6.
    """
    height, width = tf.cast(shape[0], tf.float32), tf.cast(shape[1], tf.float32)
    areas = height * width * random.uniform(options.scale, 1.0, _DRAWS)
    bound = math.log(options.ratio)
    ratios = tf.exp(random.uniform(-bound, bound, _DRAWS))
    widths, heights = tf.round(tf.sqrt(areas * ratios)), tf.round(tf.sqrt(areas / ratios))
    fits = (widths >= 1) & (heights >= 1) & (widths <= width) & (heights <= height)
    first = tf.argmax(tf.cast(fits, tf.int32))
    any_fits = tf.reduce_any(fits)
    w = tf.where(
        any_fits, widths[first], tf.maximum(tf.round(tf.minimum(width, height * options.ratio)), 1.0)
    )
    h = tf.where(
        any_fits, heights[first], tf.maximum(tf.round(tf.minimum(height, width * options.ratio)), 1.0)
    )
    across, down = random.uniform(0.0, 1.0), random.uniform(0.0, 1.0)
    left = tf.where(any_fits, tf.floor(across * (width - w + 1)), tf.floor((width - w) / 2))
    top = tf.where(any_fits, tf.floor(down * (height - h + 1)), tf.floor((height - h) / 2))
    return tuple(tf.cast(value, tf.int32) for value in (top, left, h, w))


def resize(image: Any, size: int) -> Any:
    """Resize uint8 (h, w, 3) to float32 (size, size, 3) in 0..1, bilinearly with antialiasing."""
    return tf.image.resize(image, (size, size), antialias=True) / 255.0


def middle(image: Any, size: int) -> Any:
    """Resize the largest centered square; see `resize`."""
    shape = tf.shape(image)
    side = tf.minimum(shape[0], shape[1])
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    return resize(image[top : top + side, left : left + side], size)


def _layers(options: ClassificationAugmentationOptions) -> list[Any]:
    if options.randaugment:
        return [QuickRandAugment(value_range=_RANGE, num_ops=options.randaugment, factor=options.magnitude)]
    if not options.jitter and not options.hue:
        return []
    j = options.jitter
    # Keras adds to the brightness, by a share of the range: of a middle gray as much as a factor 1 ± jitter.
    # Its saturation s is the factor s / (1 - s).
    return [
        keras.layers.RandomColorJitter(
            value_range=_RANGE,
            brightness_factor=j / 2 or None,
            contrast_factor=j or None,
            saturation_factor=((1 - j) / (2 - j), (1 + j) / (2 + j)) if j else None,
            hue_factor=options.hue or None,
        )
    ]


def _prepared(layer: Any, seeds: StepSeeds) -> Any:
    """Let a layer, and its sublayers, draw from `seeds` and compute in float32.

    Keras' global dtype policy may be that of training; not all layers hand theirs on to their sublayers.
    """
    for part in layer._flatten_layers():
        part.dtype_policy = "float32"
        if hasattr(part, "generator"):
            part.generator = seeds
    return layer


def _key(seed: int, element: Any) -> Any:
    """Return an int32 (2,) seed per element."""
    high, low = element // (1 << 31), element % (1 << 31)
    return tf.stack([tf.cast(seed + high, tf.int32), tf.cast(low, tf.int32)])
