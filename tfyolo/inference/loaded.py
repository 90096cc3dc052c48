"""What a detector and a classifier have in common: a runtime, its contract, the size of its input."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.inference.runtimes.base import Runtime
from tfyolo.models.contract import Contract


class LoadedModel:
    """A model file that can be run.

    Args:
        runtime: runs the model file.
        image_hw: input size in pixels; by default the model's own. Files with a fixed input refuse another.

    Raises:
        TfyoloError: the input is fixed to another size.
    """

    def __init__(self, runtime: Runtime, image_hw: tuple[int, int] | None = None) -> None:
        self.runtime = runtime
        fixed, self.stride = runtime.input_hw, max(self.contract.strides)
        if image_hw and fixed and image_hw != fixed:
            raise TfyoloError(
                f"the input is fixed to {fixed[0]}x{fixed[1]} pixels, not {image_hw[0]}x{image_hw[1]}",
                fix=f"leave out --img, or export again with --img {' '.join(map(str, image_hw))}",
            )
        height, width = image_hw or fixed or self.contract.image_size
        if not fixed:  # a network needs whole cells
            height, width = (math.ceil(size / self.stride) * self.stride for size in (height, width))
        self.image_hw = (height, width)

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
            TfyoloError: an exported file is run, which holds none.
        """
        model = getattr(self.runtime, "model", None)
        if model is None:
            kind = type(self.runtime).__name__
            raise TfyoloError(
                f"{kind} runs an exported file, which holds no keras.Model", fix="load the .keras file"
            )
        return model

    def save(self, path: str | Path) -> Path:
        """Write the Keras model and its contract to a `.keras` file."""
        from tfyolo.weights.keras_file import save_keras

        return save_keras(self.model, self.contract, path)
