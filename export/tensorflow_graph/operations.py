"""Operations that an untrusted TensorFlow graph may hold, and what each of them costs.

All are pure: their results depend on their inputs alone, and they touch nothing else (a test asks
TensorFlow's own registry). They are those that `tfyolo export` writes and those of other exporters of YOLO
networks: Keras, YOLOv5's and its successors' export scripts, onnx2tf.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

_ELEMENTWISE = """
Abs Add AddN AddV2 ApproximateEqual BiasAdd BiasAddV1 Cast Ceil ClipByValue Cos Div DivNoNan Elu Equal Erf
Erfc Exp Expm1 Floor FloorDiv FloorMod Greater GreaterEqual Identity IdentityN Inv IsFinite IsInf IsNan
LeakyRelu Less LessEqual Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr Maximum Minimum Mod Mul
MulNoNan Neg NotEqual OnesLike Pow PreventGradient RealDiv Reciprocal Relu Relu6 Rint Round Rsqrt Select
SelectV2 Selu Sigmoid Sign Sin Snapshot Softmax Softplus Softsign Sqrt Square SquaredDifference StopGradient
Sub Tanh TruncateDiv TruncateMod ZerosLike
""".split()  # noqa: SIM905
_SHAPES = """
BatchToSpaceND BroadcastArgs BroadcastTo Concat ConcatV2 DepthToSpace EnsureShape ExpandDims Fill Gather
GatherNd GatherV2 InvertPermutation LinSpace MirrorPad OneHot Pack Pad PadV2 Range Rank Reshape Reverse
ReverseV2 Roll ScatterNd Shape ShapeN Size Slice SpaceToBatchND SpaceToDepth Split SplitV Squeeze
StridedSlice TensorScatterUpdate Tile Transpose Unpack
""".split()  # noqa: SIM905
_REDUCTIONS = "All Any ArgMax ArgMin Cumsum Max Mean Min Prod Sum TopK TopKV2".split()  # noqa: SIM905
_LAYERS = """
AvgPool BatchMatMul BatchMatMulV2 BatchMatMulV3 Conv2D Conv2DBackpropInput DepthwiseConv2dNative Einsum
FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel FusedBatchNorm
FusedBatchNormV2 FusedBatchNormV3 MatMul MaxPool ResizeBilinear ResizeNearestNeighbor
""".split()  # noqa: SIM905
_SUPPRESSION = """
CombinedNonMaxSuppression NonMaxSuppression NonMaxSuppressionV2 NonMaxSuppressionV3 NonMaxSuppressionV4
NonMaxSuppressionV5
""".split()  # noqa: SIM905
ALLOWED = frozenset([*_ELEMENTWISE, *_SHAPES, *_REDUCTIONS, *_LAYERS, *_SUPPRESSION])
"""Pure operations, which are built and run."""

CALLS = frozenset(["PartitionedCall", "StatefulPartitionedCall"])
"""Calls of functions, whose operations are put in their place."""
READ = frozenset(["Const", "Placeholder", "PlaceholderWithDefault", "VarHandleOp", "ReadVariableOp"])
"""What the import itself reads: constants, the input, and variables, which become constants."""
IGNORED = frozenset(["NoOp", "Assert"])
"""What may be waited for, and is left out."""
STATE = frozenset(["AssignVariableOp", "VarIsInitializedOp"])
"""What exporters leave in the graph beside the signature. It is never built here."""
SAVING = frozenset(
    """
    DisableCopyOnRead MergeV2Checkpoints RestoreV2 SaveV2 ShardedFilename StaticRegexFullMatch StringJoin
    """.split()  # noqa: SIM905
)
"""What TensorFlow puts into every SavedModel for its own saver. It is never built here."""

_COMPARISON = 16
"""What the IoU of two boxes costs, in multiplications."""


def products(node: Any, inputs: list[Any], outputs: list[Any]) -> int:
    """Multiplications of a node, or what takes as long; 0 where there is one per element or fewer.

    Args:
        node: NodeDef.
        inputs: tensors with static shapes.
        outputs: likewise.
    """
    cost = _PRODUCTS.get(node.op)
    return (
        cost(node, [x.shape.as_list() for x in inputs], [x.shape.as_list() for x in outputs]) if cost else 0
    )


Shapes = list[list[int]]


def _convolution(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    height, width, channels, _ = inputs[1]
    return math.prod(outputs[0]) * height * width * channels


def _depthwise(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(outputs[0]) * inputs[1][0] * inputs[1][1]


def _transposed(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(inputs[2]) * math.prod(inputs[1][:3])


def _matrices(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    transposed = node.attr["transpose_a"].b or node.attr["adj_x"].b
    return math.prod(outputs[0]) * inputs[0][-2 if transposed else -1]


def _einsum(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    """The product of all dimensions that appear, each once; an ellipsis counts for its whole input."""
    sizes: dict[str, int] = {}
    equation, rest = node.attr["equation"].s.decode(errors="replace").replace(" ", ""), 1
    for term, shape in zip(equation.partition("->")[0].split(","), inputs, strict=False):
        if "." in term:
            rest *= math.prod(shape)
        else:
            sizes.update(zip(term, shape, strict=False))
    return math.prod(sizes.values()) * rest


def _pooling(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(outputs[0]) * max(math.prod(node.attr["ksize"].list.i), 1)


def _suppression(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    boxes = inputs[0][0]
    return boxes * min(boxes, outputs[0][0]) * _COMPARISON


def _combined(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    # Any number of a class may be kept, up to all boxes.
    batch, boxes = inputs[0][:2]
    return batch * inputs[1][2] * boxes * min(boxes, max(outputs[0][1], 1)) * _COMPARISON


def _sorting(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(inputs[0]) * 32


_PRODUCTS: dict[str, Callable[[Any, Shapes, Shapes], int]] = {
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "Conv2DBackpropInput": _transposed,
    "MatMul": _matrices,
    "BatchMatMul": _matrices,
    "BatchMatMulV2": _matrices,
    "BatchMatMulV3": _matrices,
    "Einsum": _einsum,
    "MaxPool": _pooling,
    "AvgPool": _pooling,
    "TopK": _sorting,
    "TopKV2": _sorting,
    "CombinedNonMaxSuppression": _combined,
    **dict.fromkeys(
        (name for name in _SUPPRESSION if name != "CombinedNonMaxSuppression"),
        _suppression,
    ),
}
