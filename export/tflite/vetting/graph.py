"""The graph in a `.tflite` file; indices, types, constants and the order of operators are verified."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfyolo.export.tflite.vetting.reader import DamagedError, Table, read_model
from tfyolo.export.tflite.vetting.schema import BUILTINS, TYPES

MAX_TENSOR_BYTES = 2**31 - 1
"""Kernels count bytes and elements with 32-bit integers."""
CUSTOM = 32
_QUANTIZED = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}
"""Types whose numbers have a scale, and the range of their zero point."""
_SCALES = (1e-30, 1e30)
_WIDTHS = {name: np.dtype(name).itemsize for name in TYPES.values()}
_NO_SCALES = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Tensor:
    """One tensor of the graph.

    Attributes:
        index: in the file.
        name: of the file.
        dtype: as NumPy calls it.
        shape: sizes, all known.
        data: of a constant its bytes, as many as its shape needs; None for all others.
        scales: of integers that stand for numbers: one, or one per channel.
        zero_points: as many.
        axis: of the channels, where there are several scales.
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
        """Its memory."""
        return self.size * _WIDTHS[self.dtype]

    def values(self) -> np.ndarray:
        """Of a constant.

        Raises:
            DamagedError: it is computed at run time.
        """
        if self.data is None:
            raise DamagedError(f"`{self.name[:60]}` must be a constant")
        return np.frombuffer(self.data, self.dtype).reshape(self.shape)


@dataclass(frozen=True)
class Operator:
    """One operator of the graph.

    Attributes:
        place: in the order of execution.
        name: as the schema has it, such as `CONV_2D`; of a custom operator its own.
        inputs: tensors; None where an optional one is left out.
        outputs: tensors.
        options_kind: table of `options`, or "".
        options: by name.
        custom: a custom operator's options; None for builtin ones.
    """

    place: int
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
        tensors: all of them, used or not.
        operators: in the order of execution.
        inputs: by the signature's names; numbered (`input_0`) where there is none.
        outputs: by the signature's names; numbered (`output_0`) where there is none.
        signed: whether there is a signature.
    """

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    signed: bool


def read_graph(data: bytes) -> Graph:
    """The graph of a file.

    Raises:
        DamagedError: the flatbuffer is damaged; an index, a type or the size of a constant is wrong; an
            operator reads what none before it has written; or the file holds what no exporter writes: several
            subgraphs, variables, sparse tensors, sizes known only at run time.
    """
    model = read_model(data)
    if len(model["subgraphs"]) != 1:
        raise DamagedError(f"it has {len(model['subgraphs'])} subgraphs, not one")
    (subgraph,) = model["subgraphs"]
    buffers = [_contents(table) for table in model["buffers"]]
    for entry in model["metadata"]:
        _at(buffers, entry["buffer"], "a buffer of metadata")
    if model["metadata_buffer"] is not None and len(model["metadata_buffer"]):
        raise DamagedError("it has metadata in the old form")
    tensors = tuple(_tensor(i, table, buffers) for i, table in enumerate(subgraph["tensors"]))
    codes = [_code(table) for table in model["operator_codes"]]
    operators = tuple(_operator(i, table, codes, tensors) for i, table in enumerate(subgraph["operators"]))
    inputs, outputs = (
        [_at(tensors, int(i), "a tensor") for i in _list(subgraph[key])] for key in ("inputs", "outputs")
    )
    _check_order(operators, inputs, outputs)
    named = _signature(model, tensors, inputs, outputs)
    if named is None:
        named = (
            {f"input_{i}": tensor for i, tensor in enumerate(inputs)},
            {f"output_{i}": tensor for i, tensor in enumerate(outputs)},
        )
    return Graph(tensors, operators, named[0], named[1], bool(model["signature_defs"]))


def _at(items: Any, index: int, what: str) -> Any:
    if not 0 <= index < len(items):
        raise DamagedError(f"{what} has the index {index}, of {len(items)}")
    return items[index]


def _list(value: Any) -> Iterable[Any]:
    return () if value is None else value


def _text(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError as error:  # LiteRT's own wrapper decodes names strictly
        raise DamagedError("a name in it is not text") from error
    return "".join(x if x.isprintable() else "?" for x in text)


def _contents(table: Table) -> memoryview | None:
    if table["offset"] or table["size"]:
        raise DamagedError("a buffer lies outside of the flatbuffer")
    data: memoryview | None = table["data"]
    return data if data is not None and len(data) else None


def _code(table: Table) -> str:
    """The name of an operator: builtin codes up to 127 stand in the old field, later ones in the new."""
    code = max(table["deprecated_builtin_code"], table["builtin_code"])
    if not 1 <= table["version"] <= 100:
        raise DamagedError(f"an operator has version {table['version']}")
    if code == CUSTOM:
        return f"custom operator {_text(table['custom_code'])[:60]}"
    return BUILTINS.get(code, f"operator {code}")


def _tensor(index: int, table: Table, buffers: list[memoryview | None]) -> Tensor:
    name = _text(table["name"])
    where = f"tensor {index} (`{name[:60]}`)"
    dtype = TYPES.get(table["type"])
    if dtype is None:
        raise DamagedError(f"{where} is of type {table['type']}")
    shape = tuple(map(int, _list(table["shape"])))
    signature = table["shape_signature"]
    if table["is_variable"] or table["external_buffer"]:
        raise DamagedError(f"{where} is a variable, or lies in another file")
    if signature is not None and len(signature) and tuple(map(int, signature)) != shape:
        raise DamagedError(f"{where} has a shape that is known only at run time")
    if any(size < 0 for size in shape):
        raise DamagedError(f"{where} has the shape {shape}")
    data = _at(buffers, table["buffer"], f"the buffer of {where}")
    if data is None and 0 in shape:
        data = memoryview(b"")
    tensor = Tensor(index, name, dtype, shape, data, *_scales(table["quantization"], dtype, shape, where))
    if tensor.bytes > MAX_TENSOR_BYTES:
        raise DamagedError(f"{where} would need {tensor.bytes:,} bytes")
    if data is not None and len(data) != tensor.bytes:
        raise DamagedError(f"{where} holds {len(data):,} bytes, but its shape {shape} needs {tensor.bytes:,}")
    return tensor


def _scales(
    table: Table | None, dtype: str, shape: tuple[int, ...], where: str
) -> tuple[np.ndarray, np.ndarray, int]:
    """Scales, as many zero points, and the axis they belong to."""
    if table is None or table["scale"] is None or not len(table["scale"]):
        return _NO_SCALES, _NO_SCALES, 0
    scales, axis = table["scale"], table["quantized_dimension"]
    zeros = table["zero_point"]
    zeros = np.zeros(len(scales), np.int64) if zeros is None or not len(zeros) else zeros
    if table["details_type"]:
        raise DamagedError(f"{where} is quantized in a way that no exporter uses")
    if len(scales) != 1 and not (0 <= axis < len(shape) and len(scales) == shape[axis]):
        raise DamagedError(f"{where} has {len(scales)} scales for the shape {shape}")
    if len(zeros) != len(scales):
        raise DamagedError(f"{where} has {len(zeros)} zero points for {len(scales)} scales")
    low, high = _QUANTIZED.get(dtype, (0, 0))
    if dtype.startswith(("int", "uint")) and not ((zeros >= low) & (zeros <= high)).all():
        raise DamagedError(f"{where} has a zero point outside of {dtype}")
    if not ((scales >= _SCALES[0]) & (scales <= _SCALES[1])).all():  # false for NaN, too
        raise DamagedError(f"{where} has a scale of {float(scales.min())}")
    return scales, zeros, int(axis)


def _operator(place: int, table: Table, codes: list[str], tensors: tuple[Tensor, ...]) -> Operator:
    name = _at(codes, table["opcode_index"], "an operator's code")
    where = f"operator {place} ({name})"
    inputs = tuple(
        None if i == -1 else _at(tensors, int(i), f"an input of {where}") for i in _list(table["inputs"])
    )
    outputs = tuple(_at(tensors, int(i), f"an output of {where}") for i in _list(table["outputs"]))
    unusual = ("mutating_variable_inputs", "intermediates")
    if any(len(table[key]) for key in unusual if table[key] is not None):
        raise DamagedError(f"{where} has variables")
    if table["large_custom_options_offset"] or table["large_custom_options_size"]:
        raise DamagedError(f"{where} has options outside of the flatbuffer")
    if table["builtin_options_2_type"] or table["custom_options_format"]:
        raise DamagedError(f"{where} has options of another kind")
    custom = None
    if name.startswith("custom operator "):
        name, data = name.removeprefix("custom operator "), table["custom_options"]
        custom = bytes(data) if data is not None else b""
    kind, options = table.get("options_kind", ""), table["builtin_options"] or {}
    if bool(table["builtin_options_type"]) != bool(kind):
        raise DamagedError(f"{where} lacks its options")
    return Operator(place, name, inputs, outputs, kind, options, custom)


def _check_order(operators: tuple[Operator, ...], inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Every tensor is a constant, an input, or written once, before it is read."""
    known = {tensor.index for tensor in inputs}
    if not inputs or not outputs or len(known) != len(inputs):
        raise DamagedError("its inputs or outputs are missing, or listed twice")
    if any(tensor.data is not None for tensor in inputs):
        raise DamagedError("an input is a constant")
    for operator in operators:
        where = f"operator {operator.place} ({operator.name})"
        for tensor in operator.inputs:
            if tensor is not None and tensor.data is None and tensor.index not in known:
                raise DamagedError(
                    f"{where} reads tensor {tensor.index}, which nothing before it has written"
                )
        for tensor in operator.outputs:
            if tensor.data is not None or tensor.index in known:
                raise DamagedError(f"{where} writes tensor {tensor.index}, which has its values already")
            known.add(tensor.index)
    for tensor in outputs:
        if tensor.data is None and tensor.index not in known:
            raise DamagedError(f"no operator writes the output `{tensor.name[:60]}`")


def _signature(
    model: Table, tensors: tuple[Tensor, ...], inputs: list[Tensor], outputs: list[Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]] | None:
    """Inputs and outputs by the signature's names; None where a compiler has lost it."""
    if not model["signature_defs"]:
        return None
    if len(model["signature_defs"]) != 1 or model["signature_defs"][0]["subgraph_index"]:
        raise DamagedError("it has several signatures, or one of another subgraph")
    (signature,) = model["signature_defs"]
    parts = []
    for key, listed in (("inputs", inputs), ("outputs", outputs)):
        entries = signature[key]
        named = {
            _text(entry["name"]): _at(tensors, entry["tensor_index"], f"one of the signature's {key}")
            for entry in entries
        }
        if len(named) != len(entries) or {x.index for x in named.values()} != {x.index for x in listed}:
            raise DamagedError(f"the signature's {key} are not the graph's")
        parts.append(named)
    return parts[0], parts[1]
