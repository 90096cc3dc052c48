"""Detections of one image: `Result`, with conversions, drawing and saving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfyolo.deprecation import renamed_arguments, warn_renamed
from tfyolo.errors import BadOutputError, TfyoloError
from tfyolo.files import atomic, suffix_of
from tfyolo.inference.boxes import xyxy_to_xywh
from tfyolo.inference.drawing.annotate import draw_boxes
from tfyolo.libraries import require
from tfyolo.text import printable

if TYPE_CHECKING:
    import pandas as pd
    import supervision as sv


@renamed_arguments(classes="class_ids")
@dataclass(frozen=True, repr=False)
class Result:
    """Detections of one image, sorted by descending score. A notebook shows the image with its boxes.

    Attributes:
        boxes_xyxy_px: (n, 4) float32 corners (left, top, right, bottom) in pixels of the image.
        scores: (n,) float32 in 0..1, objectness times class score.
        class_ids: (n,) int64, indices of `names`.
        names: class names of the model.
        image: uint8 (height, width, 3) RGB, the image that was passed.
        path: path of the image file; None if an array was passed.
        speed_ms: milliseconds per image of `preprocess`, `inference` and `nms`.
        problem: rows of the model's output that were dropped because they are not boxes (coordinates that are
            not finite, a class id out of range); empty if there were none.

    Example:
        >>> import tfyolo
        >>> from tfyolo.assets import SAMPLE_IMAGE
        >>> tfyolo.load("bccd-n")(SAMPLE_IMAGE)[0]
        1 Platelets, 12 RBC, 1 WBC in 640x480
    """

    boxes_xyxy_px: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray
    names: tuple[str, ...]
    image: np.ndarray
    path: Path | None = None
    speed_ms: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        found = ", ".join(f"{count} {printable(name)}" for name, count in self.counts().items())
        return f"{found or 'nothing'} in {width}x{height}"

    def _repr_png_(self) -> bytes:
        """Return `plot()` as PNG, for Jupyter."""
        return png_bytes(self.plot())

    @property
    def classes(self) -> np.ndarray:
        """Old name of `class_ids`."""
        warn_renamed("`Result.classes`", "`class_ids`")
        return self.class_ids

    @property
    def boxes_xywh_norm(self) -> np.ndarray:
        """(n, 4) float32: x and y of the center, width, height, in 0..1 of the image's size."""
        height, width = self.image.shape[:2]
        return xyxy_to_xywh(self.boxes_xyxy_px) / np.array([width, height, width, height], np.float32)

    def counts(self) -> dict[str, int]:
        """Number of boxes per class name, in the order of the class ids.

        Example:
            >>> boxes = np.zeros((3, 4), np.float32)
            >>> ids, image = np.array([1, 0, 1]), np.zeros((8, 8, 3), np.uint8)
            >>> Result(boxes, np.ones(3), ids, ("cat", "dog"), image).counts()
            {'cat': 1, 'dog': 2}
        """
        counts: dict[str, int] = {}
        for i in np.sort(self.class_ids):  # two classes may share a name
            counts[self.names[i]] = counts.get(self.names[i], 0) + 1
        return counts

    def to_supervision(self) -> sv.Detections:
        """Convert to `supervision.Detections`, for its trackers, zones and annotators.

        Returns:
            `supervision.Detections` whose `data["class_name"]` holds the class names.

        Raises:
            MissingExtraError: supervision is not installed.

        Example:
            >>> import tfyolo
            >>> from tfyolo.assets import SAMPLE_IMAGE
            >>> result = tfyolo.load("bccd-n")(SAMPLE_IMAGE)[0]
            >>> result.to_supervision().class_id[:4]
            array([2, 0, 1, 1])
        """
        require("supervision")
        import supervision as sv

        labels = np.array([self.names[i] for i in self.class_ids], dtype=str)
        return sv.Detections(
            xyxy=self.boxes_xyxy_px.astype(np.float32),
            confidence=self.scores,
            class_id=self.class_ids.astype(int),
            data={"class_name": labels},
        )

    def to_pandas(self) -> pd.DataFrame:
        """Convert to a table with YOLOv5's columns.

        Returns:
            `pandas.DataFrame` with one row per box: xmin, ymin, xmax, ymax (pixels), confidence, class, name.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        require("pandas")
        import pandas as pd

        table = pd.DataFrame(self.boxes_xyxy_px, columns=["xmin", "ymin", "xmax", "ymax"])
        table["confidence"], table["class"] = self.scores, self.class_ids
        table["name"] = pd.Series([self.names[i] for i in self.class_ids], dtype=object)
        return table

    def plot(
        self, *, labels: bool = True, confidences: bool = True, thickness: int | None = None
    ) -> np.ndarray:
        """Draw the boxes and labels on a copy of the image.

        Args:
            labels: draw class names.
            confidences: draw scores after the class names.
            thickness: line width in pixels; chosen from the image size by default.

        Returns:
            uint8 (height, width, 3) RGB.
        """
        texts = None
        if labels:
            texts = [
                f"{self.names[class_id]} {score:.2f}" if confidences else self.names[class_id]
                for class_id, score in zip(self.class_ids, self.scores, strict=True)
            ]
        mean_side = sum(self.image.shape[:2]) / 2
        return draw_boxes(
            self._canvas(),
            self.boxes_xyxy_px,
            self.class_ids,
            texts,
            thickness=thickness or max(round(mean_side * 0.003), 2),
            text_px=max(round(mean_side * 0.024), 11),
        )

    def _canvas(self) -> np.ndarray:
        """Return the image that boxes are drawn on."""
        return self.image

    def label_rows(self) -> list[tuple[int, np.ndarray]]:
        """Return the rows of a YOLO label file: class id, and the box as `boxes_xywh_norm`."""
        return list(zip(self.class_ids.tolist(), self.boxes_xywh_norm, strict=True))

    def crops(self) -> list[np.ndarray]:
        """Cut out each box with a margin of 2 % and 10 pixels, as YOLOv5 does.

        Returns:
            uint8 (height, width, 3) RGB, one per box.

        Raises:
            BadOutputError: a box contains no pixels.

        Example:
            >>> image = np.zeros((80, 100, 3), np.uint8)
            >>> boxes = np.float32([[20, 20, 60, 40]])
            >>> Result(boxes, np.ones(1), np.array([0]), ("cat",), image).crops()[0].shape
            (31, 51, 3)
        """
        height, width = self.image.shape[:2]
        crops = []
        for number, box in enumerate(self.boxes_xyxy_px, 1):
            center, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * 1.02 + 5
            x1, y1 = np.maximum(center - half, 0).astype(int)
            x2, y2 = np.minimum(center + half, [width, height]).astype(int)
            if x2 <= x1 or y2 <= y1:
                raise BadOutputError(f"box {number} contains no pixels to crop")
            crops.append(self.image[y1:y2, x1:x2])
        return crops

    def save(self, path: str | Path) -> Path:
        """Write `plot()` to an image file.

        Args:
            path: file to write; its suffix selects the format, such as `.jpg` or `.png`.

        Returns:
            `path`.

        Raises:
            TfyoloError: the suffix is unknown, or the file cannot be written.
        """
        return save_image(self.plot(), path)


def _pillow_format(path: Path) -> str:
    """Return Pillow's name of the image format of a suffix.

    Raises:
        ValueError: the suffix is unknown.
    """
    from PIL import Image

    Image.init()
    name = Image.registered_extensions().get(path.suffix.lower())
    if name is None:
        raise ValueError(f"unknown file extension: {path.suffix}")
    return name


def png_bytes(image: np.ndarray) -> bytes:
    """Encode uint8 (height, width, 3) RGB as PNG; return the bytes of the file."""
    from PIL import Image

    data = BytesIO()
    Image.fromarray(image).save(data, "PNG")
    return data.getvalue()


def save_image(image: np.ndarray, path: str | Path) -> Path:
    """Write an image file.

    Args:
        image: uint8 (height, width, 3) RGB.
        path: file to write; its suffix selects the format.

    Returns:
        `path`.

    Raises:
        TfyoloError: the suffix is unknown, or the file cannot be written.
    """
    from PIL import Image

    path = Path(path)
    # Pillow writes TIFF losslessly and rejects a quality.
    options: dict[str, Any] = {} if suffix_of(path) in (".tif", ".tiff") else {"quality": 95}
    try:
        with atomic(path, durable=False) as temporary:
            # Encode into memory first: Pillow does not report a partial write to a full disk.
            data = BytesIO()
            Image.fromarray(image).save(data, _pillow_format(path), **options)
            temporary.write_bytes(data.getvalue())
    except (OSError, ValueError) as error:
        raise TfyoloError(f"cannot be written: {error}", path=path, fix="choose a .jpg or .png") from error
    return path
