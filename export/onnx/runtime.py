"""Runs an `.onnx` file with ONNX Runtime, on the CPU or a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.onnx.signed_kernels import signed_kernels
from tfyolo.export.onnx.vetting import parse, vetted
from tfyolo.export.runtime.base import Runtime, Sharing, channels_first, check_outputs, pixels_of
from tfyolo.export.runtime.cpu import has_vnni
from tfyolo.export.runtime.inspection import Inspection, TensorInfo
from tfyolo.inputs import MODEL, read_input
from tfyolo.models.contract import Contract
from tfyolo.text import printable

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


class OnnxRuntime(Runtime):
    """An `.onnx` file that `tfyolo export` wrote.

    Args:
        path: the file.
        threads: of the CPU; as many as there are cores by default.

    Raises:
        TfyoloError: the file is damaged, or not one of tfyolo's.
    """

    sharing = Sharing.SAFE  # ONNX Runtime: Run may be called from several threads

    def __init__(self, path: Path, threads: int | None = None) -> None:
        import onnxruntime

        self.path = path

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is in the exception
        options.intra_op_num_threads = threads or 0
        present = [name for name in PROVIDERS if name in onnxruntime.get_available_providers()]
        model = parse(read_input(path, MODEL), path)
        self.contract = contract_of({entry.key: entry.value for entry in model.metadata_props}, path)
        self.input_hw = self.contract.image_size
        self.max_batch = 16 if self.contract.export.get("batch") == "any" else 1
        content = vetted(model, self.contract.image_size, self.max_batch, path)
        try:
            # From bytes that have been vetted, never from the file itself.
            if has_vnni():
                content = signed_kernels(content)
            self._model = onnxruntime.InferenceSession(content, options, providers=present)
        except Exception as error:  # the library has a kind for each of its statuses
            reason = printable(str(error).splitlines()[0])[:200] if str(error) else type(error).__name__
            raise TfyoloError(
                f"ONNX Runtime cannot read it: {reason}", path=path, fix="export it again"
            ) from error
        inputs = self._model.get_inputs()
        self._uint8 = inputs[0].type == "tensor(uint8)"
        self._names = [output.name for output in self._model.get_outputs()]
        check_outputs(self._names, self.contract, path)

    def _open(self) -> Any:
        return self._model

    def _run(self, session: Any, images: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
        pixels = pixels_of(channels_first(images), self._uint8)
        return dict(zip(self._names, session.run(None, {"images": pixels}), strict=True))


def contract_of(metadata: dict[str, str], path: Path) -> Contract:
    """The contract in a file's metadata.

    Raises:
        TfyoloError: there is none, or it is damaged.
    """
    if "tfyolo" not in metadata:
        raise TfyoloError(
            "holds no tfyolo.json, so its classes and anchors are unknown",
            path=path,
            fix="write it with `tfyolo export`",
        )
    return Contract.from_json(metadata["tfyolo"], path)


def inspect(path: Path) -> Inspection:
    """What an `.onnx` file holds; nothing is run.

    Raises:
        TfyoloError: the file is damaged, or not one of tfyolo's.
    """
    model = parse(read_input(path, MODEL), path)
    contract = contract_of({entry.key: entry.value for entry in model.metadata_props}, path)
    counts: dict[str, int] = {}
    for node in model.graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    inputs, outputs = (tuple(map(_tensor, values)) for values in (model.graph.input, model.graph.output))
    return Inspection(contract, inputs, outputs, counts)


def _tensor(value: Any) -> TensorInfo:
    import onnx

    kind = value.type.tensor_type
    shape = tuple(dim.dim_value or dim.dim_param or None for dim in kind.shape.dim)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    return TensorInfo(value.name, shape, dtype)
