"""What a scan of a dataset gives, whatever its format: images with their labels, and what was wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfyolo.data.detection.labels import Problem


@dataclass(frozen=True)
class Sample:
    """An image that can be used, with its labels.

    Args:
        image: the file.
        hw: height and width in pixels as shown, after the EXIF rotation.
        classes: int64 (n,).
        boxes_xywh_norm: float32 (n, 4) center, width and height, 0..1; n is 0 for a background.
        polygons_norm: for each box its outline, float32 (k, 2) x, y in 0..1, with k 0 where the label is a
            plain box; an empty tuple where no box has one.
        span: offset and length in bytes of the image inside `image`, where that is a file of many records.
        record: what the image is called in such a file.
        annotated_hw: height and width of the image that the labels were made for, where it had another size.
    """

    image: Path
    hw: tuple[int, int]
    classes: np.ndarray
    boxes_xywh_norm: np.ndarray
    polygons_norm: tuple[np.ndarray, ...] = ()
    span: tuple[int, int] | None = None
    record: str | None = None
    annotated_hw: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """The image's own file name, without folders."""
        return (self.record or "").rpartition("/")[2] or self.image.name


@dataclass(frozen=True)
class Scan:
    """What was found in a split. Each image is counted once, in `found`, `missing`, `empty` or `corrupt`.

    Args:
        samples: the usable images, in the order of their paths (of a list or index: in its order).
        problems: what was wrong, in the same order.
        found: images with boxes.
        missing: images without a label file: backgrounds.
        empty: images whose labels hold no box: backgrounds.
        corrupt: images left out, for themselves or for their labels.
        duplicates: images of the same content as an earlier one, which are used, and images named twice,
            which are used once.
    """

    samples: tuple[Sample, ...]
    problems: tuple[Problem, ...]
    found: int
    missing: int
    empty: int
    corrupt: int
    duplicates: int = 0

    def summary(self) -> str:
        """Return the counts in one line.

        Example:
            >>> Scan((), (), 0, 0, 0, 2).summary()
            '0 images: 0 with labels, 0 without a label file, 0 with an empty one; 2 left out, 0 duplicates'
        """
        return (
            f"{len(self.samples)} images: {self.found} with labels, {self.missing} without a label file, "
            f"{self.empty} with an empty one; {self.corrupt} left out, {self.duplicates} duplicates"
        )
