"""Edits TensorFlow Lite models: joins a network and its decoding into one graph, orders outputs.

Models are objects of TensorFlow's `flatbuffer_utils`, with one subgraph and one signature.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any

from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

_BUILTIN = schema.BuiltinOperator
_MOVES = {_BUILTIN.RESHAPE: 1, _BUILTIN.GATHER: 2}
"""Operations that hand on the values of their first input, with the version of their int8 kernels."""
_DEQUANTIZE_VERSION = 2
_INTEGERS = (schema.TensorType.INT8, schema.TensorType.UINT8)


def read(data: bytes) -> Any:
    """The object of a model file."""
    return flatbuffer_utils.convert_bytearray_to_object(bytearray(data))


def write(model: Any) -> bytes:
    """The model file of an object."""
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def join(network: Any, decoding: Any) -> Any:
    """Let a float graph follow an integer one, in one subgraph.

    The converter quantizes whatever it can reach: given both in one graph, it would concatenate heads of
    different ranges on the scale of one, and round sigmoids to 1/256. Converted apart, the integer part is
    the same to the byte whatever follows it, and nothing of the float part is rounded. Between the two,
    integer heads are dequantized as late as possible, after operations that only move values: of 25,200 rows
    those that are looked at are converted, not all.

    Args:
        network: its outputs are integers with one scale a tensor, or float32; changed.
        decoding: float32; its inputs have the names of the network's outputs; used up.

    Returns:
        `network`, with the outputs of `decoding`.
    """
    graph, after = network.subgraphs[0], decoding.subgraphs[0]
    signature, decodes = network.signatureDefs[0], decoding.signatureDefs[0]
    heads = {x.name: x.tensorIndex for x in signature.outputs}
    places = {x.tensorIndex: heads[x.name] for x in decodes.inputs}
    buffers = _append_buffers(network, decoding)
    for index, tensor in enumerate(after.tensors):
        if index not in places:
            places[index] = len(graph.tensors)
            tensor.buffer = buffers[tensor.buffer]
            tensor.name = b"decoding/" + tensor.name
            graph.tensors.append(tensor)
    border = _Border(network)
    for operator in after.operators:
        code = decoding.operatorCodes[operator.opcodeIndex]
        inputs = [] if operator.inputs is None else operator.inputs
        operator.inputs = [places[i] if i >= 0 else i for i in inputs]
        operator.outputs = [places[i] for i in operator.outputs]
        border.append(operator, code)
    graph.outputs = border.floats([places[i] for i in after.outputs])
    for x in decodes.outputs:
        x.tensorIndex = border.floats([places[x.tensorIndex]])[0]
    signature.outputs = decodes.outputs
    _keep_newest_runtime(network, decoding)
    return network


def order_outputs(model: Any, names: Sequence[str]) -> None:
    """Put the outputs of the graph and of its signature into one order; converters sort them by hash.

    Args:
        model: changed.
        names: of the signature, in the order that is wanted; others may be among them.
    """
    outputs = model.signatureDefs[0].outputs
    outputs.sort(key=lambda x: names.index(x.name.decode()))
    model.subgraphs[0].outputs = [x.tensorIndex for x in outputs]


class _Border:
    """Appends operations behind integer heads, and dequantizes what they cannot read."""

    def __init__(self, model: Any) -> None:
        self._model, self._graph = model, model.subgraphs[0]
        self._integers = {i for i in self._graph.outputs if self._graph.tensors[i].type in _INTEGERS}
        self._floats: dict[int, int] = {}

    def append(self, operator: Any, code: Any) -> None:
        """One operation of the float graph, its tensors renumbered already."""
        kind = _kind(code)
        if kind in _MOVES and operator.inputs[0] in self._integers:
            source, target = (self._graph.tensors[x[0]] for x in (operator.inputs, operator.outputs))
            target.type, target.quantization = source.type, source.quantization
            self._integers.add(operator.outputs[0])
            code = copy(code)
            code.version = _MOVES[kind]
        else:
            operator.inputs = self.floats(operator.inputs)
        operator.opcodeIndex = self._code(code)
        self._graph.operators.append(operator)

    def floats(self, indices: Iterable[int]) -> list[int]:
        """The tensors, each integer head among them as float."""
        return [self._float(index) if index in self._integers else index for index in indices]

    def _float(self, index: int) -> int:
        if index not in self._floats:
            source, target = self._graph.tensors[index], schema.TensorT()
            target.name, target.type = source.name + b"/float", schema.TensorType.FLOAT32
            target.shape, target.shapeSignature = source.shape, source.shapeSignature
            target.hasRank = source.hasRank
            self._floats[index] = len(self._graph.tensors)
            self._graph.tensors.append(target)
            operator, code = schema.OperatorT(), schema.OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = _BUILTIN.DEQUANTIZE
            code.version = _DEQUANTIZE_VERSION
            operator.opcodeIndex = self._code(code)
            operator.inputs, operator.outputs = [index], [self._floats[index]]
            operator.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
            operator.builtinOptions = schema.DequantizeOptionsT()
            self._graph.operators.append(operator)
        return self._floats[index]

    def _code(self, code: Any) -> int:
        """Index of an operation code of the model, which is added where it is missing."""
        wanted, codes = _identity(code), self._model.operatorCodes
        for index, known in enumerate(codes):
            if _identity(known) == wanted:
                return index
        codes.append(code)
        return len(codes) - 1


def _kind(code: Any) -> int:
    """Its builtin operator; files have it in one field or another."""
    return max(code.builtinCode, code.deprecatedBuiltinCode)


def _identity(code: Any) -> tuple[Any, ...]:
    return _kind(code), code.customCode, code.version


def _append_buffers(model: Any, other: Any) -> dict[int, int]:
    """Where each buffer of `other` then stands; the first one of a model is the empty one."""
    start = len(model.buffers) - 1
    model.buffers.extend(other.buffers[1:])
    return {index: index + start if index else 0 for index in range(len(other.buffers))}


def _keep_newest_runtime(model: Any, other: Any) -> None:
    """The newer of two notes of the oldest runtime that has all operations."""
    here, there = (_minimum_runtime(x) for x in (model, other))
    if here is not None and there is not None and _version(there) > _version(here):
        here.data = there.data


def _minimum_runtime(model: Any) -> Any:
    """The buffer of the note, or None."""
    for entry in model.metadata or []:
        if entry.name == b"min_runtime_version":
            return model.buffers[entry.buffer]
    return None


def _version(note: Any) -> tuple[int, ...]:
    text = bytes(note.data).rstrip(b"\0").decode()
    return tuple(int(part) for part in text.split(".") if part.isdecimal())
