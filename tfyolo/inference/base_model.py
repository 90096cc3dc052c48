"""Base class of detectors and classifiers: a runtime, its contract, the input size."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.export.registry import FORMATS
from tfyolo.export.runtime.base import Runtime
from tfyolo.models.contract import Contract
from tfyolo.text import printable

_SHOWN_NAMES = 4


class BaseModel:
    """A loaded model file.

    Args:
        runtime: runs the model file.
        image_size: (height, width) of the input in pixels; defaults to the model's. Files with a fixed input
            refuse others.

    Raises:
        TfyoloError: the input is fixed to another size.
    """

    def __init__(self, runtime: Runtime, image_size: tuple[int, int] | None = None) -> None:
        self.runtime = runtime
        fixed, self.stride = runtime.input_hw, max(self.contract.strides)
        if image_size and fixed and image_size != fixed:
            raise TfyoloError(
                f"the model has a fixed input size of {fixed[0]}x{fixed[1]} pixels, "
                f"not {image_size[0]}x{image_size[1]}",
                fix=f"leave out --img, or export again with --img {' '.join(map(str, image_size))}",
            )
        height, width = image_size or fixed or self.contract.image_size
        if not fixed:  # a network needs whole cells
            height, width = (math.ceil(size / self.stride) * self.stride for size in (height, width))
        self.image_size = (height, width)

    def __repr__(self) -> str:
        count, (height, width) = len(self.names), self.image_size
        names = ", ".join([*self.names[:_SHOWN_NAMES], *(["..."] if count > _SHOWN_NAMES else [])])
        classes = f"{count} class{'es' if count > 1 else ''} ({names})"
        text = f"{self._file_name}: {classes}, {height}x{width} pixels, {self._runs_as}"
        return f"<{type(self).__name__} {printable(text)}>"

    @property
    def _file_name(self) -> str:
        """Name of the model file, or of the configuration."""
        path = getattr(self.runtime, "path", None)
        return path.name if path else str(self.contract.config.get("name") or "model")

    @property
    def _format(self) -> str:
        """Label of the format of the model file."""
        name = self.contract.export.get("format", "keras")
        return next((entry.label for entry in FORMATS if entry.name == name), str(name))

    @property
    def _runs_as(self) -> str:
        """Format, precision and NMS kind, except for defaults."""
        note = self.contract.export
        nms = note.get("nms", "none")
        parts = [self._format]
        if note.get("precision", "float32") != "float32":
            parts[0] += f" {note['precision']}"
        if nms not in ("none", "raw"):
            parts.append(f"NMS inside ({nms})")
        if self.contract.quantization is not None:
            parts.append("quantized")
        return ", ".join(parts)

    @property
    def contract(self) -> Contract:
        """Task, names, anchors, strides and configuration."""
        return self.runtime.contract

    @property
    def names(self) -> tuple[str, ...]:
        """Class names."""
        return self.contract.names

    @property
    def model(self) -> Any:
        """The `keras.Model`: (batch, height, width, 3) RGB in 0..1 to raw heads, or to a classifier's logits.

        Raises:
            TfyoloError: the file is an exported one, without a Keras model.
        """
        model = getattr(self.runtime, "model", None)
        if model is None:
            kind = type(self.runtime).__name__
            raise TfyoloError(
                f"{kind} runs an exported file, which contains no keras.Model", fix="load the .keras file"
            )
        return model

    def save(self, path: str | Path) -> Path:
        """Write the Keras model and its contract to a `.keras` file."""
        from tfyolo.weights.keras_file import save_keras

        return save_keras(self.model, self.contract, path)
