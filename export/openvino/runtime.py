"""Runs a folder of OpenVINO's intermediate representation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.openvino.vetting import MODEL_FILE, WEIGHTS_FILE, check_folder, check_sizes
from tfyolo.export.runtime.base import (
    Runtime,
    Sharing,
    check_input,
    check_outputs,
    folder_contract,
    pixels_of,
)
from tfyolo.export.runtime.cpu import has_vnni, is_x86
from tfyolo.export.runtime.inspection import Inspection, TensorInfo
from tfyolo.quiet import import_openvino


class OpenVinoRuntime(Runtime):
    """A folder that `tfyolo export` wrote.

    Args:
        path: the folder, with `tfyolo.json` in it.
        threads: of the CPU; as many as there are cores by default.

    Raises:
        TfyoloError: the folder is damaged, or not one of tfyolo's.
    """

    sharing = Sharing.EACH  # an infer request holds inputs and outputs of one call

    def __init__(self, path: Path, threads: int | None = None) -> None:
        openvino = import_openvino()
        self.path = path
        self.contract = folder_contract(path, "openvino")
        self.input_hw = self.contract.image_size
        self.max_batch = 16 if self.contract.export.get("batch") == "any" else 1
        core, model = openvino.Core(), _read(path)
        shapes = [(port.get_any_name(), _tensor(port).shape[1:]) for port in model.inputs]
        check_input(shapes, (*self.contract.image_size, 3), path)
        check_outputs([port.get_any_name() for port in model.outputs], self.contract, path)
        check_sizes(model, self.contract.image_size, self.max_batch, path)
        self._uint8 = model.input().get_element_type() == openvino.Type.u8
        # On some processors it would compute in bfloat16 by itself.
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        if saturates():
            settings["LP_TRANSFORMS_MODE"] = "NO"  # compute what integers would, in float
        try:
            self._compiled = core.compile_model(model, "CPU", settings)
        except RuntimeError as error:
            raise _unreadable(path, error) from error
        self._names = [output.get_any_name() for output in self._compiled.outputs]

    def _open(self) -> Any:
        return self._compiled.create_infer_request()

    def _run(self, session: Any, images: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
        found = session.infer(pixels_of(images, self._uint8))
        return {name: found[i] for i, name in enumerate(self._names)}


def saturates() -> bool:
    """Whether integer kernels give wrong results: CPUs without VNNI add products up in 16 bits.

    Seen with detectors on AVX2: not one box was where it belonged.
    """
    return is_x86() and not has_vnni()


def _read(path: Path) -> Any:
    check_folder(path)
    try:
        return import_openvino().Core().read_model(str(path / MODEL_FILE), str(path / WEIGHTS_FILE))
    except RuntimeError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> TfyoloError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-1][:200] if lines else type(error).__name__
    return TfyoloError(f"OpenVINO cannot read it: {reason}", path=path, fix="export it again")


def inspect(path: Path) -> Inspection:
    """What a folder holds; nothing is run.

    Raises:
        TfyoloError: the folder is damaged, or not one of tfyolo's.
    """
    contract, model = folder_contract(path, "openvino"), _read(path)
    counts: dict[str, int] = {}
    for op in model.get_ops():
        kind = op.get_type_name()
        if kind not in ("Constant", "Parameter", "Result"):
            counts[kind] = counts.get(kind, 0) + 1
    inputs, outputs = (tuple(map(_tensor, ports)) for ports in (model.inputs, model.outputs))
    return Inspection(contract, inputs, outputs, counts)


def _tensor(port: Any) -> TensorInfo:
    shape = tuple(dim.get_length() if dim.is_static else None for dim in port.get_partial_shape())
    return TensorInfo(port.get_any_name(), shape, port.get_element_type().to_dtype().name)
