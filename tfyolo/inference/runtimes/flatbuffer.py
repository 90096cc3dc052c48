"""Looks into a `.tflite` file without an interpreter: inputs, outputs, operations."""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.inference.inspection import Inspection, TensorInfo
from tfyolo.models.contract import Contract
from tfyolo.models.network import IMAGES
from tfyolo.weights.keras_file import read_contract


def inspect_flatbuffer(path: Path) -> Inspection:
    """Contract, signature and operations of a TensorFlow Lite file.

    Operations have the schema's names, custom ones their own code. Those of all subgraphs count.

    Raises:
        TfyoloError: the file is damaged, or not one of tfyolo's.
        ModuleNotFoundError: LiteRT is not installed.
    """
    from ai_edge_litert import schema_py_generated as schema

    contract = read_contract(path)
    try:
        data = path.read_bytes()
        if not schema.Model.ModelBufferHasIdentifier(data, 0):
            raise ValueError("not a TensorFlow Lite model")
        model = schema.Model.GetRootAs(data, 0)
        inputs, outputs = _signature(model, contract)
        types = {value: name.lower() for name, value in _constants(schema.TensorType)}
        return Inspection(
            contract,
            tuple(_tensor(model, types, name, index) for name, index in inputs),
            tuple(_tensor(model, types, name, index) for name, index in outputs),
            dict(_operators(model, {value: name for name, value in _constants(schema.BuiltinOperator)})),
        )
    # The accessors believe the offsets in the file: wrong ones end here, at the latest at the file's end.
    except (struct.error, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise TfyoloError("is damaged: its graph cannot be read", path=path, fix="export it again") from error


def _signature(model: Any, contract: Contract) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Names and tensors; a compiler that loses the signature keeps the order that the contract notes."""
    if model.SignatureDefsLength():
        signature = model.SignatureDefs(0)
        inputs = [signature.Inputs(i) for i in range(signature.InputsLength())]
        outputs = [signature.Outputs(i) for i in range(signature.OutputsLength())]
        named = [[(_text(x.Name()), int(x.TensorIndex())) for x in part] for part in (inputs, outputs)]
        return named[0], named[1]
    graph = model.Subgraphs(0)
    indices = [int(graph.Outputs(i)) for i in range(graph.OutputsLength())]
    names = contract.export.get("outputs") or [f"output_{i}" for i in range(len(indices))]
    return [(IMAGES, int(graph.Inputs(0)))], list(zip(map(str, names), indices, strict=True))


def _tensor(model: Any, types: dict[int, str], name: str, index: int) -> TensorInfo:
    tensor = model.Subgraphs(0).Tensors(index)
    sizes = [tensor.Shape(i) for i in range(tensor.ShapeLength())]
    if tensor.ShapeSignatureLength() == len(sizes):
        sizes = [tensor.ShapeSignature(i) for i in range(len(sizes))]
    kind, scales = types[tensor.Type()], tensor.Quantization()
    quantization = None
    if scales is not None and scales.ScaleLength() == 1 and not kind.startswith("float"):
        quantization = (float(scales.Scale(0)), int(scales.ZeroPoint(0)) if scales.ZeroPointLength() else 0)
    return TensorInfo(name, tuple(None if size < 0 else int(size) for size in sizes), kind, quantization)


def _operators(model: Any, names: dict[int, str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    for number in range(model.SubgraphsLength()):
        graph = model.Subgraphs(number)
        for place in range(graph.OperatorsLength()):
            code = codes[graph.Operators(place).OpcodeIndex()]
            # Codes up to 127 stand in the old field, later ones in the new.
            builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            custom = code.CustomCode()
            counts[_text(custom) if custom else names.get(builtin, f"operation {builtin}")] += 1
    return counts


def _constants(kind: type) -> list[tuple[str, int]]:
    return [(name, value) for name, value in vars(kind).items() if isinstance(value, int)]


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")
