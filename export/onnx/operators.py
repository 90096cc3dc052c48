"""Operators that an untrusted ONNX graph may hold, and what each of them costs.

All are pure, of ONNX's own domain and without graphs inside. They are those that `tfyolo export` writes and
those of other exporters of YOLO networks: PyTorch's, tf2onnx, Keras, ONNX Runtime's quantizer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

ALLOWED = frozenset(
    """
    Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Concat Constant ConstantOfShape
    Conv ConvTranspose Cos CumSum DepthToSpace DequantizeLinear Div Elu Equal Erf Exp Expand Flatten Floor
    Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual
    HardSigmoid HardSwish Identity InstanceNormalization LayerNormalization LeakyRelu Less LessOrEqual Log
    LogSoftmax MatMul Max MaxPool Mean Min Mish Mod Mul Neg NonMaxSuppression Not OneHot Or PRelu Pad Pow
    QuantizeLinear Range Reciprocal ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
    ReduceSumSquare Relu Reshape Resize Round ScatterND Selu Shape Sigmoid Sign Sin Size Slice Softmax
    Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh Tile TopK Transpose Unsqueeze Upsample
    Where Xor
    """.split()  # noqa: SIM905
)
Shape = tuple[int, ...]
Shapes = list[Shape]
_COMPARISON = 16
"""What the IoU of two boxes costs, in multiplications."""


def products(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    """Multiplications of a node of `COSTLY`, or what takes as long."""
    return COSTLY[node.op_type](node, inputs, outputs)


def workspace(node: Any, inputs: Shapes, outputs: Shapes) -> Shape:
    """Shape of what a convolution lays out for its matrix product; () for other operators."""
    if node.op_type == "Conv":
        return (math.prod(inputs[1][1:]), math.prod(outputs[0][2:]))
    if node.op_type == "ConvTranspose":
        return (math.prod(inputs[1][1:]), math.prod(inputs[0][2:]))
    return ()


def _convolution(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(outputs[0]) * math.prod(inputs[1][1:])


def _transposed(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(inputs[0]) * math.prod(inputs[1][1:])


def _matrices(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(outputs[0]) * inputs[0][-1]


def _general(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(outputs[0]) * max(inputs[0])


def _pooling(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    sizes = [math.prod(attribute.ints) for attribute in node.attribute if attribute.name == "kernel_shape"]
    return math.prod(outputs[0]) * max([*sizes, 1])


def _suppression(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    batch, boxes = inputs[0][:2]
    classes = inputs[1][1]
    kept = min(boxes, -(-outputs[0][0] // max(batch * classes, 1)))
    return batch * classes * boxes * kept * _COMPARISON


def _sorting(node: Any, inputs: Shapes, outputs: Shapes) -> int:
    return math.prod(inputs[0]) * 32


COSTLY: Mapping[str, Callable[[Any, Shapes, Shapes], int]] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "MatMul": _matrices,
    "Gemm": _general,
    "MaxPool": _pooling,
    "AveragePool": _pooling,
    "NonMaxSuppression": _suppression,
    "TopK": _sorting,
}
"""Operators with more than one multiplication per element, and how many these are."""
