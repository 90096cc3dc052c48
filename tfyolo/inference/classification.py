"""Classification with a model file of any format: from images to class probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from tfyolo.data.images.center_crop import center_crop
from tfyolo.export.runtime.predictions import Probabilities
from tfyolo.inference.base_model import BaseModel
from tfyolo.inference.detection import Image, list_images, read_pixels
from tfyolo.inference.drawing.annotate_classes import annotate_classes
from tfyolo.inference.results import png_bytes
from tfyolo.text import printable


@dataclass(frozen=True, repr=False)
class Classification:
    """Class probabilities of one image. A notebook displays the image with its most probable classes.

    Attributes:
        probabilities: (classes,) float32.
        names: class names by class id.
        image: uint8 (height, width, 3) RGB, as passed.
        path: path of the image file, if any.
        speed_ms: milliseconds of preprocess and inference.

    Example:
        >>> image = np.zeros((8, 8, 3), np.uint8)
        >>> result = Classification(np.float32([0.25, 0.75]), ("cat", "dog"), image, None, {})
        >>> result.name, result.index
        ('dog', 1)
    """

    probabilities: np.ndarray
    names: tuple[str, ...]
    image: np.ndarray
    path: Path | None
    speed_ms: dict[str, float]

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        return f"{', '.join(self._lines(3))} in {width}x{height}"

    def _repr_png_(self) -> bytes:
        """Return `plot()` as PNG, for Jupyter."""
        return png_bytes(self.plot())

    @property
    def index(self) -> int:
        """Class id of the most probable class."""
        return int(self.probabilities.argmax())

    @property
    def name(self) -> str:
        """Of the most probable class."""
        return self.names[self.index]

    def top(self, count: int = 5) -> list[tuple[int, str, float]]:
        """Return class id, name and probability of the most probable classes, in descending order.

        Example:
            >>> found = Classification(np.float32([0.2, 0.8]), ("cat", "dog"), np.zeros((1, 1, 3)), None, {})
            >>> found.top(1)
            [(1, 'dog', 0.800000011920929)]
        """
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(int(i), self.names[i], float(self.probabilities[i])) for i in order]

    def plot(self, *, top: int = 5) -> np.ndarray:
        """Draw the most probable classes in a corner of the image.

        Args:
            top: number of classes.

        Returns:
            uint8 (height, width, 3) RGB; a small image is enlarged to hold the text.
        """
        return annotate_classes(self.image, self._lines(top))

    def _lines(self, count: int) -> list[str]:
        """Return name and probability of the most probable classes."""
        return [f"{printable(name)} {value:.2f}" for _, name, value in self.top(count)]


class ClassificationPredictor(BaseModel):
    """Classifies images with a runtime of any format.

    It can be called from any number of threads at once.

    Args:
        runtime: runs the model file.
        image_size: (height, width) of the input in pixels; defaults to the model's. Files with a fixed input
            refuse others.

    Example:
        >>> classifier = tfyolo.load("cells.keras")  # doctest: +SKIP
        >>> classifier("cell.png")[0].top(2)  # doctest: +SKIP
        [(1, 'RBC', 0.98), (0, 'Platelets', 0.02)]
    """

    def __call__(self, images: Image | Sequence[Image]) -> list[Classification]:
        """Classify images.

        Args:
            images: one image or a list: paths, arrays, PIL images; or an array (n, height, width, 3).

        Returns:
            One result per image, in input order.

        Raises:
            TfyoloError: an image cannot be read, or has an unsupported type.
            BadOutputError: the model's probabilities for an image are not numbers.
        """
        listed = list_images(images)
        results, step = [], min(self.runtime.max_batch, 16)
        for start in range(0, len(listed), step):
            read = [read_pixels(image) for image in listed[start : start + step]]
            began = perf_counter()
            batch = np.stack([center_crop(pixels, self.image_size) for pixels, _ in read])
            prepared = 1e3 * (perf_counter() - began) / len(batch)
            probabilities, speed = self.classify_batch(batch)
            speed = {"preprocess": prepared, **speed}
            for values, (pixels, path) in zip(probabilities, read, strict=True):
                results.append(Classification(values, self.names, pixels, path, speed))
        return results

    def classify_batch(self, batch: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
        """Classify a batch of preprocessed images.

        Args:
            batch: uint8 (batch, height, width, 3) RGB; at most `runtime.max_batch` images.

        Returns:
            (batch, classes) float32, and milliseconds per image of `inference`.
        """
        start = perf_counter()
        predictions = self.runtime(batch, 0.0)
        values = [p.values for p in predictions if isinstance(p, Probabilities)]
        return np.stack(values), {"inference": 1e3 * (perf_counter() - start) / len(batch)}
