"""COCO's own protocol: predictions in COCO's results format, and its twelve figures.

They differ a little from `metrics` (crowds are ignored, AP is a mean over 101 recalls, at most 100 detections
a picture count); published COCO figures are these.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo import configs
from tfyolo.data.dataset import Sample
from tfyolo.data.dataset_yaml import read_dataset
from tfyolo.errors import TfyoloError
from tfyolo.files import atomic
from tfyolo.inference.boxes import Array

FIGURES = (
    "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large",
    "ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large",
)  # fmt: skip
"""In the order COCO prints them. Small is below 32 x 32 pixels, large above 96 x 96."""
_UNUSED_IDS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}  # of COCO's 90 category ids: never labelled


@cache
def coco_names() -> tuple[str, ...]:
    """COCO's 80 class names, in the order of their numbers in YOLO label files."""
    return read_dataset(Path(configs.__file__).parent / "datasets" / "coco128.yaml").names


def category_ids(names: Sequence[str], annotations: Mapping[str, Any] | None = None) -> tuple[int, ...]:
    """The COCO category id of each class.

    Args:
        names: class names.
        annotations: a COCO JSON, from `read_annotations`; its categories are then found by name.

    Returns:
        Those of `annotations`; else 1 to 90 if the names are COCO's 80; else the class numbers, from 0.

    Raises:
        TfyoloError: a name is not among the categories of `annotations`.

    Example:
        >>> category_ids(["cat", "dog"])
        (0, 1)
    """
    if annotations is not None:
        by_name = {category["name"]: int(category["id"]) for category in annotations["categories"]}
        unknown = [name for name in names if name not in by_name]
        if unknown:
            fix = "give the JSON file that belongs to this data set"
            raise TfyoloError(f"the COCO annotations have no category {unknown[0]!r}", fix=fix)
        return tuple(by_name[name] for name in names)
    if tuple(names) == coco_names():
        return tuple(index for index in range(1, 91) if index not in _UNUSED_IDS)
    return tuple(range(len(names)))


def image_ids(images: Sequence[Path], annotations: Mapping[str, Any] | None = None) -> tuple[int, ...]:
    """The COCO image id of each picture.

    Args:
        images: files, each once.
        annotations: a COCO JSON, from `read_annotations`; pictures are then found by file name.

    Returns:
        Those of `annotations`; else the numbers that the files are called, if all are called by different
        numbers; else 1, 2, 3, ...

    Raises:
        TfyoloError: a picture is not in `annotations`.

    Example:
        >>> image_ids([Path("000000000139.jpg"), Path("000000000285.jpg")])
        (139, 285)
    """
    if annotations is not None:
        by_name = {Path(image["file_name"]).name: int(image["id"]) for image in annotations["images"]}
        for image in images:
            if image.name not in by_name:
                fix = "give the JSON file that belongs to this split"
                raise TfyoloError("is not in the COCO annotations", path=image, fix=fix)
        return tuple(by_name[image.name] for image in images)
    if all(image.stem.isascii() and image.stem.isdigit() for image in images):
        numbers = tuple(int(image.stem) for image in images)
        if len(set(numbers)) == len(numbers):
            return numbers
    return tuple(range(1, len(images) + 1))


def read_annotations(path: str | Path) -> dict[str, Any]:
    """Read a COCO JSON of annotations, such as instances_val2017.json.

    Raises:
        TfyoloError: no such file, not JSON, or not of COCO's form.
    """
    try:
        value = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise TfyoloError(
            f"cannot be read: {error.strerror or error}", path=path, fix="check the path"
        ) from error
    except (ValueError, RecursionError) as error:
        raise TfyoloError(f"is not JSON ({error})", path=path, fix="give a COCO annotations file") from error
    needed = {
        "images": ("id", "file_name"),
        "annotations": ("id", "image_id", "category_id", "bbox"),
        "categories": ("id", "name"),
    }
    for key, fields in needed.items():
        rows = value.get(key) if isinstance(value, dict) else None
        if not isinstance(rows, list):
            raise TfyoloError(f"has no list `{key}`", path=path, fix="give a COCO annotations file")
        for index, row in enumerate(rows):
            missing = [field for field in fields if not isinstance(row, dict) or field not in row]
            if missing:
                message = f"`{key}[{index}]` has no `{missing[0]}`"
                raise TfyoloError(message, path=path, fix="give a COCO annotations file")
    return value


def ground_truth(samples: Sequence[Sample], names: Sequence[str]) -> dict[str, Any]:
    """Labels as a COCO annotations dictionary; an object's area is its box's.

    Args:
        samples: pictures with labels, from `scan_split`.
        names: class names.
    """
    ids, categories = (
        image_ids([sample.image.with_name(sample.name) for sample in samples]),
        category_ids(names),
    )
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, sample in zip(ids, samples, strict=True):
        height, width = sample.hw
        images.append({"id": image_id, "file_name": sample.name, "height": height, "width": width})
        scale = np.array([width, height, width, height], np.float64)
        for class_id, box in zip(sample.classes, sample.boxes_xywh_norm * scale, strict=True):
            x, y, w, h = box.tolist()
            annotations.append({
                "id": len(annotations) + 1, "image_id": image_id, "category_id": categories[class_id],
                "bbox": [x - w / 2, y - h / 2, w, h], "area": w * h, "iscrowd": 0,
            })  # fmt: skip
    listed = [{"id": category, "name": str(name)} for category, name in zip(categories, names, strict=True)]
    return {"images": images, "annotations": annotations, "categories": listed}


def results(
    image_id: int, boxes_xyxy_px: Array, scores: Array, classes: Array, categories: Sequence[int]
) -> list[dict[str, Any]]:
    """Detections of one picture in COCO's results format, ready for `json.dump`.

    Args:
        image_id: from `image_ids`.
        boxes_xyxy_px: (n, 4) corners in pixels of the picture.
        scores: (n,) confidences.
        classes: (n,) class numbers.
        categories: from `category_ids`.

    Returns:
        n rows: `image_id`, `category_id`, `bbox` (x and y of the upper left corner, width, height, in pixels,
        three decimals), `score` (five decimals).

    Example:
        >>> results(139, np.array([[1.0, 2.0, 4.0, 6.0]]), np.array([0.5]), np.array([0]), [1])
        [{'image_id': 139, 'category_id': 1, 'bbox': [1.0, 2.0, 3.0, 4.0], 'score': 0.5}]
    """
    rows = []
    corners = np.asarray(boxes_xyxy_px, np.float64).reshape(-1, 4)
    for (x1, y1, x2, y2), score, class_id in zip(corners.tolist(), scores, classes, strict=True):
        rows.append({
            "image_id": int(image_id), "category_id": int(categories[int(class_id)]),
            "bbox": [round(value, 3) for value in (x1, y1, x2 - x1, y2 - y1)],
            "score": round(float(score), 5),
        })  # fmt: skip
    return rows


def save_results(rows: Sequence[Mapping[str, Any]], path: str | Path) -> Path:
    """Write rows of `results` as the JSON file that COCO's evaluation servers and pycocotools read.

    Raises:
        TfyoloError: the file cannot be written.
    """
    path = Path(path)
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(list(rows)), encoding="utf-8")
    return path


def evaluate(
    annotations: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], ids: Sequence[int] | None = None
) -> dict[str, float]:
    """COCO's twelve figures.

    Args:
        annotations: from `ground_truth` or `read_annotations`; not changed.
        rows: from `results`, of all pictures; not changed.
        ids: the pictures that were looked at; default all of `annotations`.

    Returns:
        A value in 0..1 for each of `FIGURES`, -1 where there is nothing to find (COCO's convention).

    Raises:
        TfyoloError: a row is about a picture that `annotations` does not have.

    Source: Lin et al. 2014, Microsoft COCO, and cocodataset.org/#detection-eval.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    known = {int(image["id"]) for image in annotations["images"]}
    strange = next((row["image_id"] for row in rows if row["image_id"] not in known), None)
    if strange is not None:
        fix = "give the annotations of the pictures that were detected on"
        raise TfyoloError(f"image id {strange} is not in the COCO annotations", fix=fix)
    logging.getLogger("faster_coco_eval").setLevel(logging.ERROR)
    truth = COCO(_numbered(annotations), print_function=_silent)
    found = truth.loadRes([dict(row) for row in rows])
    run = COCOeval_faster(truth, found, iouType="bbox", print_function=_silent)
    run.params.imgIds = sorted(known if ids is None else set(ids))
    run.evaluate()
    run.accumulate()
    run.summarize()
    return dict(zip(FIGURES, (float(value) for value in run.stats[: len(FIGURES)]), strict=True))


def _numbered(annotations: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with the fields the library wants, and ids from 1: it takes id 0 for "unmatched"."""
    rows = [
        {"iscrowd": 0, "area": row["bbox"][2] * row["bbox"][3], **row, "id": number}
        for number, row in enumerate(annotations["annotations"], start=1)
    ]
    return {**annotations, "images": [dict(image) for image in annotations["images"]], "annotations": rows}


def _silent(*_: object) -> None:
    """In place of the library's prints."""
