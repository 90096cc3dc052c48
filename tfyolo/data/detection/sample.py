"""Result of a dataset scan, independent of the format: images with labels, and problems."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfyolo.data.detection.labels import Problem


@dataclass(frozen=True)
class Sample:
    """A usable image with its labels.

    Attributes:
        image: path of the image file.
        hw: (height, width) in pixels, after EXIF rotation.
        classes: int64 (n,) class ids.
        boxes_xywh_norm: float32 (n, 4) center x, center y, width, height relative to the image; n is 0 for a
            background.
        polygons_norm: one float32 (k, 2) array of x, y in 0..1 per box, with k = 0 for plain boxes; an empty
            tuple if there are no polygons.
        span: offset and length in bytes of the image inside `image`, if that is a TFRecord file.
        record: name of the image in such a file.
        annotated_hw: (height, width) in pixels of the annotated image, if its size differs.
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
        """File name of the image, without folders."""
        return (self.record or "").rpartition("/")[2] or self.image.name


@dataclass(frozen=True)
class Scan:
    """Result of the scan of a split. Each image is counted once: in `found`, `missing`, `empty` or `corrupt`.

    Attributes:
        samples: usable images, in the order of their paths, or of a list or index.
        problems: problems of images and labels, in the same order.
        found: number of images with boxes.
        missing: number of images without a label file (backgrounds).
        empty: number of images whose label file is empty (backgrounds).
        corrupt: number of images that cannot be used because of the image or its labels.
        duplicates: number of images with the same content as an earlier one (all are used), and of images
            listed twice (used once).
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
