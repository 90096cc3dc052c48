"""A table of training pictures that TensorFlow operations read by index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfyolo.data.image_header import parse_header
from tfyolo.data.images import read_bytes
from tfyolo.data.sample import Sample
from tfyolo.errors import TfyoloError

_DECODABLE = {"JPEG", "MPO", "PNG", "BMP", "GIF"}
_RATIOS = (1, 2, 4, 8)


class PictureTable:
    """Pictures and labels as tensors; the index of a picture is its place in `samples`.

    Args:
        samples: from a scan.
        image_size: pictures are decoded no larger than needed for this longer side: JPEG can be decoded at a
            half, a quarter or an eighth of its size, quicker and without aliasing.
        single_cls: all labels become class 0.
        keep: decode everything now and keep it in memory.

    Raises:
        TfyoloError: a picture is of a kind that TensorFlow cannot decode, or memory would not hold them all.
    """

    def __init__(
        self, samples: Sequence[Sample], image_size: int, single_cls: bool = False, keep: bool = False
    ) -> None:
        self.size = len(samples)
        self.paths = tf.constant([str(sample.image) for sample in samples])
        self.spans = tf.constant([_span(sample) for sample in samples], tf.int64)
        self._has_spans = any(sample.span for sample in samples)
        self.ratio_index = tf.constant(
            [_ratio_index(max(sample.hw), image_size) for sample in samples], tf.int32
        )
        turns = [_orientation(sample) for sample in samples]
        self.turns = tf.constant(turns, tf.int32)
        self._has_turns = any(turn != 1 for turn in turns)
        counts = [len(sample.classes) for sample in samples]
        self.starts = tf.constant(np.cumsum([0, *counts]), tf.int64)
        rows = [
            np.concatenate([sample.classes[:, None] * (not single_cls), sample.boxes_xywh_norm], 1)
            for sample in samples
        ]
        self.rows = tf.constant(np.concatenate([*rows, np.zeros((0, 5))]).astype(np.float32))

        self._kept = _Kept(self) if keep else None

    def labels(self, index: Any) -> Any:
        """(n, 5) class, centre and size as shares of the picture."""
        return self.rows[self.starts[index] : self.starts[index + 1]]

    def pixels(self, index: Any) -> Any:
        """uint8 (h, w, 3), upright; no larger than needed where the format allows."""
        return self._decoded(index) if self._kept is None else self._kept(index)

    def _decoded(self, index: Any) -> Any:
        data = self._bytes(index)
        decoders = [_decoder(data, ratio) for ratio in _RATIOS]
        image = tf.switch_case(self.ratio_index[index], decoders)
        if self._has_turns:
            image = tf.switch_case(self.turns[index] - 1, [_turner(image, turn) for turn in range(1, 9)])
        image.set_shape((None, None, 3))
        return image

    def _bytes(self, index: Any) -> Any:
        path = self.paths[index]
        if not self._has_spans:
            return tf.io.read_file(path)
        offset, length, rest = tf.unstack(self.spans[index])
        return tf.cond(
            length < 0, lambda: tf.io.read_file(path), lambda: _read_span(path, offset, length, rest)
        )


class _Kept:
    """All pictures of a table decoded, one after the other in one flat tensor."""

    def __init__(self, table: PictureTable) -> None:
        pictures: list[np.ndarray] = []
        used, free = 0, _free_memory()
        for picture in tf.data.Dataset.range(table.size).map(table._decoded, tf.data.AUTOTUNE):
            used += picture.shape.num_elements()
            expected = used * table.size // (len(pictures) + 1)
            if 2 * expected > free:  # the list, and then the tensor made of it
                raise TfyoloError(
                    f"--cache ram needs about {2 * expected / 2**30:.1f} GiB of memory, "
                    f"and {free / 2**30:.1f} are free",
                    fix="leave out --cache",
                )
            pictures.append(picture.numpy())
        self._hw = tf.constant([picture.shape[:2] for picture in pictures], tf.int64)
        self._starts = tf.constant(np.cumsum([0, *(picture.size for picture in pictures)]), tf.int64)
        self._flat = tf.constant(np.concatenate([picture.ravel() for picture in pictures]))

    def __call__(self, index: Any) -> Any:
        flat = self._flat[self._starts[index] : self._starts[index + 1]]
        return tf.reshape(flat, tf.concat([self._hw[index], [3]], 0))


def _free_memory() -> int:
    """Bytes that may be used without swapping; without a limit where the system does not tell."""
    try:
        rows = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return int(rows["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return 1 << 62


def _span(sample: Sample) -> tuple[int, int, int]:
    """Offset and length of a picture in its file, and the bytes after it; length -1 means the whole file."""
    if sample.span is None:
        return 0, -1, 0
    offset, length = sample.span
    return offset, length, sample.image.stat().st_size - offset - length


def _read_span(path: Any, offset: Any, length: Any, rest: Any) -> Any:
    """A part of a file, without reading what is around it: a data set of one record, with head and foot."""
    return tf.data.FixedLengthRecordDataset(
        path, record_bytes=length, header_bytes=offset, footer_bytes=rest
    ).get_single_element()


def _decoder(data: Any, ratio: int) -> Callable[[], Any]:
    if ratio == 1:
        return lambda: tf.io.decode_image(data, channels=3, expand_animations=False)
    return lambda: tf.io.decode_jpeg(data, channels=3, ratio=ratio)


def _ratio_index(longer_side: int, image_size: int) -> int:
    """Index of the largest reduction after which the picture is still as large as the network's input."""
    return max(i for i, ratio in enumerate(_RATIOS) if ratio == 1 or longer_side / ratio >= image_size)


def _turner(image: Any, orientation: int) -> Callable[[], Any]:
    """Apply an EXIF orientation (EXIF 2.32, tag 0112): 5 to 8 exchange rows and columns, then mirror."""

    def turn() -> Any:
        upright = tf.transpose(image, (1, 0, 2)) if orientation >= 5 else image
        axes = [axis for axis, kinds in ((1, (2, 3, 6, 7)), (0, (3, 4, 7, 8))) if orientation in kinds]
        return tf.reverse(upright, axes) if axes else upright

    return turn


def _orientation(sample: Sample) -> int:
    """The EXIF orientation; refuses what TensorFlow cannot decode."""
    data = read_bytes(sample.image, sample.span) if sample.span else None
    path: str | Path = sample.record or sample.image
    if data is None:
        from tfyolo.data.image_header import read_header

        header = read_header(sample.image)
    else:
        header = parse_header(BytesIO(data), len(data), path)
    if header.format not in _DECODABLE:
        raise TfyoloError(
            f"is a {header.format} picture, which TensorFlow cannot decode",
            path=path,
            fix="save it as JPEG or PNG",
        )
    return int(header.orientation)
