"""Tables of TensorFlow Lite's flatbuffer schema that an exported model can have, field by field.

The index of a field is its field identifier in schema.fbs. `None` marks a field that exported models do not
have: a file with such a field is refused, since the interpreter would read values that were not verified.
tests/export/tflite/test_vetting.py compares the numbers of fields with LiteRT's own schema.

Source: https://github.com/tensorflow/tensorflow/blob/v2.18.0/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SCALARS = {"bool": "B", "u8": "B", "i8": "b", "i32": "i", "u32": "I", "u64": "Q", "f32": "f"}
"""Kinds of scalars and their `struct` formats."""
ITEM_BYTES = {"bool": 1, "u8": 1, "i8": 1, "i32": 4, "u32": 4, "u64": 8, "f32": 4, "i64": 8}


@dataclass(frozen=True)
class Field:
    """One field of a table.

    Attributes:
        name: name in schema.fbs.
        kind: a key of `SCALARS`, `string`, `vector` (of scalars), `table`, `tables` (a vector of tables), or
            `union`, whose type is in the field before it.
        item_type: kind of the items of a vector; name of the tables of `table` and `tables`.
        default: value of a scalar that is not in the file.
        max_length: maximum length of a vector.
    """

    name: str
    kind: str
    item_type: str = ""
    default: Any = 0
    max_length: int = 2**31


def _vector(name: str, item_type: str, max_length: int = 2**31) -> Field:
    return Field(name, "vector", item_type, None, max_length)


def _tables(name: str, item_type: str, max_length: int) -> Field:
    return Field(name, "tables", item_type, (), max_length)


def _scalars(kind: str, *names: str, default: Any = 0) -> tuple[Field, ...]:
    return tuple(Field(name, kind, default=default) for name in names)


MAX_TENSORS = 20_000
"""Maximum number of tensors; the largest YOLOv5 export has 2,000."""
MAX_RANK = 6

_WITHOUT_FIELDS = """
Pad PadV2 TopKV2 Transpose Exp Cos Dequantize MaximumMinimum Tile Greater GreaterEqual Less LessEqual Equal
NotEqual Neg Select SelectV2 Slice ExpandDims Pow LogicalOr LogicalAnd LogicalNot Abs HardSwish Square
SquaredDifference Quantize BroadcastTo FloorDiv NonMaxSuppressionV4 NonMaxSuppressionV5
"""
"""Options without fields, without the ending of their names."""

TABLES: dict[str, tuple[Field | None, ...]] = {
    "Model": (
        Field("version", "u32"),
        _tables("operator_codes", "OperatorCode", 1000),
        _tables("subgraphs", "SubGraph", 100),
        Field("description", "string"),
        _tables("buffers", "Buffer", 2 * MAX_TENSORS),
        _vector("metadata_buffer", "i32", 1000),
        _tables("metadata", "Metadata", 1000),
        _tables("signature_defs", "SignatureDef", 100),
        None,  # external buffers, in files of their own
        None,
    ),
    "OperatorCode": (
        Field("deprecated_builtin_code", "i8"),
        Field("custom_code", "string"),
        Field("version", "i32", default=1),
        Field("builtin_code", "i32"),
    ),
    "SubGraph": (
        _tables("tensors", "Tensor", MAX_TENSORS),
        _vector("inputs", "i32", 100),
        _vector("outputs", "i32", 100),
        _tables("operators", "Operator", MAX_TENSORS),
        Field("name", "string"),
        Field("debug_metadata_index", "i32", default=-1),
    ),
    "Tensor": (
        _vector("shape", "i32", MAX_RANK),
        Field("type", "i8"),
        Field("buffer", "u32"),
        Field("name", "string"),
        Field("quantization", "table", "QuantizationParameters", None),
        Field("is_variable", "bool"),
        None,  # sparsity
        _vector("shape_signature", "i32", MAX_RANK),
        Field("has_rank", "bool"),
        None,  # tensors of variants
        Field("external_buffer", "u32"),
    ),
    "QuantizationParameters": (
        _vector("min", "f32"),
        _vector("max", "f32"),
        _vector("scale", "f32"),
        _vector("zero_point", "i64"),
        Field("details_type", "u8"),
        None,
        Field("quantized_dimension", "i32"),
    ),
    "Operator": (
        Field("opcode_index", "u32"),
        _vector("inputs", "i32", 10_000),
        _vector("outputs", "i32", 1000),
        Field("builtin_options_type", "u8"),
        Field("builtin_options", "union"),
        _vector("custom_options", "u8"),
        Field("custom_options_format", "i8"),
        _vector("mutating_variable_inputs", "bool", 1000),
        _vector("intermediates", "i32", 1000),
        Field("large_custom_options_offset", "u64"),
        Field("large_custom_options_size", "u64"),
        Field("builtin_options_2_type", "u8"),
        None,
        Field("debug_metadata_index", "i32", default=-1),
    ),
    "Buffer": (_vector("data", "u8"), Field("offset", "u64"), Field("size", "u64")),
    "Metadata": (Field("name", "string"), Field("buffer", "u32")),
    "SignatureDef": (
        _tables("inputs", "TensorMap", 100),
        _tables("outputs", "TensorMap", 100),
        Field("signature_key", "string"),
        None,  # deprecated
        Field("subgraph_index", "u32"),
    ),
    "TensorMap": (Field("name", "string"), Field("tensor_index", "u32")),
    "Conv2DOptions": (
        Field("padding", "i8"),
        *_scalars("i32", "stride_w", "stride_h"),
        Field("fused_activation_function", "i8"),
        *_scalars("i32", "dilation_w_factor", "dilation_h_factor", default=1),
        Field("quantized_bias_type", "i8"),
    ),
    "DepthwiseConv2DOptions": (
        Field("padding", "i8"),
        *_scalars("i32", "stride_w", "stride_h", "depth_multiplier"),
        Field("fused_activation_function", "i8"),
        *_scalars("i32", "dilation_w_factor", "dilation_h_factor", default=1),
    ),
    "Pool2DOptions": (
        Field("padding", "i8"),
        *_scalars("i32", "stride_w", "stride_h", "filter_width", "filter_height"),
        Field("fused_activation_function", "i8"),
    ),
    "FullyConnectedOptions": (
        *_scalars("i8", "fused_activation_function", "weights_format"),
        *_scalars("bool", "keep_num_dims", "asymmetric_quantize_inputs"),
        Field("quantized_bias_type", "i8"),
        None,
    ),
    "SoftmaxOptions": _scalars("f32", "beta"),
    "ConcatenationOptions": (Field("axis", "i32"), Field("fused_activation_function", "i8")),
    "AddOptions": (Field("fused_activation_function", "i8"), Field("pot_scale_int16", "bool", default=1)),
    "SubOptions": (Field("fused_activation_function", "i8"), Field("pot_scale_int16", "bool", default=1)),
    "MulOptions": _scalars("i8", "fused_activation_function"),
    "DivOptions": _scalars("i8", "fused_activation_function"),
    "ReshapeOptions": (_vector("new_shape", "i32", MAX_RANK),),
    "ResizeBilinearOptions": (None, None, *_scalars("bool", "align_corners", "half_pixel_centers")),
    "ResizeNearestNeighborOptions": _scalars("bool", "align_corners", "half_pixel_centers"),
    "StridedSliceOptions": (
        *_scalars("i32", "begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"),
        Field("offset", "bool"),
    ),
    "GatherOptions": _scalars("i32", "axis", "batch_dims"),
    "PackOptions": _scalars("i32", "values_count", "axis"),
    "UnpackOptions": _scalars("i32", "num", "axis"),
    "SqueezeOptions": (_vector("squeeze_dims", "i32", MAX_RANK),),
    "SplitOptions": _scalars("i32", "num_splits"),
    "SplitVOptions": _scalars("i32", "num_splits"),
    "ReducerOptions": _scalars("bool", "keep_dims"),
    "CastOptions": _scalars("i8", "in_data_type", "out_data_type"),
    "ArgMaxOptions": _scalars("i8", "output_type"),
    "BatchMatMulOptions": _scalars("bool", "adj_x", "adj_y", "asymmetric_quantize_inputs"),
    "CumsumOptions": _scalars("bool", "exclusive", "reverse"),
    "OneHotOptions": _scalars("i32", "axis"),
    "LeakyReluOptions": _scalars("f32", "alpha"),
    "GeluOptions": _scalars("bool", "approximate"),
} | {f"{name}Options": () for name in _WITHOUT_FIELDS.split()}

OPTIONS: dict[int, str] = {
    1: "Conv2DOptions",
    2: "DepthwiseConv2DOptions",
    5: "Pool2DOptions",
    8: "FullyConnectedOptions",
    9: "SoftmaxOptions",
    10: "ConcatenationOptions",
    11: "AddOptions",
    15: "ResizeBilinearOptions",
    17: "ReshapeOptions",
    21: "MulOptions",
    22: "PadOptions",
    23: "GatherOptions",
    26: "TransposeOptions",
    27: "ReducerOptions",
    28: "SubOptions",
    29: "DivOptions",
    30: "SqueezeOptions",
    32: "StridedSliceOptions",
    33: "ExpOptions",
    34: "TopKV2Options",
    35: "SplitOptions",
    37: "CastOptions",
    38: "DequantizeOptions",
    39: "MaximumMinimumOptions",
    40: "ArgMaxOptions",
    41: "LessOptions",
    42: "NegOptions",
    43: "PadV2Options",
    44: "GreaterOptions",
    45: "GreaterEqualOptions",
    46: "LessEqualOptions",
    47: "SelectOptions",
    48: "SliceOptions",
    51: "TileOptions",
    52: "ExpandDimsOptions",
    53: "EqualOptions",
    54: "NotEqualOptions",
    56: "PowOptions",
    59: "PackOptions",
    60: "LogicalOrOptions",
    61: "OneHotOptions",
    62: "LogicalAndOptions",
    63: "LogicalNotOptions",
    64: "UnpackOptions",
    65: "FloorDivOptions",
    66: "SquareOptions",
    74: "ResizeNearestNeighborOptions",
    75: "LeakyReluOptions",
    76: "SquaredDifferenceOptions",
    78: "AbsOptions",
    79: "SplitVOptions",
    84: "CosOptions",
    89: "QuantizeOptions",
    91: "HardSwishOptions",
    95: "NonMaxSuppressionV4Options",
    96: "NonMaxSuppressionV5Options",
    98: "SelectV2Options",
    101: "BatchMatMulOptions",
    102: "CumsumOptions",
    104: "BroadcastToOptions",
    116: "GeluOptions",
}
"""Of the union `BuiltinOptions`, the tables above."""

TYPES = {
    0: "float32",
    1: "float16",
    2: "int32",
    3: "uint8",
    4: "int64",
    6: "bool",
    7: "int16",
    9: "int8",
}
"""Of `TensorType`, as NumPy calls them."""

BUILTINS = {
    0: "ADD",
    1: "AVERAGE_POOL_2D",
    2: "CONCATENATION",
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    6: "DEQUANTIZE",
    8: "FLOOR",
    9: "FULLY_CONNECTED",
    14: "LOGISTIC",
    17: "MAX_POOL_2D",
    18: "MUL",
    19: "RELU",
    20: "RELU_N1_TO_1",
    21: "RELU6",
    22: "RESHAPE",
    23: "RESIZE_BILINEAR",
    25: "SOFTMAX",
    28: "TANH",
    34: "PAD",
    36: "GATHER",
    39: "TRANSPOSE",
    40: "MEAN",
    41: "SUB",
    42: "DIV",
    43: "SQUEEZE",
    45: "STRIDED_SLICE",
    47: "EXP",
    48: "TOPK_V2",
    49: "SPLIT",
    53: "CAST",
    55: "MAXIMUM",
    56: "ARG_MAX",
    57: "MINIMUM",
    58: "LESS",
    59: "NEG",
    60: "PADV2",
    61: "GREATER",
    62: "GREATER_EQUAL",
    63: "LESS_EQUAL",
    64: "SELECT",
    65: "SLICE",
    66: "SIN",
    69: "TILE",
    70: "EXPAND_DIMS",
    71: "EQUAL",
    72: "NOT_EQUAL",
    73: "LOG",
    74: "SUM",
    75: "SQRT",
    76: "RSQRT",
    78: "POW",
    82: "REDUCE_MAX",
    83: "PACK",
    84: "LOGICAL_OR",
    85: "ONE_HOT",
    86: "LOGICAL_AND",
    87: "LOGICAL_NOT",
    88: "UNPACK",
    89: "REDUCE_MIN",
    90: "FLOOR_DIV",
    92: "SQUARE",
    97: "RESIZE_NEAREST_NEIGHBOR",
    98: "LEAKY_RELU",
    99: "SQUARED_DIFFERENCE",
    101: "ABS",
    102: "SPLIT_V",
    104: "CEIL",
    108: "COS",
    111: "ELU",
    114: "QUANTIZE",
    116: "ROUND",
    117: "HARD_SWISH",
    120: "NON_MAX_SUPPRESSION_V4",
    121: "NON_MAX_SUPPRESSION_V5",
    123: "SELECT_V2",
    126: "BATCH_MATMUL",
    128: "CUMSUM",
    130: "BROADCAST_TO",
    150: "GELU",
}
"""Of `BuiltinOperator`, those that detectors' exporters write: no control flow, variables, tables or text."""
