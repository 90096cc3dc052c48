"""COCO's evaluation protocol: predictions in COCO's results format, and its twelve metrics.

They differ slightly from `metrics` (crowds are ignored, AP is a mean over 101 recalls, at most 100 detections
per image); published COCO figures use this protocol.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.data.detection.frame import Frame
from tfyolo.data.detection.scan import Sample
from tfyolo.data.formats.readers.coco_json import check_image_ids
from tfyolo.data.images.header import ImageHeader, read_header
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.coco_ids import category_ids, image_ids
from tfyolo.files import atomic
from tfyolo.inference.boxes import Array
from tfyolo.inputs import ANNOTATIONS, read_input

FIGURES = (
    "ap",
    "ap50",
    "ap75",
    "ap_small",
    "ap_medium",
    "ap_large",
    "ar_1",
    "ar_10",
    "ar_100",
    "ar_small",
    "ar_medium",
    "ar_large",
)
"""In the order COCO prints them. Small is below 32 x 32 pixels, large above 96 x 96."""


def read_annotations(path: str | Path) -> dict[str, Any]:
    """Read a COCO JSON file of annotations, such as instances_val2017.json.

    Raises:
        TfyoloError: the file is missing, not valid JSON, or not in COCO format.
    """
    try:
        value = json.loads(read_input(path, ANNOTATIONS))
    except (ValueError, RecursionError) as error:
        raise TfyoloError(
            f"is not valid JSON ({error})", path=path, fix="pass a COCO annotations file"
        ) from error
    needed = {
        "images": ("id", "file_name"),
        "annotations": ("id", "image_id", "category_id", "bbox"),
        "categories": ("id", "name"),
    }
    for key, fields in needed.items():
        rows = value.get(key) if isinstance(value, dict) else None
        if not isinstance(rows, list):
            raise TfyoloError(f"has no list `{key}`", path=path, fix="pass a COCO annotations file")
        for index, row in enumerate(rows):
            missing = [field for field in fields if not isinstance(row, dict) or field not in row]
            if missing:
                message = f"`{key}[{index}]` has no `{missing[0]}`"
                raise TfyoloError(message, path=path, fix="pass a COCO annotations file")
            wrong = [field for field in fields if field.endswith("id") and type(row[field]) is not int]
            if wrong:
                message = f"`{key}[{index}]`: `{wrong[0]}` is not a whole number"
                raise TfyoloError(message, path=path, fix="pass a COCO annotations file")
    check_image_ids(path, ((image["id"], str(image["file_name"])) for image in value["images"]))
    return value


def ground_truth(samples: Sequence[Sample], names: Sequence[str]) -> dict[str, Any]:
    """Convert labels to a COCO annotations dictionary; areas are those of boxes.

    Coordinates are in pixels of the annotated images, so that small, medium and large do not change when
    images are resized.

    Args:
        samples: images with labels, from `scan_split`.
        names: class names.
    """
    ids, categories = (
        image_ids([sample.image.with_name(sample.name) for sample in samples]),
        category_ids(names),
    )
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, sample in zip(ids, samples, strict=True):
        height, width = sample.annotated_hw or sample.hw
        images.append({"id": image_id, "file_name": sample.name, "height": height, "width": width})
        scale = np.array([width, height, width, height], np.float64)
        for class_id, box in zip(sample.classes, sample.boxes_xywh_norm * scale, strict=True):
            x, y, w, h = box.tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": categories[class_id],
                    "bbox": [x - w / 2, y - h / 2, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                }
            )
    listed = [{"id": category, "name": str(name)} for category, name in zip(categories, names, strict=True)]
    return {"images": images, "annotations": annotations, "categories": listed}


def frames(
    samples: Sequence[Sample], ids: Sequence[int], annotations: Mapping[str, Any] | None = None
) -> list[Frame]:
    """Return the coordinate system of the annotations of each image, which can have been resized since.

    Args:
        samples: images with labels, from `scan_split`.
        ids: from `image_ids`.
        annotations: a COCO JSON, from `read_annotations`; by default the samples' own labels.

    Returns:
        One frame per sample, in order.

    Raises:
        TfyoloError: `annotations` state a size with another aspect ratio than that of the image.
    """
    if annotations is None:
        sizes = [sample.annotated_hw or sample.hw for sample in samples]
        return [Frame((float(width), float(height))) for height, width in sizes]
    said = {row["id"]: (row.get("width"), row.get("height")) for row in annotations["images"]}
    return [_frame(sample, said[number]) for sample, number in zip(samples, ids, strict=True)]


def _frame(sample: Sample, said_wh: tuple[Any, Any]) -> Frame:
    height, width = sample.hw
    if said_wh == (width, height) or not all(type(v) in (int, float) and v > 0 for v in said_wh):
        return Frame((float(width), float(height)))
    said = (float(said_wh[0]), float(said_wh[1]))
    found = Frame.of(said, ImageHeader("", sample.hw, 1))
    if found is None and sample.span is None and sample.image.is_file():  # perhaps of unrotated pixels
        found = Frame.of(said, read_header(sample.image))
    if found is None:
        raise TfyoloError(
            f"is {width}x{height}, but the COCO annotations say {said_wh[0]}x{said_wh[1]}: "
            "the aspect ratios differ",
            path=sample.image,
            fix="pass the JSON file that belongs to these images",
        )
    return found


def results(
    image_id: int, boxes_xyxy_px: Array, scores: Array, classes: Array, categories: Sequence[int]
) -> list[dict[str, Any]]:
    """Convert detections of one image to COCO's results format.

    Args:
        image_id: from `image_ids`.
        boxes_xyxy_px: (n, 4) corners in pixels of the image.
        scores: (n,) confidences.
        classes: (n,) class ids.
        categories: COCO category ids by class id, from `category_ids`.

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
        rows.append(
            {
                "image_id": int(image_id),
                "category_id": int(categories[int(class_id)]),
                "bbox": [round(value, 3) for value in (x1, y1, x2 - x1, y2 - y1)],
                "score": round(float(score), 5),
            }
        )
    return rows


def save_results(rows: Sequence[Mapping[str, Any]], path: str | Path) -> Path:
    """Write rows of `results` as a JSON file for COCO's evaluation servers and pycocotools.

    Raises:
        TfyoloError: the file cannot be written.
    """
    path = Path(path)
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(list(rows)), encoding="utf-8")
    return path


def evaluate(
    annotations: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    ids: Sequence[int] | None = None,
    iou_type: str = "bbox",
) -> dict[str, float]:
    """Compute COCO's twelve metrics.

    Args:
        annotations: from `ground_truth` or `read_annotations`; not changed.
        rows: from `results`, of all images; not changed.
        ids: ids of the evaluated images; default to all of `annotations`.
        iou_type: `bbox`, or `segm` for rows and annotations with a `segmentation`.

    Returns:
        A value in 0..1 per entry of `FIGURES`; -1 without ground truth (COCO's convention).

    Raises:
        TfyoloError: a row has an image that `annotations` does not have.

    Source: Lin et al. 2014, Microsoft COCO, and cocodataset.org/#detection-eval.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    known = {int(image["id"]) for image in annotations["images"]}
    strange = next((row["image_id"] for row in rows if row["image_id"] not in known), None)
    if strange is not None:
        fix = "pass the annotations of the evaluated images"
        raise TfyoloError(f"image id {strange} is not in the COCO annotations", fix=fix)
    logging.getLogger("faster_coco_eval").setLevel(logging.ERROR)
    truth = COCO(_numbered(annotations), print_function=_silent)
    # Without a box, the library takes the area of a prediction from its mask.
    unused = {"bbox": "segmentation", "segm": "bbox"}[iou_type]
    found = truth.loadRes([{key: row[key] for key in row if key != unused} for row in rows])
    run = COCOeval_faster(truth, found, iouType=iou_type, print_function=_silent)
    run.params.imgIds = sorted(known if ids is None else set(ids))
    run.evaluate()
    run.accumulate()
    run.summarize()
    return dict(zip(FIGURES, (float(value) for value in run.stats[: len(FIGURES)]), strict=True))


def _numbered(annotations: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy with all fields that the library needs, and ids from 1: it uses id 0 for "unmatched"."""
    rows = [
        {"iscrowd": 0, "area": row["bbox"][2] * row["bbox"][3], **row, "id": number}
        for number, row in enumerate(annotations["annotations"], start=1)
    ]
    return {**annotations, "images": [dict(image) for image in annotations["images"]], "annotations": rows}


def _silent(*_: object) -> None:
    """In place of the library's prints."""
