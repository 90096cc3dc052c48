"""Check that a dataset has what masks are learned from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tfyolo.data.detection.sample import Sample
from tfyolo.errors import TfyoloError


def check_polygons(samples: Sequence[Sample], path: Path) -> None:
    """Check that at least one label is a polygon.

    Args:
        samples: images of the training split.
        path: path of the dataset, for the message.

    Raises:
        TfyoloError: all labels are boxes.
    """
    if not any(len(polygon) for sample in samples for polygon in sample.polygons_norm or ()):
        raise TfyoloError(
            "the labels of `train` have no polygons, which masks are learned from",
            path=path,
            fix="label the outlines of objects: class x y x y and so on, or COCO's `segmentation`; "
            "or train a detector with `tfyolo train`",
        )
