"""Inspection of a model file: contract, inputs, outputs and operators."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.models.contract import FILE_NAME, Contract


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a model.

    Attributes:
        name: name in the file, such as `images`, `detection_boxes` or `box_0`.
        shape: shape; a name or None for a dynamic size.
        dtype: NumPy name of its type.
        quantization: scale and zero point of a quantized tensor.
    """

    name: str
    shape: tuple[int | str | None, ...]
    dtype: str
    quantization: tuple[float, int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the tensor as a dictionary for JSON."""
        plain: dict[str, Any] = {"name": self.name, "shape": list(self.shape), "dtype": self.dtype}
        if self.quantization:
            plain["scale"], plain["zero_point"] = self.quantization
        return plain


@dataclass(frozen=True)
class Inspection:
    """Description of a model file.

    Attributes:
        contract: contract in the file.
        inputs: inputs in the order of the file.
        outputs: outputs in the order of the file.
        operators: number of operators of each kind, by their names in the format.
        weights: type of the weights, if the contract has no precision.
        not_on_gpu: number of operators of each kind that LiteRT's GPU delegate does not support; None for
            formats that it does not run.

    Example:
        >>> found = inspect_file("best.tflite")  # doctest: +SKIP
        >>> found.precision, found.operators["CONV_2D"]  # doctest: +SKIP
        ('int8', 66)
    """

    contract: Contract
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    operators: dict[str, int]
    weights: str = "float32"
    not_on_gpu: dict[str, int] | None = None

    @property
    def precision(self) -> str:
        """Precision, a key of `PRECISIONS`."""
        return str(self.contract.export.get("precision", self.weights))

    @property
    def nms(self) -> str:
        """Kind of NMS in the graph; `raw` for logits."""
        return str(self.contract.export.get("nms", "raw"))

    @property
    def thresholds(self) -> dict[str, Any]:
        """Options of the NMS in the graph; empty without NMS."""
        return {key: self.contract.export[key] for key in _THRESHOLDS if key in self.contract.export}

    def to_dict(self) -> dict[str, Any]:
        """Return the inspection as a dictionary for JSON."""
        contract = self.contract
        gpu = {} if self.not_on_gpu is None else {"not_on_gpu": self.not_on_gpu}
        return {
            "task": contract.task,
            "names": list(contract.names),
            "anchors_px": [list(row) for row in contract.anchors_px],
            "strides": list(contract.strides),
            "image_size": list(contract.image_size),
            "precision": self.precision,
            "nms": {"kind": self.nms, **self.thresholds},
            "version": contract.version,
            "inputs": [tensor.to_dict() for tensor in self.inputs],
            "outputs": [tensor.to_dict() for tensor in self.outputs],
            "operators": dict(sorted(self.operators.items(), key=lambda item: (-item[1], item[0]))),
            **gpu,
        }


_THRESHOLDS = ("conf_thres", "iou_thres", "max_det", "candidates", "multi_label", "agnostic", "per_class")


def noted(contract: Contract) -> Inspection:
    """Return the inspection of a format without a readable graph, from its contract.

    Args:
        contract: contract whose `export` has `outputs` and `operators`.

    Raises:
        TfyoloError: the contract has no such entries.
    """
    images = TensorInfo("images", (1, 3, *contract.image_size), "float32")
    outputs, operators = (contract.export.get(key, {}) for key in ("outputs", "operators"))
    if not isinstance(outputs, dict):
        raise TfyoloError(f"its {FILE_NAME} is invalid: export notes", fix="export it again")
    shapes = (TensorInfo(name, tuple(shape), "float32") for name, shape in outputs.items())
    return Inspection(contract, (images,), tuple(shapes), operators)


def inspect_file(path_or_name: str | Path) -> Inspection:
    """Inspect a model file without running it.

    Args:
        path_or_name: `.pt` or `.keras` file, exported file or folder, or name of an official release.

    Returns:
        Contract, inputs, outputs and operators of the file.

    Raises:
        TfyoloError: the file does not exist, is damaged, has an unknown format or no contract, or a library
            is not installed.
    """
    from tfyolo.export.registry import format_of
    from tfyolo.weights.hub import fetch_weights

    path = fetch_weights(path_or_name)
    found: Inspection = format_of(path).inspect(path)
    return found
