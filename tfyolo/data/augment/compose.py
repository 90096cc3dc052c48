"""Compose one training image with its labels: mosaic, mixup, copy-paste, perspective, flips, colors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from tfyolo.data.augment.boxes import SMALLEST_SHARE, clip_labels, flip_labels, normalize
from tfyolo.data.augment.color import jitter
from tfyolo.data.augment.layout import Hw, Layout, mosaic, random_view, single
from tfyolo.data.augment.options import AugmentationOptions
from tfyolo.data.augment.outlines import (
    Outlines,
    flip_outlines,
    joined_outlines,
    kept_outlines,
    no_outlines,
    outline_boxes,
    visible_outlines,
    warp_outlines,
)
from tfyolo.data.augment.paste import paste_mirrored
from tfyolo.data.augment.random_stream import RandomStream
from tfyolo.data.augment.tiles import draw, tile_labels
from tfyolo.data.augment.warp import random_warp, warp_image, warp_labels, warp_polygons
from tfyolo.data.caches.image_table import ImageTable

MIXUP_BETA = 32.0


class Scene(NamedTuple):
    """A composed image.

    Attributes:
        image: (height, width, 3) RGB in 0..255.
        labels: float32 (n, 5) class id and box.
        outlines: polygons of the labels; none where no masks are needed.
    """

    image: Any
    labels: Any
    outlines: Outlines


class Composer:
    """Composes training images.

    Args:
        table: table of the images and their labels.
        options: strength of each augmentation; None only letterboxes.
        image_size: longer side that images are scaled to, in pixels.
        seed: seed of the run.
        mosaics: False for rectangular batches, which have no mosaics.
        outlines: return the polygons of the labels, too.
    """

    def __init__(
        self,
        table: ImageTable,
        options: AugmentationOptions | None,
        image_size: int,
        seed: int,
        mosaics: bool = True,
        outlines: bool = False,
    ) -> None:
        self.table, self.options, self.image_size, self.seed = table, options, image_size, seed
        self.mosaics = mosaics and options is not None and options.mosaic > 0
        needed = options is not None and (options.warps or options.copy_paste > 0)
        self.outlines = outlines
        self.has_polygons = outlines or (needed and table.has_polygons)
        """Whether labels carry what finds their polygons."""

    def __call__(self, index: Any, element: Any, out_hw: Hw) -> Scene:
        """One image.

        Args:
            index: index of the image.
            element: int64 scalar that seeds the random numbers.
            out_hw: height and width of the image.

        Returns:
            Image, uint8, and labels: class id, center and size relative to the image.
        """
        options = self.options
        if options is None:
            view = random_view(RandomStream(self.seed, element), None, out_hw, out_hw)
            image, labels = self._draw([index], lambda sizes: single(sizes, view, out_hw), out_hw)
            image = tf.saturate_cast(image + 0.5, tf.uint8)
            return Scene(image, normalize(labels[:, :5], out_hw), self._outlines(labels))
        random = RandomStream(self.seed, element)
        image, labels, outlines = self._scene(index, random, options, out_hw)
        image = jitter(image, random, options)
        left_right, up_down = random.bernoulli(options.fliplr), random.bernoulli(options.flipud)
        image = tf.saturate_cast(image + 0.5, tf.uint8)
        if options.fliplr:
            image = tf.cond(left_right, lambda: tf.reverse(image, [1]), lambda: image)
        if options.flipud:
            flipped = image
            image = tf.cond(up_down, lambda: tf.reverse(flipped, [0]), lambda: flipped)
        if self.outlines:
            outlines = flip_outlines(outlines, out_hw, left_right, up_down)
        labels = normalize(flip_labels(labels, out_hw, left_right, up_down), out_hw)
        return Scene(image, labels, outlines)

    def _scene(self, index: Any, random: RandomStream, options: AugmentationOptions, out_hw: Hw) -> Scene:
        """Return a mosaic, two blended mosaics (mixup), or one image, and its clipped labels in pixels."""

        def alone() -> Scene:
            view = random_view(random, options, out_hw, out_hw)
            return self._warped([index], lambda sizes: single(sizes, view, out_hw), random, out_hw)

        if not self.mosaics:
            return alone()
        first = self._mosaic(index, random, options, out_hw)
        if options.mixup > 0:
            partner = random.integers(self.table.size, 1)[0]
            second = self._mosaic(partner, random, options, out_hw)
            share = random.beta(MIXUP_BETA)
            blend = random.bernoulli(options.mixup)
            unmixed = first

            def maybe_mixed() -> Scene:
                scene = unmixed()

                def mixed() -> Scene:
                    other = second()
                    image = scene.image * share + other.image * (1.0 - share)
                    labels = tf.concat([scene.labels, other.labels], 0)
                    count = tf.shape(scene.labels)[0]
                    return Scene(image, labels, joined_outlines(scene.outlines, other.outlines, count))

                return tf.cond(blend, mixed, lambda: scene)

            first = maybe_mixed
        if options.mosaic >= 1.0:
            return first()
        return tf.cond(random.bernoulli(options.mosaic), first, alone)

    def _mosaic(self, index: Any, random: RandomStream, options: AugmentationOptions, out_hw: Hw) -> Any:
        """Return a function that draws a mosaic with this image first (of nine: in the center)."""
        partners = random.integers(self.table.size, 8)
        middle = random.uniform(0.5, 1.5, 2) * float(self.image_size)
        canvas = (2.0 * self.image_size,) * 2
        view = random_view(random, options, canvas, out_hw)

        def layout(sizes: Any) -> Layout:
            return mosaic(sizes, middle, view, out_hw)

        def four() -> Scene:
            return self._warped([index, *tf.unstack(partners[:3])], layout, random, out_hw)

        def nine() -> Scene:
            others = tf.unstack(partners)
            return self._warped([*others[:4], index, *others[4:]], layout, random, out_hw)

        if options.mosaic9 <= 0:
            return four
        is_nine = random.bernoulli(options.mosaic9)
        return lambda: tf.cond(is_nine, nine, four)

    def _warped(
        self, indices: list[Any], layout: Callable[[Any], Layout], random: RandomStream, out_hw: Hw
    ) -> Scene:
        """Draw the scene, apply copy-paste to mosaics, and apply the perspective transform."""
        image, labels = self._draw(indices, layout, out_hw)
        options = self.options
        if options is None:
            return Scene(image, labels[:, :5], self._outlines(labels))
        if self.has_polygons and options.copy_paste > 0 and len(indices) > 1:
            share = options.copy_paste
            image, labels = paste_mirrored(image, labels, self._polygon, random.fork(), share)
        outlines = self._outlines(labels)
        if not options.warps:
            return Scene(image, labels[:, :5], outlines)
        matrix = random_warp(random.fork(), options, out_hw)
        bounds = tf.stack([0, 0, *reversed(out_hw)])
        image = warp_image(image, matrix)
        if not self.outlines:
            if self.has_polygons:
                labels = warp_polygons(labels, *self._polygons(labels), matrix)
            else:
                labels = warp_labels(labels, matrix)
            return Scene(image, clip_labels(labels, bounds)[:, :5], outlines)
        outlines, count = warp_outlines(outlines, matrix), tf.shape(labels)[0]
        rows = tf.cast(tf.range(count), tf.float32)[:, None]
        labels = tf.concat([labels[:, :1], outline_boxes(outlines, count), rows], 1)
        labels = clip_labels(labels, bounds)
        kept = kept_outlines(outlines, tf.cast(labels[:, 5], tf.int32), count)
        return Scene(image, labels[:, :5], kept)

    def _outlines(self, labels: Any) -> Outlines:
        """Return the polygons of labels (n, 10), clipped to their boxes, which are clipped to the tiles."""
        if not self.outlines:
            return no_outlines()
        return visible_outlines(*self._polygons(labels), labels[:, 1:5])

    def _polygons(self, labels: Any) -> tuple[Any, Any]:
        """Return polygon points (m, 2) in pixels of labels (n, 10), and the row that each belongs to."""
        points, owner = self.table.polygons(tf.cast(labels[:, 5], tf.int64))
        return points * tf.gather(labels[:, 8:10], owner) + tf.gather(labels[:, 6:8], owner), owner

    def _polygon(self, label: Any) -> tuple[Any, Any]:
        """Return the points in pixels of one label (10,), and whether they are a polygon."""
        points, _ = self._polygons(label[None])
        return points, self.table.is_polygon[tf.cast(label[5], tf.int64)]

    def _draw(self, indices: list[Any], layout: Callable[[Any], Layout], out_hw: Hw) -> tuple[Any, Any]:
        """Return pixels, and labels as class id and corners in pixels, clipped to their tile."""
        images = [self.table.pixels(index) for index in indices]
        sizes = tf.stack([tf.cast(tf.shape(image)[1::-1], tf.float32) for image in images])
        target = tf.cast(tf.stack([out_hw[1], out_hw[0]]), tf.float32)
        if len(indices) > 1:
            target = tf.fill([2], float(self.image_size))
        ratio = tf.reduce_min(target / sizes, -1, keepdims=True)
        canvas, places = draw(images, layout(sizes * ratio), out_hw)
        share = 0.0 if self.options is None else SMALLEST_SHARE
        labels = []
        for index, (extent, cell) in zip(indices, places, strict=True):
            rows, first = self.table.labels(index), self.table.starts[index]
            labels.append(tile_labels(rows, first, extent, cell, share, self.has_polygons))
        return canvas, tf.concat(labels, 0)
