"""Label files of YOLO datasets: one text file per image, one row per box or polygon."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from pathlib import Path

import numpy as np

from tfyolo.data.detection.label_rows import LabelRows
from tfyolo.data.detection.labels import TOLERANCE, ClassRangeError, Labels
from tfyolo.errors import TfyoloError
from tfyolo.inputs import LABELS, read_input

KEYPOINTS = "objects have keypoints (`kpt_shape`), which are ignored; their boxes are used"
MAX_ROWS = 50_000
"""Of one label file."""


def label_folder(folder: Path) -> Path:
    """Return the label folder of an image folder: its last part named `images` becomes `labels`.

    Without such a part it is the image folder itself, unless a part such as `Images` has a sibling such as
    `Labels`; case is ignored then.

    Example:
        >>> label_folder(Path("data/images/train")).as_posix(), label_folder(Path("data/train")).as_posix()
        ('data/labels/train', 'data/train')
    """
    parts = folder.parts
    for index in reversed(range(len(parts))):
        if parts[index] == "images":
            return Path(*parts[:index], "labels", *parts[index + 1 :])
    for index in reversed(range(len(parts))):
        if parts[index].lower() == "images":
            before = Path(*parts[:index])
            for sibling in sorted(before.iterdir()) if before.is_dir() else ():
                if sibling.name.lower() == "labels" and sibling.is_dir():
                    return sibling.joinpath(*parts[index + 1 :])
    return folder


def label_path(image: str | Path, folder_of: Callable[[Path], Path] = label_folder) -> Path:
    """Return the label file of an image.

    Args:
        image: path of the image.
        folder_of: returns the label folder of an image folder, such as a cached `label_folder`.

    Example:
        >>> label_path("data/images/train/7.jpg").as_posix()
        'data/labels/train/7.txt'
    """
    image = Path(image)
    return folder_of(image.parent) / image.with_suffix(".txt").name


def read_labels(path: Path, class_count: int, keypoint_shape: tuple[int, int] | None = None) -> Labels:
    """Read a YOLO label file.

    Each row is `class x y width height`, or `class` and three or more `x y` pairs of a polygon, whose
    bounding box is used; all values but the class are relative to the image size. Windows line endings, a
    byte-order mark, UTF-16, blank lines and classes such as `3.0` are accepted. Duplicate rows are used once
    (a warning). A box that extends beyond the image by more than `TOLERANCE` is clipped (a warning).

    Args:
        path: the file.
        class_count: number of class names.
        keypoint_shape: keypoints per object and values per keypoint of pose labels, whose rows are `class x y
            width height` followed by keypoints, which are ignored.

    Returns:
        Labels, with the problems that were found.

    Raises:
        FileNotFoundError: there is no such file.
        ClassRangeError: a class is not a whole number, negative, or not below `class_count`.

    Example:
        >>> read_labels(Path("7.txt"), 80).boxes_xywh_norm.shape  # doctest: +SKIP
        (3, 4)
    """
    rows = LabelRows(path)
    report = rows.report
    pose = 0 if keypoint_shape is None else 5 + keypoint_shape[0] * keypoint_shape[1]
    try:
        text = _text(path)
    except ValueError as error:  # UnicodeDecodeError is one
        report(None, f"is not a label text file ({error})")
        text = ""
    except TfyoloError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise error.__cause__ from None
        report(None, error.message)
        text = ""
    for number, row in enumerate(text.splitlines(), start=1):
        if rows.hopeless:
            report(number, "too many errors; the rest of the file is ignored", "warning")
            break
        if number > MAX_ROWS:
            report(None, f"has more than {MAX_ROWS:,} rows; no image has so many objects")
            break
        words = row.split()
        if not words:
            continue
        try:
            values = [float(word) for word in words]
        except ValueError:
            report(number, f"not a number in {row.strip()[:60]!r}")
            continue
        if not all(map(isfinite, values)):
            report(number, "a value is not finite (nan or inf)")
            continue
        if not (values[0].is_integer() and 0 <= values[0] < class_count):
            raise ClassRangeError(
                f"class {words[0]} is not one of 0 to {class_count - 1}", path=path, line=number
            )
        if pose and len(values) not in (5, pose):
            report(
                number,
                f"{len(values)} columns; with this `kpt_shape`, a row has {pose}, or 5 without keypoints",
            )
            continue
        if pose and len(values) == pose:
            rows.count(KEYPOINTS)
            values = values[:5]
        if len(values) != 5 and (len(values) < 7 or len(values) % 2 == 0):
            report(
                number,
                f"{len(values)} columns; a box has 5 (class x y width height), a polygon 7, 9, 11, ...",
            )
            continue
        if min(values[1:]) < -TOLERANCE or max(values[1:]) > 1 + TOLERANCE:
            report(
                number,
                "a value is outside 0..1; coordinates must be normalized by the image size, not in pixels",
            )
            continue
        shares = [min(max(value, 0.0), 1.0) for value in values[1:]]
        x1, y1, x2, y2 = _corners(shares)
        if x2 <= x1 or y2 <= y1:
            report(number, "the box has no area")
            continue
        box, polygon = (shares, ()) if len(shares) == 4 else (None, shares)
        points = np.array(polygon, np.float32).reshape(-1, 2)
        rows.add(number, int(values[0]), (x1, y1, x2, y2), box, points)
    return rows.labels()


def _corners(values: list[float]) -> tuple[float, float, float, float]:
    """Return x1, y1, x2, y2 of `x y width height`, or of the bounding box of a polygon."""
    if len(values) == 4:
        x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    xs, ys = values[0::2], values[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def _text(path: Path) -> str:
    """Return the text of a file; PowerShell's `>` writes UTF-16."""
    data = read_input(path, LABELS)
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    return data.decode("utf-16" if utf16 else "utf-8-sig")
