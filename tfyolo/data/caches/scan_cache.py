"""A cache of the results of a dataset scan.

It is valid while the list of images, their sizes, inodes and modification times, and the contents of the
label files are unchanged. The file is an .npz of plain arrays: nothing in it is executed, and a damaged,
outdated or forged file is ignored.
"""

from __future__ import annotations

import json
import os
import stat
import zipfile
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.data.detection.dataset import Dataset
from tfyolo.data.detection.labels import Problem
from tfyolo.data.detection.sample import Sample, Scan
from tfyolo.data.formats.readers.base import Source
from tfyolo.data.images.ordered_map import ordered_map
from tfyolo.errors import TfyoloError
from tfyolo.files import atomic, cache_folder
from tfyolo.inputs import RECORDS, open_input
from tfyolo.version import __version__

VERSION = 4
_COUNTS = ("found", "missing", "empty", "corrupt", "duplicates")


def scan_key(dataset: Dataset, format_name: str, source: Source) -> str:
    """Return a hash of everything that determines a scan, except for the images.

    Args:
        dataset: dataset whose class names are hashed.
        format_name: a key of `READERS`.
        source: the split; the contents of its watched files are hashed.

    Returns:
        Hash of 40 hexadecimal digits.
    """
    head = [
        VERSION,
        __version__,
        format_name,
        dataset.names,
        source.fingerprint,
        list(map(str, source.watched)),
    ]
    whole = blake2b(json.dumps(head).encode(errors="surrogatepass"), digest_size=20)
    for digest in ordered_map(_digest, source.watched):
        whole.update(digest)
    return whole.hexdigest()


def file_states(images: Sequence[Path | str]) -> np.ndarray:
    """Return int64 (n, 4): size, inode, mtime and ctime in nanoseconds; -1 for missing files.

    Tools can modify a file and restore its mtime (`exiftool -P`, `rsync -t`); only the system sets its ctime.
    """
    return np.array(list(ordered_map(_state, images)), np.int64).reshape(-1, 4)


def load_scan(folder: Path, split: str, key: str, dataset: Dataset) -> Scan | None:
    """Return the cached scan, or None if there is none or it is outdated.

    Args:
        folder: folder of the labels.
        split: part of the file name.
        key: result of `scan_key` for the current label files.
        dataset: dataset that the samples belong to.

    Returns:
        The scan; None if it has to be repeated.
    """
    for path in _places(folder, split):
        try:
            with zipfile.ZipFile(path) as archive:
                if any(item.compress_type != zipfile.ZIP_STORED for item in archive.infolist()):
                    continue  # ours are not compressed, so none can be larger in memory than on the disk
            with np.load(path, allow_pickle=False) as arrays:
                meta = json.loads(arrays["meta"].tobytes())
                if meta["key"] != key:
                    continue
                if np.array_equal(file_states(meta["files"]), arrays["states"]):
                    return _unpacked(meta, {name: arrays[name] for name in arrays.files}, dataset)
        except Exception:  # noqa: S112 (whatever a damaged file raises, the answer is to scan again)
            continue
    return None


def save_scan(
    folder: Path, split: str, key: str, states: Mapping[Path, Sequence[int]], scan: Scan
) -> Path | None:
    """Write a scan next to the labels or, if that folder is read-only, to the user's cache folder.

    Args:
        folder: folder of the labels.
        split: part of the file name.
        key: result of `scan_key`, computed before the scan.
        states: result of `file_states` by image, computed before the scan.
        scan: scan to cache.

    Returns:
        The file; None if it could not be written.
    """
    for path in _places(folder, split):
        if path.parent == folder and not _writable(folder):
            continue
        try:
            with atomic(path) as temporary, temporary.open("wb") as stream:
                np.savez(stream, allow_pickle=False, **_packed(key, states, scan))
        except (OSError, TfyoloError):
            continue
        return path
    return None


def _places(folder: Path, split: str) -> tuple[Path, Path]:
    """Return the possible paths of the cache of a split."""
    folder = folder.absolute()
    name = f".tfyolo-{split}.cache.npz"
    one = blake2b(os.fsencode(folder), digest_size=8).hexdigest()
    return folder / name, cache_folder() / "scans" / f"{one}{name}"


def _writable(folder: Path) -> bool:
    """Whether a folder is writable; for root, too, a folder without write permission is not."""
    try:
        mode = folder.stat().st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) and bool(mode & 0o222) and os.access(folder, os.W_OK)


def _digest(path: Path) -> bytes:
    try:
        with open_input(path, RECORDS) as stream:
            digest = blake2b(digest_size=20)
            while block := stream.read(1 << 20):
                digest.update(block)
    except TfyoloError:
        return bytes(20)
    return digest.digest()


def _state(path: Path | str) -> tuple[int, int, int, int]:
    try:
        state = os.stat(path)  # noqa: PTH116 (half the time of Path.stat, and there are many)
    except (OSError, ValueError):
        return -1, -1, -1, -1
    return state.st_size, state.st_ino & (2**63 - 1), state.st_mtime_ns, state.st_ctime_ns


def _packed(key: str, states: Mapping[Path, Sequence[int]], scan: Scan) -> dict[str, Any]:
    """Convert a scan to named arrays."""
    number = {path: index for index, path in enumerate(states)}
    meta = {
        "key": key,
        "files": list(map(str, states)),
        "records": [sample.record for sample in scan.samples],
        "problems": [[str(p.path), p.line, p.message, p.severity] for p in scan.problems],
        **{name: getattr(scan, name) for name in _COUNTS},
    }
    samples = scan.samples
    polygons = [polygon for sample in samples for polygon in sample.polygons_norm]
    return {
        "meta": np.frombuffer(json.dumps(meta).encode(), np.uint8),
        "states": np.array(list(states.values()), np.int64).reshape(-1, 4),
        "image": np.array([number[sample.image] for sample in samples], np.int64),
        "hw": np.array([sample.hw for sample in samples], np.int64).reshape(-1, 2),
        "span": np.array([sample.span or (-1, -1) for sample in samples], np.int64).reshape(-1, 2),
        "annotated": np.array([s.annotated_hw or (-1, -1) for s in samples], np.int64).reshape(-1, 2),
        "boxes": np.array([len(sample.classes) for sample in samples], np.int64),
        "polygons": np.array([len(sample.polygons_norm) for sample in samples], np.int64),
        "points": np.array([len(polygon) for polygon in polygons], np.int64),
        "classes": np.concatenate([np.zeros(0, np.int64), *(sample.classes for sample in samples)]),
        "xywh": np.concatenate(
            [np.zeros((0, 4), np.float32), *(sample.boxes_xywh_norm for sample in samples)]
        ),
        "xy": np.concatenate([np.zeros((0, 2), np.float32), *polygons]),
    }


def _unpacked(meta: dict[str, Any], arrays: dict[str, np.ndarray], dataset: Dataset) -> Scan:
    """Convert arrays back to a scan; raises an exception if they are inconsistent."""
    files = [Path(text) for text in meta["files"]]
    boxes, counts = arrays["boxes"].tolist(), arrays["polygons"].tolist()
    classes, xywh = arrays["classes"], arrays["xywh"]
    if classes.dtype != np.int64 or xywh.dtype != np.float32 or xywh.shape != (len(classes), 4):
        raise ValueError("not arrays of labels")
    if len(classes) and not 0 <= classes.min() <= classes.max() < len(dataset.names):
        raise ValueError("a class without a name")
    points = list(map(np.array, _cut(arrays["xy"], arrays["points"].tolist())))
    rows = zip(
        arrays["image"].tolist(),
        arrays["hw"].tolist(),
        arrays["span"].tolist(),
        meta["records"],
        arrays["annotated"].tolist(),
        _cut(classes, boxes),
        _cut(xywh, boxes),
        _cut(points, counts),
        strict=True,
    )
    samples = tuple(
        Sample(
            files[image],
            (hw[0], hw[1]),
            ids.copy(),
            box.copy(),
            tuple(polygons),
            None if span[0] < 0 else (span[0], span[1]),
            record,
            None if said[0] < 0 else (said[0], said[1]),
        )
        for image, hw, span, record, said, ids, box, polygons in rows
    )
    problems = tuple(Problem(Path(path), *rest) for path, *rest in meta["problems"])
    return Scan(samples, problems, **{name: int(meta[name]) for name in _COUNTS})


def _cut(values: Any, lengths: list[int]) -> list[Any]:
    """Split an array into consecutive parts of these lengths."""
    ends = np.cumsum([0, *lengths])
    if ends[-1] != len(values) or min(lengths, default=0) < 0:
        raise ValueError("lengths do not add up")
    return [values[start:end] for start, end in pairwise(ends.tolist())]
