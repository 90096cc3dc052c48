"""What the detector returns for one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfyolo.deprecation import renamed_arguments, warn_renamed
from tfyolo.errors import TfyoloError
from tfyolo.files import atomic, suffix_of
from tfyolo.libraries import require
from tfyolo.text import printable

if TYPE_CHECKING:
    import pandas as pd
    import supervision as sv


@renamed_arguments(classes="class_ids")
@dataclass(frozen=True, repr=False)
class Result:
    """The boxes found in an image, best first. A notebook shows the image with its boxes.

    Example:
        >>> import tfyolo
        >>> from tfyolo.assets import SAMPLE_IMAGE
        >>> tfyolo.load("bccd-n")(SAMPLE_IMAGE)[0]
        1 Platelets, 12 RBC, 1 WBC in 640x480
    """

    boxes_xyxy_px: np.ndarray
    """(n, 4) float32: left, top, right, bottom in pixels of the image."""
    scores: np.ndarray
    """(n,) float32 in 0..1."""
    class_ids: np.ndarray
    """(n,) int64, indices of `names`."""
    names: tuple[str, ...]
    image: np.ndarray
    """uint8 (height, width, 3) RGB."""
    path: Path | None = None
    speed_ms: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds an image of `preprocess`, `inference` and `nms`."""
    problem: str = ""
    """What was left out of the model's output, since it is no box (coordinates that are not numbers, a class
    that the model does not have); empty where nothing was."""

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        found = ", ".join(f"{count} {printable(name)}" for name, count in self.counts().items())
        return f"{found or 'nothing'} in {width}x{height}"

    def _repr_png_(self) -> bytes:
        """PNG of `plot()`, which Jupyter shows."""
        return png_bytes(self.plot())

    @property
    def classes(self) -> np.ndarray:
        """Old name of `class_ids`."""
        warn_renamed("`Result.classes`", "`class_ids`")
        return self.class_ids

    @property
    def boxes_xywh_norm(self) -> np.ndarray:
        """(n, 4) float32: center, width and height, relative to the image's size."""
        height, width = self.image.shape[:2]
        x1, y1, x2, y2 = self.boxes_xyxy_px.T
        boxes = np.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], 1)
        return boxes / np.array([width, height, width, height], np.float32)

    def counts(self) -> dict[str, int]:
        """How many boxes of each class, in the order of the classes."""
        counts: dict[str, int] = {}
        for i in np.sort(self.class_ids):  # two classes may have one name
            counts[self.names[i]] = counts.get(self.names[i], 0) + 1
        return counts

    def to_supervision(self) -> sv.Detections:
        """As `supervision.Detections`, with `class_name` in its data: for trackers, zones, annotators."""
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
        """As a table: xmin, ymin, xmax, ymax, confidence, class, name (YOLOv5's columns)."""
        require("pandas")
        import pandas as pd

        table = pd.DataFrame(self.boxes_xyxy_px, columns=["xmin", "ymin", "xmax", "ymax"])
        table["confidence"], table["class"] = self.scores, self.class_ids
        table["name"] = [self.names[i] for i in self.class_ids]
        return table

    def plot(
        self, *, labels: bool = True, confidences: bool = True, thickness: int | None = None
    ) -> np.ndarray:
        """The image with boxes and labels drawn, uint8 RGB of the same size."""
        from tfyolo.inference.annotate import annotate

        return annotate(self, labels=labels, confidences=confidences, thickness=thickness)

    def save(self, path: str | Path) -> Path:
        """Write `plot()` to an image file; the suffix says which kind.

        Raises:
            TfyoloError: an unknown suffix, or the file cannot be written.
        """
        return save_image(self.plot(), path)


def _kind(path: Path) -> str:
    """Pillow's name of the format that a suffix stands for.

    Raises:
        ValueError: there is none.
    """
    from PIL import Image

    Image.init()
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"unknown file extension: {path.suffix}")
    return kind


def png_bytes(image: np.ndarray) -> bytes:
    """A PNG file of uint8 (height, width, 3) RGB."""
    from PIL import Image

    data = BytesIO()
    Image.fromarray(image).save(data, "PNG")
    return data.getvalue()


def save_image(image: np.ndarray, path: str | Path) -> Path:
    """Write uint8 (height, width, 3) RGB to an image file; the suffix says which kind.

    Raises:
        TfyoloError: an unknown suffix, or the file cannot be written.
    """
    from PIL import Image

    path = Path(path)
    # TIFF is written without loss and refuses to be told a quality.
    options: dict[str, Any] = {} if suffix_of(path) in (".tif", ".tiff") else {"quality": 95}
    try:
        with atomic(path, durable=False) as temporary:
            # Into memory first: where a disk takes a part of what is written, Pillow says nothing.
            data = BytesIO()
            Image.fromarray(image).save(data, _kind(path), **options)
            temporary.write_bytes(data.getvalue())
    except (OSError, ValueError) as error:
        raise TfyoloError(f"cannot be written: {error}", path=path, fix="choose a .jpg or .png") from error
    return path
