"""YOLO data sets: folders or lists of pictures, and a text file of labels for each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tfyolo.data.dataset_yaml import Dataset
from tfyolo.data.labels import Labels, Problem, label_path, read_labels
from tfyolo.data.readers.base import Entry, Listing, Source, is_picture, place_error, read_rows, walk
from tfyolo.errors import TfyoloError

_NOT_LABELS = {"classes.txt", "labels.txt", "readme.txt", "readme.dataset.txt", "readme.roboflow.txt"}
"""What annotation tools leave among label files."""


def open_split(dataset: Dataset, split: str) -> Source:
    """Find the pictures of a split and the label files that belong to them.

    Pictures are looked for in all subfolders; hidden files are passed over.

    Raises:
        TfyoloError: a folder or list is missing, or is no list.
    """
    places = tuple(Path(os.path.normpath(place)) for place in dataset.splits[split])
    problems: list[Problem] = []
    images: dict[Path, None] = {}
    repeated = 0
    for place in places:
        found, again = _images(dataset, split, place, problems)
        repeated += again
        if both := images.keys() & set(found):
            message = f"{len(both)} pictures are in an earlier place of `{split}` too; used once"
            problems.append(Problem(place, None, message, "warning"))
            repeated += len(both)
        images |= dict.fromkeys(found)
    entries = tuple(Entry(image, label_path(image)) for image in images)
    problems += _labels_without_image(places, entries)
    folders = [_labels_of(place) for place in places if place.is_dir()]
    folders += [entry.labels.parent for entry in entries[:1]]
    absent = next(iter(folders), None) if not any(folder.is_dir() for folder in folders) else None
    if absent is None and entries and all(entry.labels.parent == entry.image.parent for entry in entries):
        absent = folders[0]  # labels would be beside the pictures

    def read(entry: Entry, hw: tuple[int, int]) -> Labels | None:
        try:
            return read_labels(entry.labels, len(dataset.names))
        except FileNotFoundError:
            return None

    return Source(
        folder=_cache_folder(places, entries),
        watched=tuple(entry.labels for entry in entries),
        outline="\n".join([*map(str, images), *map(str, problems)]),
        listing=lambda: Listing(entries, read, tuple(problems), repeated, 0, absent),
    )


def _labels_of(folder: Path) -> Path:
    """The folder of the labels of a folder of pictures."""
    return label_path(folder / "_.txt").parent


def _cache_folder(places: tuple[Path, ...], entries: tuple[Entry, ...]) -> Path:
    """`labels` for `images/train`; else the folder of the list or of the pictures."""
    labels = _labels_of(places[0]) if places[0].is_dir() else next((e.labels.parent for e in entries), None)
    if labels is not None and labels.parent.name == "labels":
        return labels.parent
    return labels if labels is not None and labels.is_dir() else places[0].parent


def _images(dataset: Dataset, split: str, place: Path, problems: list[Problem]) -> tuple[list[Path], int]:
    """The pictures of one folder, sorted, or of one .txt list, in its order; and how many it names twice."""
    if place.is_dir():
        return sorted(filter(is_picture, walk(place))), 0
    if not place.is_file():
        raise place_error(dataset.yaml_path, split, place)
    if place.suffix.lower() != ".txt":
        fix = "name a folder, or a .txt file with a picture's path on each line"
        raise TfyoloError(
            f"`{split}`: {place} is neither a folder nor a .txt list", path=dataset.yaml_path, fix=fix
        )
    images: dict[Path, int] = {}
    repeated = 0
    for number, row in read_rows(place):
        written = Path(row)
        image = Path(os.path.normpath(place.parent / written))
        if not image.exists() and written.exists():  # relative to the current directory
            image = Path(os.path.normpath(written.absolute()))
        if not is_picture(image):
            problems.append(
                Problem(place, number, f"{written.name} is not a picture; passed over", "warning")
            )
        elif image in images:
            message = f"the same picture as on line {images[image]}; used once"
            problems.append(Problem(place, number, message, "warning"))
            repeated += 1
        else:
            images[image] = number
    return list(images), repeated


def _labels_without_image(places: tuple[Path, ...], entries: tuple[Entry, ...]) -> Iterator[Problem]:
    """A warning for each label file that no picture asks for; a .txt list names but a part of a folder."""
    wanted = {entry.labels for entry in entries}
    for place in places:
        if not place.is_dir():
            continue
        stray = (path for path in walk(_labels_of(place)) if path.suffix == ".txt" and path not in wanted)
        for path in sorted(stray):
            if path.name.lower() not in _NOT_LABELS:
                yield Problem(path, None, "no picture belongs to this label file", "warning")
