"""Runtime of `_edgetpu.tflite` files: on the Edge TPU for a compiled file, otherwise on the CPU."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.edgetpu.entry import CUSTOM_OPERATOR
from tfyolo.export.runtime.base import Sharing
from tfyolo.export.runtime.inspection import Inspection
from tfyolo.export.tflite.inspection import inspect_flatbuffer
from tfyolo.export.tflite.runtime import LiteRtRuntime
from tfyolo.models.contract import Contract

LIBRARIES = {"linux": "libedgetpu.so.1", "darwin": "libedgetpu.1.dylib", "win32": "edgetpu.dll"}
"""File name of Coral's library by `sys.platform`."""


class EdgeTpuRuntime(LiteRtRuntime):
    """Runtime of a file that `tfyolo export --include edgetpu` wrote.

    Args:
        path: the file.
        threads: number of CPU threads for operators that the Edge TPU does not run; up to four by default.

    Raises:
        TfyoloError: the file is damaged, or it is compiled and Coral's library or the device is missing.
    """

    sharing = Sharing.ONE  # one device runs one call at a time

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
            fix="install the release of Coral's library for this LiteRT version, or export it again",
        )


def is_compiled(data: bytes, contract: Contract) -> bool:
    """Return True if the file with this content and contract was compiled for the Edge TPU."""
    return bool(contract.export.get("compiled")) or CUSTOM_OPERATOR.encode() in data


def load_delegate(path: Path) -> Any:
    """Load Coral's library as a LiteRT delegate, connected to a device.

    Args:
        path: the model file, for error messages.

    Returns:
        The delegate.

    Raises:
        TfyoloError: the library is not installed, or finds no device.
    """
    from ai_edge_litert.interpreter import load_delegate as load

    library = LIBRARIES.get(sys.platform, LIBRARIES["linux"])
    try:
        # Loaded with ctypes first, since a failed load in LiteRT leaves an object whose __del__ raises.
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
            fix="connect the device again, and close other programs that use it",
        ) from error


def runner(interpreter: Any, contract: Contract) -> Any:
    """Return a callable that runs a model with named inputs and outputs.

    Args:
        interpreter: a LiteRT `Interpreter`.
        contract: contract of the model.

    Returns:
        The signature runner. For a compiled file, whose signature the compiler dropped, an `OrderedRunner`.
    """
    signatures = interpreter.get_signature_list()
    if any("images" in signature["inputs"] for signature in signatures.values()):
        return interpreter.get_signature_runner(next(iter(signatures)))
    return OrderedRunner(interpreter, contract.export["outputs"])


class OrderedRunner:
    """Signature runner for a model without a signature.

    Args:
        interpreter: a LiteRT `Interpreter`.
        outputs: names of the outputs in the order of the file, from the contract.
    """

    def __init__(self, interpreter: Any, outputs: list[str]) -> None:
        interpreter.allocate_tensors()
        self._interpreter, (self._input,) = interpreter, interpreter.get_input_details()
        self._outputs = dict(zip(outputs, interpreter.get_output_details(), strict=True))

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Run the model on images (1, height, width, 3); return outputs by name."""
        self._interpreter.set_tensor(self._input["index"], images)
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(x["index"]) for name, x in self._outputs.items()}

    def get_input_details(self) -> dict[str, Any]:
        """Return details of the inputs by name, as `SignatureRunner.get_input_details` does."""
        return {"images": self._input}

    def get_output_details(self) -> dict[str, Any]:
        """Return details of the outputs by name, as `SignatureRunner.get_output_details` does."""
        return self._outputs


def inspect(path: Path) -> Inspection:
    """Return the `Inspection` of a file; all compiled operators are one `edgetpu-custom-op`."""
    return replace(inspect_flatbuffer(path), not_on_gpu=None)
