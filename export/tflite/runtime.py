"""Runs a `.tflite` file with LiteRT; TensorFlow is not imported."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.base import Runtime, Sharing, check_outputs, pixels_of
from tfyolo.export.runtime.inspection import Inspection
from tfyolo.export.tflite.inspection import inspect_flatbuffer
from tfyolo.export.tflite.vetting.check import check_model
from tfyolo.inputs import MODEL, read_input
from tfyolo.quiet import hidden_stderr
from tfyolo.weights.keras_file import contract_in


class LiteRtRuntime(Runtime):
    """A `.tflite` file that `tfyolo export` wrote.

    An interpreter keeps its tensors between calls, so that each concurrent call has one of its own.

    Args:
        path: the file.
        threads: of the CPU; as many as there are cores, up to four, by default.

    Raises:
        TfyoloError: the file is damaged, or not one of tfyolo's: it is verified before LiteRT sees it.
    """

    sharing = Sharing.EACH

    def __init__(self, path: Path, threads: int | None = None) -> None:
        # Interpreters that are made later run what was verified, whatever has become of the file.
        self._content, self.path = read_input(path, MODEL), path
        self.contract = contract_in(self._content, path)
        self.input_hw = self.contract.image_size
        self._threads = threads or min(os.cpu_count() or 1, 4)
        check_model(self._content, path)
        self._prepare()
        self._start()

    def _prepare(self) -> None:
        """What subclasses need before the first session is opened."""

    def _open(self) -> Any:
        try:
            runner = self._runner()
            image = runner.get_input_details()["images"]
            self._details = runner.get_output_details()
        except TfyoloError:
            raise
        except Exception as error:  # LiteRT raises several kinds
            raise self._unreadable((str(error).splitlines() or [type(error).__name__])[0][:200]) from error
        if tuple(image["shape"]) != (1, *self.contract.image_size, 3):
            raise TfyoloError(
                f"its input is {tuple(image['shape'])}, not what its tfyolo.json says", path=self.path
            )
        check_outputs(self._details, self.contract, self.path)
        self._uint8 = image["dtype"] == np.uint8
        return runner

    def _run(self, session: Any, images: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
        found = session(images=pixels_of(images, self._uint8))
        return {name: _float(x, self._details[name]["quantization"]) for name, x in found.items()}

    def _runner(self) -> Any:
        """What runs the graph by signature name, in an interpreter of its own."""
        from ai_edge_litert.interpreter import Interpreter

        with hidden_stderr():  # it tells which delegate it made
            interpreter = Interpreter(model_content=self._content, num_threads=self._threads)
            interpreter.allocate_tensors()
        return interpreter.get_signature_runner()

    def _unreadable(self, reason: str) -> TfyoloError:
        return TfyoloError(f"LiteRT cannot read it: {reason}", path=self.path, fix="export it again")


def _float(values: np.ndarray, quantization: tuple[float, int]) -> np.ndarray:
    """An output as numbers; raw integer heads come with a scale."""
    if values.dtype != np.int8:
        return values
    scale, zero = quantization
    return (values.astype(np.float32) - zero) * np.float32(scale)


def inspect(path: Path) -> Inspection:
    """What a `.tflite` file holds; see `inspect_flatbuffer`."""
    return inspect_flatbuffer(path)
