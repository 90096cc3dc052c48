"""Runs `.onnx` files with ONNX Runtime, on the CPU or an NVIDIA GPU."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.onnx.entry import CONTRACT_KEY
from tfyolo.export.onnx.signed_kernels import signed_kernels
from tfyolo.export.onnx.vetting import parse, vet
from tfyolo.export.runtime.base import Runtime, Sharing, batch_limit, channels_first, check_outputs, pixels_of
from tfyolo.export.runtime.cpu import has_vnni
from tfyolo.export.runtime.inspection import Inspection, TensorInfo
from tfyolo.inputs import MODEL, read_input
from tfyolo.models.contract import FILE_NAME, Contract
from tfyolo.models.nodes import IMAGES
from tfyolo.text import printable

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
"""Execution providers of ONNX Runtime, in order of preference."""


class OnnxRuntime(Runtime):
    """Runtime for an `.onnx` file that `tfyolo export` wrote.

    Args:
        path: the `.onnx` file.
        threads: number of CPU threads; defaults to the number of cores.

    Raises:
        TfyoloError: the file is damaged, was not written by tfyolo, or contains operators that are not
            allowed.

    Example:
        >>> runtime = OnnxRuntime(Path("yolov5n.onnx"))  # doctest: +SKIP
        >>> runtime.input_hw  # doctest: +SKIP
        (640, 640)
    """

    sharing = Sharing.SAFE  # ONNX Runtime allows concurrent calls of InferenceSession.run

    def __init__(self, path: Path, threads: int | None = None) -> None:
        import onnxruntime

        self.path = path

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # errors are raised as exceptions
        options.intra_op_num_threads = threads or 0
        providers = [name for name in PROVIDERS if name in onnxruntime.get_available_providers()]
        model = parse(read_input(path, MODEL), path)
        self.contract = _contract(model, path)
        self.input_hw = self.contract.image_size
        self.max_batch = batch_limit(self.contract)
        content = vet(model, self.contract.image_size, self.max_batch, path)
        try:
            # Load the vetted bytes, never the file itself.
            if has_vnni():
                content = signed_kernels(content)
            self._session = onnxruntime.InferenceSession(content, options, providers=providers)
        except Exception as error:  # ONNX Runtime has an exception type per status code
            reason = printable(str(error).splitlines()[0])[:200] if str(error) else type(error).__name__
            raise TfyoloError(
                f"ONNX Runtime cannot read it: {reason}", path=path, fix="export it again"
            ) from error
        self._uint8 = self._session.get_inputs()[0].type == "tensor(uint8)"
        self._output_names = [output.name for output in self._session.get_outputs()]
        check_outputs(self._output_names, self.contract, path)

    def _open(self) -> Any:
        return self._session

    def _run(self, session: Any, images: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
        pixels = pixels_of(channels_first(images), self._uint8)
        return dict(zip(self._output_names, session.run(None, {IMAGES: pixels}), strict=True))


def _contract(model: Any, path: Path) -> Contract:
    """Return the contract in the metadata of a ModelProto.

    Raises:
        TfyoloError: it is missing or damaged.
    """
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if CONTRACT_KEY not in metadata:
        raise TfyoloError(
            f"contains no {FILE_NAME}, so its classes and anchors are unknown",
            path=path,
            fix="write it with `tfyolo export`",
        )
    return Contract.from_json(metadata[CONTRACT_KEY], path)


def inspect(path: Path) -> Inspection:
    """Describe an `.onnx` file without running it.

    Args:
        path: the `.onnx` file.

    Returns:
        Contract, inputs, outputs, and the number of each operator.

    Raises:
        TfyoloError: the file is damaged, or was not written by tfyolo.

    Example:
        >>> inspect(Path("yolov5n.onnx")).operators["Conv"]  # doctest: +SKIP
        60
    """
    model = parse(read_input(path, MODEL), path)
    contract = _contract(model, path)
    inputs, outputs = (tuple(map(_tensor_info, values)) for values in (model.graph.input, model.graph.output))
    return Inspection(contract, inputs, outputs, dict(Counter(node.op_type for node in model.graph.node)))


def _tensor_info(value: Any) -> TensorInfo:
    """Return name, shape and dtype of a ValueInfoProto."""
    from onnx import helper

    tensor_type = value.type.tensor_type
    shape = tuple(dim.dim_value or dim.dim_param or None for dim in tensor_type.shape.dim)
    try:
        dtype = helper.tensor_dtype_to_np_dtype(tensor_type.elem_type).name
    except KeyError:
        dtype = "unknown"
    return TensorInfo(value.name, shape, dtype)
