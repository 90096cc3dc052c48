"""Vets untrusted OpenVINO folders: layers of an allow-list, weights beside the model, bounded tensors.

By how much kept boxes are padded, OpenVINO does not know beforehand; that alone is not bounded here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.budget import Budget, foreign, refused_operation
from tfyolo.inputs import MODEL, check_input, read_input

MODEL_FILE, WEIGHTS_FILE = "model.xml", "model.bin"
ALLOWED = frozenset(
    """
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
    """.split()  # noqa: SIM905
)
"""Types of layers as files name them: plain operations of OpenVINO's own sets; no loops, branches, states
or extensions."""
_ATTENTION = "ScaledDotProductAttention"
"""Into which OpenVINO fuses the layers of attention when it converts a model."""
_GROWING = ("Broadcast", "Tile", "Range", "Interpolate", "OneHot", "MatMul", _ATTENTION)
_VERSION = re.compile(r"opset\d{1,2}")


def check_folder(folder: Path) -> None:
    """Refuse a folder whose model holds layers that exporters do not write, or whose files are links.

    Raises:
        TfyoloError: naming the layer or the file.
    """
    path, weights = folder / MODEL_FILE, folder / WEIGHTS_FILE
    for file in (path, weights):
        if file.is_symlink():
            raise foreign(f"{file.name} as a link", folder)
    content = read_input(path, MODEL)
    check_input(weights, MODEL)
    # Without a document type there are no entities that stand for much or for other files.
    if not content.startswith((b"<?xml", b"<net")) or b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise foreign("a document type or another encoding", path)
    try:
        layers = list(ElementTree.fromstring(content).iter("layer"))  # noqa: S314 - see above
    except (ElementTree.ParseError, ValueError) as error:
        raise TfyoloError("is damaged or no model", path=path, fix="export it again") from error
    for layer in layers:
        kind, version = layer.get("type", ""), layer.get("version", "")
        if kind not in ALLOWED or not _VERSION.fullmatch(version):
            raise refused_operation(f"{version}.{kind}", path)


def check_sizes(model: Any, image_size: tuple[int, int], batch: int, folder: Path) -> None:
    """Refuse a model whose tensors are too large or have no bound.

    Args:
        model: openvino.Model; it is not changed.
        image_size: height and width of images in pixels.
        batch: most images at once.
        folder: for messages.

    Raises:
        TfyoloError: naming the operation.
    """
    budget = Budget(folder, batch * image_size[0] * image_size[1])
    if batch > 1:
        model = model.clone()
        model.reshape([batch, *image_size, 3])
    padded: set[str] = set()
    for operation in model.get_ordered_ops():
        name, kind = operation.get_friendly_name(), operation.get_type_name()
        budget.operation(name)
        for output in operation.outputs():
            shape = output.get_partial_shape()
            if shape.rank.is_dynamic or any(dim.get_max_length() < 0 for dim in shape):
                # OpenVINO does not know how many rows pad the selected boxes; their readers are as long.
                reads = {value.get_node().get_friendly_name() for value in operation.input_values()}
                if kind in _GROWING or not (kind == "Pad" or reads & padded):
                    raise foreign(f"{kind}, whose result has no bound ({name[:60]!r})", folder)
                padded.add(name)
                continue
            sizes = tuple(dim.get_max_length() for dim in shape)
            item = max(output.get_element_type().bitwidth // 8, 1)
            elements = budget.tensor(name, sizes, item, counted=kind != "Constant")
            if kind in ("Convolution", "GroupConvolution", "MatMul"):
                right = operation.input(1).get_partial_shape()
                depth = max((dim.get_max_length() for dim in right), default=1)
                if kind != "MatMul":
                    depth = 1
                    for dim in list(right)[1 if kind == "Convolution" else 2 :]:
                        depth *= dim.get_max_length()
                budget.work(name, elements * max(depth, 1))
            if kind == _ATTENTION:
                query, key = (operation.input(i).get_partial_shape() for i in (0, 1))
                lengths = [dim.get_max_length() for dim in (*list(query)[:-1], list(key)[-2])]
                # The scores of each query and key are made inside.
                scores = budget.tensor(f"{name} (scores)", tuple(lengths), item)
                budget.work(name, scores * (list(key)[-1].get_max_length() + sizes[-1]))
