"""Sizes that an ONNX graph computes from the number of boxes that it keeps: how much is to be padded.

ONNX's own shape inference follows constants alone. Here the few operators that exporters use for this are
computed, for a given number of boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfyolo.export.onnx.operators import Shape

Array = np.ndarray
_DEPTH = 30
_SUMS = 4
_MOST = 64
"""Numbers in a tensor that says a size."""


class UnknownSizeError(Exception):
    """A size that is computed otherwise than exporters do."""


@dataclass
class Sizes:
    """Computes tensors that depend on constants and shapes alone.

    Between no box and as many as there can be, what is computed stays below its larger end, since it is
    convex: sums and differences, clipped at zero at the end. Shapes that a Slice has cut short may bend the
    other way, so that there may be few sums.

    Args:
        made_by: nodes by the names of their results.
        constants: TensorProtos by name.
        shape: of a tensor, by name.
    """

    made_by: Mapping[str, Any]
    constants: Mapping[str, Any]
    shape: Callable[[str], Shape]
    _sums: int = 0

    def amount(self, name: str) -> Array:
        """The value of a tensor, int64.

        Raises:
            UnknownSizeError: it depends on something else, or otherwise.
        """
        self._sums = 0
        return self._value(name, True, 0)

    def _value(self, name: str, clipped: bool, depth: int) -> Array:
        """Of a tensor in which `clipped` says whether numbers may be clipped at zero."""
        from onnx import helper, numpy_helper

        if name in self.constants:
            return np.asarray(numpy_helper.to_array(self.constants[name])).astype(np.int64)
        node = self.made_by.get(name)
        if node is None or depth > _DEPTH:
            raise UnknownSizeError(name)
        options = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        kind = node.op_type
        if kind == "Shape":
            whole = np.array(self.shape(node.input[0]), np.int64)
            return whole[options.get("start", 0) : options.get("end", len(whole))]
        self._sums += kind in ("Add", "Sub")
        fixed = kind in _FIXED and any(x and x not in self.constants for x in node.input[1:])
        if kind not in _KINDS or fixed or self._sums > _SUMS or (kind == "Relu" and not clipped):
            raise UnknownSizeError(name)
        inputs = [
            self._value(x, clipped and kind != "Sub", depth + 1) if x else np.array([], np.int64)
            for x in node.input
        ]
        try:
            found = np.asarray(_KINDS[kind](inputs, options)).astype(np.int64)
        except (IndexError, ValueError, TypeError, KeyError) as error:
            raise UnknownSizeError(name) from error
        if found.size > _MOST:
            raise UnknownSizeError(name)
        return found


def _axes(inputs: list[Array], options: dict[str, Any]) -> list[int]:
    """Of Squeeze and Unsqueeze: an input in newer versions, an attribute in older ones."""
    return [int(axis) for axis in (inputs[1] if len(inputs) > 1 else options.get("axes", ()))]


def _squeeze(inputs: list[Array], options: dict[str, Any]) -> Array:
    axes = _axes(inputs, options)
    return np.squeeze(inputs[0], tuple(axes) if axes else None)


def _unsqueeze(inputs: list[Array], options: dict[str, Any]) -> Array:
    return np.expand_dims(inputs[0], tuple(_axes(inputs, options)))


def _slice(inputs: list[Array], options: dict[str, Any]) -> Array:
    data = inputs[0]
    starts, ends = inputs[1], inputs[2]
    axes = inputs[3] if len(inputs) > 3 and inputs[3].size else np.arange(len(starts))
    steps = inputs[4] if len(inputs) > 4 and inputs[4].size else np.ones(len(starts), np.int64)
    cuts = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        cuts[int(axis)] = slice(int(start), int(end), int(step))
    return data[tuple(cuts)]


_KINDS: dict[str, Callable[[list[Array], dict[str, Any]], Array]] = {
    "Add": lambda x, _: x[0] + x[1],
    "Sub": lambda x, _: x[0] - x[1],
    "Relu": lambda x, _: np.maximum(x[0], 0),
    "Cast": lambda x, _: x[0],
    "Identity": lambda x, _: x[0],
    "Concat": lambda x, options: np.concatenate(x, options["axis"]),
    "Gather": lambda x, options: np.take(x[0], x[1], options.get("axis", 0)),
    "Reshape": lambda x, _: np.reshape(x[0], x[1]),
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
}
_FIXED = ("Gather", "Reshape", "Slice", "Squeeze", "Unsqueeze")
"""Operators whose other inputs have to be constants: a table could hold anything in between."""
