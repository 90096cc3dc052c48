"""Parse a COCO file of instances, as an untrusted file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.inputs import ANNOTATIONS, read_input

FIX = "pass a COCO file of instances: `images`, `annotations` and `categories`"


@dataclass(frozen=True)
class CocoFile:
    """The parts of the file that are used.

    Attributes:
        images: (id, file_name, row) per image, in file order.
        categories: category names by id.
        annotations: rows by image id.
    """

    images: tuple[tuple[int | str, str, dict[str, Any]], ...]
    categories: dict[int | str, str]
    annotations: dict[int | str, list[dict[str, Any]]]


def read_json(path: Path, max_bytes: int = ANNOTATIONS.max_bytes) -> Any:
    """Read a JSON file; NaN and Infinity, which are not valid JSON, are accepted and checked later.

    Raises:
        TfyoloError: the file is missing, too large, or not valid JSON.
    """
    try:
        return json.loads(read_input(path, replace(ANNOTATIONS, max_bytes=max_bytes)))
    except RecursionError as error:
        raise TfyoloError("is not valid JSON: nested too deeply", path=path) from error
    except ValueError as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)[:100]
        raise TfyoloError(
            f"is not valid JSON: {reason}", path=path, line=line, fix="correct the file"
        ) from error


def read_coco(path: Path) -> CocoFile:
    """Read a file of instances, and check its structure.

    Raises:
        TfyoloError: the file is missing, not valid JSON, or not in COCO format; with the wrong entry.
    """
    value = read_json(path)
    categories: dict[int | str, str] = {}
    for index, row in _rows(path, value, "categories"):
        key, name = _id(path, "categories", index, row), _text(path, "categories", index, row, "name")
        if categories.setdefault(key, name) != name:
            raise TfyoloError(
                f"two categories have the id {key!r}: {categories[key][:60]!r} and {name[:60]!r}",
                path=path,
                fix="give each category a unique id, and use it as `category_id` in its annotations",
            )
    images = tuple(
        (_id(path, "images", index, row), _text(path, "images", index, row, "file_name"), row)
        for index, row in _rows(path, value, "images")
    )
    check_image_ids(path, ((key, name) for key, name, _ in images))
    annotations: dict[int | str, list[dict[str, Any]]] = {}
    for index, row in _rows(path, value, "annotations"):
        annotations.setdefault(_id(path, "annotations", index, row, "image_id"), []).append(row)
    return CocoFile(images, categories, annotations)


def check_image_ids(path: str | Path, images: Iterable[tuple[int | str, str]]) -> None:
    """Refuse two images with one id, as in concatenated exports: their annotations cannot be told apart.

    Args:
        path: path of the file, for the message.
        images: id and file name per image.

    Raises:
        TfyoloError: naming both images.
    """
    names: dict[int | str, str] = {}
    for key, name in images:
        if names.setdefault(key, name) != name:
            raise TfyoloError(
                f"two images have the id {key!r}: {names[key][:60]!r} and {name[:60]!r}; "
                "so their annotations are ambiguous",
                path=path,
                fix="renumber the images and annotations, or list the merged files separately",
            )


def _rows(path: Path, value: Any, key: str) -> list[tuple[int, dict[str, Any]]]:
    rows = value.get(key) if isinstance(value, dict) else None
    if not isinstance(rows, list):
        raise TfyoloError(f"has no list `{key}`", path=path, fix=FIX)
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise TfyoloError(f"`{key}[{index}]` is not an object", path=path, fix=FIX)
    return list(enumerate(rows))


def _id(path: Path, key: str, index: int, row: dict[str, Any], field: str = "id") -> int | str:
    value = row.get(field)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise TfyoloError(
            f"`{key}[{index}]` has no valid `{field}`: it must be an integer or a string", path=path, fix=FIX
        )
    return value


def _text(path: Path, key: str, index: int, row: dict[str, Any], field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not value.strip():
        raise TfyoloError(f"`{key}[{index}]` has no valid `{field}`: it must be a string", path=path, fix=FIX)
    return value
