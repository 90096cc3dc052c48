"""What a model file holds: its contract, inputs and outputs, and operations."""

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
        name: as the file has it: `images`, `detection_boxes`, `box_0`.
        shape: sizes; a name or None where a size may vary.
        dtype: kind of numbers, as NumPy calls it.
        quantization: scale and zero point of an integer tensor that stands for numbers.
    """

    name: str
    shape: tuple[int | str | None, ...]
    dtype: str
    quantization: tuple[float, int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        plain: dict[str, Any] = {"name": self.name, "shape": list(self.shape), "dtype": self.dtype}
        if self.quantization:
            plain["scale"], plain["zero_point"] = self.quantization
        return plain


@dataclass(frozen=True)
class Inspection:
    """What one model file holds.

    Attributes:
        contract: as the file carries it.
        inputs: in the file's order.
        outputs: in the file's order.
        operators: how many of each operation there are, by the format's own names.
        weights: kind of numbers of the weights, where the contract does not name a precision.
        not_on_gpu: how many of each operation LiteRT's GPU delegate would not take; None where it does not
            run files of this format.

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
        """One of the registry's `PRECISIONS`."""
        return str(self.contract.export.get("precision", self.weights))

    @property
    def nms(self) -> str:
        """Kind of non-maximum suppression in the graph; `raw` for raw heads or logits."""
        return str(self.contract.export.get("nms", "raw"))

    @property
    def thresholds(self) -> dict[str, Any]:
        """What the suppression in the graph was exported with; empty where there is none."""
        return {key: self.contract.export[key] for key in _THRESHOLDS if key in self.contract.export}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
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
    """What an exporter that begins with an ONNX graph has noted in the contract about it.

    Raises:
        TfyoloError: it has noted nothing of the kind.
    """
    images = TensorInfo("images", (1, 3, *contract.image_size), "float32")
    outputs, operators = (contract.export.get(key, {}) for key in ("outputs", "operators"))
    if not isinstance(outputs, dict):
        raise TfyoloError(f"{FILE_NAME} inside is wrong: its notes on the export", fix="export it again")
    shapes = (TensorInfo(name, tuple(shape), "float32") for name, shape in outputs.items())
    return Inspection(contract, (images,), tuple(shapes), operators)


def inspect_file(path_or_name: str | Path) -> Inspection:
    """Look into a model file; it is not run.

    Args:
        path_or_name: `.pt`, `.keras`, an exported file or folder, or an official release's name.

    Raises:
        TfyoloError: not found, damaged, of an unknown kind, without a contract, or a library is missing.
    """
    from tfyolo.export.registry import format_of
    from tfyolo.weights.hub import fetch_weights

    path = fetch_weights(path_or_name)
    found: Inspection = format_of(path).inspect(path)
    return found
