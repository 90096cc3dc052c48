"""Masks in COCO's formats: run lengths of predictions, outlines of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfyolo.data.detection.frame import Frame
from tfyolo.data.detection.sample import Sample
from tfyolo.errors import TfyoloError
from tfyolo.inference.segmentation.masks import Masks

Rle = dict[str, Any]
"""`size` (height, width) and `counts`, COCO's compressed run lengths as a string."""


def encode(masks: Masks) -> list[Rle]:
    """Convert masks to run lengths, which JSON can hold.

    Args:
        masks: n masks of one image.

    Returns:
        n run-length encodings.

    Example:
        >>> encode(Masks((np.ones((1, 2), bool),), np.array([[1, 0]]), (2, 3)))
        [{'size': [2, 3], 'counts': '21100'}]
    """
    from faster_coco_eval.core import mask

    height, width = masks.image_size
    runs = [
        {"size": [height, width], "counts": _counts(patch, corner, height, width)}
        for patch, corner in zip(masks.patches, masks.corners_xy.tolist(), strict=True)
    ]
    encoded = mask.frPyObjects(runs, height, width) if runs else []
    return [{"size": [height, width], "counts": rle["counts"].decode("ascii")} for rle in encoded]


def in_frame(rle: Rle, frame: Frame) -> Rle:
    """Convert the mask of an image to the coordinate system of its annotations.

    Args:
        rle: from `encode`, at the size of the image.
        frame: coordinate system of the annotations.
    """
    from faster_coco_eval.core import mask

    dense = frame.mask_to_pixels(mask.decode(rle).astype(bool))
    height, width = dense.shape
    return encode(Masks((dense,), np.zeros((1, 2), np.int64), (height, width)))[0]


def add_outlines(ground_truth: Mapping[str, Any], samples: Sequence[Sample]) -> dict[str, Any]:
    """Add the outlines of labels to a COCO annotations dictionary; areas become those of the masks.

    Args:
        ground_truth: from `coco.ground_truth` of the same samples; not changed.
        samples: images with labels. The box of a label without a polygon is its outline.

    Returns:
        A dictionary whose annotations have a `segmentation`.
    """
    from faster_coco_eval.core import mask

    sizes = [sample.annotated_hw or sample.hw for sample in samples]
    empty = np.zeros((0, 2), np.float32)
    outlines = [
        (polygon, size)
        for sample, size in zip(samples, sizes, strict=True)
        for polygon in sample.polygons_norm or (empty,) * len(sample.classes)
    ]
    rows = []
    for row, (polygon, (height, width)) in zip(ground_truth["annotations"], outlines, strict=True):
        points = (polygon * np.array([width, height])).reshape(-1).tolist() or _rectangle(*row["bbox"])
        area = float(mask.area(mask.frPyObjects([points], height, width)[0]))
        rows.append({**row, "segmentation": [points], "area": area})
    return {**ground_truth, "annotations": rows}


def check_outlines(annotations: Mapping[str, Any], path: Any) -> None:
    """Refuse COCO annotations that masks cannot be compared with.

    Args:
        annotations: from `coco.read_annotations`.
        path: path of the file, for the message.

    Raises:
        TfyoloError: an object has no outline, or an image no size.
    """
    for key, fields in {"images": ("height", "width"), "annotations": ("segmentation",)}.items():
        for index, row in enumerate(annotations[key]):
            missing = [field for field in fields if not row.get(field)]
            if missing:
                raise TfyoloError(
                    f"`{key}[{index}]` has no `{missing[0]}`, which masks are measured with",
                    path=path,
                    fix="pass the COCO annotations of a dataset for instance segmentation",
                )


def _counts(patch: np.ndarray, corner_xy: Sequence[int], height: int, width: int) -> list[int]:
    """Return run lengths of a mask, column by column: zeros first, then ones, and so on."""
    left, top = corner_xy
    columns = np.zeros((patch.shape[1], height), bool)
    columns[:, top : top + patch.shape[0]] = patch.T
    changes = np.flatnonzero(np.diff(columns.reshape(-1), prepend=False, append=False)) + left * height
    counts = np.diff(changes, prepend=0, append=height * width).tolist()
    return counts if counts[-1] else counts[:-1]


def _rectangle(x: float, y: float, width: float, height: float) -> list[float]:
    """Return the corners of a box as COCO's polygon: x, y, x, y, and so on."""
    return [x, y, x + width, y, x + width, y + height, x, y + height]
