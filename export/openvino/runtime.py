"""Runs OpenVINO folders (intermediate representation) on Intel and ARM processors."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.openvino.entry import MODEL_FILE, WEIGHTS_FILE
from tfyolo.export.openvino.vetting import check_folder, check_resources
from tfyolo.export.runtime.base import (
    Runtime,
    Sharing,
    batch_limit,
    check_input,
    check_outputs,
    folder_contract,
    pixels_of,
)
from tfyolo.export.runtime.cpu import has_vnni, is_x86
from tfyolo.export.runtime.inspection import Inspection, TensorInfo
from tfyolo.quiet import import_openvino


class OpenVinoRuntime(Runtime):
    """Runtime for an OpenVINO folder that `tfyolo export` wrote.

    Args:
        path: the folder, with `tfyolo.json` in it.
        threads: number of CPU threads; defaults to the number of cores.

    Raises:
        TfyoloError: the folder is damaged, was not written by tfyolo, or contains layers that are not
            allowed.

    Example:
        >>> runtime = OpenVinoRuntime(Path("yolov5n_openvino_model"))  # doctest: +SKIP
        >>> runtime.input_hw  # doctest: +SKIP
        (640, 640)
    """

    sharing = Sharing.EACH  # an infer request holds the inputs and outputs of one call

    def __init__(self, path: Path, threads: int | None = None) -> None:
        openvino = import_openvino()
        self.path = path
        self.contract = folder_contract(path, "openvino")
        self.input_hw = self.contract.image_size
        self.max_batch = batch_limit(self.contract)
        core, model = openvino.Core(), _read_model(path)
        shapes = [(port.get_any_name(), _tensor_info(port).shape[1:]) for port in model.inputs]
        check_input(shapes, (*self.contract.image_size, 3), path)
        check_outputs([port.get_any_name() for port in model.outputs], self.contract, path)
        check_resources(model, self.contract.image_size, self.max_batch, path)
        self._uint8 = model.input().get_element_type() == openvino.Type.u8
        # Without the hint, OpenVINO computes in bfloat16 on processors that support it.
        config: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            config["INFERENCE_NUM_THREADS"] = threads
        if int8_saturates():
            config["LP_TRANSFORMS_MODE"] = "NO"  # compute the fake-quantized model in float32
        try:
            self._compiled = core.compile_model(model, "CPU", config)
        except RuntimeError as error:
            raise _unreadable(path, error) from error
        self._output_names = [output.get_any_name() for output in self._compiled.outputs]

    def _open(self) -> Any:
        return self._compiled.create_infer_request()

    def _run(self, session: Any, images: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
        outputs = session.infer(pixels_of(images, self._uint8))
        return {name: outputs[i] for i, name in enumerate(self._output_names)}


def int8_saturates() -> bool:
    """Return True on x86 processors without VNNI, where OpenVINO's int8 kernels overflow.

    They accumulate products in 16 bits. On AVX2 no box of an int8 detector was at its place.
    """
    return is_x86() and not has_vnni()


def _read_model(path: Path) -> Any:
    """Check a folder and return its `openvino.Model`.

    Raises:
        TfyoloError: the folder is damaged, or contains layers that are not allowed.
    """
    check_folder(path)
    try:
        model = import_openvino().Core().read_model(str(path / MODEL_FILE), str(path / WEIGHTS_FILE))
    except RuntimeError as error:
        raise _unreadable(path, error) from error
    if not all(port.get_names() for port in (*model.inputs, *model.outputs)):
        raise TfyoloError("has an input or output without a name", path=path, fix="export it again")
    return model


def _unreadable(path: Path, error: Exception) -> TfyoloError:
    """Return an error with the last line of OpenVINO's message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-1][:200] if lines else type(error).__name__
    return TfyoloError(f"OpenVINO cannot read it: {reason}", path=path, fix="export it again")


def inspect(path: Path) -> Inspection:
    """Describe an OpenVINO folder without running it.

    Args:
        path: the folder.

    Returns:
        Contract, inputs, outputs, and the number of each operation.

    Raises:
        TfyoloError: the folder is damaged, or was not written by tfyolo.

    Example:
        >>> inspect(Path("yolov5n_openvino_model")).nms  # doctest: +SKIP
        'builtin'
    """
    contract, model = folder_contract(path, "openvino"), _read_model(path)
    operations = Counter(op.get_type_name() for op in model.get_ops())
    for name in ("Constant", "Parameter", "Result"):
        operations.pop(name, None)
    inputs, outputs = (tuple(map(_tensor_info, ports)) for ports in (model.inputs, model.outputs))
    return Inspection(contract, inputs, outputs, dict(operations))


def _tensor_info(port: Any) -> TensorInfo:
    """Return name, shape and dtype of an input or output; None stands for a dynamic dimension."""
    shape = tuple(dim.get_length() if dim.is_static else None for dim in port.get_partial_shape())
    return TensorInfo(port.get_any_name(), shape, port.get_element_type().to_dtype().name)
