"""Runs a `.tflite` file with LiteRT; TensorFlow is not imported."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.inference.inspection import Inspection
from tfyolo.inference.predictions import Prediction
from tfyolo.inference.runtimes.base import check_outputs, pixels_of, predict
from tfyolo.inference.runtimes.flatbuffer import inspect_flatbuffer
from tfyolo.inference.runtimes.tflite.check import check_model
from tfyolo.inputs import MODEL, read_input
from tfyolo.weights.keras_file import contract_in


class LiteRtRuntime:
    """A `.tflite` file that `tfyolo export` wrote.

    Args:
        path: the file.
        threads: of the CPU; as many as there are cores, up to four, by default.

    Raises:
        TfyoloError: the file is damaged, or not one of tfyolo's: it is verified before LiteRT sees it.
    """

    max_batch = 1

    def __init__(self, path: Path, threads: int | None = None) -> None:
        from ai_edge_litert.interpreter import Interpreter

        data, self.path = read_input(path, MODEL), path
        self.contract = contract_in(data, path)
        graph = check_model(data, path)
        check_outputs(graph.outputs, self.contract, path)
        self.input_hw: tuple[int, int] | None = self.contract.image_size
        threads = threads or min(os.cpu_count() or 1, 4)
        try:
            self._interpreter = Interpreter(model_content=data, num_threads=threads)
            self._interpreter.allocate_tensors()
            self._run = self._interpreter.get_signature_runner()
            details = self._run.get_input_details()["images"]
        except Exception as error:  # LiteRT raises several kinds
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise TfyoloError(
                f"LiteRT cannot read it: {reason[:200]}", path=path, fix="export it again"
            ) from error
        self._dtype, self._outputs = details["dtype"], self._run.get_output_details()
        if tuple(details["shape"]) != (1, *self.contract.image_size, 3):
            raise TfyoloError(
                f"its input is {tuple(details['shape'])}, not what its tfyolo.json says", path=path
            )

    def __call__(self, images: np.ndarray, confidence: float) -> list[Prediction]:
        """See `Runtime`."""
        return predict(images, self.outputs, self.contract, confidence)

    def outputs(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """What the graph gives for uint8 (1, height, width, 3), by signature name."""
        try:
            found = self._run(images=pixels_of(images, self._dtype == np.uint8))
        except (RuntimeError, ValueError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise TfyoloError(f"LiteRT cannot run it: {reason[:200]}", path=self.path) from error
        return {name: self._float(name, x) for name, x in found.items()}

    def _float(self, name: str, values: np.ndarray) -> np.ndarray:
        """An output as numbers; raw integer heads come with a scale."""
        if values.dtype != np.int8:
            return values
        scale, zero = self._outputs[name]["quantization"]
        return (values.astype(np.float32) - zero) * np.float32(scale)


def inspect(path: Path) -> Inspection:
    """What a `.tflite` file holds; see `inspect_flatbuffer`."""
    return inspect_flatbuffer(path)
