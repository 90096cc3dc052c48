"""The interface of dataset writers, and how they copy images."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import numpy as np

from tfyolo.data.detection.polygons import bounds_xyxy
from tfyolo.data.detection.sample import Sample
from tfyolo.data.images.read import IMAGE_SUFFIXES, read_bytes
from tfyolo.disk import OF_WRITING
from tfyolo.errors import TfyoloError

_NAME_BYTES = 200
"""Of a name without ending; most file systems take 255 bytes."""
FIT = 1e-4
"""How far, as a share of the box's size, the bounds of a polygon may be from its box."""
Place = str | dict[str, str]
"""The value of `train:` in the YAML file."""


class Names:
    """File names in the new dataset: unique, and without folders.

    Names differ in more than suffix and case, because labels are found by the stem.

    Example:
        >>> names, empty = Names(), np.zeros(0)
        >>> [names.of(Sample(Path(p), (1, 1), empty, empty)) for p in ("a/1.jpg", "b/1.png", "a/1.jpg")]
        ['1.jpg', '1_2.png', '1.jpg']
    """

    def __init__(self) -> None:
        self._by_source: dict[tuple[Path, tuple[int, int] | None], str] = {}
        self._stems: set[str] = set()

    def of(self, sample: Sample) -> str:
        """Return the file name of an image; the same for the same image."""
        source = (sample.image, sample.span)
        if source not in self._by_source:
            plain = Path(re.sub(r"[^\w .()+=@-]", "_", PureWindowsPath(sample.name).name).strip(" ."))
            suffix = plain.suffix if plain.suffix.lower() in IMAGE_SUFFIXES else ".jpg"
            base = plain.stem if suffix == plain.suffix else plain.name
            base = shortened(base, _NAME_BYTES).strip(" .") or "image"
            stem, number = base, 2
            while stem.casefold() in self._stems:
                stem, number = f"{base}_{number}", number + 1
            self._stems.add(stem.casefold())
            self._by_source[source] = stem + suffix
        return self._by_source[source]


@dataclass(frozen=True)
class Split:
    """A split that is written to a new dataset.

    Attributes:
        name: `train`, `val` or `test`.
        samples: images with their labels; class ids are those of `classes`.
        classes: class names.
        folder: folder of the new dataset, with earlier splits of the same run.
        names: file names of the images.
        link: make hard links to images instead of copies.
        shards: number of TFRecord files; None for files of about 256 MiB.
        polygons: write polygons even if a format derives boxes from them, and those would change.
        done: callback after each image.
    """

    name: str
    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    folder: Path
    names: Names
    link: bool = False
    shards: int | None = None
    polygons: bool = False
    done: Callable[[], None] = lambda: None

    def put_image(self, sample: Sample, folder: Path) -> str:
        """Copy or link an image into a folder of the new dataset; returns its name.

        Raises:
            TfyoloError: the image cannot be read, written, or linked.
        """
        folder.mkdir(parents=True, exist_ok=True)
        name = self.names.of(sample)
        target = folder / name
        if not target.exists():  # another split may have brought it
            try:
                if sample.span is not None:
                    target.write_bytes(read_bytes(sample.image, sample.span))
                elif self.link:
                    os.link(os.path.realpath(sample.image), target)
                else:
                    shutil.copyfile(sample.image, target)
            except OSError as error:
                if error.errno in OF_WRITING:  # no fault of this image
                    raise
                fix = "pass --copy" if self.link and error.errno in (errno.EXDEV, errno.EPERM) else None
                how = "linked" if self.link else "copied"
                raise TfyoloError(
                    f"cannot be {how}: {error.strerror or error}", path=sample.image, fix=fix
                ) from error
        return name


def fill_box(sample: Sample) -> tuple[bool, ...]:
    """Return for each box whether it has a polygon, with the box as its bounds.

    Example:
        >>> from pathlib import Path
        >>> polygon = np.float32([[0, 0], [1, 0], [1, 1]])
        >>> boxes = np.float32([[0.5, 0.5, 1, 1], [0.4, 0.5, 0.8, 1]])
        >>> fill_box(Sample(Path("a.jpg"), (4, 4), np.zeros(2), boxes, (polygon, polygon)))
        (True, False)
    """
    if not sample.polygons_norm:
        return (False,) * len(sample.classes)
    boxes = sample.boxes_xywh_norm
    corners = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1)
    limits = FIT * np.tile(boxes[:, 2:], 2)
    return tuple(
        len(polygon) > 0 and bool((np.abs(bounds_xyxy(polygon) - box) <= limit).all())
        for polygon, box, limit in zip(sample.polygons_norm, corners, limits, strict=True)
    )


def shortened(name: str, most_bytes: int) -> str:
    """Truncate a name to a number of bytes, which file systems limit.

    Example:
        >>> shortened("größe", 4)
        'grö'
    """
    return name.encode(errors="replace")[:most_bytes].decode(errors="ignore")


def corners_px(sample: Sample) -> np.ndarray:
    """Return float64 (n, 4) xyxy in pixels, without rounding errors of integers."""
    height, width = sample.hw
    boxes = sample.boxes_xywh_norm.astype(np.float64)
    corners = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1)
    side = np.array([width, height, width, height], np.float64)
    pixels = np.clip(corners, 0, 1) * side
    whole = np.round(pixels)
    return np.where(np.abs(pixels - whole) <= 1e-5 + 2e-7 * side, whole, np.round(pixels, 5))


def short(value: float) -> str:
    """Format a number without trailing zeros.

    Example:
        >>> short(12.0), short(0.25)
        ('12', '0.25')
    """
    return f"{value:.9g}" if value != int(value) else str(int(value))
