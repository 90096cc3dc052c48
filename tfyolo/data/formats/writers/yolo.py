"""Write YOLO datasets: images/train, labels/train."""

from __future__ import annotations

import numpy as np

from tfyolo.data.detection.sample import Sample
from tfyolo.data.formats.writers.base import Place, Split, fill_box


def write_split(split: Split) -> Place:
    """Write the images and label files of a split; returns the image folder.

    Backgrounds get an empty label file. If an image has polygons, all its rows are polygons, boxes as four
    corners: YOLOv5 reads a file as one kind or the other. If a polygon does not fill its box, the box is
    written, because detectors are trained on boxes; `split.polygons` writes the polygon.
    """
    images, labels = split.folder / "images" / split.name, split.folder / "labels" / split.name
    labels.mkdir(parents=True, exist_ok=True)
    for sample in split.samples:
        name = split.put_image(sample, images)
        path = (labels / name).with_suffix(".txt")
        path.write_text("".join(f"{row}\n" for row in label_rows(sample, split.polygons)), encoding="utf-8")
        split.done()
    return f"images/{split.name}"


def label_rows(sample: Sample, polygons: bool = False) -> list[str]:
    """Return the lines of the label file of an image; with `polygons` even those that do not fill their box.

    Example:
        >>> from pathlib import Path
        >>> label_rows(Sample(Path("a.jpg"), (4, 4), np.array([2]), np.float32([[0.5, 0.5, 1, 1]])))
        ['2 0.5 0.5 1 1']
    """
    boxes = sample.boxes_xywh_norm
    if not any(map(len, sample.polygons_norm)):
        return [_row(class_id, box) for class_id, box in zip(sample.classes, boxes, strict=True)]
    rows = []
    for class_id, box, polygon, fits in zip(
        sample.classes, boxes, sample.polygons_norm, fill_box(sample), strict=True
    ):
        x1, y1, x2, y2 = np.concatenate([box[:2] - box[2:] / 2, box[:2] + box[2:] / 2]).tolist()
        written = len(polygon) > 0 if polygons else fits
        points = polygon.ravel() if written else np.clip([x1, y1, x2, y1, x2, y2, x1, y2], 0, 1)
        rows.append(_row(class_id, points))
    return rows


def _row(class_id: int, values: np.ndarray) -> str:
    return " ".join([str(int(class_id)), *(f"{value:.9g}" for value in values.tolist())])
