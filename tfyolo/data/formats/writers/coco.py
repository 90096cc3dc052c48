"""Write COCO datasets: images/train, annotations/instances_train.json."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tfyolo.data.formats.writers.base import Place, Split, corners_px


def write_split(split: Split) -> Place:
    """Write the images of a split and its JSON file of instances; returns both paths.

    Category ids start at 1. The area of an object is that of its polygon, if it has one.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    image_folder, folder = f"images/{split.name}", split.folder / "annotations"
    for image_id, sample in enumerate(split.samples, start=1):
        name = split.put_image(sample, split.folder / image_folder)
        height, width = sample.hw
        images.append({"id": image_id, "file_name": name, "width": width, "height": height})
        corners = corners_px(sample).tolist()
        polygons = sample.polygons_norm or (np.zeros((0, 2)),) * len(corners)
        for class_id, (x1, y1, x2, y2), polygon in zip(
            sample.classes.tolist(), corners, polygons, strict=True
        ):
            points = polygon.astype(np.float64) * (width, height)
            box = [x1, y1, round(x2 - x1, 5), round(y2 - y1, 5)]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": class_id + 1,
                    "bbox": box,
                    "area": round(_area(points) if len(points) else box[2] * box[3], 3),
                    "iscrowd": 0,
                    "segmentation": [points.ravel().round(4).tolist()] if len(points) else [],
                }
            )
        split.done()
    categories = [{"id": number, "name": name} for number, name in enumerate(split.classes, start=1)]
    value = {"images": images, "annotations": annotations, "categories": categories}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"instances_{split.name}.json"
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return {"images": image_folder, "annotations": f"annotations/{path.name}"}


def _area(points: np.ndarray) -> float:
    """Return the area of a polygon (shoelace formula)."""
    x, y = points.T
    return float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2)
