"""TFRecord datasets of tfyolo: shards of tf.train.Example, and an index with the position of each image.

Images are read by offset and length, in any order, without TensorFlow; for other programs the shards are
ordinary TFRecord files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.data.detection.dataset import Dataset
from tfyolo.data.detection.labels import TOLERANCE, Labels, Problem
from tfyolo.data.formats.readers.base import Entry, Listing, Source, contained, place_error
from tfyolo.data.formats.readers.coco_json import read_json
from tfyolo.data.images.header import MAX_BYTES, ImageHeader
from tfyolo.errors import TfyoloError
from tfyolo.files import suffix_of
from tfyolo.inputs import RECORDS, open_input

KIND = "tfyolo records"
VERSION = 1
FIX = "write the dataset again with `tfyolo convert-dataset --to tfrecord`"
_Spot = tuple[Path, tuple[int, int]]


def open_split(dataset: Dataset, split: str) -> Source:
    """Find the index files of a split; they and the shards are read only without a valid cache.

    A path is an index (train.index.json), or a folder with the index of the split.

    Raises:
        TfyoloError: an index is missing.
    """
    indices = []
    for place in dataset.splits[split]:
        index = Path(os.path.normpath(place / f"{split}.index.json" if place.is_dir() else place))
        if not index.is_file():
            raise place_error(dataset.yaml_path, split, index)
        if suffix_of(index) == ".tfrecord":
            fix = f"pass its index, {split}.index.json"
            raise TfyoloError(f"`{split}`: {index} is a shard, not an index", path=dataset.yaml_path, fix=fix)
        indices.append(index)

    def listing() -> Listing:
        entries: dict[_Spot, Entry] = {}
        labels: dict[_Spot, Labels] = {}
        repeated = 0
        problems: list[Problem] = []
        for index in indices:
            value = _read_index(index, dataset)
            shards = [_shard(index, number, row) for number, row in enumerate(value["shards"])]
            for number, row in enumerate(value["records"]):
                entry, found = _record(index, number, row, shards, len(dataset.names))
                spot = (entry.image, entry.span or (0, 0))
                if spot in entries:
                    message = f"`records[{number}]` is the same record as an earlier one; used once"
                    problems.append(Problem(index, None, message, "warning"))
                    repeated += 1
                    continue
                entries[spot], labels[spot] = entry, found

        def read(entry: Entry, header: ImageHeader) -> Labels:
            return labels[entry.image, entry.span or (0, 0)]

        return Listing(tuple(entries.values()), read, tuple(problems), repeated)

    return Source(indices[0].parent, tuple(indices), "", listing)


def _read_index(index: Path, dataset: Dataset) -> dict[str, Any]:
    """Read an index, and check its structure and its class names."""
    value = read_json(index)
    if not isinstance(value, dict) or value.get("kind") != KIND:
        raise TfyoloError("is not an index file of a tfyolo dataset", path=index, fix=FIX)
    if value.get("version") != VERSION:
        raise TfyoloError(
            f"has version {value.get('version')!s:.10}, expected {VERSION}", path=index, fix=FIX
        )
    for key in ("shards", "records", "names"):
        if not isinstance(value.get(key), list):
            raise TfyoloError(f"has no list `{key}`", path=index, fix=FIX)
    if value["names"] != list(dataset.names):
        raise TfyoloError(
            f"`names` differ from those in {index.name}, whose class ids depend on their order",
            path=dataset.yaml_path,
            fix=f"write names: [{', '.join(map(str, value['names']))[:200]}]",
        )
    return value


def _shard(index: Path, number: int, row: Any) -> Path:
    """Return the file of a shard, after a check of its length and hash."""
    if not (isinstance(row, Mapping) and isinstance(row.get("file"), str) and _count(row.get("bytes")) >= 0):
        raise TfyoloError(f"`shards[{number}]` has no `file` and `bytes`", path=index, fix=FIX)
    path = contained(index.parent, row["file"])
    if path is None:
        raise TfyoloError(f"`shards[{number}]` points outside the dataset", path=index, fix=FIX)
    try:
        size, due = path.stat().st_size, row["bytes"]
        if size != due:
            how = "truncated" if size < due else "not the file that the index describes"
            raise TfyoloError(f"is {how}: it has {size} bytes, expected {due}", path=path, fix=FIX)
        with open_input(path, RECORDS) as stream:
            whole = hashlib.sha256()
            while block := stream.read(1 << 20):
                whole.update(block)
    except OSError as error:
        raise TfyoloError(f"cannot be read: {error.strerror or error}", path=path, fix=FIX) from error
    if whole.hexdigest() != row.get("sha256"):
        raise TfyoloError("is damaged: its SHA-256 differs from the one in the index", path=path, fix=FIX)
    return path


def _record(index: Path, number: int, row: Any, shards: list[Path], class_count: int) -> tuple[Entry, Labels]:
    """Return position and labels of one image."""

    def wrong(what: str) -> TfyoloError:
        return TfyoloError(f"`records[{number}]`: {what}", path=index, fix=FIX)

    if not isinstance(row, dict) or not isinstance(row.get("name"), str):
        raise wrong("has no `name`")
    shard, offset, length = (_count(row.get(key)) for key in ("shard", "offset", "length"))
    if not (0 <= shard < len(shards) and offset >= 0 and 0 < length <= MAX_BYTES):
        raise wrong("has no valid `shard`, `offset` and `length`")
    try:
        classes = np.array(row.get("classes"), np.int64).reshape(-1)
        boxes = np.array(row.get("boxes_xywh_norm"), np.float32).reshape(-1, 4)
        polygons = tuple(
            np.array(polygon, np.float32).reshape(-1, 2) for polygon in row.get("polygons_norm") or ()
        )
    except (TypeError, ValueError, OverflowError):
        raise wrong("its labels are not numbers") from None
    if len(classes) != len(boxes) or (polygons and len(polygons) != len(boxes)):
        raise wrong("the number of classes differs from the number of boxes")
    if len(classes) and not 0 <= classes.min() <= classes.max() < class_count:
        raise wrong(f"a class is not one of 0 to {class_count - 1}")
    for values in (boxes, *polygons):  # a nan is in no range
        if values.size and not (values.min() >= -TOLERANCE and values.max() <= 1 + TOLERANCE):
            raise wrong("a label is outside 0..1")
    if (boxes[:, 2:] <= 0).any():
        raise wrong("a box has no area")
    entry = Entry(shards[shard], index, (offset, length), row["name"])
    return entry, Labels(classes, boxes, (), polygons)


def _count(value: Any) -> int:
    """Parse a non-negative integer that fits a file; -1 otherwise."""
    return value if type(value) is int and 0 <= value < 2**62 else -1
