"""Classification datasets: one folder of images per class, in folders train, val and test."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import numpy as np

from tfyolo.data.detection.class_map import ClassMap, match_classes
from tfyolo.data.detection.duplicates import duplicates
from tfyolo.data.detection.labels import Problem
from tfyolo.data.detection.sample import Sample, Scan
from tfyolo.data.formats.readers.base import is_image, unreadable_kinds, walk
from tfyolo.data.images.ordered_map import ordered_map
from tfyolo.data.images.read import IMAGE_SUFFIXES, ImageError, read_header
from tfyolo.errors import TfyoloError

SPLIT_FOLDERS = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}
"""For each split the names its folder may have, the first that is there counts."""
_WORDNET = re.compile(r"n\d{8}")
"""ImageNet's folders, whose sorted order is that of its classes."""
_WHOLE = np.array([[0.5, 0.5, 1, 1]], np.float32)


@dataclass(frozen=True)
class FolderDataset:
    """A classification dataset; no image has been read.

    Attributes:
        root: the folder.
        names: sorted class names by class id.
        splits: folder per split. A dataset without splits uses one folder for every split.
        numbers: class ids of folders that do not have the name of their class.
        by_name: whether folders were matched to `names` by name.
    """

    root: Path
    names: tuple[str, ...]
    splits: Mapping[str, Path]
    numbers: Mapping[str, int] = field(default_factory=dict)
    by_name: bool = True

    @property
    def is_whole(self) -> bool:
        """Whether one folder is used for all splits."""
        return all(folder == self.root for folder in self.splits.values())

    @property
    def class_ids(self) -> dict[str, int]:
        """Return the class id of each folder name."""
        return {name: number for number, name in enumerate(self.names)} | dict(self.numbers)

    def with_names(self, names: Sequence[str]) -> FolderDataset:
        """Return the dataset with the class ids of a model.

        Folders are matched to the model's classes by name. ImageNet's folders (`n01440764` for `tench`) are
        matched in sorted order, as are folders if they or the model's classes have no names.

        Args:
            names: class names of the model.

        Raises:
            TfyoloError: a folder is not a class of the model.
        """
        if (
            len(self.names) == len(names)
            and all(map(_WORDNET.fullmatch, self.names))
            and set(self.names).isdisjoint(names)
        ):
            found = ClassMap(tuple(range(len(names))), len(names), by_name=False)
        else:
            found = match_classes(self.names, names, self.root)
        numbers = dict(zip(self.names, found.model_ids, strict=True))
        return replace(self, names=tuple(names), numbers=numbers, by_name=found.by_name)


def read_folders(root: str | Path) -> FolderDataset:
    """Find the splits and classes of a dataset.

    `root/train/CLASS/*.jpg` and so on, with `val` or `valid` and `test`; or `root/CLASS/*.jpg`, one split.
    The classes are the sorted folders of `train`, or of the first existing split; hidden folders are
    ignored.

    Raises:
        TfyoloError: no such folder, or no folders of classes in it.

    Example:
        >>> from tfyolo.data.classification.crops import crop_dataset
        >>> from tfyolo.data.detection.scan import read_dataset
        >>> cells = crop_dataset(read_dataset("bccd-mini"), "cells")  # a folder per class
        >>> read_folders("cells").names
        ('Platelets', 'RBC', 'WBC')
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        reason = "is not a folder" if root.exists() else "does not exist"
        fix = "pass the folder that contains train/CLASS/*.jpg; `tfyolo crops` makes one from labeled boxes"
        raise TfyoloError(reason, path=root, fix=fix)
    splits = {}
    for split, names in SPLIT_FOLDERS.items():
        found = [root / name for name in names if (root / name).is_dir()]
        if found:
            splits[split] = found[0]
    if not splits:
        splits = dict.fromkeys(SPLIT_FOLDERS, root)
    first = next(iter(splits.values()))
    classes = _folders(first)
    if not classes:
        fix = f"create a folder for each class, such as {first.name}/cat, and put its images there"
        raise TfyoloError("contains no class folders", path=first, fix=fix)
    return FolderDataset(root, tuple(classes), splits)


def check_trainable(dataset: FolderDataset) -> None:
    """Check that a classifier can be trained on a dataset.

    Raises:
        TfyoloError: there is no folder `train`, or it has only one class.
    """
    if "train" not in dataset.splits or dataset.is_whole:
        fix = "create the folders train and val, each with one folder per class"
        raise TfyoloError("has no `train`", path=dataset.root, fix=fix)
    if len(dataset.names) < 2:
        fix = "add a folder with images of another class"
        raise TfyoloError(f"`train` has only one class, {dataset.names[0]}", path=dataset.root, fix=fix)


def scan_folders(
    dataset: FolderDataset, split: str, *, progress: Callable[[int, int], None] | None = None
) -> Scan:
    """List the images of a split and check their headers.

    Args:
        dataset: from `read_folders`.
        split: `train`, `val` or `test`.
        progress: called as `progress(done, total)` after each image.

    Returns:
        Samples ordered by class and path, each with one class and a box of the whole image, and problems of
        other images. A class without images is a warning.

    Raises:
        TfyoloError: the split does not exist, a folder is not a class, there are no images, or a class has
            none in `train`.
    """
    if split not in dataset.splits:
        has = ", ".join(f"`{name}`" for name in dataset.splits)
        raise TfyoloError(f"has no `{split}`", path=dataset.root, fix=f"add the folder, or use one of {has}")
    folder, log = dataset.splits[split], progress or (lambda done, total: None)
    found = list(_classes_of(dataset, folder))
    files = {place: sorted(walk(place)) for _, place in found}
    listed = [(number, path) for number, place in found for path in files[place] if is_image(path)]
    strange = unreadable_kinds(folder, chain.from_iterable(files.values()))
    strange += _outside_of_classes(folder)
    if not listed:
        fix = f"put images into {folder.name}/CLASS ({' '.join(sorted(IMAGE_SUFFIXES))})"
        what = f" ({strange[0].message})" if strange else ""
        raise TfyoloError(f"`{split}` has no images{what}", path=folder, fix=fix)
    samples: list[Sample] = []
    problems: list[Problem] = list(strange)
    corrupt = 0
    with closing(ordered_map(_check, listed)) as checked:
        for done, result in enumerate(checked, start=1):
            if isinstance(result, Problem):
                problems.append(result)
                corrupt += 1
            else:
                samples.append(result)
            log(done, len(listed))
    problems += _empty_classes(dataset, split, samples)
    same = duplicates(samples)
    return Scan(tuple(samples), (*problems, *same), len(samples), 0, 0, corrupt, len(same))


def scan_summary(scan: Scan, classes: int) -> str:
    """Return the counts in one line.

    Example:
        >>> scan_summary(Scan((), (), 0, 0, 0, 2), 3)
        '0 images of 3 classes; 2 left out, 0 duplicates'
    """
    return (
        f"{len(scan.samples)} images of {classes} classes; "
        f"{scan.corrupt} left out, {scan.duplicates} duplicates"
    )


def _folders(place: Path) -> list[str]:
    """Return the sorted names of the folders in a folder, except for hidden ones.

    Raises:
        TfyoloError: it cannot be read, or a name is not Unicode.
    """
    try:
        names = sorted(e.name for e in os.scandir(place) if e.is_dir() and not e.name.startswith("."))
    except OSError as error:
        raise TfyoloError(f"cannot be read: {error.strerror or error}", path=place) from error
    for name in names:
        if not name.isprintable():  # a byte that is not UTF-8 comes as half a surrogate pair
            raise TfyoloError(
                f"the name of the folder {name!r} contains invalid characters",
                path=ascii(str(place))[1:-1],
                fix="rename it",
            )
    return names


def _classes_of(dataset: FolderDataset, folder: Path) -> Iterator[tuple[int, Path]]:
    """Return class id and folder of each class of a split."""
    known = dataset.class_ids
    for name in _folders(folder):
        if name not in known:
            shown = ", ".join(dataset.names[:10]) + (", ..." if len(dataset.names) > 10 else "")
            raise TfyoloError(
                f"the folder `{name}` does not match any of the classes {shown}",
                path=folder,
                fix="rename it, move it away, or add a folder of this name to `train`",
            )
        yield known[name], folder / name


def _check(item: tuple[int, Path]) -> Sample | Problem:
    number, path = item
    try:
        hw = read_header(path).hw
    except ImageError as error:
        return Problem(path, None, error.message, "error")
    return Sample(path, hw, np.array([number]), _WHOLE)


def _outside_of_classes(folder: Path) -> list[Problem]:
    """Return the number of images that lie in the folder of a split itself, and so have no class."""
    count = sum(is_image(path) and not path.name.startswith(".") for path in folder.iterdir())
    message = f"{count} images are in no folder of a class; left out"
    return [Problem(folder, None, message, "warning")] if count else []


def _empty_classes(dataset: FolderDataset, split: str, samples: Sequence[Sample]) -> list[Problem]:
    """Return the classes without a usable image, which can be neither trained nor evaluated."""
    folder = dataset.splits[split]
    found = {int(sample.classes[0]) for sample in samples}
    empty = [name for number, name in enumerate(dataset.names) if number not in found]
    for name in empty if split == "train" and not dataset.is_whole else []:
        if (folder / name).is_dir():
            fix = "put images there, or remove the folder"
            raise TfyoloError(f"the class `{name}` has no usable image", path=folder, fix=fix)
    return [Problem(folder, None, f"`{split}` has no image of `{name}`", "warning") for name in empty]
