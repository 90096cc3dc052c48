"""Inspection of `.tflite` files without an interpreter: inputs, outputs, operators."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.inspection import Inspection, TensorInfo
from tfyolo.export.tflite.gpu import not_on_gpu
from tfyolo.export.tflite.vetting.graph import Graph, Tensor, read_graph
from tfyolo.export.tflite.vetting.reader import DamagedError
from tfyolo.inputs import MODEL, read_input
from tfyolo.models.contract import Contract
from tfyolo.models.nodes import IMAGES
from tfyolo.weights.keras_file import contract_in


def inspect_flatbuffer(path: Path) -> Inspection:
    """Return contract, signature and operators of a TensorFlow Lite file.

    Args:
        path: the file.

    Returns:
        The inspection. Operators have their names in schema.fbs; custom operators their custom code.

    Raises:
        TfyoloError: the file is damaged, or was not exported by tfyolo.
    """
    data = read_input(path, MODEL)
    contract = contract_in(data, path)
    try:
        graph = read_graph(data)
    except DamagedError as error:
        raise TfyoloError(
            f"is damaged: its graph cannot be read ({error})", path=path, fix="export it again"
        ) from error
    inputs, outputs = _named(graph, contract, path)
    return Inspection(
        contract,
        tuple(_info(name, tensor) for name, tensor in inputs.items()),
        tuple(_info(name, tensor) for name, tensor in outputs.items()),
        dict(Counter(operator.name for operator in graph.operators)),
        not_on_gpu=not_on_gpu(graph),
    )


def _named(graph: Graph, contract: Contract, path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return inputs and outputs by name; without a signature, in the order that the contract stores."""
    if graph.has_signature:
        return graph.inputs, graph.outputs
    names = contract.export.get("outputs") or list(graph.outputs)
    if len(names) != len(graph.outputs) or len(graph.inputs) != 1:
        raise TfyoloError(
            f"has {len(graph.outputs)} outputs, but its metadata lists {len(names)}",
            path=path,
            fix="export it again",
        )
    (image,) = graph.inputs.values()
    return {IMAGES: image}, dict(zip(map(str, names), graph.outputs.values(), strict=True))


def _info(name: str, tensor: Tensor) -> TensorInfo:
    """Return name, shape, type and per-tensor quantization of a tensor."""
    quantization = None
    if len(tensor.scales) == 1 and not tensor.dtype.startswith("float"):
        quantization = (float(tensor.scales[0]), int(tensor.zero_points[0]))
    return TensorInfo(name, tensor.shape, tensor.dtype, quantization)
