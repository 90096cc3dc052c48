"""Count the polygons of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfyolo.data.detection.sample import Sample


def images_with_polygons(samples: Sequence[Sample]) -> int:
    """Return the number of images with at least one polygon.

    Example:
        >>> images_with_polygons(scan.samples)  # doctest: +SKIP
        126
    """
    return sum(any(map(len, sample.polygons_norm)) for sample in samples)


def boxes_without_polygon(samples: Sequence[Sample]) -> int:
    """Return the number of boxes without a polygon; their masks are rectangles.

    Example:
        >>> boxes_without_polygon(scan.samples)  # doctest: +SKIP
        0
    """
    return sum(len(sample.classes) - sum(map(bool, map(len, sample.polygons_norm))) for sample in samples)
