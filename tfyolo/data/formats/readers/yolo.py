"""YOLO datasets: folders or lists of images, with one label file per image."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PureWindowsPath

from tfyolo.data.detection.dataset import Dataset
from tfyolo.data.detection.labels import Labels, Problem
from tfyolo.data.detection.yolo_labels import label_folder, label_path, read_labels
from tfyolo.data.formats.readers.base import (
    Entry,
    Listing,
    Source,
    SuffixIndex,
    is_image,
    place_error,
    read_rows,
    unreadable_kinds,
    walk,
)
from tfyolo.data.images.header import ImageHeader
from tfyolo.errors import TfyoloError
from tfyolo.files import suffix_of

_ABSENT_ROWS = 10_000
"""Images of a list that may be absent before it is refused, if nine of ten are."""
_NOTED_LINES = 200
"""Warnings about single lines of a list."""
_NOT_LABELS = {"classes.txt", "labels.txt", "readme.txt", "readme.dataset.txt", "readme.roboflow.txt"}
"""What annotation tools leave among label files."""


def open_split(dataset: Dataset, split: str) -> Source:
    """Find the images of a split and their label files.

    Images are searched in all subfolders; hidden files are ignored.

    Raises:
        TfyoloError: a folder or list is missing, or is not a list.
    """
    places = tuple(Path(os.path.normpath(place)) for place in dataset.splits[split])
    problems: list[Problem] = []
    images: dict[Path, None] = {}
    repeated = 0
    for place in places:
        found, again = _images(dataset, split, place, problems)
        repeated += again
        if both := images.keys() & set(found):
            message = f"{len(both)} images are also in an earlier path of `{split}`; used once"
            problems.append(Problem(place, None, message, "warning"))
            repeated += len(both)
        images |= dict.fromkeys(found)
    endings = SuffixIndex()
    folder_of = cache(label_folder)  # may list folders
    entries = tuple(Entry(image, endings.find(label_path(image, folder_of))) for image in images)
    problems += _shared_labels(entries)
    problems += _labels_without_image(places, entries)
    folders = [label_folder(place) for place in places if place.is_dir()]
    folders += [entry.labels.parent for entry in entries[:1]]
    absent = next(iter(folders), None) if not any(folder.is_dir() for folder in folders) else None
    if absent is None and entries and all(entry.labels.parent == entry.image.parent for entry in entries):
        absent = folders[0]  # labels would be beside the images

    def read(entry: Entry, header: ImageHeader) -> Labels | None:
        try:
            return read_labels(entry.labels, len(dataset.names), dataset.keypoint_shape)
        except FileNotFoundError:
            return None

    return Source(
        folder=_cache_folder(places, entries),
        watched=tuple(entry.labels for entry in entries),
        fingerprint="\n".join(
            [f"keypoints: {dataset.keypoint_shape}", *map(str, images), *map(str, problems)]
        ),
        listing=lambda: Listing(entries, read, tuple(problems), repeated, 0, absent),
    )


def _cache_folder(places: tuple[Path, ...], entries: tuple[Entry, ...]) -> Path:
    """Return the folder of the cache: `labels` for `images/train`; else that of the list or images."""
    labels = label_folder(places[0]) if places[0].is_dir() else next((e.labels.parent for e in entries), None)
    if labels is not None and labels.parent.name.lower() == "labels":
        return labels.parent
    return labels if labels is not None and labels.is_dir() else places[0].parent


def _images(dataset: Dataset, split: str, place: Path, problems: list[Problem]) -> tuple[list[Path], int]:
    """Return the sorted images of a folder, or those of a list in order, and the number of duplicates."""
    if place.is_dir():
        files = list(walk(place))
        problems += unreadable_kinds(place, files)
        return sorted(filter(is_image, files)), 0
    if not place.is_file():
        raise place_error(dataset.yaml_path, split, place)
    if suffix_of(place) != ".txt":
        fix = "pass a folder, or a .txt file with one image path per line"
        raise TfyoloError(
            f"`{split}`: {place} is neither a folder nor a .txt list", path=dataset.yaml_path, fix=fix
        )
    images: dict[Path, int] = {}
    rows: dict[str, int] = {}
    repeated, absent = 0, []
    noted = _Noted(place, problems)
    bases = [place.parent, Path.cwd(), *([dataset.root] if dataset.root else [])]
    for number, row in read_rows(place):
        if row in rows:  # without asking the file system again
            noted.add(number, f"the same image as on line {rows[row]}; used once")
            repeated += 1
            continue
        if not is_image(Path(row)):
            noted.add(number, f"{Path(row).name} is not an image; ignored")
            continue
        rows[row] = number
        image = _listed(bases, row)
        if image is None:
            image = Path(os.path.normpath(place.parent / row))
            absent.append(row)
            if len(absent) >= _ABSENT_ROWS and 10 * len(absent) > 9 * len(rows):
                raise TfyoloError(
                    f"{len(absent):,} of the first {len(rows):,} images do not exist, such as {row[:80]!r}",
                    path=place,
                    line=number,
                    fix="write paths on this machine, relative to the folder of the list or to `path`",
                )
        if image in images:
            noted.add(number, f"the same image as on line {images[image]}; used once")
            repeated += 1
        else:
            images[image] = number
    noted.end()
    if absent and (len(absent) == len(images) or any(PureWindowsPath(row).root for row in absent)):
        message = (
            f"{len(absent)} of {len(images)} images do not exist, such as {absent[0][:80]!r}; write paths on "
            "this machine, relative to the folder of the list, to `path` or to the current directory"
        )
        problems.append(Problem(place, None, message, "error"))
    return list(images), repeated


class _Noted:
    """Adds warnings about lines of a list: the first few, and the number of the others.

    Args:
        place: the list.
        problems: list to be extended.
    """

    def __init__(self, place: Path, problems: list[Problem]) -> None:
        self._place, self._problems, self._count = place, problems, 0

    def add(self, number: int, message: str) -> None:
        """Add a warning about a line, counted from 1."""
        self._count += 1
        if self._count <= _NOTED_LINES:
            self._problems.append(Problem(self._place, number, message, "warning"))

    def end(self) -> None:
        """Add a warning with the number of further warnings, if any."""
        if (more := self._count - _NOTED_LINES) > 0:
            message = f"{more:,} more lines like these are not listed"
            self._problems.append(Problem(self._place, None, message, "warning"))


def _listed(bases: list[Path], row: str) -> Path | None:
    """Return the image of a row of a list, relative to one of these folders; None if it is missing."""
    spellings = [row, row.replace("\\", "/")] if "\\" in row and not PureWindowsPath(row).anchor else [row]
    for base in bases:
        for text in spellings:
            if (image := base / text).exists():
                return Path(os.path.normpath(image))
    return None


def _shared_labels(entries: tuple[Entry, ...]) -> Iterator[Problem]:
    """Return a warning for each image that shares a label file with another: 1.jpg and 1.png."""
    first: dict[Path, Path] = {}
    for entry in entries:
        other = first.setdefault(entry.labels, entry.image)
        if other != entry.image:
            message = f"shares its label file {entry.labels.name} with {other.name}; both are used"
            yield Problem(entry.image, None, message, "warning")


def _labels_without_image(places: tuple[Path, ...], entries: tuple[Entry, ...]) -> Iterator[Problem]:
    """Return a warning for each label file without an image; not for .txt lists, which are partial."""
    wanted = {entry.labels for entry in entries}
    for place in places:
        if not place.is_dir():
            continue
        stray = (
            path for path in walk(label_folder(place)) if suffix_of(path) == ".txt" and path not in wanted
        )
        for path in sorted(stray):
            if path.name.lower() not in _NOT_LABELS:
                yield Problem(path, None, "no image belongs to this label file", "warning")
