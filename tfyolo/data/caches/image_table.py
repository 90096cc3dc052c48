"""Training images and labels as tensors, read by index in TensorFlow operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
import tensorflow as tf

from tfyolo.data.caches.decoded_images import InMemory, OnDisk
from tfyolo.data.caches.records import read_record_image, record_places
from tfyolo.data.caches.scan_cache import file_states
from tfyolo.data.detection.sample import Sample
from tfyolo.data.images.header import RESAVE, ImageHeader, parse_header, read_header
from tfyolo.data.images.read import decode_image, read_bytes
from tfyolo.data.subgraph import traced_once
from tfyolo.errors import TfyoloError

_JPEG, _PNG = ("JPEG", "MPO"), "PNG"
_RATIOS = (1, 2, 4, 8)
_OTHER = len(_RATIOS)
"""Index of the decoder for what TensorFlow cannot decode, or not rightly: BMP with a palette, TIFF, WebP."""
CACHES = ("none", "ram", "disk")


class ImageTable:
    """Images and labels by index; the index of an image is its position in `samples`.

    Args:
        samples: images with their labels, from a scan.
        image_size: longer side in pixels that is needed: JPEG files are decoded at a half, a quarter or an
            eighth of their size where that is enough, which is faster and free of aliasing.
        single_cls: give all labels class 0.
        cache: decode all images now and cache them in `ram` or on `disk`; `none` decodes on access.
        progress: called as `progress(done, total)` while images are cached.
        outlines: keep the corners of plain boxes as polygons, even if no label has a polygon.

    Raises:
        TfyoloError: an image cannot be read, an unknown cache, or not enough room for it.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        image_size: int,
        single_cls: bool = False,
        cache: str = "none",
        progress: Callable[[int, int], None] | None = None,
        outlines: bool = False,
    ) -> None:
        if cache not in CACHES:
            raise TfyoloError(f"unknown cache `{cache}`", fix=f"use one of {', '.join(CACHES)}")
        self.size = len(samples)
        self.paths = tf.constant([str(sample.image) for sample in samples])
        self.places = tf.constant(record_places(samples), tf.int64)
        self._has_spans = any(sample.span for sample in samples)
        headers = [_header(sample) for sample in samples]
        decoders = [_decoder_index(header, image_size) for header in headers]
        self.decoder_index = tf.constant(decoders, tf.int32)
        self._has_others = _OTHER in decoders
        turns = [1 if i == _OTHER else int(h.orientation) for i, h in zip(decoders, headers, strict=True)]
        self.turns = tf.constant(turns, tf.int32)
        self._has_turns = any(turn != 1 for turn in turns)
        counts = [len(sample.classes) for sample in samples]
        self.starts = tf.constant(np.cumsum([0, *counts]), tf.int64)
        rows = [
            np.concatenate([sample.classes[:, None] * (not single_cls), sample.boxes_xywh_norm], 1)
            for sample in samples
        ]
        self.rows = tf.constant(np.concatenate([*rows, np.zeros((0, 5))]).astype(np.float32))
        self.has_polygons = any(len(polygon) > 0 for sample in samples for polygon in sample.polygons_norm)
        points = list(_polygons(samples)) if self.has_polygons or outlines else []
        lengths = [len(polygon) for polygon, _ in points]
        self.point_starts = tf.constant(np.cumsum([0, *lengths]), tf.int64)
        self.points = tf.constant(np.concatenate([np.zeros((0, 2)), *(p for p, _ in points)]), tf.float32)
        self.is_polygon = tf.constant([real for _, real in points], tf.bool)
        self._decoded = traced_once(self._decode)
        self._kept: InMemory | OnDisk | None = None
        with self.naming_damaged():
            if cache == "ram":
                self._kept = InMemory(self._all(progress), self.size)
            elif cache == "disk":
                self._kept = OnDisk(self._all(progress), self.size, self._identity(samples))

    def labels(self, index: Any) -> Any:
        """Return (n, 5): class id, center and size relative to the image."""
        return self.rows[self.starts[index] : self.starts[index + 1]]

    def polygons(self, rows: Any) -> tuple[Any, Any]:
        """Return the polygons of labels by their rows in the table; of plain boxes the four corners.

        Args:
            rows: int64 (n,).

        Returns:
            float32 (m, 2) points relative to the image size, and int64 (m,) the index in `rows` of each.
        """
        starts = tf.gather(self.point_starts, rows)
        places = tf.ragged.range(starts, tf.gather(self.point_starts, rows + 1))
        return tf.gather(self.points, places.flat_values), places.value_rowids()

    def pixels(self, index: Any) -> Any:
        """Return an image, uint8 (h, w, 3) RGB, with EXIF rotation applied."""
        return self._decoded(index) if self._kept is None else self._kept(index)

    @contextmanager
    def naming_damaged(self) -> Iterator[None]:
        """Context manager for code that decodes images: its errors name the first damaged image.

        A scan reads only headers, and a TensorFlow operation cannot name its file.
        """
        try:
            yield
        except (tf.errors.InvalidArgumentError, tf.errors.UnknownError) as error:
            for index in range(self.size):
                try:
                    self._decoded(tf.constant(index))
                except (tf.errors.OpError, TfyoloError):  # TensorFlow's decoder, or OpenCV's
                    path = self.paths[index].numpy().decode(errors="replace")
                    raise TfyoloError("cannot be decoded: it is damaged", path=path, fix=RESAVE) from error
            raise

    def _all(self, progress: Callable[[int, int], None] | None) -> Iterator[Any]:
        """Return all images in order."""
        decoded = tf.data.Dataset.range(self.size).map(self._decoded, tf.data.AUTOTUNE)
        for number, image in enumerate(decoded, 1):
            yield image
            if progress:
                progress(number, self.size)

    def _identity(self, samples: Sequence[Sample]) -> list[Any]:
        """Return what determines the pixels: files, their state, and the decoding."""
        states = file_states([sample.image for sample in samples]).tolist()
        rows = zip(
            samples, states, self.decoder_index.numpy().tolist(), self.turns.numpy().tolist(), strict=True
        )
        return [(str(sample.image.absolute()), sample.span, *rest) for sample, *rest in rows]

    def _decode(self, index: Any) -> Any:
        data = self._bytes(index)
        decoders = [_decoder(data, ratio) for ratio in _RATIOS]
        if self._has_others:
            decoders.append(lambda: tf.numpy_function(_decode, [data], tf.uint8))
        image = tf.switch_case(self.decoder_index[index], decoders)
        if self._has_turns:
            image = tf.switch_case(self.turns[index] - 1, [_turner(image, turn) for turn in range(1, 9)])
        image.set_shape((None, None, 3))
        return image

    def _bytes(self, index: Any) -> Any:
        path = self.paths[index]
        if not self._has_spans:
            return tf.io.read_file(path)
        place = self.places[index]
        return tf.cond(place[0] < 0, lambda: tf.io.read_file(path), lambda: read_record_image(path, place))


def _polygons(samples: Sequence[Sample]) -> Iterator[tuple[np.ndarray, bool]]:
    """Return the points of every label in order, and whether they are a polygon or only box corners."""
    for sample in samples:
        given = sample.polygons_norm or (np.zeros((0, 2)),) * len(sample.classes)
        for box, polygon in zip(sample.boxes_xywh_norm, given, strict=True):
            signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2
            real = len(polygon) > 2
            yield (polygon if real else box[:2] + signs * box[2:]), real


def _decoder(data: Any, ratio: int) -> Callable[[], Any]:
    if ratio == 1:
        return lambda: tf.io.decode_image(data, channels=3, expand_animations=False)
    return lambda: tf.io.decode_jpeg(data, channels=3, ratio=ratio)


def _decode(data: Any) -> np.ndarray:
    """In a graph of the bytes themselves, otherwise of an array of one object that is them."""
    # A NumPy array of bytes would drop trailing zeros.
    return decode_image(data if isinstance(data, bytes) else data.item())


def _decoder_index(header: ImageHeader, image_size: int) -> int:
    """Return the index of the decoder: JPEG with the largest reduction that is not smaller than the input."""
    if header.format in _JPEG:
        longer_side = max(header.hw)
        return max(i for i, ratio in enumerate(_RATIOS) if ratio == 1 or longer_side / ratio >= image_size)
    return 0 if header.format == _PNG else _OTHER


def _turner(image: Any, orientation: int) -> Callable[[], Any]:
    """Apply an EXIF orientation (EXIF 2.32, tag 0112): 5 to 8 exchange rows and columns, then mirror."""

    def turn() -> Any:
        upright = tf.transpose(image, (1, 0, 2)) if orientation >= 5 else image
        axes = [axis for axis, kinds in ((1, (2, 3, 6, 7)), (0, (3, 4, 7, 8))) if orientation in kinds]
        return tf.reverse(upright, axes) if axes else upright

    return turn


def _header(sample: Sample) -> ImageHeader:
    if sample.span is None:
        return read_header(sample.image)
    data = read_bytes(sample.image, sample.span)
    return parse_header(BytesIO(data), len(data), sample.record or sample.image)
