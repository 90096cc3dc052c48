"""The graph of a `.tflite` file, with verified indices, types, constants and order of operators."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfyolo.export.tflite.vetting.reader import DamagedError, Table, read_model
from tfyolo.export.tflite.vetting.schema import BUILTINS, TYPES

MAX_TENSOR_BYTES = 2**31 - 1
"""Maximum bytes of a tensor: kernels count bytes and elements with 32-bit integers."""
CUSTOM = 32
"""`BuiltinOperator.CUSTOM`."""
_ZERO_POINT_RANGES = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}
"""Quantized types and the range of their zero point."""
_SCALE_RANGE = (1e-30, 1e30)
_ITEM_BYTES = {name: np.dtype(name).itemsize for name in TYPES.values()}
_NO_SCALES = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Tensor:
    """One tensor of the graph.

    Attributes:
        index: index in the file.
        name: name in the file.
        dtype: NumPy name of its type.
        shape: its shape; all sizes are known.
        data: bytes of a constant; None for a computed tensor.
        scales: quantization scales: one, or one per channel; none for a tensor that is not quantized.
        zero_points: as many zero points.
        axis: axis of the channels, if there are several scales.
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    data: memoryview | None
    scales: np.ndarray
    zero_points: np.ndarray
    axis: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Memory in bytes."""
        return self.size * _ITEM_BYTES[self.dtype]

    def values(self) -> np.ndarray:
        """Return the values of a constant as an array.

        Raises:
            DamagedError: the tensor is not a constant.
        """
        if self.data is None:
            raise DamagedError(f"`{self.name[:60]}` must be a constant")
        return np.frombuffer(self.data, self.dtype).reshape(self.shape)


@dataclass(frozen=True)
class Operator:
    """One operator of the graph.

    Attributes:
        index: position in the order of execution.
        name: name in schema.fbs, such as `CONV_2D`; the custom code of a custom operator.
        inputs: input tensors; None for an optional input that is missing.
        outputs: output tensors.
        options_kind: name of the table of `options`; "" for none.
        options: options by name.
        custom: options of a custom operator, a FlexBuffer; None for a builtin operator.
    """

    index: int
    name: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options_kind: str
    options: dict[str, Any]
    custom: bytes | None


@dataclass(frozen=True)
class Graph:
    """A model with one subgraph.

    Attributes:
        tensors: all tensors, in the order of the file.
        operators: operators in the order of execution.
        inputs: input tensors by their name in the signature; `input_0` and so on without a signature.
        outputs: output tensors by their name in the signature; `output_0` and so on without a signature.
        has_signature: the file has a signature; the Edge TPU compiler drops it.
    """

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    has_signature: bool


def read_graph(data: bytes) -> Graph:
    """Read the graph of a `.tflite` file.

    Args:
        data: content of the file.

    Returns:
        The graph.

    Raises:
        DamagedError: the flatbuffer is damaged; an index, a type or the size of a constant is wrong; an
            operator reads a tensor that no earlier one writes; or the file has something that exported
            models do not have: several subgraphs, variables, sparse tensors, dynamic shapes.
    """
    model = read_model(data)
    if len(model["subgraphs"]) != 1:
        raise DamagedError(f"it has {len(model['subgraphs'])} subgraphs, not one")
    (subgraph,) = model["subgraphs"]
    buffers = [_buffer_data(table) for table in model["buffers"]]
    for entry in model["metadata"]:
        _item_at(buffers, entry["buffer"], "a buffer of metadata")
    if model["metadata_buffer"] is not None and len(model["metadata_buffer"]):
        raise DamagedError("it has a metadata_buffer, which exported models do not have")
    tensors = tuple(_tensor(i, table, buffers) for i, table in enumerate(subgraph["tensors"]))
    codes = [_operator_name(table) for table in model["operator_codes"]]
    operators = tuple(_operator(i, table, codes, tensors) for i, table in enumerate(subgraph["operators"]))
    inputs, outputs = (
        [_item_at(tensors, int(i), "a tensor") for i in _or_empty(subgraph[key])]
        for key in ("inputs", "outputs")
    )
    _check_order(operators, inputs, outputs)
    named = _signature(model, tensors, inputs, outputs)
    if named is None:
        named = (
            {f"input_{i}": tensor for i, tensor in enumerate(inputs)},
            {f"output_{i}": tensor for i, tensor in enumerate(outputs)},
        )
    return Graph(tensors, operators, named[0], named[1], bool(model["signature_defs"]))


def _item_at(items: Any, index: int, name_of_item: str) -> Any:
    if not 0 <= index < len(items):
        raise DamagedError(f"{name_of_item} has the index {index}, of {len(items)}")
    return items[index]


def _or_empty(value: Any) -> Iterable[Any]:
    return () if value is None else value


def _decode_name(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError as error:  # LiteRT's Python wrapper raises an error for it, too
        raise DamagedError("a name is not valid UTF-8") from error
    return "".join(x if x.isprintable() else "?" for x in text)


def _buffer_data(table: Table) -> memoryview | None:
    if table["offset"] or table["size"]:
        raise DamagedError("a buffer is outside of the flatbuffer")
    data: memoryview | None = table["data"]
    return data if data is not None and len(data) else None


def _operator_name(table: Table) -> str:
    """Return the name of an operator; codes above 127 do not fit into the older, deprecated field."""
    code = max(table["deprecated_builtin_code"], table["builtin_code"])
    if not 1 <= table["version"] <= 100:
        raise DamagedError(f"an operator has version {table['version']}")
    if code == CUSTOM:
        return f"custom operator {_decode_name(table['custom_code'])[:60]}"
    return BUILTINS.get(code, f"operator {code}")


def _tensor(index: int, table: Table, buffers: list[memoryview | None]) -> Tensor:
    name = _decode_name(table["name"])
    where = f"tensor {index} (`{name[:60]}`)"
    dtype = TYPES.get(table["type"])
    if dtype is None:
        raise DamagedError(f"{where} has the unsupported type {table['type']}")
    shape = tuple(map(int, _or_empty(table["shape"])))
    signature = table["shape_signature"]
    if table["is_variable"] or table["external_buffer"]:
        raise DamagedError(f"{where} is a variable, or is stored in another file")
    if signature is not None and len(signature) and tuple(map(int, signature)) != shape:
        raise DamagedError(f"{where} has a dynamic shape")
    if any(size < 0 for size in shape):
        raise DamagedError(f"{where} has the shape {shape}")
    data = _item_at(buffers, table["buffer"], f"the buffer of {where}")
    if data is None and 0 in shape:
        data = memoryview(b"")
    tensor = Tensor(
        index, name, dtype, shape, data, *_quantization(table["quantization"], dtype, shape, where)
    )
    if tensor.bytes > MAX_TENSOR_BYTES:
        raise DamagedError(f"{where} would need {tensor.bytes:,} bytes")
    if data is not None and len(data) != tensor.bytes:
        raise DamagedError(f"{where} holds {len(data):,} bytes, but its shape {shape} needs {tensor.bytes:,}")
    return tensor


def _quantization(
    table: Table | None, dtype: str, shape: tuple[int, ...], where: str
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return scales, zero points and the axis that they belong to."""
    if table is None or table["scale"] is None or not len(table["scale"]):
        return _NO_SCALES, _NO_SCALES, 0
    scales, axis = table["scale"], table["quantized_dimension"]
    zeros = table["zero_point"]
    zeros = np.zeros(len(scales), np.int64) if zeros is None or not len(zeros) else zeros
    if table["details_type"]:
        raise DamagedError(f"{where} has an unsupported kind of quantization")
    if len(scales) != 1 and not (0 <= axis < len(shape) and len(scales) == shape[axis]):
        raise DamagedError(f"{where} has {len(scales)} scales for the shape {shape}")
    if len(zeros) != len(scales):
        raise DamagedError(f"{where} has {len(zeros)} zero points for {len(scales)} scales")
    low, high = _ZERO_POINT_RANGES.get(dtype, (0, 0))
    if dtype.startswith(("int", "uint")) and not ((zeros >= low) & (zeros <= high)).all():
        raise DamagedError(f"{where} has a zero point out of range for {dtype}")
    if not ((scales >= _SCALE_RANGE[0]) & (scales <= _SCALE_RANGE[1])).all():  # refuses NaN, too
        raise DamagedError(f"{where} has a scale of {float(scales.min())}")
    return scales, zeros, int(axis)


def _operator(index: int, table: Table, codes: list[str], tensors: tuple[Tensor, ...]) -> Operator:
    name = _item_at(codes, table["opcode_index"], "an operator's code")
    where = f"operator {index} ({name})"
    inputs = tuple(
        None if i == -1 else _item_at(tensors, int(i), f"an input of {where}")
        for i in _or_empty(table["inputs"])
    )
    outputs = tuple(_item_at(tensors, int(i), f"an output of {where}") for i in _or_empty(table["outputs"]))
    unusual = ("mutating_variable_inputs", "intermediates")
    if any(len(table[key]) for key in unusual if table[key] is not None):
        raise DamagedError(f"{where} has variables")
    if table["large_custom_options_offset"] or table["large_custom_options_size"]:
        raise DamagedError(f"{where} has options that are outside of the flatbuffer")
    if table["builtin_options_2_type"] or table["custom_options_format"]:
        raise DamagedError(f"{where} has options of an unsupported kind")
    custom = None
    if name.startswith("custom operator "):
        name, data = name.removeprefix("custom operator "), table["custom_options"]
        custom = bytes(data) if data is not None else b""
    kind, options = table.get("options_kind", ""), table["builtin_options"] or {}
    if bool(table["builtin_options_type"]) != bool(kind):
        raise DamagedError(f"{where} lacks its options")
    return Operator(index, name, inputs, outputs, kind, options, custom)


def _check_order(operators: tuple[Operator, ...], inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Check that every tensor is a constant, an input of the graph, or written once before it is read."""
    known = {tensor.index for tensor in inputs}
    if not inputs or not outputs or len(known) != len(inputs):
        raise DamagedError("inputs or outputs of the graph are missing, or listed twice")
    if any(tensor.data is not None for tensor in inputs):
        raise DamagedError("an input is a constant")
    for operator in operators:
        where = f"operator {operator.index} ({operator.name})"
        for tensor in operator.inputs:
            if tensor is not None and tensor.data is None and tensor.index not in known:
                raise DamagedError(f"{where} reads tensor {tensor.index}, which no earlier operator writes")
        for tensor in operator.outputs:
            if tensor.data is not None or tensor.index in known:
                raise DamagedError(
                    f"{where} writes tensor {tensor.index}, which is a constant, an input, or written before"
                )
            known.add(tensor.index)
    for tensor in outputs:
        if tensor.data is None and tensor.index not in known:
            raise DamagedError(f"no operator writes the output `{tensor.name[:60]}`")


def _signature(
    model: Table, tensors: tuple[Tensor, ...], inputs: list[Tensor], outputs: list[Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]] | None:
    """Return inputs and outputs by their names in the signature; None if the file has no signature."""
    if not model["signature_defs"]:
        return None
    if len(model["signature_defs"]) != 1 or model["signature_defs"][0]["subgraph_index"]:
        raise DamagedError("it has several signatures, or one for another subgraph")
    (signature,) = model["signature_defs"]
    parts = []
    for key, listed in (("inputs", inputs), ("outputs", outputs)):
        entries = signature[key]
        named = {
            _decode_name(entry["name"]): _item_at(
                tensors, entry["tensor_index"], f"one of the signature's {key}"
            )
            for entry in entries
        }
        if len(named) != len(entries) or {x.index for x in named.values()} != {x.index for x in listed}:
            raise DamagedError(f"the {key} of the signature are not those of the graph")
        parts.append(named)
    return parts[0], parts[1]
