"""Count the polygons of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfyolo.data.detection.sample import Sample


def images_with_polygons(samples: Sequence[Sample]) -> int:
    """Return the number of images with at least one polygon.

    Example:
        >>> from tfyolo.data.detection.scan import read_dataset, scan_split
        >>> images_with_polygons(scan_split(read_dataset("bccd-mini"), "val").samples)
        0
    """
    return sum(any(map(len, sample.polygons_norm)) for sample in samples)


def boxes_without_polygon(samples: Sequence[Sample]) -> int:
    """Return the number of boxes without a polygon; their masks are rectangles.

    Example:
        >>> from tfyolo.data.detection.scan import read_dataset, scan_split
        >>> boxes_without_polygon(scan_split(read_dataset("bccd-mini"), "val").samples)
        336
    """
    return sum(len(sample.classes) - sum(map(bool, map(len, sample.polygons_norm))) for sample in samples)
