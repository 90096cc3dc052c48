"""Images inside TFRecord files, read in any order by TensorFlow operations."""

from __future__ import annotations

import os
import struct
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfyolo.data.detection.sample import Sample
from tfyolo.errors import TfyoloError
from tfyolo.inputs import RECORDS, open_input

WHOLE_FILE = (-1, 0, 0)
"""Stands for the place of an image that is a file of its own."""
_HEAD, _FOOT = 12, 4
"""Bytes around a record: its length and that number's checksum; the record's checksum."""
_BUFFER = 1 << 17


def record_places(samples: Sequence[Sample]) -> list[tuple[int, int, int]]:
    """Return the position of each sample's image: offset of its record, offset inside the record, length.

    Raises:
        TfyoloError: a file is not a TFRecord file, or has changed since the scan.
    """
    starts: dict[Path, list[int]] = {}
    places = []
    for sample in samples:
        if sample.span is None:
            places.append(WHOLE_FILE)
            continue
        if sample.image not in starts:
            starts[sample.image] = _record_starts(sample.image)
        offset, length = sample.span
        record = bisect_right(starts[sample.image], offset) - 1
        start = starts[sample.image][record]
        places.append((start, offset - start - _HEAD, length))
    return places


def read_record_image(path: Any, place: Any) -> Any:
    """Read the bytes of one image in a TFRecord file.

    Args:
        path: path of the file.
        place: int64 (3,), a row of `record_places`.
    """
    start, inner, length = tf.unstack(place)
    records = tf.raw_ops.TFRecordDatasetV2(
        filenames=[path], compression_type="", buffer_size=_BUFFER, byte_offsets=start[None]
    )
    kind: dict[str, Any] = {"output_types": [tf.string], "output_shapes": [[]]}
    first = tf.raw_ops.TakeDataset(input_dataset=records, count=1, **kind)
    record = tf.raw_ops.DatasetToSingleElement(dataset=first, **kind)[0]
    return tf.strings.substr(record, inner, length)


def _record_starts(path: Path) -> list[int]:
    """Return the offsets of all records, which follow from their lengths."""
    starts, position = [], 0
    with open_input(path, RECORDS) as stream:
        size = os.fstat(stream.fileno()).st_size
        while position < size:
            stream.seek(position)
            head = stream.read(_HEAD)
            starts.append(position)
            length = struct.unpack("<Q", head[:8])[0] if len(head) == _HEAD else size
            position += _HEAD + length + _FOOT
    if position != size:
        raise TfyoloError(
            f"is not a complete TFRecord file: the record at byte {starts[-1]} extends past its end",
            path=path,
            fix="write the dataset again with `tfyolo convert-dataset --to tfrecord`",
        )
    return starts
