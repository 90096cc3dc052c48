"""Detections with masks of one image: `SegmentationResult`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tfyolo.inference.drawing.draw_masks import draw_masks
from tfyolo.inference.results import Result
from tfyolo.inference.segmentation.masks import Masks

if TYPE_CHECKING:
    import pandas as pd
    import supervision as sv


@dataclass(frozen=True, repr=False)
class SegmentationResult(Result):
    """Detections of one image with their instance masks, sorted by descending score.

    Attributes:
        instances: the masks as patches of the image, one per box; `masks` has them at the size of the image.

    Example:
        >>> import tfyolo
        >>> segmenter = tfyolo.load("yolov5n-seg.pt")  # doctest: +SKIP
        >>> result = segmenter("bus.jpg")[0]  # doctest: +SKIP
        >>> result.masks.shape, result.areas_px.tolist()  # doctest: +SKIP
        ((5, 1080, 810), [231544, 80563, 66230, 54071, 11362])
    """

    instances: Masks = field(default_factory=lambda: Masks.empty((0, 0)))

    @property
    def masks(self) -> np.ndarray:
        """bool (n, height, width): one mask per box, at the size of the image."""
        return self.instances.dense()

    @property
    def areas_px(self) -> np.ndarray:
        """(n,) int64: number of pixels of each mask."""
        return self.instances.areas_px

    @property
    def polygons_px(self) -> list[list[np.ndarray]]:
        """Outlines of each mask: a list of parts, largest first, each float32 (k, 2) x and y in pixels.

        The points are border pixels of the mask. Holes are not outlined, and a mask of less than three border
        pixels has no part.
        """
        return self.instances.polygons()

    def to_supervision(self) -> sv.Detections:
        """Convert to `supervision.Detections` with masks, for its trackers, zones and annotators.

        Returns:
            `supervision.Detections` whose `mask` is bool (n, height, width), and whose `data["class_name"]`
            holds the class names.

        Raises:
            MissingExtraError: supervision is not installed.

        Example:
            >>> import tfyolo
            >>> result = tfyolo.load("yolov5n-seg.pt")("bus.jpg")[0]  # doctest: +SKIP
            >>> result.to_supervision().mask.shape  # doctest: +SKIP
        """
        detections = super().to_supervision()
        detections.mask = self.masks
        return detections

    def to_pandas(self) -> pd.DataFrame:
        """Convert to a table with YOLOv5's columns and the area of each mask.

        Returns:
            `pandas.DataFrame` with one row per box: xmin, ymin, xmax, ymax (pixels), confidence, class, name,
            area (pixels of the mask).

        Raises:
            MissingExtraError: pandas is not installed.
        """
        table = super().to_pandas()
        table["area"] = self.areas_px
        return table

    def label_rows(self) -> list[tuple[int, np.ndarray]]:
        """Return the rows of a YOLO label file: class id, and the largest part of the mask as a polygon.

        Returns:
            Per box its class id and x, y, x, y, ... in 0..1 of the image; no values where the mask has less
            than three border pixels.
        """
        size = np.array(self.image.shape[1::-1], np.float32)
        rows = [(parts[0] / size).reshape(-1) if parts else np.zeros(0) for parts in self.polygons_px]
        return list(zip(self.class_ids.tolist(), rows, strict=True))

    def crops(self, *, masked: bool = False) -> list[np.ndarray]:
        """Cut out each box with a margin of 2 % and 10 pixels, as YOLOv5 does.

        Args:
            masked: paint everything outside of the mask black.

        Returns:
            uint8 (height, width, 3) RGB, one per box.

        Raises:
            BadOutputError: a box contains no pixels.
        """
        if not masked:
            return super().crops()
        cut = []
        for number, mask in enumerate(self.masks):
            one = Result(
                self.boxes_xyxy_px[number : number + 1],
                self.scores[number : number + 1],
                self.class_ids[number : number + 1],
                self.names,
                self.image * mask[..., None],
            )
            cut += one.crops()
        return cut

    def _canvas(self) -> np.ndarray:
        return draw_masks(self.image, self.instances.patches, self.instances.corners_xy, self.class_ids)
