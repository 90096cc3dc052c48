"""Write TFRecord datasets: shards of tf.train.Example, and an index with the position of each image."""

from __future__ import annotations

import errno
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.data.detection.sample import Sample
from tfyolo.data.formats.readers.tfrecord import KIND, VERSION
from tfyolo.data.formats.writers.base import Place, Split
from tfyolo.data.images.header import parse_header
from tfyolo.data.images.read import read_bytes
from tfyolo.disk import probe

SHARD_BYTES = 256 * 1024 * 1024
_HEADER = 12  # length and its checksum stand before each record
_FOOTER = 4  # a checksum after it


def write_split(split: Split) -> Place:
    """Write the shards and the index of a split; returns the index.

    Features have the names of the TF Object Detection API, whose class labels start at 1; those of the index
    start at 0. Polygons are in `image/object/polygon/{x,y,count}`, which that API does not know.
    """
    import tensorflow as tf

    split.folder.mkdir(parents=True, exist_ok=True)
    total = split.shards or max(1, math.ceil(sum(map(_size, split.samples)) / SHARD_BYTES))
    total = min(total, len(split.samples))
    shards: list[dict[str, Any]] = []
    records: list[dict[str, Any]] = []
    for number, part in enumerate(np.array_split(np.arange(len(split.samples)), total)):
        path = split.folder / f"{split.name}-{number:05}-of-{total:05}.tfrecord"
        position = 0
        with tf.io.TFRecordWriter(str(path)) as writer:
            for index in part:
                sample = split.samples[index]
                encoded = read_bytes(sample.image, sample.span)
                name = split.names.of(sample)
                record = example(sample, encoded, name, split.classes)
                writer.write(record)
                offset = position + _HEADER + record.index(encoded)
                records.append(_indexed(sample, name, number, offset, len(encoded)))
                position += _HEADER + len(record) + _FOOTER
                split.done()
        shards.append(
            {
                "file": path.name,
                "bytes": _checked_size(path, position),
                "sha256": _sha256(path),
                "records": len(part),
            }
        )
    value = {"kind": KIND, "version": VERSION, "names": split.classes, "shards": shards, "records": records}
    index_path = split.folder / f"{split.name}.index.json"
    index_path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    (split.folder / "label_map.pbtxt").write_text(
        "".join(
            f"item {{\n  id: {number}\n  name: {json.dumps(name)}\n}}\n"
            for number, name in enumerate(split.classes, start=1)
        ),
        encoding="utf-8",
    )
    return index_path.name


def example(sample: Sample, encoded: bytes, name: str, classes: tuple[str, ...]) -> bytes:
    """Serialize an image and its labels as a tf.train.Example.

    Args:
        sample: size and labels of the image.
        encoded: content of the image file.
        name: file name of the image.
        classes: class names by class id.

    Returns:
        Serialized protobuf, the content of a TFRecord record.
    """
    import tensorflow as tf

    def texts(*values: bytes) -> Any:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

    def whole(values: Any) -> Any:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    def real(values: Any) -> Any:
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    height, width = sample.hw
    boxes = sample.boxes_xywh_norm.astype(np.float64)
    low, high = np.clip(boxes[:, :2] - boxes[:, 2:] / 2, 0, 1), np.clip(boxes[:, :2] + boxes[:, 2:] / 2, 0, 1)
    features = {
        "image/encoded": texts(encoded),
        "image/format": texts(_format(encoded, name)),
        "image/filename": texts(name.encode()),
        "image/source_id": texts(name.encode()),
        "image/key/sha256": texts(hashlib.sha256(encoded).hexdigest().encode()),
        "image/height": whole([height]),
        "image/width": whole([width]),
        "image/object/bbox/xmin": real(low[:, 0]),
        "image/object/bbox/ymin": real(low[:, 1]),
        "image/object/bbox/xmax": real(high[:, 0]),
        "image/object/bbox/ymax": real(high[:, 1]),
        "image/object/class/label": whole(sample.classes + 1),
        "image/object/class/text": texts(*(classes[number].encode() for number in sample.classes)),
    }
    if sample.polygons_norm:
        points = np.concatenate(sample.polygons_norm)
        features |= {
            "image/object/polygon/x": real(points[:, 0]),
            "image/object/polygon/y": real(points[:, 1]),
            "image/object/polygon/count": whole([len(polygon) for polygon in sample.polygons_norm]),
        }
    data: bytes = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(
        deterministic=True
    )
    return data


def _format(encoded: bytes, name: str) -> bytes:
    from io import BytesIO

    return parse_header(BytesIO(encoded), len(encoded), name).format.lower().encode()


def _indexed(sample: Sample, name: str, shard: int, offset: int, length: int) -> dict[str, Any]:
    """Return the entry of a record in the index."""
    row = {
        "name": name,
        "shard": shard,
        "offset": offset,
        "length": length,
        "hw": list(sample.hw),
        "classes": sample.classes.tolist(),
        "boxes_xywh_norm": _short(sample.boxes_xywh_norm),
    }
    if sample.polygons_norm:
        row["polygons_norm"] = [_short(polygon) for polygon in sample.polygons_norm]
    return row


def _short(values: np.ndarray) -> list[list[float]]:
    """Format float32 values with the fewest digits that identify them."""
    return [[float(str(value)) for value in row] for row in values.astype(np.float32)]


def _size(sample: Sample) -> int:
    return sample.span[1] if sample.span is not None else sample.image.stat().st_size


def _checked_size(path: Path, due: int) -> int:
    """Return the size of a shard, after a check that reveals a full disk."""
    if (size := path.stat().st_size) != due:
        raise probe(path) or OSError(errno.EIO, f"{size} bytes of {due} were written", str(path))
    return size


def _sha256(path: Path) -> str:
    whole = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            whole.update(block)
    return whole.hexdigest()
