"""TensorFlow's operations that a TF.js graph model may hold: what is exported, and what is run."""

from __future__ import annotations

CONVOLUTIONS = {"Conv2D": "_FusedConv2D", "DepthwiseConv2dNative": "FusedDepthwiseConv2dNative"}
"""Convolutions, and the operations that TF.js has for one with its bias and activation."""
FUSED = {**CONVOLUTIONS, "MatMul": "_FusedMatMul"}

OPERATIONS = frozenset(
    """
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
    """.split()  # noqa: SIM905
)
"""Pure operations that TF.js implements. Its converter knows the names of three more: Einsum is missing in
its wasm backend, EnsureShape fails when it is run, and FakeQuantWithMinMaxVars is ignored."""
