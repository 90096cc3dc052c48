"""Labels of one image, in any dataset format, and problems that were found in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from tfyolo.errors import TfyoloError

TOLERANCE = 1e-3
"""How far outside 0..1 a value may be, as a share of the image; many labels have three decimals."""


class ClassRangeError(TfyoloError):
    """A label has a class id without a class name: the names do not belong to the labels."""


@dataclass(frozen=True)
class Problem:
    """A problem in an image or label file.

    Attributes:
        path: the image or label file.
        line: line of the label file, from 1.
        message: describes the problem.
        severity: after an `error` the image is not used; after a `warning` it is.

    Example:
        >>> str(Problem(Path("a.txt"), 4, "duplicate box; used once", "warning"))
        'a.txt:4: duplicate box; used once'
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
    """Labels of one image.

    Attributes:
        classes: int64 (n,) class ids.
        boxes_xywh_norm: float32 (n, 4) center x, center y, width, height relative to the image size, 0 to 1.
        problems: problems in the file; if one is an error, the image must not be used.
        polygons_norm: one float32 (k, 2) array of x, y in 0..1 per box, with k = 0 for plain boxes; an empty
            tuple if there are no polygons.
        counts: number of notes that concern the whole dataset, by message; reported once per split.
        annotated_hw: (height, width) in pixels of the image that was annotated, if its size differs.
    """

    classes: np.ndarray
    boxes_xywh_norm: np.ndarray
    problems: tuple[Problem, ...]
    polygons_norm: tuple[np.ndarray, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    annotated_hw: tuple[int, int] | None = None
