"""Write YOLO datasets: images/train, labels/train."""

from __future__ import annotations

import numpy as np

from tfyolo.data.detection.polygons import bounds_xyxy
from tfyolo.data.detection.sample import Sample
from tfyolo.data.formats.writers.base import Place, Split

FIT = 1e-4
"""How far, as a share of the box's size, an polygon may be from its box and still be written in its place."""


def write_split(split: Split) -> Place:
    """Write the images and label files of a split; returns the image folder.

    Backgrounds get an empty label file. If an image has polygons, all its rows are polygons, boxes as four
    corners: YOLOv5 reads a file as one kind or the other. If a polygon does not fill its box, the box is
    written, because detectors are trained on boxes.
    """
    images, labels = split.folder / "images" / split.name, split.folder / "labels" / split.name
    labels.mkdir(parents=True, exist_ok=True)
    for sample in split.samples:
        name = split.put_image(sample, images)
        path = (labels / name).with_suffix(".txt")
        path.write_text("".join(f"{row}\n" for row in label_rows(sample)), encoding="utf-8")
        split.done()
    return f"images/{split.name}"


def label_rows(sample: Sample) -> list[str]:
    """Return the lines of the label file of an image.

    Example:
        >>> from pathlib import Path
        >>> label_rows(Sample(Path("a.jpg"), (4, 4), np.array([2]), np.float32([[0.5, 0.5, 1, 1]])))
        ['2 0.5 0.5 1 1']
    """
    boxes = sample.boxes_xywh_norm
    if not any(map(len, sample.polygons_norm)):
        return [_row(class_id, box) for class_id, box in zip(sample.classes, boxes, strict=True)]
    rows = []
    for class_id, box, polygon in zip(sample.classes, boxes, sample.polygons_norm, strict=True):
        x1, y1, x2, y2 = np.concatenate([box[:2] - box[2:] / 2, box[:2] + box[2:] / 2]).tolist()
        share = np.concatenate([box[2:], box[2:]])
        fits = len(polygon) and (np.abs(bounds_xyxy(polygon) - (x1, y1, x2, y2)) <= FIT * share).all()
        points = polygon.ravel() if fits else np.clip([x1, y1, x2, y1, x2, y2, x1, y2], 0, 1)
        rows.append(_row(class_id, points))
    return rows


def _row(class_id: int, values: np.ndarray) -> str:
    return " ".join([str(int(class_id)), *(f"{value:.9g}" for value in values.tolist())])
