"""Evaluates padding amounts that an ONNX graph computes from the number of boxes kept by NMS.

ONNX's shape inference propagates constants only. This module evaluates the few operators that exporters use
to compute "pad the kept boxes up to a fixed number of rows", for a given number of boxes. It guarantees that
the result is convex in the number of boxes, so that the memory bound holds for all numbers if it holds for
the smallest and the largest one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfyolo.export.onnx.operators import Shape

Array = np.ndarray
_MAX_DEPTH = 30
_MAX_SUMS = 4
_MAX_ELEMENTS = 64
"""Largest number of elements of a tensor that holds sizes."""


class UnknownPadAmountError(Exception):
    """A padding amount is computed by operators, or in an order, that exporters do not use."""


@dataclass
class PadAmounts:
    """Evaluates tensors that depend on constants and shapes only.

    Sums, differences, and a clip at zero as the last step are convex functions. A shape that a Slice has cut
    off may be concave, so the number of sums is limited.

    Attributes:
        producers: nodes by the names of their outputs.
        constants: TensorProtos by name.
        shape_of: returns the shape of a tensor by name.
    """

    producers: Mapping[str, Any]
    constants: Mapping[str, Any]
    shape_of: Callable[[str], Shape]
    _sums: int = 0

    def evaluate(self, name: str) -> Array:
        """Return the value of a tensor, as int64.

        Raises:
            UnknownPadAmountError: it depends on other tensors, or uses other operators.
        """
        self._sums = 0
        return self._value(name, True, 0)

    def _value(self, name: str, may_clip: bool, depth: int) -> Array:
        """Return the value of a tensor; `may_clip` allows Relu, which is not convex under a subtraction."""
        from onnx import helper, numpy_helper

        if name in self.constants:
            return np.asarray(numpy_helper.to_array(self.constants[name])).astype(np.int64)
        node = self.producers.get(name)
        if node is None or depth > _MAX_DEPTH:
            raise UnknownPadAmountError(name)
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        operator = node.op_type
        if operator == "Shape":
            shape = np.array(self.shape_of(node.input[0]), np.int64)
            return shape[attributes.get("start", 0) : attributes.get("end", len(shape))]
        self._sums += operator in ("Add", "Sub")
        computed_index = operator in _CONSTANT_INDICES and any(
            x and x not in self.constants for x in node.input[1:]
        )
        if operator not in _OPERATORS or computed_index or self._sums > _MAX_SUMS:
            raise UnknownPadAmountError(name)
        if operator == "Relu" and not may_clip:
            raise UnknownPadAmountError(name)
        inputs = [
            self._value(x, may_clip and operator != "Sub", depth + 1) if x else np.array([], np.int64)
            for x in node.input
        ]
        try:
            value = np.asarray(_OPERATORS[operator](inputs, attributes)).astype(np.int64)
        except (IndexError, ValueError, TypeError, KeyError) as error:
            raise UnknownPadAmountError(name) from error
        if value.size > _MAX_ELEMENTS:
            raise UnknownPadAmountError(name)
        return value


def _axes(inputs: list[Array], attributes: dict[str, Any]) -> list[int]:
    """Return the axes of Squeeze or Unsqueeze: an input since opset 13, an attribute before."""
    return [int(axis) for axis in (inputs[1] if len(inputs) > 1 else attributes.get("axes", ()))]


def _squeeze(inputs: list[Array], attributes: dict[str, Any]) -> Array:
    axes = _axes(inputs, attributes)
    return np.squeeze(inputs[0], tuple(axes) if axes else None)


def _unsqueeze(inputs: list[Array], attributes: dict[str, Any]) -> Array:
    return np.expand_dims(inputs[0], tuple(_axes(inputs, attributes)))


def _slice(inputs: list[Array], attributes: dict[str, Any]) -> Array:
    data, starts, ends = inputs[:3]
    axes = inputs[3] if len(inputs) > 3 and inputs[3].size else np.arange(len(starts))
    steps = inputs[4] if len(inputs) > 4 and inputs[4].size else np.ones(len(starts), np.int64)
    slices = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        slices[int(axis)] = slice(int(start), int(end), int(step))
    return data[tuple(slices)]


_OPERATORS: dict[str, Callable[[list[Array], dict[str, Any]], Array]] = {
    "Add": lambda x, _: x[0] + x[1],
    "Sub": lambda x, _: x[0] - x[1],
    "Relu": lambda x, _: np.maximum(x[0], 0),
    "Cast": lambda x, _: x[0],
    "Identity": lambda x, _: x[0],
    "Concat": lambda x, attributes: np.concatenate(x, attributes["axis"]),
    "Gather": lambda x, attributes: np.take(x[0], x[1], attributes.get("axis", 0)),
    "Reshape": lambda x, _: np.reshape(x[0], x[1]),
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
}
_CONSTANT_INDICES = ("Gather", "Reshape", "Slice", "Squeeze", "Unsqueeze")
"""Operators whose other inputs must be constants: a lookup table could return any value for any index."""
