"""Datasets of PNG masks: one file per image and class, in which each color is one object.

The last folder named `images` becomes `masks`, and a folder per class comes before the name of the image:
images/train/7.jpg has masks/train/cat/7.png and masks/train/dog/7.png.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfyolo.data.detection.dataset import Dataset
from tfyolo.data.detection.frame import Frame
from tfyolo.data.detection.label_rows import LabelRows
from tfyolo.data.detection.labels import Labels, Problem
from tfyolo.data.formats.readers.base import (
    Entry,
    Listing,
    Source,
    is_image,
    place_error,
    unreadable_kinds,
    walk,
)
from tfyolo.data.formats.readers.beside import folder_beside
from tfyolo.data.formats.readers.mask_png import mask_objects, read_mask
from tfyolo.data.formats.readers.names import class_of, unknown_name
from tfyolo.data.images.header import ImageError, ImageHeader
from tfyolo.data.segmentation.contours import mask_polygon
from tfyolo.errors import TfyoloError

_FIX = "put the masks of each class into a folder of its name, such as masks/train/cat/001.png"


@dataclass(frozen=True)
class _Place:
    """A folder of images, and its folders of masks.

    Attributes:
        images: the folder.
        classes: (class id, folder of its masks), in the order of the class ids.
    """

    images: Path
    classes: tuple[tuple[int, Path], ...]

    def masks(self, image: Path) -> Iterator[tuple[int, Path]]:
        """Return the class id and the path of every mask that an image can have."""
        name = image.relative_to(self.images).with_suffix(".png")
        return ((class_id, folder / name) for class_id, folder in self.classes)


def open_split(dataset: Dataset, split: str) -> Source:
    """Find the images of a split and their masks.

    Raises:
        TfyoloError: a folder is missing, or is not named like a class.
    """
    found: dict[Path, _Place] = {}
    problems: list[Problem] = []
    for images in (Path(os.path.normpath(place)) for place in dataset.splits[split]):
        place = _place(dataset, split, images)
        files = list(walk(images))
        problems += unreadable_kinds(images, files)
        for image in sorted(filter(is_image, files)):
            found.setdefault(image, place)
    every = {image: tuple(place.masks(image)) for image, place in found.items()}
    first = folder_beside(Path(os.path.normpath(dataset.splits[split][0])), "masks") or Path()

    def read(entry: Entry, header: ImageHeader) -> Labels | None:
        masks = [(class_id, path) for class_id, path in every[entry.image] if path.is_file()]
        return _labels(entry, header, masks) if masks else None

    entries = tuple(Entry(image, masks[0][1]) for image, masks in every.items())
    return Source(
        folder=first,
        watched=tuple(path for masks in every.values() for _, path in masks),
        fingerprint="\n".join([*map(str, every), *map(str, problems)]),
        listing=lambda: Listing(entries, read, tuple(problems), unlabeled=first),
    )


def _place(dataset: Dataset, split: str, images: Path) -> _Place:
    """Find the folders of masks of a folder of images."""
    folder = folder_beside(images, "masks")
    if not images.is_dir():
        if images.exists():
            fix = "pass a folder of images, such as images/train"
            raise TfyoloError(f"`{split}`: {images} is not a folder", path=dataset.yaml_path, fix=fix)
        raise place_error(dataset.yaml_path, split, images)
    if folder is None:
        fix = "move the images to images/, and the masks to masks/ next to it"
        raise TfyoloError(
            f"`{split}`: {images} is not in a folder named `images`", path=dataset.yaml_path, fix=fix
        )
    if not folder.is_dir():
        raise TfyoloError(f"`{split}`: {folder} does not exist", path=dataset.yaml_path, fix=_FIX)
    classes: dict[int, Path] = {}
    for below in sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."):
        class_id = class_of(below.name, dataset.names)
        if class_id is not None:
            classes[class_id] = below
        elif len(dataset.names) > 1:
            raise unknown_name(below.name, dataset.names, f"the folder {below}", dataset.yaml_path)
    if not classes and len(dataset.names) == 1:
        classes[0] = folder
    if not classes:
        raise TfyoloError(
            f"`{split}`: {folder} has no folder that is named like a class", path=dataset.yaml_path, fix=_FIX
        )
    return _Place(images, tuple(sorted(classes.items())))


def _labels(entry: Entry, header: ImageHeader, masks: list[tuple[int, Path]]) -> Labels:
    """Return boxes and polygons of an image."""
    rows = LabelRows(entry.labels)
    for class_id, path in masks:
        name = f"{path.parent.name}/{path.name}"
        try:
            mask = read_mask(path)
        except ImageError as error:
            rows.report(None, f"{name}: {error.message}")
            continue
        frame = rows.frame((mask.shape[1], mask.shape[0]), header, name)
        if frame is not None:
            _add(rows, class_id, mask, frame, name)
    return rows.labels()


def _add(rows: LabelRows, class_id: int, mask: np.ndarray, frame: Frame, name: str) -> None:
    for number, (x, y, part) in enumerate(mask_objects(mask), start=1):
        height, width = part.shape
        polygon = frame.to_shares(mask_polygon(part) + np.array([x, y], np.float32))
        rows.add(
            None,
            class_id,
            frame.box_to_shares((x, y, x + width, y + height)),
            polygon_norm=np.clip(polygon, 0, 1).astype(np.float32),
            where=f"{name}: object {number}",
        )
