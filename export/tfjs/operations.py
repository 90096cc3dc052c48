"""Allow-list of TensorFlow operations in TF.js graph models, for export and for untrusted folders."""

from __future__ import annotations

FUSED_CONVOLUTIONS = {"Conv2D": "_FusedConv2D", "DepthwiseConv2dNative": "FusedDepthwiseConv2dNative"}
"""Convolutions, and TF.js' fused operations of a convolution with its bias and activation."""
FUSED_OPERATIONS = {**FUSED_CONVOLUTIONS, "MatMul": "_FusedMatMul"}
"""The same for matrix products, too."""

_OPERATIONS = """
Abs Add AddN AddV2 All Any ArgMax ArgMin AvgPool BatchMatMul BatchMatMulV2 BatchToSpaceND BiasAdd
BroadcastArgs BroadcastTo Cast Ceil ClipByValue Concat ConcatV2 Const Conv2D Conv2DBackpropInput Cos
Cumsum DepthToSpace DepthwiseConv2dNative Div DivNoNan Elu Equal Erf Exp ExpandDims Expm1 Fill Floor
FloorDiv FloorMod FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 FusedDepthwiseConv2dNative Gather
GatherNd GatherV2 Greater GreaterEqual Identity IdentityN IsFinite IsInf IsNan LeakyRelu Less
LessEqual LinSpace Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr MatMul Max MaxPool Maximum
Mean Min Minimum MirrorPad Mod Mul Neg NoOp NonMaxSuppressionV2 NonMaxSuppressionV3
NonMaxSuppressionV4 NonMaxSuppressionV5 NotEqual OneHot OnesLike Pack Pad PadV2 Placeholder Pow Prelu
Prod Range Rank RealDiv Reciprocal Relu Relu6 Reshape ResizeBilinear ResizeNearestNeighbor Reverse
ReverseV2 Round Rsqrt ScatterNd Select SelectV2 Selu Shape ShapeN Sigmoid Sign Sin Size Slice
Snapshot Softmax Softplus SpaceToBatchND Split SplitV Sqrt Square SquaredDifference Squeeze
StopGradient StridedSlice Sub Sum Tanh TensorScatterUpdate Tile TopKV2 Transpose Unpack ZerosLike
_FusedConv2D _FusedMatMul
"""
OPERATIONS = frozenset(_OPERATIONS.split())
"""Pure operations that TF.js implements. Its converter accepts three more, which are excluded: Einsum is
missing in the wasm backend, EnsureShape fails at run time, and FakeQuantWithMinMaxVars is ignored."""
