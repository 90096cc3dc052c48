"""A model that may hold a Keras network: what `fit`, `quantize` and `export` have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from tfyolo.api.checks import as_image_size
from tfyolo.assets import MODELS
from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.base import Runtime
from tfyolo.files import cache_folder
from tfyolo.inference.base_model import BaseModel

Self = TypeVar("Self", bound="NetworkModel")


class NetworkModel(BaseModel):
    """Base of the public models: checks for a Keras network, other input sizes, and names of written files.

    Args:
        runtime: runs the model file.
        image_size: input size (height, width) in pixels; defaults to the model's own.
    """

    def _require_network(self, participle: str) -> None:
        """Refuse an exported file, which holds no Keras model.

        Args:
            participle: what is to be done, such as `trained`, for the message.
        """
        if getattr(self.runtime, "model", None) is None:
            raise TfyoloError(
                f"an exported file ({self._format}) cannot be {participle}: it contains no Keras model",
                path=self.runtime.path,
                fix="load the .pt or .keras file that it was exported from",
            )

    def _resized(self: Self, image_size: int | tuple[int, int] | None) -> Self:
        """Return this model with another input size, or itself if `image_size` is None."""
        return self if image_size is None else type(self)(self.runtime, as_image_size(image_size))

    def _replace(self, path: Path) -> None:
        """Become the model of a `.keras` file, in place."""
        BaseModel.__init__(self, open_network(path))

    @property
    def _stem(self) -> Path:
        """Path without suffix for files that are made from this model."""
        path = self.runtime.path
        if path is None:
            return Path(self._file_name)
        is_shipped_or_cached = path in MODELS.values() or path.parent == cache_folder()
        return Path(path.stem) if is_shipped_or_cached else path.with_suffix("")


def open_network(path: Path) -> Runtime:
    """Open a `.keras` file with the runtime that holds its Keras model.

    Args:
        path: the file.

    Returns:
        A runtime, whose `model` is a `keras.Model`.
    """
    from tfyolo.export.keras.runtime import open_keras_runtime

    return open_keras_runtime(path)
