"""Table of the dataset formats that can be read."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tfyolo.data.formats.readers.beside import folder_beside
from tfyolo.errors import TfyoloError
from tfyolo.files import suffix_of

if TYPE_CHECKING:
    from tfyolo.data.detection.dataset import Dataset
    from tfyolo.data.formats.readers.base import Source


@dataclass(frozen=True)
class Reader:
    """One format of datasets.

    Attributes:
        name: value of `format:` in the YAML file.
        about: description of the files.
        open: dotted path of `open_split(dataset, split) -> Source`, imported when asked for.
        recognizes: whether a path of a split must be of this format.
    """

    name: str
    about: str
    open: str
    recognizes: Callable[[Path], bool]

    def open_split(self, dataset: Dataset, split: str) -> Source:
        """Find the files of a split; no image is read."""
        module, _, function = self.open.partition(":")
        source: Source = getattr(importlib.import_module(module), function)(dataset, split)
        return source


def _is_records(place: Path) -> bool:
    return place.name.lower().endswith(".index.json") or suffix_of(place) == ".tfrecord"


def _is_voc(place: Path) -> bool:
    if suffix_of(place) == ".txt":
        return "ImageSets" in place.parts and _has_annotations(place)
    return place.name == "Annotations" or (
        (place / "Annotations").is_dir() and (place / "JPEGImages").is_dir()
    )


def _has_annotations(place: Path) -> bool:
    return any((parent / "Annotations").is_dir() for parent in place.parents)


def _is_masks(place: Path) -> bool:
    """Whether `images` has `masks` next to it, and no `labels`."""
    masks, labels = folder_beside(place, "masks"), folder_beside(place, "labels")
    if masks is None or labels is None:
        return False
    return place.is_dir() and masks.is_dir() and not labels.exists()


_READERS = (
    Reader(
        "tfrecord",
        "shards of tf.train.Example and an index",
        "tfyolo.data.formats.readers.tfrecord:open_split",
        _is_records,
    ),
    Reader(
        "coco",
        "one JSON file of instances",
        "tfyolo.data.formats.readers.coco:open_split",
        lambda place: suffix_of(place) == ".json",
    ),
    Reader(
        "voc",
        "Pascal VOC: Annotations, JPEGImages, ImageSets",
        "tfyolo.data.formats.readers.voc:open_split",
        _is_voc,
    ),
    Reader(
        "masks",
        "images, and PNG masks in a folder per class, each color one object",
        "tfyolo.data.formats.readers.masks:open_split",
        _is_masks,
    ),
    Reader(
        "yolo",
        "images, and a text file of labels for each",
        "tfyolo.data.formats.readers.yolo:open_split",
        lambda place: True,
    ),
)
READERS = {reader.name: reader for reader in _READERS}
"""By name, in the order in which `recognizes` is called."""


def reader_for(dataset: Dataset, split: str) -> Reader:
    """Return the reader of a split: named by the YAML file, or else the one that recognizes its paths.

    Raises:
        TfyoloError: the paths of the split are of several formats.
    """
    if dataset.format is not None:
        return READERS[dataset.format]
    places = dataset.splits[split]
    kinds = [next(name for name, reader in READERS.items() if reader.recognizes(place)) for place in places]
    if len(set(kinds)) > 1:
        fix = "set `format:`, and list only paths of that format"
        raise TfyoloError(
            f"`{split}` mixes the formats {' and '.join(sorted(set(kinds)))}", path=dataset.yaml_path, fix=fix
        )
    return READERS[kinds[0]]
