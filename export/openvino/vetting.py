"""Vets untrusted OpenVINO folders before they are compiled.

Guarantees:

- Allow-list: `model.xml` contains only layers of OpenVINO's own operation sets that are listed in `ALLOWED`.
  There are no loops, branches, states, or extensions. The XML has no document type, no entities, and no
  namespaces, which OpenVINO's parser ignores and Python's does not. The operations of the loaded model are
  compared with the list again.
- No external data: `model.xml` and `model.bin` are regular files in the folder.
- Memory bound: tensors and arithmetic stay within `runtime/budget.py`. One thing is not bounded: OpenVINO's
  shape inference does not know by how many rows the boxes selected by NMS are padded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tfyolo.errors import TfyoloError
from tfyolo.export.openvino.entry import MODEL_FILE, WEIGHTS_FILE
from tfyolo.export.runtime.budget import (
    Budget,
    foreign,
    nms_multiplications,
    refused_operation,
    sort_multiplications,
)
from tfyolo.inputs import MODEL, check_input, read_input

_ALLOWED = """
Abs Add AvgPool BatchNormInference Broadcast Ceiling Clamp Concat Const Convert ConvertLike Convolution
ConvolutionBackpropData Cos CumSum DepthToSpace Divide Elu Equal Erf Exp FakeQuantize Floor FloorMod
Gather GatherElements GatherND Gelu Greater GreaterEqual GroupConvolution GroupConvolutionBackpropData
HSigmoid HSwish HardSigmoid Interpolate Less LessEqual Log LogSoftmax LogicalAnd LogicalNot LogicalOr
LogicalXor MVN MatMul MaxPool Maximum Minimum Mish Mod Multiply Negative NonMaxSuppression NotEqual
OneHot PReLU Pad Parameter Power Range ReLU ReduceL2 ReduceLogicalAnd ReduceLogicalOr ReduceMax
ReduceMean ReduceMin ReduceProd ReduceSum Reshape Result Reverse Round ScaledDotProductAttention
ScatterNDUpdate Select Selu ShapeOf Sigmoid Sign Sin Slice SoftPlus SoftSign SoftMax SpaceToDepth Split
Sqrt SquaredDifference Squeeze StridedSlice Subtract Swish Tanh Tile TopK Transpose Unsqueeze
VariadicSplit
"""
ALLOWED = frozenset(_ALLOWED.split())
"""Layer types that `model.xml` may contain, as files spell them."""
_LOADED = frozenset(name.lower() for name in (*ALLOWED, "Constant"))
"""The same as types of loaded operations, some of which are spelled in another way."""
_ATTENTION = "ScaledDotProductAttention"
"""The operation into which OpenVINO fuses attention layers when it converts a model."""
_EXPANDING = ("Broadcast", "Tile", "Range", "Interpolate", "OneHot", "MatMul", _ATTENTION)
"""Operations whose output may be larger than their inputs."""
Shape = tuple[int, ...]
Shapes = list[Shape]
_VERSION = re.compile(r"opset\d{1,2}")


def check_folder(folder: Path) -> None:
    """Refuse a folder whose model contains layers that are not on the allow-list, or whose files are links.

    Args:
        folder: contains `model.xml` and `model.bin`.

    Raises:
        TfyoloError: the message names the layer or the file.
    """
    path, weights = folder / MODEL_FILE, folder / WEIGHTS_FILE
    for file in (path, weights):
        if file.is_symlink():
            raise foreign(f"{file.name} as a link", folder)
    content = read_input(path, MODEL)
    check_input(weights, MODEL)
    # Without a document type there are no entities, which could expand to gigabytes or read other files.
    if not content.startswith((b"<?xml", b"<net")) or b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise foreign("a document type or another encoding", path)
    try:
        elements = list(ElementTree.fromstring(content).iter())  # noqa: S314 - no entities, see above
    except (ElementTree.ParseError, ValueError) as error:
        raise TfyoloError("is damaged or not an OpenVINO model", path=path, fix="export it again") from error
    if b"xmlns" in content or any("{" in element.tag or ":" in element.tag for element in elements):
        raise foreign("an XML namespace", path)
    for layer in (element for element in elements if element.tag == "layer"):
        layer_type, version = layer.get("type", ""), layer.get("version", "")
        if layer_type not in ALLOWED or not _VERSION.fullmatch(version):
            raise refused_operation(f"{version}.{layer_type}", path)


def check_resources(model: Any, image_size: tuple[int, int], batch_size: int, folder: Path) -> None:
    """Refuse a model that exceeds the budget of memory and arithmetic, or whose tensors are unbounded.

    Args:
        model: openvino.Model; not modified.
        image_size: height and width in pixels.
        batch_size: largest number of images per call.
        folder: the model's folder, for messages.

    Raises:
        TfyoloError: the message names the operation.
    """
    budget = Budget(folder, batch_size * image_size[0] * image_size[1])
    if batch_size > 1:
        model = model.clone()
        model.reshape([batch_size, *image_size, 3])
    unbounded: set[str] = set()
    for operation in model.get_ordered_ops():
        name, operation_type = operation.get_friendly_name(), operation.get_type_name()
        if operation_type.lower() not in _LOADED:
            raise refused_operation(operation_type, folder)
        budget.operation(name)
        output_shapes: list[Shape] = []
        for output in operation.outputs():
            shape = output.get_partial_shape()
            if shape.rank.is_dynamic:
                raise foreign(f"{operation_type}, whose result has no rank ({name[:60]!r})", folder)
            if any(dim.get_max_length() < 0 for dim in shape):
                # The rows that pad the selected boxes are unknown to OpenVINO, and so is the length of all
                # tensors that are computed from the padded boxes.
                sources = {value.get_node().get_friendly_name() for value in operation.input_values()}
                if operation_type in _EXPANDING or not (operation_type == "Pad" or sources & unbounded):
                    raise foreign(f"{operation_type}, whose result is unbounded ({name[:60]!r})", folder)
                unbounded.add(name)
                continue
            sizes = tuple(dim.get_max_length() for dim in shape)
            itemsize = max(output.get_element_type().bitwidth // 8, 1)
            output_shapes.append(sizes)
            budget.tensor(name, sizes, itemsize, counted=operation_type != "Constant")
            if operation_type == _ATTENTION:
                query, key = (_max_shape(operation.input(i)) for i in (0, 1))
                # The score of each query and key is an internal tensor of the fused operation.
                scores = budget.tensor(f"{name} (scores)", (*query[:-1], key[-2]), itemsize)
                budget.charge(name, scores * (key[-1] + sizes[-1]))
        input_shapes = [_max_shape(port) for port in operation.inputs()]
        cost = _COSTS.get(operation_type)
        multiplications = 0
        if cost is not None and len(output_shapes) == len(operation.outputs()):
            multiplications = cost(operation, input_shapes, output_shapes)
        budget.work(name, input_shapes, output_shapes, multiplications)


def _max_shape(port: Any) -> Shape:
    """Return the largest shape of a tensor; an unbounded dimension counts as 1."""
    return tuple(max(dim.get_max_length(), 1) for dim in port.get_partial_shape())


def _convolution(operation: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(outputs[0]) * math.prod(inputs[1][1:])


def _group_convolution(operation: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(outputs[0]) * math.prod(inputs[1][2:])


def _convolution_transpose(operation: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(inputs[0]) * math.prod(inputs[1][1:])


def _group_convolution_transpose(operation: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(inputs[0]) * math.prod(inputs[1][2:])


def _matmul(operation: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(outputs[0]) * max(inputs[1], default=1)


def _pool(operation: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(outputs[0]) * math.prod(operation.get_attributes()["kernel"])


def _nms(operation: Any, inputs: Shapes, outputs: Shapes) -> int:
    batch_size, num_classes, num_boxes = inputs[1]
    selected = -(-outputs[0][0] // max(batch_size * num_classes, 1))
    return batch_size * num_classes * nms_multiplications(num_boxes, selected)


def _top_k(operation: Any, inputs: Shapes, outputs: Shapes) -> int:
    return sort_multiplications(math.prod(inputs[0]))


_COSTS: dict[str, Callable[[Any, Shapes, Shapes], int]] = {
    "Convolution": _convolution,
    "GroupConvolution": _group_convolution,
    "ConvolutionBackpropData": _convolution_transpose,
    "GroupConvolutionBackpropData": _group_convolution_transpose,
    "MatMul": _matmul,
    "MaxPool": _pool,
    "AvgPool": _pool,
    "NonMaxSuppression": _nms,
    "TopK": _top_k,
}
"""Cost functions of the operations that need more than one multiplication per element."""
