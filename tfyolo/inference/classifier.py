"""The classifier: images in, probabilities of classes out, whatever the model file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from tfyolo.data.centre_crop import centre_crop
from tfyolo.errors import TfyoloError
from tfyolo.inference.detector import Image, read_pixels
from tfyolo.inference.predictions import Probabilities
from tfyolo.inference.runtimes.base import Runtime
from tfyolo.models.contract import Contract


@dataclass(frozen=True)
class Classification:
    """What a classifier makes of one image.

    Attributes:
        probabilities: (classes,) float32.
        names: of the classes.
        image: uint8 (height, width, 3) RGB, as it was given.
        path: of the image, if it had one.
        speed_ms: milliseconds of preprocess and inference.
    """

    probabilities: np.ndarray
    names: tuple[str, ...]
    image: np.ndarray
    path: Path | None
    speed_ms: dict[str, float]

    @property
    def index(self) -> int:
        """Of the most probable class."""
        return int(self.probabilities.argmax())

    @property
    def name(self) -> str:
        """Of the most probable class."""
        return self.names[self.index]

    def top(self, count: int = 5) -> list[tuple[int, str, float]]:
        """Index, name and probability of the most probable classes, best first.

        Example:
            >>> found = Classification(np.float32([0.2, 0.8]), ("cat", "dog"), np.zeros((1, 1, 3)), None, {})
            >>> found.top(1)
            [(1, 'dog', 0.800000011920929)]
        """
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(int(i), self.names[i], float(self.probabilities[i])) for i in order]


class Classifier:
    """Says what is in images with any runtime. Made by `tfyolo.load` for a classifier's file.

    Args:
        runtime: runs the model file.
        image_hw: input size in pixels; by default the model's own. Files with a fixed input refuse another.

    Example:
        >>> classifier = tfyolo.load("cells.keras")  # doctest: +SKIP
        >>> classifier("cell.png")[0].top(2)  # doctest: +SKIP
        [(1, 'RBC', 0.98), (0, 'Platelets', 0.02)]
    """

    def __init__(self, runtime: Runtime, image_hw: tuple[int, int] | None = None) -> None:
        self.runtime = runtime
        fixed, stride = runtime.input_hw, max(self.contract.strides)
        if image_hw and fixed and image_hw != fixed:
            raise TfyoloError(
                f"the input is fixed to {fixed[0]}x{fixed[1]} pixels, not {image_hw[0]}x{image_hw[1]}",
                fix=f"leave out --img, or export again with --img {' '.join(map(str, image_hw))}",
            )
        height, width = image_hw or fixed or self.contract.image_size
        if not fixed:
            height, width = (math.ceil(size / stride) * stride for size in (height, width))
        self.image_hw = (height, width)

    @property
    def contract(self) -> Contract:
        """Names and configuration."""
        return self.runtime.contract

    @property
    def names(self) -> tuple[str, ...]:
        """Class names."""
        return self.contract.names

    @property
    def model(self) -> Any:
        """The `keras.Model`: (batch, height, width, 3) RGB in 0..1 to logits (batch, classes).

        Raises:
            TfyoloError: the classifier runs an exported file, which holds none.
        """
        model = getattr(self.runtime, "model", None)
        if model is None:
            kind = type(self.runtime).__name__
            raise TfyoloError(
                f"{kind} runs an exported file, which holds no keras.Model", fix="load the .keras file"
            )
        return model

    def __call__(self, images: Image | Sequence[Image]) -> list[Classification]:
        """Classify.

        Args:
            images: one image or a list: paths, RGB arrays, PIL images.

        Returns:
            One result an image, in order.

        Raises:
            TfyoloError: an image cannot be read or is of another kind.
        """
        single = isinstance(images, str | Path | np.ndarray) or not isinstance(images, Sequence)
        listed = [images] if single else list(images)
        results, step = [], min(self.runtime.max_batch, 16)
        for start in range(0, len(listed), step):
            read = [read_pixels(image) for image in listed[start : start + step]]
            began = perf_counter()
            batch = np.stack([centre_crop(pixels, self.image_hw) for pixels, _ in read])
            prepared = 1e3 * (perf_counter() - began) / len(batch)
            probabilities, speed = self.classify_batch(batch)
            speed = {"preprocess": prepared, **speed}
            for values, (pixels, path) in zip(probabilities, read, strict=True):
                results.append(Classification(values, self.names, pixels, path, speed))
        return results

    def classify_batch(self, batch: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
        """Probabilities of pictures of the input's size.

        Args:
            batch: uint8 (batch, height, width, 3) RGB; at most `runtime.max_batch` images.

        Returns:
            (batch, classes) float32, and milliseconds an image of `inference`.
        """
        start = perf_counter()
        predictions = self.runtime(batch, 0.0)
        values = [p.values for p in predictions if isinstance(p, Probabilities)]
        return np.stack(values), {"inference": 1e3 * (perf_counter() - start) / len(batch)}

    def save(self, path: str | Path) -> Path:
        """Write the Keras model and its contract to a `.keras` file."""
        from tfyolo.weights.keras_file import save_keras

        return save_keras(self.model, self.contract, path)
