"""What a vetted ONNX graph needs: every shape, memory and arithmetic, known before it runs.

ONNX's own shape inference is C++ that a hostile graph can crash or keep busy, so this runs in a process of
its own (onnx_child.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.export.onnx.operators import COSTLY, Shape, products, workspace
from tfyolo.export.onnx.pad_amounts import Sizes, UnknownSizeError
from tfyolo.export.runtime.budget import Budget, foreign
from tfyolo.text import printable

_ITEM_BYTES = {
    "FLOAT": 4,
    "UINT8": 1,
    "INT8": 1,
    "UINT16": 2,
    "INT16": 2,
    "INT32": 4,
    "INT64": 8,
    "BOOL": 1,
    "FLOAT16": 2,
    "DOUBLE": 8,
    "UINT32": 4,
    "UINT64": 8,
    "BFLOAT16": 2,
}
"""Kinds of numbers."""
FOLLOWED = 64
"""Constants with more numbers than this are not looked into: none of them is a shape."""
_MAX_SUPPRESSIONS = 8


def item_bytes(data_type: int) -> int:
    """Size of a number; 0 where it is none."""
    import onnx

    try:
        return _ITEM_BYTES.get(onnx.TensorProto.DataType.Name(data_type), 0)
    except ValueError:
        return 0


def check_bounds(model: Any, images: Shape, budget: Budget) -> None:
    """Refuse a graph whose shapes are unknown or whose needs are too large, for any number of kept boxes."""
    graph = model.graph
    suppressions = [node for node in graph.node if node.op_type == "NonMaxSuppression"]
    if len(suppressions) > _MAX_SUPPRESSIONS:
        raise foreign(f"{len(suppressions)} times NonMaxSuppression", budget.path)
    for node in graph.node:
        budget.operation(node.name or node.op_type)
    shapes = _Shapes.of(model, images, budget.path)
    if not suppressions:
        _count(model, shapes, budget)
        return
    rows: dict[str, int] = {}
    for node in suppressions:  # each is known after those before it
        known = shapes.kept(model, rows) if rows else shapes
        batch, classes, boxes = known.of_rank(node.input[1], 3)
        limit = known.number(node.input[2]) if len(node.input) > 2 else 0
        rows[node.output[0]] = batch * classes * min(boxes, max(limit, 0))
    # Sums and differences are largest at an end, and clipped at zero so are they, too.
    for kept in (rows, dict.fromkeys(rows, 0)):
        _count(model, shapes.kept(model, kept), Budget(budget.path, budget.pixels))


def _count(model: Any, shapes: _Shapes, budget: Budget) -> None:
    for node in model.graph.node:
        outputs = [shapes.known(name) for name in node.output if name]
        if len(outputs) == 0:
            raise foreign(f"{node.op_type} without a result", budget.path)
        name = node.name or node.op_type
        for output, shape in zip(filter(None, node.output), outputs, strict=True):
            budget.tensor(name, shape, shapes.item_bytes(output))
        if node.op_type in COSTLY:
            inputs = [shapes.known(name) for name in node.input if name]
            try:
                budget.work(name, products(node, inputs, outputs))
                budget.tensor(name, workspace(node, inputs, outputs), 4, counted=False)
            except (IndexError, ValueError):
                raise foreign(f"{node.op_type} of wrong inputs", budget.path) from None


class _Shapes:
    """Shapes of all tensors, by ONNX's own inference, without any that the file declares.

    Args:
        types: TypeProto.Tensor by name.
        numbers: constants that may be a size, by name.
        path: of the file, for messages.
    """

    def __init__(self, types: dict[str, Any], numbers: dict[str, Any], path: Path) -> None:
        self._types, self._numbers, self._path = types, numbers, path

    @classmethod
    def of(cls, model: Any, images: Shape, path: Path) -> _Shapes:
        """Shapes as far as they do not depend on how many boxes are kept.

        Raises:
            TfyoloError: the graph contradicts itself.
        """
        from onnx import helper

        numbers, values = {}, []
        for tensor in model.graph.initializer:
            if math.prod(tensor.dims) <= FOLLOWED:
                numbers[tensor.name] = tensor
            values.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        kind = model.graph.input[0].type.tensor_type.elem_type
        values.append(helper.make_tensor_value_info("images", kind, images))
        known = {value.name: value.type.tensor_type for value in values}
        found = cls(known, numbers, path)
        found._types = known | found._inferred(_model_of(model, model.graph.node, known, numbers))
        return found

    def kept(self, model: Any, rows: dict[str, int]) -> _Shapes:
        """Shapes where so many boxes are kept.

        Args:
            model: ModelProto.
            rows: of results of NonMaxSuppression.

        Raises:
            TfyoloError: the graph contradicts itself.
        """
        import onnx
        from onnx import helper, numpy_helper

        types, nodes, behind = dict(self._types), [], set(rows)
        for name, count in rows.items():
            value = helper.make_tensor_value_info(name, onnx.TensorProto.INT64, (count, 3))
            types[name] = value.type.tensor_type
        for node in model.graph.node:
            if behind.intersection(node.input) and not rows.keys() & set(node.output):
                behind.update(node.output)
                nodes.append(node)
        for name in behind - rows.keys():
            types.pop(name, None)
        found = _Shapes(types, self._numbers, self._path)
        copy = _model_of(model, nodes, types, self._numbers)
        found._types = types | found._inferred(copy)
        made_by = {name: node for node in model.graph.node for name in node.output}
        pads = [node for node in copy.graph.node if node.op_type == "Pad" and len(node.input) > 1]
        computed = [node for node in pads if node.input[1] not in self._numbers]
        if len(computed) > _MAX_SUPPRESSIONS:
            raise foreign(f"{len(computed)} times a computed Pad", self._path)
        for place, node in enumerate(computed):
            try:
                amount = Sizes(made_by, self._numbers, found.known).amount(node.input[1])
            except UnknownSizeError:
                raise foreign("a Pad whose amount is computed in an unknown way", self._path) from None
            node.input[1] = f"tfyolo/padding{place}"
            copy.graph.initializer.append(numpy_helper.from_array(amount, node.input[1]))
            found._types = types | found._inferred(copy)
        return found

    def _inferred(self, copy: Any) -> dict[str, Any]:
        """Types of the results in a model, by name."""
        import onnx

        try:
            found = onnx.shape_inference.infer_shapes(copy, strict_mode=True, data_prop=True)
        except Exception as error:  # the library has several kinds
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise TfyoloError(
                f"its shapes contradict each other: {printable(reason)[:200]}",
                path=self._path,
                fix="export it again",
            ) from error
        return {value.name: value.type.tensor_type for value in found.graph.value_info}

    def known(self, name: str) -> Shape:
        """The shape of a tensor.

        Raises:
            TfyoloError: it is not known before the graph runs.
        """
        kind = self._types.get(name)
        if kind is None or not kind.HasField("shape"):
            raise foreign(f"a tensor without a fixed shape ({name[:60]!r})", self._path)
        dims = kind.shape.dim
        if any(not dim.HasField("dim_value") or dim.dim_value < 0 for dim in dims):
            raise foreign(f"a tensor without a fixed shape ({name[:60]!r})", self._path)
        return tuple(dim.dim_value for dim in dims)

    def of_rank(self, name: str, rank: int) -> Shape:
        """The shape of a tensor that must have so many dimensions.

        Raises:
            TfyoloError: it has not, or it is not known.
        """
        shape = self.known(name)
        if len(shape) != rank:
            raise foreign(f"a tensor of a wrong rank ({name[:60]!r})", self._path)
        return shape

    def item_bytes(self, name: str) -> int:
        """Size of one number of a tensor."""
        size = item_bytes(self._types[name].elem_type)
        if not size:
            raise foreign(f"a tensor that is not of numbers ({name[:60]!r})", self._path)
        return size

    def number(self, name: str) -> int:
        """The value of a constant that is one whole number; a very large one where it is unknown."""
        from onnx import numpy_helper

        tensor = self._numbers.get(name)
        if tensor is None or math.prod(tensor.dims) != 1:
            return 2**40
        return int(numpy_helper.to_array(tensor).reshape(-1)[0])


def _model_of(model: Any, nodes: Iterable[Any], types: dict[str, Any], numbers: dict[str, Any]) -> Any:
    """A model of some nodes, its inputs of known types, with no constants but those that may be sizes."""
    import onnx

    copy = onnx.ModelProto(ir_version=max(model.ir_version, 4))
    copy.opset_import.extend(model.opset_import)
    copy.graph.name = "shapes"
    copy.graph.node.extend(nodes)
    read = {name: None for node in copy.graph.node for name in node.input if name}
    made = {name for node in copy.graph.node for name in node.output}
    for name in read:
        if name in numbers:
            copy.graph.initializer.append(numbers[name])
        elif name in types and name not in made:
            copy.graph.input.add(name=name).type.tensor_type.CopyFrom(types[name])
    return copy
