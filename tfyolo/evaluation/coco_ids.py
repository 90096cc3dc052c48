"""Ids of images and categories in COCO annotations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path, PureWindowsPath
from typing import Any

from tfyolo import configs
from tfyolo.data.detection.dataset_yaml import read_dataset
from tfyolo.errors import TfyoloError

_UNUSED_IDS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}  # of COCO's 90 category ids: never labeled


@cache
def coco_names() -> tuple[str, ...]:
    """Return COCO's 80 class names, in the order of their class ids in YOLO label files."""
    return read_dataset(Path(configs.__file__).parent / "datasets" / "coco128.yaml").names


def category_ids(names: Sequence[str], annotations: Mapping[str, Any] | None = None) -> tuple[int, ...]:
    """Return the COCO category id of each class.

    Args:
        names: class names.
        annotations: from `read_annotations`; its categories are matched by name.

    Returns:
        Ids of `annotations`; else 1 to 90 if the names are COCO's 80; else class ids from 0.

    Raises:
        TfyoloError: a name is not a category of `annotations`, or is ambiguous.

    Example:
        >>> category_ids(["cat", "dog"])
        (0, 1)
    """
    if annotations is not None:
        by_name: dict[str, list[int]] = {}
        for category in annotations["categories"]:
            ids = by_name.setdefault(str(category["name"]).strip(), [])
            ids += [] if category["id"] in ids else [category["id"]]
        found = [by_name.get(str(name).strip(), []) for name in names]
        if missing := [name for name, ids in zip(names, found, strict=True) if not ids]:
            fix = "pass the JSON file that belongs to this dataset"
            raise TfyoloError(f"the COCO annotations have no category {missing[0]!r}", fix=fix)
        used = {row["category_id"] for row in annotations["annotations"]}
        return tuple(_one_category(name, ids, used) for name, ids in zip(names, found, strict=True))
    if tuple(names) == coco_names():
        return tuple(index for index in range(1, 91) if index not in _UNUSED_IDS)
    return tuple(range(len(names)))


def image_ids(images: Sequence[Path], annotations: Mapping[str, Any] | None = None) -> tuple[int, ...]:
    """Return the COCO image id of each image.

    Args:
        images: unique files.
        annotations: from `read_annotations`; its images are matched by file name, with folders if names are
            ambiguous.

    Returns:
        Ids of `annotations`; else numeric file names, if all are different numbers; else 1, 2, 3, ...

    Raises:
        TfyoloError: an image is not in `annotations`, or is ambiguous there.

    Example:
        >>> image_ids([Path("000000000139.jpg"), Path("000000000285.jpg")])
        (139, 285)
    """
    if annotations is not None:
        return _ids_by_name(images, annotations)
    if all(image.stem.isascii() and image.stem.isdigit() for image in images):
        numbers = tuple(int(image.stem) for image in images)
        if len(set(numbers)) == len(numbers):
            return numbers
    return tuple(range(1, len(images) + 1))


def _one_category(name: str, ids: list[int], used: set[int]) -> int:
    """Return the id of a category; of several with one name, the one with annotations."""
    in_use = [number for number in ids if number in used]
    if len(ids) == 1 or not in_use:
        return ids[0]
    if len(in_use) > 1:
        message = f"the COCO annotations use two categories named {name!r}: {in_use[0]} and {in_use[1]}"
        raise TfyoloError(message, fix="use one `category_id` for both")
    return in_use[0]


def _ids_by_name(images: Sequence[Path], annotations: Mapping[str, Any]) -> tuple[int, ...]:
    """Return ids of images by the shortest path suffixes that are unique."""
    by_name: dict[str, list[tuple[tuple[str, ...], int]]] = {}
    for row in annotations["images"]:
        parts = PureWindowsPath(str(row["file_name"])).parts  # takes / and \\ alike
        if parts:
            by_name.setdefault(parts[-1].casefold(), []).append((parts, row["id"]))
    taken: dict[int, Path] = {}
    for image in images:
        known = by_name.get(image.name.casefold(), [])
        exact = [entry for entry in known if entry[0][-1] == image.name] or known
        whole = [entry for entry in exact if image.parts[-len(entry[0]) :] == entry[0]]
        longest = max((len(parts) for parts, _ in whole), default=0)
        found = {number for parts, number in whole if len(parts) == longest} or {n for _, n in exact}
        if not found:
            fix = "pass the JSON file that belongs to this split"
            raise TfyoloError("is not in the COCO annotations", path=image, fix=fix)
        number = min(found)
        if len(found) > 1 or taken.setdefault(number, image) != image:
            others = ", ".join(sorted("/".join(parts) for parts, _ in exact)[:2])
            raise TfyoloError(
                f"is ambiguous: the COCO annotations list several images of this name: {others}",
                path=image,
                fix="write `file_name` as a path relative to the dataset folder",
            )
    numbers = {image: number for number, image in taken.items()}
    return tuple(numbers[image] for image in images)
