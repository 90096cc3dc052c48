"""Runs an `_edgetpu.tflite` file: on the Edge TPU where it is compiled, else on the CPU."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.base import Sharing
from tfyolo.export.runtime.inspection import Inspection
from tfyolo.export.tflite.inspection import inspect_flatbuffer
from tfyolo.export.tflite.runtime import LiteRtRuntime
from tfyolo.export.tflite.vetting.data_movement import EDGE_TPU
from tfyolo.models.contract import Contract

LIBRARIES = {"linux": "libedgetpu.so.1", "darwin": "libedgetpu.1.dylib", "win32": "edgetpu.dll"}
_MARK = EDGE_TPU.encode()


class EdgeTpuRuntime(LiteRtRuntime):
    """A file that `tfyolo export --include edgetpu` wrote.

    Args:
        path: the file.
        threads: of the CPU, for what does not run on the Edge TPU.

    Raises:
        TfyoloError: it is compiled, and Coral's library or the device is missing; or it is damaged.
    """

    sharing = Sharing.ONE  # there is one device

    def _prepare(self) -> None:
        self.compiled = is_compiled(self._content, self.contract)
        self._delegate = load_delegate(self.path) if self.compiled and self.path else None

    def _runner(self) -> Any:
        if not self.compiled:
            return super()._runner()
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(
            model_content=self._content,
            num_threads=self._threads,
            experimental_delegates=[self._delegate] if self._delegate else None,
        )
        return runner(interpreter, self.contract)

    def _unreadable(self, reason: str) -> TfyoloError:
        if not self.compiled:
            return super()._unreadable(reason)
        return TfyoloError(
            f"the Edge TPU cannot run it: {reason}",
            path=self.path,
            fix="install the release of Coral's library that fits this LiteRT, or export it again",
        )


def is_compiled(data: bytes, contract: Contract) -> bool:
    """Whether a file, given its bytes, holds the compiler's operation."""
    return bool(contract.export.get("compiled")) or _MARK in data


def load_delegate(path: Path) -> Any:
    """Coral's library, connected to a device.

    Args:
        path: of the model, named in errors.

    Raises:
        TfyoloError: the library is not installed, or finds no device.
    """
    from ai_edge_litert.interpreter import load_delegate as load

    library = LIBRARIES.get(sys.platform, LIBRARIES["linux"])
    try:
        # First by itself: LiteRT's failed attempt leaves an object that complains when it is deleted.
        ctypes.CDLL(library)
    except OSError as error:
        raise TfyoloError(
            f"is compiled for the Edge TPU, but its library {library} is not installed",
            path=path,
            fix="install Coral's Edge TPU runtime, or run the .tflite of --include tflite --int8 on the CPU",
        ) from error
    try:
        return load(library)
    except (ValueError, RuntimeError) as error:
        raise TfyoloError(
            f"is compiled for the Edge TPU, but {library} finds no device",
            path=path,
            fix="connect it (after installing the library: once more), and end other programs that use it",
        ) from error


def runner(interpreter: Any, contract: Contract) -> Any:
    """What runs the model by names: its signature or, where that is lost, the order of its outputs."""
    signatures = interpreter.get_signature_list()
    if any("images" in signature["inputs"] for signature in signatures.values()):
        return interpreter.get_signature_runner(next(iter(signatures)))
    return OrderedRunner(interpreter, contract.export["outputs"])


class OrderedRunner:
    """Runs a model without a signature as if it had one.

    Args:
        interpreter: LiteRT's.
        outputs: names in the file's order, as the exporter has noted it.
    """

    def __init__(self, interpreter: Any, outputs: list[str]) -> None:
        interpreter.allocate_tensors()
        self._interpreter, (self._input,) = interpreter, interpreter.get_input_details()
        self._outputs = dict(zip(outputs, interpreter.get_output_details(), strict=True))

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs by name."""
        self._interpreter.set_tensor(self._input["index"], images)
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(x["index"]) for name, x in self._outputs.items()}

    def get_input_details(self) -> dict[str, Any]:
        """As a signature runner's."""
        return {"images": self._input}

    def get_output_details(self) -> dict[str, Any]:
        """As a signature runner's."""
        return self._outputs


def inspect(path: Path) -> Inspection:
    """What an `_edgetpu.tflite` file holds; what is compiled is one operation, `edgetpu-custom-op`."""
    return replace(inspect_flatbuffer(path), not_on_gpu=None)
