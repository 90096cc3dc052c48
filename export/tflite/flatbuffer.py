"""Editing of TensorFlow Lite models: a network is joined with its decoding, outputs are sorted.

Models are objects of TensorFlow's `flatbuffer_utils`, with one subgraph and one signature.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any

from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

_BUILTIN = schema.BuiltinOperator
_MOVING_OPERATORS = {_BUILTIN.RESHAPE: 1, _BUILTIN.GATHER: 2}
"""Operators that only move the values of their first input, and the version of their int8 kernels."""
_DEQUANTIZE_VERSION = 2
_INTEGER_TYPES = (schema.TensorType.INT8, schema.TensorType.UINT8)


def read(data: bytes) -> Any:
    """Return the object of a model file."""
    return flatbuffer_utils.convert_bytearray_to_object(bytearray(data))


def write(model: Any) -> bytes:
    """Return the model file of an object."""
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def join(network: Any, decoding: Any) -> Any:
    """Append a float graph to an integer network, in one subgraph.

    Converted as one graph, the float part would be quantized as well: heads of different ranges would be
    concatenated with the scale of one of them, and sigmoids would have steps of 1/256. Converted separately,
    the float part stays float, and the integer part is the same for every kind of NMS. Integer heads are
    dequantized as late as possible, after operators that only move values, so that only the selected of
    25,200 rows are converted.

    Args:
        network: model whose outputs are integers with one scale per tensor, or float32. It is modified.
        decoding: float32 model whose inputs have the names of the network's outputs. It is modified.

    Returns:
        `network` with the outputs of `decoding`.
    """
    graph, float_graph = network.subgraphs[0], decoding.subgraphs[0]
    signature, float_signature = network.signatureDefs[0], decoding.signatureDefs[0]
    head_indices = {x.name: x.tensorIndex for x in signature.outputs}
    new_indices = {x.tensorIndex: head_indices[x.name] for x in float_signature.inputs}
    buffers = _append_buffers(network, decoding)
    for index, tensor in enumerate(float_graph.tensors):
        if index not in new_indices:
            new_indices[index] = len(graph.tensors)
            tensor.buffer = buffers[tensor.buffer]
            tensor.name = b"decoding/" + tensor.name
            graph.tensors.append(tensor)
    appender = _FloatAppender(network)
    for operator in float_graph.operators:
        code = decoding.operatorCodes[operator.opcodeIndex]
        inputs = [] if operator.inputs is None else operator.inputs
        operator.inputs = [new_indices[i] if i >= 0 else i for i in inputs]
        operator.outputs = [new_indices[i] for i in operator.outputs]
        appender.append(operator, code)
    graph.outputs = appender.floats([new_indices[i] for i in float_graph.outputs])
    for x in float_signature.outputs:
        x.tensorIndex = appender.floats([new_indices[x.tensorIndex]])[0]
    signature.outputs = float_signature.outputs
    _keep_higher_runtime_version(network, decoding)
    return network


def order_outputs(model: Any, names: Sequence[str]) -> None:
    """Sort the outputs of the graph and of its signature, whose order depends on hashes in the converter.

    Args:
        model: the model. It is modified.
        names: names of outputs in the signature, in the new order; names of other outputs are ignored.
    """
    outputs = model.signatureDefs[0].outputs
    outputs.sort(key=lambda x: names.index(x.name.decode()))
    model.subgraphs[0].outputs = [x.tensorIndex for x in outputs]


def quantize_output(model: Any, name: str, scale: float) -> None:
    """Turn a float output into uint8 with a zero point of 0, if the model has one of this name.

    Args:
        model: the model. It is modified.
        name: name of the output in the signature.
        scale: what one step of the integers means.
    """
    graph = model.subgraphs[0]
    for x in model.signatureDefs[0].outputs:
        source = graph.tensors[x.tensorIndex]
        if x.name.decode() != name or source.type != schema.TensorType.FLOAT32:
            continue
        target = copy(source)
        target.name, target.type = source.name + b"/uint8", schema.TensorType.UINT8
        target.quantization = schema.QuantizationParametersT()
        target.quantization.scale, target.quantization.zeroPoint = [scale], [0]
        operator = schema.OperatorT()
        operator.inputs, operator.outputs = [x.tensorIndex], [len(graph.tensors)]
        operator.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
        operator.builtinOptions = schema.QuantizeOptionsT()
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = _BUILTIN.QUANTIZE
        code.version = 1
        operator.opcodeIndex = _code_index(model, code)
        graph.outputs = [len(graph.tensors) if i == x.tensorIndex else i for i in graph.outputs]
        x.tensorIndex = len(graph.tensors)
        graph.tensors.append(target)
        graph.operators.append(operator)


class _FloatAppender:
    """Appends float operators to a network with integer heads, and dequantizes their inputs.

    Args:
        model: the network. It is modified.
    """

    def __init__(self, model: Any) -> None:
        self._model, self._graph = model, model.subgraphs[0]
        self._integers = {i for i in self._graph.outputs if self._graph.tensors[i].type in _INTEGER_TYPES}
        self._floats: dict[int, int] = {}

    def append(self, operator: Any, code: Any) -> None:
        """Append an operator of the float graph whose tensors have their new indices."""
        kind = _kind(code)
        if kind in _MOVING_OPERATORS and operator.inputs[0] in self._integers:
            source, target = (self._graph.tensors[x[0]] for x in (operator.inputs, operator.outputs))
            target.type, target.quantization = source.type, source.quantization
            self._integers.add(operator.outputs[0])
            code = copy(code)
            code.version = _MOVING_OPERATORS[kind]
        else:
            operator.inputs = self.floats(operator.inputs)
        operator.opcodeIndex = _code_index(self._model, code)
        self._graph.operators.append(operator)

    def floats(self, indices: Iterable[int]) -> list[int]:
        """Return the indices of tensors, with integer heads replaced by their dequantized tensors."""
        return [self._dequantized(index) if index in self._integers else index for index in indices]

    def _dequantized(self, index: int) -> int:
        """Return the index of an integer tensor's dequantized tensor, which is added once."""
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
            operator.opcodeIndex = _code_index(self._model, code)
            operator.inputs, operator.outputs = [index], [self._floats[index]]
            operator.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
            operator.builtinOptions = schema.DequantizeOptionsT()
            self._graph.operators.append(operator)
        return self._floats[index]


def _code_index(model: Any, code: Any) -> int:
    """Return the index of an operator code of a model, which is added if it is missing."""
    identity = _identity(code)
    for index, known in enumerate(model.operatorCodes):
        if _identity(known) == identity:
            return index
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _kind(code: Any) -> int:
    """Return the number of a builtin operator, which is in one of two fields."""
    return max(code.builtinCode, code.deprecatedBuiltinCode)


def _identity(code: Any) -> tuple[Any, ...]:
    return _kind(code), code.customCode, code.version


def _append_buffers(model: Any, other: Any) -> dict[int, int]:
    """Append the buffers of `other`; return their new indices by old index. Buffer 0 is the empty one."""
    start = len(model.buffers) - 1
    model.buffers.extend(other.buffers[1:])
    return {index: index + start if index else 0 for index in range(len(other.buffers))}


def _keep_higher_runtime_version(model: Any, other: Any) -> None:
    """Set min_runtime_version of `model` to the higher one of both models."""
    version, other_version = (_minimum_runtime(x) for x in (model, other))
    if version is not None and other_version is not None and _version(other_version) > _version(version):
        version.data = other_version.data


def _minimum_runtime(model: Any) -> Any:
    """Return the buffer of min_runtime_version, or None."""
    for entry in model.metadata or []:
        if entry.name == b"min_runtime_version":
            return model.buffers[entry.buffer]
    return None


def _version(note: Any) -> tuple[int, ...]:
    text = bytes(note.data).rstrip(b"\0").decode()
    return tuple(int(part) for part in text.split(".") if part.isdecimal())
