"""Label files of YOLO datasets: a text file for each image, a row for each box or polygon."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Literal

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.inputs import LABELS, read_input

TOLERANCE = 1e-3
"""How far outside 0..1 a value may be, as a share of the image; many labels have three decimals."""
KEYPOINTS = "objects have keypoints (`kpt_shape`), which are passed over; their boxes are used"
MAX_ROWS = 50_000
"""Of one label file."""


class ClassRangeError(TfyoloError):
    """A label has a class that the dataset does not name: names and labels do not belong together."""


@dataclass(frozen=True)
class Problem:
    """Something found while a dataset was read.

    Args:
        path: the image or label file it is about.
        line: line of the label file, from 1.
        message: what is wrong.
        severity: after an `error` the image is left out; after a `warning` it is used.

    Example:
        >>> str(Problem(Path("a.txt"), 4, "a box is there twice; used once", "warning"))
        'a.txt:4: a box is there twice; used once'
    """

    path: Path
    line: int | None
    message: str
    severity: Literal["error", "warning"]

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line is not None else f"{self.path}"
        return f"{place}: {self.message}"


@dataclass(frozen=True)
class Labels:
    """What a label file holds.

    Args:
        classes: int64 (n,) class numbers.
        boxes_xywh_norm: float32 (n, 4) center, width and height as shares of the image's width and height.
        problems: what was wrong; with an error among them the image is not to be used.
        polygons_norm: for each box its outline, float32 (k, 2) x, y in 0..1, with k 0 where the label is a
            plain box; an empty tuple where no box has one.
        counts: what is no fault of this file alone, and how often; told once per split.
        annotated_hw: height and width of the image that the labels were made for, where it had another size.
    """

    classes: np.ndarray
    boxes_xywh_norm: np.ndarray
    problems: tuple[Problem, ...]
    polygons_norm: tuple[np.ndarray, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    annotated_hw: tuple[int, int] | None = None


def label_path(image: str | Path) -> Path:
    """The label file of an image, by YOLOv5's rule: the last folder called `images` becomes `labels`.

    Without such a folder the label file is beside the image.

    Example:
        >>> label_path("data/images/train/7.jpg").as_posix()
        'data/labels/train/7.txt'
    """
    before, found, after = str(image).rpartition(f"{os.sep}images{os.sep}")
    text = f"{before}{os.sep}labels{os.sep}{after}" if found else str(image)
    return Path(text).with_suffix(".txt")


def read_labels(path: Path, class_count: int, keypoint_shape: tuple[int, int] | None = None) -> Labels:
    """Read a label file.

    A row is `class x y width height`, or `class` and three or more `x y` of a polygon, which becomes its
    bounding box; all but the class as shares of the image's width and height. Windows line ends, a
    byte-order mark, UTF-16, blank lines and classes like `3.0` are understood. Rows that say the same are
    used once (a warning). A box that sticks out of the image by more than `TOLERANCE` is cut at the border
    (a warning).

    Args:
        path: the file.
        class_count: number of class names.
        keypoint_shape: keypoints per object and values per keypoint of pose labels, whose rows are `class x y
            width height` and the keypoints, which are passed over.

    Raises:
        FileNotFoundError: there is no such file.
        ClassRangeError: a class is not a whole number, negative, or not below `class_count`.

    Example:
        >>> read_labels(Path("7.txt"), 80).boxes_xywh_norm.shape  # doctest: +SKIP
        (3, 4)
    """
    from tfyolo.data.detection.label_rows import LabelRows

    rows = LabelRows(path)
    report = rows.report
    pose = 0 if keypoint_shape is None else 5 + keypoint_shape[0] * keypoint_shape[1]
    try:
        text = _text(path)
    except ValueError as error:  # UnicodeDecodeError is one
        report(None, f"is not a text file of labels ({error})")
        text = ""
    except TfyoloError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise error.__cause__ from None
        report(None, error.message)
        text = ""
    for number, row in enumerate(text.splitlines(), start=1):
        if rows.hopeless:
            report(number, "the rest of the file is not read", "warning")
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
            report(number, f"{len(values)} columns; by `kpt_shape` a row has {pose}, or 5 without keypoints")
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
            report(number, "a value is outside 0..1; labels are shares of the image's size, not pixels")
            continue
        shares = [min(max(value, 0.0), 1.0) for value in values[1:]]
        x1, y1, x2, y2 = _corners(shares)
        if x2 <= x1 or y2 <= y1:
            report(number, "the box has no area")
            continue
        box, outline = (shares, ()) if len(shares) == 4 else (None, shares)
        points = np.array(outline, np.float32).reshape(-1, 2)
        rows.add(number, int(values[0]), (x1, y1, x2, y2), box, points)
    return rows.labels()


def _corners(values: list[float]) -> tuple[float, float, float, float]:
    """x1, y1, x2, y2 of `x y width height`, or of a polygon's points."""
    if len(values) == 4:
        x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    xs, ys = values[0::2], values[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def _text(path: Path) -> str:
    """The file's text; PowerShell's `>` writes UTF-16."""
    data = read_input(path, LABELS)
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    return data.decode("utf-16" if utf16 else "utf-8-sig")
