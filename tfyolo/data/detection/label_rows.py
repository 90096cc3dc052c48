"""Collect the boxes of one image, with the checks that all label formats share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tfyolo.data.detection.frame import Frame
from tfyolo.data.detection.labels import TOLERANCE, Labels, Problem
from tfyolo.data.images.header import ImageHeader

Corners = tuple[float, float, float, float]
MAX_PROBLEMS = 200
"""Maximum number of problems that are kept per label file; further ones are only counted."""
NO_POLYGON = np.zeros((0, 2), np.float32)


SCALED = "annotations were made for another size of the image; their boxes are scaled"
ROTATED = "annotations refer to the image before its EXIF rotation; their boxes are rotated"
_UNSAID = (None, "", 0, "0")
"""What annotations have in place of a width or height that is not known."""


class LabelRows:
    """Collects the boxes of one image: clips them and removes duplicates.

    Args:
        path: the label file, for messages.

    Example:
        >>> rows = LabelRows(Path("a.xml"))
        >>> rows.add(7, 0, (0.5, 0.5, 1.25, 1.0))
        >>> rows.labels().boxes_xywh_norm.tolist(), str(rows.labels().problems[0])
        ([[0.75, 0.75, 0.5, 0.5]], 'a.xml:7: box extends beyond the image; clipped')
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._classes: list[int] = []
        self._boxes: list[Sequence[float]] = []
        self._polygons: list[np.ndarray] = []
        self._problems: list[Problem] = []
        self._errors = self._more = 0
        self._seen: set[tuple[float, ...]] = set()
        self._counts: Counter[str] = Counter()
        self.annotated_hw: tuple[int, int] | None = None

    def report(self, line: int | None, message: str, severity: Literal["error", "warning"] = "error") -> None:
        """Add a problem; after `MAX_PROBLEMS` only their number is counted.

        Args:
            line: line number in the file, from 1; None for the whole file.
            message: what is wrong.
            severity: an `error` makes the image unusable, a `warning` does not.
        """
        self._errors += severity == "error"
        if len(self._problems) < MAX_PROBLEMS or (severity == "error" and self._errors == 1):
            self._problems.append(Problem(self.path, line, message, severity))
        else:
            self._more += 1

    @property
    def hopeless(self) -> bool:
        """Whether reading can stop: the image is not usable, and enough problems are known."""
        return self._errors > 0 and len(self._problems) >= MAX_PROBLEMS

    def frame(self, said_wh: tuple[Any, Any], header: ImageHeader, name: str = "") -> Frame | None:
        """Return the coordinate system of an annotation that states an image size.

        Args:
            said_wh: (width, height) as written in the file; None, blank or 0 if missing.
            header: header of the image.
            name: name of the image, if the file describes several.

        Returns:
            The frame; None, with an error added, if the aspect ratio differs from that of the image.
        """
        said = None if all(value in _UNSAID for value in said_wh) else _numbers(said_wh)
        frame = Frame.of(said, header)
        height, width = header.hw
        before = f"{name}: " if name else ""
        shown = "x".join(f"{value!s:.20}" for value in said_wh)
        if frame is None:
            self.report(
                None,
                f"{before}says {shown}, but the image is {width}x{height}; the aspect ratios differ, "
                "so its boxes cannot be placed",
            )
        elif said is None and any(value not in _UNSAID for value in said_wh):
            self.report(
                None,
                f"{before}says {shown}, but the image is {width}x{height}; the actual size is used",
                "warning",
            )
        elif frame.hw != header.hw:
            self.annotated_hw = frame.hw
            self.count(SCALED)
        if frame is not None and frame.orientation != 1:
            self.count(ROTATED)
        return frame

    def count(self, what: str) -> None:
        """Count a note that concerns the whole dataset; a scan reports the number once per split."""
        self._counts[what] += 1

    def add(
        self,
        line: int | None,
        class_id: int,
        box_xyxy_norm: Corners,
        box_xywh_norm: Sequence[float] | None = None,
        polygon_norm: np.ndarray = NO_POLYGON,
        where: str = "",
    ) -> None:
        """Add a box, clipped to the image; a box without area inside the image is dropped with a warning.

        Args:
            line: line number in the file, from 1.
            class_id: class id.
            box_xyxy_norm: corners relative to the image size.
            box_xywh_norm: the same box as written in the file, kept bit by bit if it is not clipped.
            polygon_norm: (k, 2) points of its polygon, relative to the image size.
            where: describes the location in files without lines.
        """
        before = f"{where}: " if where else ""
        x1, y1, x2, y2 = (min(max(value, 0.0), 1.0) for value in box_xyxy_norm)
        if x2 <= x1 or y2 <= y1:
            self.report(line, f"{before}box has no area inside the image; dropped", "warning")
            return
        outside = min(box_xyxy_norm) < -TOLERANCE or max(box_xyxy_norm) > 1 + TOLERANCE
        if outside:
            self.report(line, f"{before}box extends beyond the image; clipped", "warning")
        if outside or box_xywh_norm is None:
            box_xywh_norm = ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
        key = (class_id, *(round(value, 7) for value in box_xywh_norm))
        if key in self._seen:
            self.report(line, f"{before}duplicate box; used once", "warning")
            return
        self._seen.add(key)
        self._classes.append(class_id)
        self._boxes.append(box_xywh_norm)
        self._polygons.append(polygon_norm)

    def labels(self) -> Labels:
        """Return the collected labels."""
        if self._more:
            message = f"{self._more:,} more problems in this file"
            self._problems.append(Problem(self.path, None, message, "warning"))
            self._more = 0
        return Labels(
            np.array(self._classes, np.int64),
            np.array(self._boxes, np.float32).reshape(-1, 4),
            tuple(self._problems),
            tuple(self._polygons) if any(map(len, self._polygons)) else (),
            self._counts,
            self.annotated_hw,
        )


def _numbers(said_wh: tuple[Any, Any]) -> tuple[float, float] | None:
    """Parse width and height as positive numbers (480 or 480.0); None for anything else."""
    try:
        width, height = float(said_wh[0]), float(said_wh[1])
    except (TypeError, ValueError, OverflowError):
        return None
    return (width, height) if 0 < width < 1e9 and 0 < height < 1e9 else None
