"""Allow-list of ONNX operators, and a cost model of the expensive ones.

All allowed operators are pure, belong to ONNX's default domain, and contain no subgraphs. They are the ones
that `tfyolo export` writes and those of other exporters of YOLO networks: PyTorch, tf2onnx, Keras, and ONNX
Runtime's quantizer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tfyolo.export.runtime.budget import nms_multiplications, sort_multiplications

_ALLOWED = """
Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Concat Constant ConstantOfShape
Conv ConvTranspose Cos CumSum DepthToSpace DequantizeLinear Div Elu Equal Erf Exp Expand Flatten Floor
Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual
HardSigmoid HardSwish Identity InstanceNormalization LayerNormalization LeakyRelu Less LessOrEqual Log
LogSoftmax MatMul Max MaxPool Mean Min Mish Mod Mul Neg NonMaxSuppression Not OneHot Or PRelu Pad Pow
QuantizeLinear Range Reciprocal ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
ReduceSumSquare Relu Reshape Resize Round ScatterND Selu Shape Sigmoid Sign Sin Size Slice Softmax
Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh Tile TopK Transpose Unsqueeze Upsample
Where Xor
"""
ALLOWED = frozenset(_ALLOWED.split())
Shape = tuple[int, ...]
Shapes = list[Shape]


def multiplications(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    """Return the number of multiplications of a node, or an equivalent of other work.

    Args:
        node: NodeProto.
        inputs: shapes of its inputs.
        outputs: shapes of its outputs.

    Returns:
        The number; 0 for operators with at most one multiplication per element.
    """
    cost = _COSTS.get(node.op_type)
    return cost(node, inputs, outputs) if cost is not None else 0


def workspace_shape(node: Any, inputs: Shapes, outputs: Shapes) -> Shape:
    """Return the shape of the im2col buffer of a convolution; () for other operators.

    Args:
        node: NodeProto.
        inputs: shapes of its inputs.
        outputs: shapes of its outputs.

    Returns:
        (elements of a kernel, positions it is applied to), or ().
    """
    if node.op_type == "Conv":
        return (math.prod(inputs[1][1:]), math.prod(outputs[0][2:]))
    if node.op_type == "ConvTranspose":
        return (math.prod(inputs[1][1:]), math.prod(inputs[0][2:]))
    return ()


def _conv(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(outputs[0]) * math.prod(inputs[1][1:])


def _conv_transpose(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(inputs[0]) * math.prod(inputs[1][1:])


def _matmul(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(outputs[0]) * inputs[0][-1]


def _gemm(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(outputs[0]) * max(inputs[0])


def _pool(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    sizes = [math.prod(attribute.ints) for attribute in node.attribute if attribute.name == "kernel_shape"]
    return math.prod(outputs[0]) * max([*sizes, 1])


def _nms(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    batch_size, num_boxes = inputs[0][:2]
    num_classes = inputs[1][1]
    selected = -(-outputs[0][0] // max(batch_size * num_classes, 1))
    return batch_size * num_classes * nms_multiplications(num_boxes, selected)


def _top_k(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    return sort_multiplications(math.prod(inputs[0]))


_COSTS: dict[str, Callable[[Any, Shapes, Shapes], int]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "NonMaxSuppression": _nms,
    "TopK": _top_k,
}
"""Cost functions of the operators that need more than one multiplication per element."""
