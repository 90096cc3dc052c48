"""LiteRT runtime of `.tflite` files; it does not import TensorFlow."""

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
from tfyolo.models.nodes import IMAGES
from tfyolo.quiet import hidden_stderr
from tfyolo.weights.keras_file import contract_in


class LiteRtRuntime(Runtime):
    """LiteRT runtime of a `.tflite` file that `tfyolo export` wrote.

    Each concurrent call uses a separate interpreter, since an interpreter keeps its tensors between calls.

    Args:
        path: the file. It is verified before LiteRT loads it.
        threads: number of CPU threads; defaults to the number of cores, up to four.

    Raises:
        TfyoloError: the file is damaged, or was not exported by tfyolo.
    """

    sharing = Sharing.EACH

    def __init__(self, path: Path, threads: int | None = None) -> None:
        # Later interpreters use this content: the file may be replaced after it was verified.
        self._content, self.path = read_input(path, MODEL), path
        self.contract = contract_in(self._content, path)
        self.input_hw = self.contract.image_size
        self._threads = threads or min(os.cpu_count() or 1, 4)
        check_model(self._content, path)
        self._prepare()
        self._start()

    def _prepare(self) -> None:
        """Prepare the first session: a hook for subclasses."""

    def _open(self) -> Any:
        try:
            runner = self._runner()
            image = runner.get_input_details()[IMAGES]
            self._details = runner.get_output_details()
        except TfyoloError:
            raise
        except Exception as error:  # LiteRT raises several kinds
            raise self._unreadable((str(error).splitlines() or [type(error).__name__])[0][:200]) from error
        if tuple(image["shape"]) != (1, *self.contract.image_size, 3):
            raise TfyoloError(
                f"its input is {tuple(image['shape'])}, which differs from its tfyolo.json", path=self.path
            )
        check_outputs(self._details, self.contract, self.path)
        self._uint8 = image["dtype"] == np.uint8
        return runner

    def _run(self, session: Any, images: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
        outputs = session(**{IMAGES: pixels_of(images, self._uint8)})
        return {name: _dequantize(x, self._details[name]["quantization"]) for name, x in outputs.items()}

    def _runner(self) -> Any:
        """Return the signature runner of a new interpreter."""
        from ai_edge_litert.interpreter import Interpreter

        with hidden_stderr():  # it logs which delegate it creates
            interpreter = Interpreter(model_content=self._content, num_threads=self._threads)
            interpreter.allocate_tensors()
        return interpreter.get_signature_runner()

    def _unreadable(self, reason: str) -> TfyoloError:
        return TfyoloError(f"LiteRT cannot read it: {reason}", path=self.path, fix="export it again")


def _dequantize(values: np.ndarray, quantization: tuple[float, int]) -> np.ndarray:
    """Return an output as numbers: int8 logits are dequantized."""
    if values.dtype != np.int8:
        return values
    scale, zero = quantization
    return (values.astype(np.float32) - zero) * np.float32(scale)


def inspect(path: Path) -> Inspection:
    """Return the `Inspection` of a `.tflite` file; see `inspect_flatbuffer`."""
    return inspect_flatbuffer(path)
