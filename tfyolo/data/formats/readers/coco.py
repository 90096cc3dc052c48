"""COCO datasets: one JSON file of instances per split."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from tfyolo.data.detection.dataset import Dataset
from tfyolo.data.detection.frame import Frame
from tfyolo.data.detection.label_rows import NO_POLYGON, LabelRows
from tfyolo.data.detection.labels import Labels, Problem
from tfyolo.data.detection.polygons import joined
from tfyolo.data.formats.readers.base import Entry, Listing, Source, contained, place_error
from tfyolo.data.formats.readers.coco_json import CocoFile, read_coco
from tfyolo.data.formats.readers.coco_rle import rle_mask
from tfyolo.data.formats.readers.names import class_of, unknown_name
from tfyolo.data.images.header import ImageHeader
from tfyolo.data.segmentation.contours import mask_polygon
from tfyolo.errors import TfyoloError

CROWDS = "annotations of crowds (`iscrowd`) are not single objects and are left out"
KEYPOINTS = "annotations have `keypoints`, which are ignored; their boxes are used"


@dataclass(frozen=True)
class _Part:
    """Size and annotations of one entry of `images`."""

    file: Path
    said_wh: tuple[Any, Any]
    rows: list[dict[str, Any]]


@dataclass
class _Split:
    """Contents of the JSON files of a split."""

    entries: dict[Path, Entry] = field(default_factory=dict)
    parts: dict[Path, list[_Part]] = field(default_factory=dict)
    classes: dict[Path, dict[int | str, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    repeated: int = 0
    refused: int = 0


def open_split(dataset: Dataset, split: str) -> Source:
    """Find the JSON files of a split; they are read only without a valid cache.

    Images are searched by `file_name` in the folder that the YAML file names or, if it names none, in `path`,
    in `images` there, next to the JSON file and one folder up, and in folders there that are named like the
    JSON
    file: `train2017` for instances_train2017.json.

    Raises:
        TfyoloError: a file is missing.
    """
    places = [Path(os.path.normpath(place)) for place in dataset.splits[split]]
    folders = {
        Path(os.path.normpath(place)): Path(os.path.normpath(folder))
        for place, folder in dataset.image_folders.items()
    }
    for place in places:
        if not place.is_file():
            if place.exists():
                fix = "pass the .json file of instances"
                raise TfyoloError(f"`{split}`: {place} is not a file", path=dataset.yaml_path, fix=fix)
            raise place_error(dataset.yaml_path, split, place)

    def listing() -> Listing:
        found = _Split()
        for place in places:
            _collect(found, place, _image_folders(place, folders.get(place), dataset.root), dataset)

        def read(entry: Entry, header: ImageHeader) -> Labels:
            return _labels(found, entry, header)

        entries = tuple(found.entries.values())
        return Listing(entries, read, tuple(found.problems), found.repeated, found.refused)

    fingerprint = "\n".join(f"{place} {folders.get(place)} {dataset.root}" for place in places)
    return Source(places[0].parent, tuple(places), fingerprint, listing)


def _image_folders(place: Path, given: Path | None, root: Path | None) -> list[Path]:
    """Return the folders that are searched for images of a JSON file; never empty."""
    if given is not None:
        return [given]
    bases = dict.fromkeys([*([root] if root else []), place.parent, place.parent.parent])
    called = place.stem.removeprefix("instances_")
    below = ("", "images", called, f"images/{called}")
    return [folder for base in bases for name in below if (folder := base / name).is_dir()] or [place.parent]


def _collect(found: _Split, place: Path, folders: list[Path], dataset: Dataset) -> None:
    """Add the images of one JSON file."""
    file = read_coco(place)
    found.classes[place] = _classes(place, file, dataset)
    annotations = dict(file.annotations)
    elsewhere: list[str] = []
    inside = [place.parent, *([dataset.root] if dataset.root else []), *dataset.image_folders.values()]
    by_name = Counter(_base(name) for name in {name for _, name, _ in file.images})
    for image_id, name, row in file.images:
        rows = annotations.pop(image_id, [])
        image, leads_out = _find(folders, inside, name, by_name)
        if image is None:
            message = f"image {image_id}: {name[:60]!r} points outside the dataset"
            found.problems.append(Problem(place, None, message, "error"))
            found.refused += 1
            continue
        if leads_out:
            elsewhere.append(name)
        if image in found.entries:
            message = f"image {image_id}: {name[:60]!r} is listed again; used once, with all its annotations"
            found.problems.append(Problem(place, None, message, "warning"))
            found.repeated += 1
        found.entries.setdefault(image, Entry(image, place))
        found.parts.setdefault(image, []).append(_Part(place, (row.get("width"), row.get("height")), rows))
    if elsewhere:
        message = (
            f"{len(elsewhere)} file names point outside the dataset, such as {elsewhere[0][:80]!r}; "
            f"the images of these names in {folders[0]} are used"
        )
        found.problems.append(Problem(place, None, message, "warning"))
    if annotations:
        count = sum(map(len, annotations.values()))
        message = f"{count} annotations refer to images that are not in the file; ignored"
        found.problems.append(Problem(place, None, message, "warning"))


def _find(
    folders: list[Path], inside: list[Path], name: str, by_name: Counter[str]
) -> tuple[Path | None, bool]:
    """Find the file of an image, and whether its name points outside the dataset.

    Annotation tools write absolute paths, or `..\\..\\upload\\1.jpg`: if the name is unique, the file of this
    name in a folder of the dataset is used. The folder of the image is moved to the front.
    """
    paths = [contained(folder, name) for folder in folders]
    if None in paths:
        base = _base(name)
        own = [folder for folder in folders if any(map(folder.is_relative_to, inside))]
        paths = [contained(folder, base) for folder in own] if by_name[base] == 1 else []
        return next((path for path in paths if path and path.is_file()), None), True
    kept = [path for path in paths if path is not None]
    image = next((path for path in kept if path.is_file()), None)
    if image is not None:  # the next one is most likely there too
        folders.insert(0, folders.pop(kept.index(image)))
    return image or kept[0], False


def _base(name: str) -> str:
    """Return a file name without folders, separated by / or \\."""
    return PureWindowsPath(name).name


def _classes(place: Path, file: CocoFile, dataset: Dataset) -> dict[int | str, int]:
    """Return the class id of each category; unused categories need none."""
    classes = {key: class_of(name, dataset.names) for key, name in file.categories.items()}
    used = {_category(row) for rows in file.annotations.values() for row in rows}
    for key, name in file.categories.items():
        if classes[key] is None and key in used:
            raise unknown_name(name, dataset.names, f"category {key} of {place.name}", dataset.yaml_path)
    return {key: number for key, number in classes.items() if number is not None}


def _category(row: Mapping[str, Any]) -> int | str | None:
    value = row.get("category_id")
    return value if isinstance(value, (int, str)) and not isinstance(value, bool) else None


def _labels(found: _Split, entry: Entry, header: ImageHeader) -> Labels:
    """Return boxes and polygons of an image; crowds, which are not single objects, are omitted."""
    rows = LabelRows(entry.labels)
    for part in found.parts[entry.image]:
        _add_part(rows, part, entry.image.name, found.classes[part.file], header)
    return rows.labels()


def _add_part(
    rows: LabelRows, part: _Part, name: str, classes: Mapping[int | str, int], header: ImageHeader
) -> None:
    frame = rows.frame(part.said_wh, header, name)
    if frame is None:
        return
    for row in part.rows:
        where = f"{name}: annotation {row.get('id')!s:.20}"
        if row.get("iscrowd"):
            rows.count(CROWDS)
            continue
        category = _category(row)
        class_id = None if category is None else classes.get(category)
        if class_id is None:
            rows.report(None, f"{where} has category {row.get('category_id')!s:.20}, which is not listed")
            continue
        numbers = _numbers(row.get("bbox"))
        if numbers is None or len(numbers) != 4:
            rows.report(None, f"{where} has no `bbox` of four finite numbers: x, y, width, height in pixels")
            continue
        if row.get("keypoints"):
            rows.count(KEYPOINTS)
        x, y, w, h = numbers
        polygon = _polygon(row.get("segmentation"), frame)
        if polygon is None:
            rows.report(None, f"{where} has an invalid polygon or mask; its box is used", "warning")
        rows.add(
            None,
            class_id,
            frame.box_to_shares((x, y, x + w, y + h)),
            polygon_norm=NO_POLYGON if polygon is None else polygon,
            where=where,
        )


def _numbers(values: Any) -> list[float] | None:
    """Parse a list of finite numbers; None for anything else."""
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        return None
    try:
        numbers = [float(value) for value in values]
    except OverflowError:  # a whole number of hundreds of digits
        return None
    return numbers if all(map(isfinite, numbers)) else None


def _polygon(segmentation: Any, frame: Frame) -> np.ndarray | None:
    """Return the polygons or the mask of an annotation as one polygon; None for invalid data."""
    if not segmentation:
        return NO_POLYGON
    if isinstance(segmentation, dict):  # run-length encoded
        mask = rle_mask(segmentation, frame.size_wh)
        if mask is None:
            return None
        return np.clip(frame.to_shares(mask_polygon(mask)), 0, 1).astype(np.float32)
    if not isinstance(segmentation, list):
        return None
    parts = []
    for part in segmentation:
        numbers = _numbers(part)
        if numbers is None or len(numbers) < 6 or len(numbers) % 2:
            return None
        parts.append(np.clip(frame.to_shares(np.reshape(numbers, (-1, 2))), 0, 1).astype(np.float32))
    return joined(parts)
