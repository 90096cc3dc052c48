"""Runs a SavedModel folder with TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.inference.predictions import Prediction
from tfyolo.inference.runtimes.base import from_signature
from tfyolo.inference.runtimes.safety import check_saved_model
from tfyolo.models.contract import FILE_NAME, Contract


class SavedModelRuntime:
    """A SavedModel that `tfyolo export` wrote.

    Args:
        path: the folder, with `tfyolo.json` in it.
        threads: of the CPU.

    Raises:
        TfyoloError: the folder is damaged, or not one of tfyolo's.
    """

    max_batch = 1

    def __init__(self, path: Path, threads: int | None = None) -> None:
        import tensorflow as tf

        from tfyolo.inference.runtimes.keras import limit_threads

        limit_threads(threads)
        try:
            self.contract = Contract.from_json((path / FILE_NAME).read_bytes(), path / FILE_NAME)
        except OSError as error:
            raise TfyoloError(
                f"holds no {FILE_NAME}, so its classes and anchors are unknown",
                path=path,
                fix="write it with `tfyolo export --include saved_model`",
            ) from error
        self.input_hw: tuple[int, int] | None = self.contract.image_size
        check_saved_model(path)
        try:
            self._loaded = tf.saved_model.load(str(path))
            self._run = self._loaded.signatures["serving_default"]
            self._uint8 = self._run.structured_input_signature[1]["images"].dtype == tf.uint8
        except Exception as error:  # TensorFlow raises many kinds for a damaged folder
            raise TfyoloError(
                f"TensorFlow cannot read it: {str(error).splitlines()[0][:200]}",
                path=path,
                fix="export it again",
            ) from error

    def __call__(self, images: np.ndarray, confidence: float) -> list[Prediction]:
        """See `Runtime`."""
        import tensorflow as tf

        predictions = []
        for image in images:
            pixels = image[None] if self._uint8 else np.multiply(image[None], 1 / 255, dtype=np.float32)
            outputs = self._run(images=tf.constant(pixels))
            arrays = {name: value.numpy() for name, value in outputs.items()}
            predictions.append(from_signature(arrays, self.contract, confidence))
        return predictions
