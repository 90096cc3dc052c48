"""Allow-list of TensorFlow operations, and a cost model of the expensive ones.

All allowed operations are pure: their outputs depend on their inputs only, and they have no side effects (a
test asks TensorFlow's registry). They are the ones that `tfyolo export` writes and those of other exporters
of YOLO networks: Keras, the export scripts of YOLOv5 and its successors, and onnx2tf.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tfyolo.export.runtime.budget import nms_multiplications, sort_multiplications

_ELEMENTWISE = """
Abs Add AddN AddV2 ApproximateEqual BiasAdd BiasAddV1 Cast Ceil ClipByValue Cos Div DivNoNan Elu Equal Erf
Erfc Exp Expm1 Floor FloorDiv FloorMod Greater GreaterEqual Identity IdentityN Inv IsFinite IsInf IsNan
LeakyRelu Less LessEqual Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr Maximum Minimum Mod Mul
MulNoNan Neg NotEqual OnesLike Pow PreventGradient RealDiv Reciprocal Relu Relu6 Rint Round Rsqrt Select
SelectV2 Selu Sigmoid Sign Sin Snapshot Softmax Softplus Softsign Sqrt Square SquaredDifference StopGradient
Sub Tanh TruncateDiv TruncateMod ZerosLike
"""
_SHAPES = """
BatchToSpaceND BroadcastArgs BroadcastTo Concat ConcatV2 DepthToSpace EnsureShape ExpandDims Fill Gather
GatherNd GatherV2 InvertPermutation LinSpace MirrorPad OneHot Pack Pad PadV2 Range Rank Reshape Reverse
ReverseV2 Roll ScatterNd Shape ShapeN Size Slice SpaceToBatchND SpaceToDepth Split SplitV Squeeze
StridedSlice TensorScatterUpdate Tile Transpose Unpack
"""
_REDUCTIONS = "All Any ArgMax ArgMin Cumsum Max Mean Min Prod Sum TopK TopKV2"
_LAYERS = """
AvgPool BatchMatMul BatchMatMulV2 BatchMatMulV3 Conv2D Conv2DBackpropInput DepthwiseConv2dNative Einsum
FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel FusedBatchNorm
FusedBatchNormV2 FusedBatchNormV3 MatMul MaxPool ResizeBilinear ResizeNearestNeighbor
"""
_SINGLE_CLASS_NMS = """
NonMaxSuppression NonMaxSuppressionV2 NonMaxSuppressionV3 NonMaxSuppressionV4 NonMaxSuppressionV5
"""
_COMBINED_NMS = "CombinedNonMaxSuppression"
_SAVER = """
DisableCopyOnRead MergeV2Checkpoints RestoreV2 SaveV2 ShardedFilename StaticRegexFullMatch StringJoin
"""

ALLOWED = frozenset(
    " ".join([_ELEMENTWISE, _SHAPES, _REDUCTIONS, _LAYERS, _SINGLE_CLASS_NMS, _COMBINED_NMS]).split()
)
"""Pure operations, which are rebuilt and run."""
CALLS = frozenset(["PartitionedCall", "StatefulPartitionedCall"])
"""Function calls, which are inlined."""
SOURCES = frozenset(["Const", "Placeholder", "PlaceholderWithDefault", "VarHandleOp", "ReadVariableOp"])
"""Constants, inputs and variables. Variables become constants."""
IGNORED = frozenset(["NoOp", "Assert"])
"""Operations that others may have as control inputs; they are not rebuilt."""
STATE = frozenset(["AssignVariableOp", "VarIsInitializedOp"])
"""State operations that exporters leave in the graph outside of the signature; they are never rebuilt."""
SAVER = frozenset(_SAVER.split())
"""Operations of the saver that TensorFlow adds to every SavedModel; they are never rebuilt."""

Shapes = list[tuple[int, ...]]


def multiplications(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    """Return the number of multiplications of a node, or an equivalent of other work.

    Args:
        node: NodeDef.
        inputs: shapes of its inputs.
        outputs: shapes of its outputs.

    Returns:
        The number; 0 for operations with at most one multiplication per element.
    """
    cost = _COSTS.get(node.op)
    return cost(node, inputs, outputs) if cost is not None else 0


def _conv(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    height, width, channels, _ = inputs[1]
    return math.prod(outputs[0]) * height * width * channels


def _depthwise(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(outputs[0]) * inputs[1][0] * inputs[1][1]


def _conv_transpose(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(inputs[2]) * math.prod(inputs[1][:3])


def _matmul(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    transposed = node.attr["transpose_a"].b or node.attr["adj_x"].b
    return math.prod(outputs[0]) * inputs[0][-2 if transposed else -1]


def _einsum(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    """Return the product of all index sizes; an input with an ellipsis counts with all its elements."""
    sizes: dict[str, int] = {}
    equation, ellipsis_elements = node.attr["equation"].s.decode(errors="replace").replace(" ", ""), 1
    for term, shape in zip(equation.partition("->")[0].split(","), inputs, strict=False):
        if "." in term:
            ellipsis_elements *= math.prod(shape)
        else:
            sizes.update(zip(term, shape, strict=False))
    return math.prod(sizes.values()) * ellipsis_elements


def _pool(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(outputs[0]) * max(math.prod(node.attr["ksize"].list.i), 1)


def _nms(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    return nms_multiplications(inputs[0][0], outputs[0][0])


def _combined_nms(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    batch_size, num_boxes = inputs[0][:2]
    num_classes, max_selected = inputs[1][2], max(outputs[0][1], 1)
    return batch_size * num_classes * nms_multiplications(num_boxes, max_selected)


def _top_k(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    return sort_multiplications(math.prod(inputs[0]))


_COSTS: dict[str, Callable[[Any, Shapes, Shapes], int]] = {
    "Conv2D": _conv,
    "DepthwiseConv2dNative": _depthwise,
    "Conv2DBackpropInput": _conv_transpose,
    "MatMul": _matmul,
    "BatchMatMul": _matmul,
    "BatchMatMulV2": _matmul,
    "BatchMatMulV3": _matmul,
    "Einsum": _einsum,
    "MaxPool": _pool,
    "AvgPool": _pool,
    "TopK": _top_k,
    "TopKV2": _top_k,
    _COMBINED_NMS: _combined_nms,
    **dict.fromkeys(_SINGLE_CLASS_NMS.split(), _nms),
}
"""Cost functions of the operations that need more than one multiplication per element."""
