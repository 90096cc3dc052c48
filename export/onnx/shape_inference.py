"""Shape inference and resource limits for vetted ONNX graphs.

`check_resources` infers the shape of every tensor before anything runs and refuses a graph whose memory or
arithmetic exceeds the budget. ONNX's shape inference is C++ that a malicious graph can crash or keep busy, so
`child_process.py` runs this module in a child process.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.export.onnx.operators import Shape, multiplications, workspace_shape
from tfyolo.export.onnx.pad_amounts import PadAmounts, UnknownPadAmountError
from tfyolo.export.runtime.budget import Budget, foreign
from tfyolo.models.nodes import IMAGES
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
"""Bytes per element of each allowed data type."""
MAX_SHAPE_ELEMENTS = 64
"""Shape inference reads the values of constants up to this number of elements; larger ones are not shapes."""
_MAX_NMS_NODES = 8
_UNKNOWN_LIMIT = 2**40


def item_bytes(data_type: int) -> int:
    """Return the bytes per element of an ONNX data type; 0 if it is not an allowed numeric type."""
    import onnx

    try:
        return _ITEM_BYTES.get(onnx.TensorProto.DataType.Name(data_type), 0)
    except ValueError:
        return 0


def check_resources(model: Any, images_shape: Shape, budget: Budget) -> None:
    """Refuse a graph that has unknown shapes or exceeds the budget, for any number of boxes kept by NMS.

    The number of boxes that NonMaxSuppression keeps is unknown before the graph runs. Memory and arithmetic
    are therefore counted twice: with the largest possible number of boxes, and with none.

    Args:
        model: ModelProto whose operators are on the allow-list.
        images_shape: (batch, 3, height, width) of the input.
        budget: limits for the model file.

    Raises:
        TfyoloError: a shape is unknown or contradictory, or the budget is exceeded.
    """
    graph = model.graph
    nms_nodes = [node for node in graph.node if node.op_type == "NonMaxSuppression"]
    if len(nms_nodes) > _MAX_NMS_NODES:
        raise foreign(f"{len(nms_nodes)} NonMaxSuppression nodes", budget.path)
    for node in graph.node:
        budget.operation(node.name or node.op_type)
    shapes = _Shapes.infer(model, images_shape, budget.path)
    if not nms_nodes:
        _count(model, shapes, budget)
        return
    max_rows: dict[str, int] = {}
    for node in nms_nodes:  # in graph order: the inputs of one may depend on the outputs of earlier ones
        known = shapes.with_selected_boxes(model, max_rows) if max_rows else shapes
        batch_size, num_classes, num_boxes = known.of_rank(node.input[1], 3)
        limit = known.scalar(node.input[2]) if len(node.input) > 2 else 0
        max_rows[node.output[0]] = batch_size * num_classes * min(num_boxes, max(limit, 0))
    # Sums and differences, also clipped at zero, are largest at one end of the interval.
    for rows in (max_rows, dict.fromkeys(max_rows, 0)):
        _count(model, shapes.with_selected_boxes(model, rows), Budget(budget.path, budget.pixels))


def _count(model: Any, shapes: _Shapes, budget: Budget) -> None:
    """Charge the memory and arithmetic of every node to the budget."""
    for node in model.graph.node:
        outputs = [shapes[name] for name in node.output if name]
        if len(outputs) == 0:
            raise foreign(f"{node.op_type} without outputs", budget.path)
        name = node.name or node.op_type
        for output, shape in zip(filter(None, node.output), outputs, strict=True):
            budget.tensor(name, shape, shapes.item_bytes(output))
        inputs = [shapes[name] for name in node.input if name]
        try:
            budget.work(name, inputs, outputs, multiplications(node, inputs, outputs))
            budget.tensor(name, workspace_shape(node, inputs, outputs), 4, counted=False)
        except (IndexError, ValueError):
            raise foreign(f"{node.op_type} with invalid inputs", budget.path) from None


class _Shapes:
    """Inferred shapes of all tensors; shapes that the file declares are ignored.

    Args:
        types: `TypeProto.Tensor` by tensor name.
        constants: TensorProtos of constants that may be shapes, by name.
        path: model file, for messages.
    """

    def __init__(self, types: dict[str, Any], constants: dict[str, Any], path: Path) -> None:
        self._types, self._constants, self._path = types, constants, path

    @classmethod
    def infer(cls, model: Any, images_shape: Shape, path: Path) -> _Shapes:
        """Infer all shapes that do not depend on the number of boxes kept by NMS.

        Args:
            model: ModelProto.
            images_shape: (batch, 3, height, width).
            path: model file, for messages.

        Raises:
            TfyoloError: shapes in the graph contradict each other.
        """
        from onnx import helper

        constants, values = {}, []
        for tensor in model.graph.initializer:
            if math.prod(tensor.dims) <= MAX_SHAPE_ELEMENTS:
                constants[tensor.name] = tensor
            values.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        data_type = model.graph.input[0].type.tensor_type.elem_type
        values.append(helper.make_tensor_value_info(IMAGES, data_type, images_shape))
        types = {value.name: value.type.tensor_type for value in values}
        shapes = cls(types, constants, path)
        shapes._types = types | shapes._infer_types(_subgraph(model, model.graph.node, types, constants))
        return shapes

    def with_selected_boxes(self, model: Any, rows: dict[str, int]) -> _Shapes:
        """Infer the remaining shapes for a given number of boxes kept by NMS.

        Args:
            model: ModelProto.
            rows: number of rows of each NonMaxSuppression output, by tensor name.

        Raises:
            TfyoloError: shapes contradict each other, or a padding amount is computed in an unknown way.
        """
        import onnx
        from onnx import helper, numpy_helper

        types, nodes, dependent = dict(self._types), [], set(rows)
        for name, count in rows.items():
            value = helper.make_tensor_value_info(name, onnx.TensorProto.INT64, (count, 3))
            types[name] = value.type.tensor_type
        for node in model.graph.node:
            if dependent.intersection(node.input) and not rows.keys() & set(node.output):
                dependent.update(node.output)
                nodes.append(node)
        for name in dependent - rows.keys():
            types.pop(name, None)
        shapes = _Shapes(types, self._constants, self._path)
        subgraph = _subgraph(model, nodes, types, self._constants)
        shapes._types = types | shapes._infer_types(subgraph)
        producers = {name: node for node in model.graph.node for name in node.output}
        pads = [node for node in subgraph.graph.node if node.op_type == "Pad" and len(node.input) > 1]
        computed_pads = [node for node in pads if node.input[1] not in self._constants]
        if len(computed_pads) > _MAX_NMS_NODES:
            raise foreign(f"{len(computed_pads)} Pad nodes with computed amounts", self._path)
        # ONNX's shape inference does not evaluate computed padding amounts: make constants of them.
        for index, node in enumerate(computed_pads):
            try:
                amount = PadAmounts(producers, self._constants, shapes.__getitem__).evaluate(node.input[1])
            except UnknownPadAmountError:
                raise foreign("a Pad whose amount is computed in an unknown way", self._path) from None
            node.input[1] = f"tfyolo/padding{index}"
            subgraph.graph.initializer.append(numpy_helper.from_array(amount, node.input[1]))
            shapes._types = types | shapes._infer_types(subgraph)
        return shapes

    def _infer_types(self, model: Any) -> dict[str, Any]:
        """Run ONNX's shape inference and return `TypeProto.Tensor` of all results by name."""
        import onnx

        try:
            inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        except Exception as error:  # ONNX raises several exception types
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise TfyoloError(
                f"its shapes contradict each other: {printable(reason)[:200]}",
                path=self._path,
                fix="export it again",
            ) from error
        return {value.name: value.type.tensor_type for value in inferred.graph.value_info}

    def __getitem__(self, name: str) -> Shape:
        """Return the shape of a tensor.

        Raises:
            TfyoloError: it is not known before the graph runs.
        """
        tensor_type = self._types.get(name)
        if tensor_type is None or not tensor_type.HasField("shape"):
            raise foreign(f"a tensor without a fixed shape ({name[:60]!r})", self._path)
        dims = tensor_type.shape.dim
        if any(not dim.HasField("dim_value") or dim.dim_value < 0 for dim in dims):
            raise foreign(f"a tensor without a fixed shape ({name[:60]!r})", self._path)
        return tuple(dim.dim_value for dim in dims)

    def of_rank(self, name: str, rank: int) -> Shape:
        """Return the shape of a tensor that must have `rank` dimensions.

        Raises:
            TfyoloError: it has another rank, or its shape is unknown.
        """
        shape = self[name]
        if len(shape) != rank:
            raise foreign(f"a tensor of a wrong rank ({name[:60]!r})", self._path)
        return shape

    def item_bytes(self, name: str) -> int:
        """Return the bytes per element of a tensor.

        Raises:
            TfyoloError: it does not have a numeric type.
        """
        size = item_bytes(self._types[name].elem_type)
        if not size:
            raise foreign(f"a tensor of a non-numeric type ({name[:60]!r})", self._path)
        return size

    def scalar(self, name: str) -> int:
        """Return the value of an integer constant with one element; a very large number if it is unknown."""
        from onnx import numpy_helper

        tensor = self._constants.get(name)
        if tensor is None or math.prod(tensor.dims) != 1:
            return _UNKNOWN_LIMIT
        return int(numpy_helper.to_array(tensor).reshape(-1)[0])


def _subgraph(model: Any, nodes: Iterable[Any], types: dict[str, Any], constants: dict[str, Any]) -> Any:
    """Return a ModelProto of some nodes; other tensors are typed inputs, or constants that may be shapes."""
    import onnx

    subgraph = onnx.ModelProto(ir_version=max(model.ir_version, 4))
    subgraph.opset_import.extend(model.opset_import)
    subgraph.graph.name = "shapes"
    subgraph.graph.node.extend(nodes)
    inputs = {name: None for node in subgraph.graph.node for name in node.input if name}
    outputs = {name for node in subgraph.graph.node for name in node.output}
    for name in inputs:
        if name in constants:
            subgraph.graph.initializer.append(constants[name])
        elif name in types and name not in outputs:
            subgraph.graph.input.add(name=name).type.tensor_type.CopyFrom(types[name])
    return subgraph
