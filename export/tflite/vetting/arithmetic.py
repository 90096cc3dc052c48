"""Rules for operators that compute: element by element, reductions, convolutions and products."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from tfyolo.export.tflite.vetting.graph import Operator, Tensor
from tfyolo.export.tflite.vetting.rules import (
    FLOAT,
    NUMBERS,
    QUANTIZED,
    Rule,
    Shape,
    activation,
    axis_of,
    broadcast,
    finite,
    given,
    gives,
    integers,
    rank,
    require,
    rescaled,
    same_scale,
    scalar,
    scale,
    types,
)

_MAX_WINDOW = 1024
"""Of a stride, a dilation or a side of a kernel."""


def _unary(allowed: tuple[str, ...], op: Operator) -> list[Shape]:
    gives(op, types(op, allowed))
    return [given(op, 0).shape]


def _binary(allowed: tuple[str, ...], result: str, op: Operator) -> list[Shape]:
    """Two operands, repeated to a common shape; `result` is a type, or "" for theirs."""
    gives(op, result or types(op, allowed))
    types(op, allowed)
    if "fused_activation_function" in op.options:
        activation(op)
    return [broadcast(given(op, 0).shape, given(op, 1).shape)]


def _sum(op: Operator) -> list[Shape]:
    """Addition and subtraction; integer kernels abort where the output's scale is far too small."""
    shapes = _binary((*NUMBERS, "int32", "int64"), "", op)
    if op.outputs[0].dtype in QUANTIZED:
        rescaled(op, scale(given(op, 0)), scale(given(op, 1)), most=2**13)
    return shapes


def _times(op: Operator) -> list[Shape]:
    shapes = _binary((*NUMBERS, "int32", "int64"), "", op)
    if op.outputs[0].dtype in QUANTIZED:
        rescaled(op, scale(given(op, 0)) * scale(given(op, 1)), most=2**13)
    return shapes


def _extreme(op: Operator) -> list[Shape]:
    same_scale(op, 0, 1)
    return _binary((*NUMBERS, "int32", "int64"), "", op)


def _division(op: Operator) -> list[Shape]:
    """Whole numbers are divided by constants alone, none of them zero."""
    shapes = _binary((*FLOAT, "int32"), "", op)
    if op.outputs[0].dtype == "int32":
        require(bool((given(op, 1).values() > 0).all()), "it divides by zero or less")
    return shapes


def _leaky(op: Operator) -> list[Shape]:
    finite(op.options["alpha"], -1e3, 1e3, "slope")
    if op.outputs[0].dtype in QUANTIZED:
        factor = scale(given(op, 0))
        rescaled(op, factor, abs(op.options["alpha"]) * factor, most=2**13)
    return _unary(NUMBERS, op)


def _softmax(op: Operator) -> list[Shape]:
    finite(op.options["beta"], 0.01, 100, "beta")
    rank(given(op, 0).shape, 1, 4)
    return _unary(NUMBERS, op)


def _select(op: Operator) -> list[Shape]:
    gives(op, types(op, (*NUMBERS, "int32", "int64", "bool"), 1, 2))
    types(op, ("bool",), 0)
    shapes = [given(op, i).shape for i in range(3)]
    if op.name == "SELECT":
        require(len(set(shapes)) == 1, "its shapes differ")
    return [broadcast(*shapes)]


def _reduction(allowed: tuple[str, ...], op: Operator) -> list[Shape]:
    gives(op, types(op, allowed, 0))
    if op.name == "MEAN" and op.outputs[0].dtype in QUANTIZED:
        rescaled(op, scale(given(op, 0)), most=2**13)
    elif op.name != "MEAN":
        same_scale(op, 0)
    shape = given(op, 0).shape
    rank(shape, 1, 4)
    axes = [axis_of(axis, len(shape)) for axis in integers(op, 1)]
    require(bool(axes) and len(set(axes)) == len(axes), "its axes are none, or listed twice")
    if op.options["keep_dims"]:
        return [tuple(1 if i in axes else size for i, size in enumerate(shape))]
    return [tuple(size for i, size in enumerate(shape) if i not in axes)]


def _arg_max(op: Operator) -> list[Shape]:
    types(op, NUMBERS, 0)
    gives(op, {2: "int32", 4: "int64"}.get(op.options["output_type"], "int32 or int64"))
    shape = given(op, 0).shape
    rank(shape, 1, 4)
    axis = axis_of(scalar(op, 1), len(shape))
    return [shape[:axis] + shape[axis + 1 :]]


def _window(op: Operator, shape: Shape, kernel: Shape, dilations: Shape = (1, 1)) -> Shape:
    """Height and width after a sliding window; `SAME` padding is 0, `VALID` 1."""
    strides = op.options["stride_h"], op.options["stride_w"]
    for value in (*strides, *dilations, *kernel):
        require(1 <= value <= _MAX_WINDOW, f"it has a stride, dilation or kernel of {value}")
    require(op.options["padding"] in (0, 1), f"it has padding {op.options['padding']}")
    found = []
    for size, side, stride, dilation in zip(shape[1:3], kernel, strides, dilations, strict=True):
        reach = 1 if op.options["padding"] == 0 else (side - 1) * dilation + 1
        require(size >= reach, f"its kernel reaches over {reach} of {size} pixels")
        found.append(-(-(size - reach + 1) // stride))
    return tuple(found)


def _weights(op: Operator, channels: int, axis: int) -> None:
    """Check the types of weights and bias, and that there is one scale, or one per output channel."""
    source, kernel = given(op, 0), given(op, 1)
    bias = op.inputs[2] if len(op.inputs) > 2 else None
    known = {
        ("float32", "float32"): ("float32",),
        ("float32", "int8"): ("float32",),
        ("int8", "int8"): ("int32",),
        ("int16", "int8"): ("int64", "int32"),
    }
    biases = known.get((source.dtype, kernel.dtype), ())
    require(bool(biases), f"it takes no {source.dtype} with weights of {kernel.dtype}")
    if bias is not None:
        require(bias.dtype in biases and bias.shape == (channels,), "its bias does not fit")
    gives(op, source.dtype)
    if kernel.dtype == "int8":
        require(kernel.data is not None, "its integer weights are not constant")
        require(len(kernel.scales) == 1 or kernel.axis == axis, "its weights have scales of another axis")
        require(len(kernel.scales) in (1, channels), "its weights lack scales")
        require(not kernel.zero_points.any(), "its weights have a zero point")
        require(
            source.dtype == "float32" or bias is None or bias.data is not None, "its bias is not constant"
        )
    if source.dtype in QUANTIZED:
        rescaled(op, *(scale(source) * float(x) for x in (kernel.scales.min(), kernel.scales.max())))
    kind = op.options.get("quantized_bias_type", 0)
    require(kind in (0, 2, 4), f"it has a bias of type {kind}")
    activation(op)


def _convolution(op: Operator) -> list[Shape]:
    shape, kernel = given(op, 0).shape, given(op, 1).shape
    rank(shape, 4, 4)
    rank(kernel, 4, 4)
    channels, depth = kernel[0], kernel[3]
    require(
        shape[3] % depth == 0 and channels % (shape[3] // depth) == 0, "its channels do not fit its weights"
    )
    _weights(op, channels, 0)
    dilations = op.options["dilation_h_factor"], op.options["dilation_w_factor"]
    return [(shape[0], *_window(op, shape, kernel[1:3], dilations), channels)]


def _depthwise(op: Operator) -> list[Shape]:
    shape, kernel = given(op, 0).shape, given(op, 1).shape
    rank(shape, 4, 4)
    rank(kernel, 4, 4)
    times = op.options["depth_multiplier"]
    require(kernel[0] == 1 and kernel[3] == shape[3] * times, "its channels do not fit its weights")
    _weights(op, kernel[3], 3)
    dilations = op.options["dilation_h_factor"], op.options["dilation_w_factor"]
    return [(shape[0], *_window(op, shape, kernel[1:3], dilations), kernel[3])]


def _pool(op: Operator) -> list[Shape]:
    gives(op, types(op, NUMBERS))
    activation(op)
    shape = given(op, 0).shape
    rank(shape, 4, 4)
    kernel = op.options["filter_height"], op.options["filter_width"]
    if op.name == "MAX_POOL_2D":
        same_scale(op, 0)
    elif op.outputs[0].dtype in QUANTIZED:
        rescaled(op, scale(given(op, 0)), most=2**13)
    strides = op.options["stride_h"], op.options["stride_w"]
    require(max(strides) == 1 or min(kernel) > 1, "its window is one pixel")
    return [(shape[0], *_window(op, shape, kernel), shape[3])]


def _dense(op: Operator) -> list[Shape]:
    source, kernel = given(op, 0), given(op, 1)
    rank(source.shape, 1, 4)
    rank(kernel.shape, 2, 2)
    channels, depth = kernel.shape
    require(op.options["weights_format"] == 0, "its weights are shuffled")
    require(source.size % depth == 0, "its input does not fit its weights")
    _weights(op, channels, 0)
    if op.options["keep_num_dims"]:
        require(source.shape[-1] == depth, "its input does not fit its weights")
        return [(*source.shape[:-1], channels)]
    return [(source.size // depth, channels)]


def _product(op: Operator) -> list[Shape]:
    """BATCH_MATMUL: the last two sizes are those of matrices, those before are repeated."""
    gives(op, types(op, ("float32", "int8", "int16")))
    a, b = given(op, 0).shape, given(op, 1).shape
    rank(a, 2, 4)
    rank(b, 2, 4)
    if op.outputs[0].dtype in QUANTIZED:
        rescaled(op, scale(given(op, 0)) * scale(given(op, 1)))
    (rows, inner), (inner_b, columns) = a[-2:], b[-2:]
    if op.options["adj_x"]:
        rows, inner = inner, rows
    if op.options["adj_y"]:
        inner_b, columns = columns, inner_b
    require(inner == inner_b, "its matrices do not fit one another")
    return [(*broadcast(a[:-2], b[:-2]), rows, columns)]


def _quantize(op: Operator) -> list[Shape]:
    require(op.outputs[0].dtype in QUANTIZED, f"it gives {op.outputs[0].dtype}")
    if types(op, NUMBERS) in QUANTIZED:
        rescaled(op, scale(given(op, 0)), most=2**13)
    return [given(op, 0).shape]


def _dequantize(op: Operator) -> list[Shape]:
    types(op, ("int8", "uint8", "int16", "float16"))
    gives(op, "float32")
    return [given(op, 0).shape]


def _cast(op: Operator) -> list[Shape]:
    kinds = ("float32", "int32", "int64", "bool", "uint8")
    types(op, kinds)
    require(op.outputs[0].dtype in kinds, f"it gives {op.outputs[0].dtype}")
    return [given(op, 0).shape]


def _kernel_work(op: Operator) -> float:
    """Multiplications per element of the output."""
    kernel = given(op, 1).shape
    return math.prod(kernel[1:]) if op.name != "DEPTHWISE_CONV_2D" else math.prod(kernel[1:3])


def _pool_work(op: Operator) -> float:
    return float(op.options["filter_height"] * op.options["filter_width"])


def _product_work(op: Operator) -> float:
    a: Tensor = given(op, 0)
    return float(a.shape[-2 if op.options["adj_x"] else -1])


def _unaries(allowed: tuple[str, ...], options: str, *names: str) -> dict[str, Rule]:
    return {name: Rule(partial(_unary, allowed), (1, 1), options=options) for name in names}


def _binaries(allowed: tuple[str, ...], result: str, **names: str) -> dict[str, Rule]:
    """Rules by name; the values are their options' tables."""
    return {name: Rule(partial(_binary, allowed, result), (2, 2), options=x) for name, x in names.items()}


def _reductions(allowed: tuple[str, ...], *names: str) -> dict[str, Rule]:
    return {name: Rule(partial(_reduction, allowed), (2, 2), options="ReducerOptions") for name in names}


_COMPARABLE = ("float32", "int32", "int64")


def _weighted(check: Callable[[Operator], list[Shape]], options: str) -> Rule:
    """Of an operator with weights, which may have a scale per channel, and a bias that may be left out."""
    return Rule(check, (2, 3), options=options, optional=(2,), channels=(1, 2), work=_kernel_work)


ARITHMETIC: dict[str, Rule] = {
    **_unaries(NUMBERS, "", "LOGISTIC", "TANH", "RELU", "RELU6", "RELU_N1_TO_1"),
    **_unaries(FLOAT, "", "FLOOR", "CEIL", "ROUND", "LOG", "SQRT", "RSQRT", "SIN", "ELU"),
    **_unaries(FLOAT, "ExpOptions", "EXP"),
    **_unaries(FLOAT, "CosOptions", "COS"),
    **_unaries((*FLOAT, "int32"), "NegOptions", "NEG"),
    **_unaries(FLOAT, "AbsOptions", "ABS"),
    **_unaries(FLOAT, "SquareOptions", "SQUARE"),
    **_unaries(("float32", "int8"), "HardSwishOptions", "HARD_SWISH"),
    **_unaries(FLOAT, "GeluOptions", "GELU"),
    **_unaries(("bool",), "LogicalNotOptions", "LOGICAL_NOT"),
    **_binaries(FLOAT, "", SQUARED_DIFFERENCE="SquaredDifferenceOptions", POW="PowOptions"),
    **_binaries(_COMPARABLE, "bool", GREATER="GreaterOptions", GREATER_EQUAL="GreaterEqualOptions"),
    **_binaries(_COMPARABLE, "bool", LESS="LessOptions", LESS_EQUAL="LessEqualOptions"),
    **_binaries((*_COMPARABLE, "bool"), "bool", EQUAL="EqualOptions", NOT_EQUAL="NotEqualOptions"),
    **_binaries(("bool",), "bool", LOGICAL_AND="LogicalAndOptions", LOGICAL_OR="LogicalOrOptions"),
    "MUL": Rule(_times, (2, 2), options="MulOptions"),
    "MAXIMUM": Rule(_extreme, (2, 2), options="MaximumMinimumOptions"),
    "MINIMUM": Rule(_extreme, (2, 2), options="MaximumMinimumOptions"),
    "ADD": Rule(_sum, (2, 2), options="AddOptions"),
    "SUB": Rule(_sum, (2, 2), options="SubOptions"),
    "DIV": Rule(_division, (2, 2), options="DivOptions"),
    "FLOOR_DIV": Rule(_division, (2, 2), options="FloorDivOptions"),
    "LEAKY_RELU": Rule(_leaky, (1, 1), options="LeakyReluOptions"),
    "SOFTMAX": Rule(_softmax, (1, 1), options="SoftmaxOptions"),
    "SELECT": Rule(_select, (3, 3), options="SelectOptions"),
    "SELECT_V2": Rule(_select, (3, 3), options="SelectV2Options"),
    **_reductions(NUMBERS, "MEAN", "REDUCE_MAX", "REDUCE_MIN"),
    **_reductions(FLOAT, "SUM"),
    "ARG_MAX": Rule(_arg_max, (2, 2), options="ArgMaxOptions"),
    "CONV_2D": _weighted(_convolution, "Conv2DOptions"),
    "DEPTHWISE_CONV_2D": _weighted(_depthwise, "DepthwiseConv2DOptions"),
    "FULLY_CONNECTED": _weighted(_dense, "FullyConnectedOptions"),
    "MAX_POOL_2D": Rule(_pool, (1, 1), options="Pool2DOptions", work=_pool_work),
    "AVERAGE_POOL_2D": Rule(_pool, (1, 1), options="Pool2DOptions", work=_pool_work),
    "BATCH_MATMUL": Rule(_product, (2, 2), options="BatchMatMulOptions", work=_product_work),
    "QUANTIZE": Rule(_quantize, (1, 1), options="QuantizeOptions"),
    "DEQUANTIZE": Rule(_dequantize, (1, 1), options="DequantizeOptions"),
    "CAST": Rule(_cast, (1, 1), options="CastOptions"),
}
"""By the schema's names. Kernels trust what converters guarantee; these rules are what they guarantee."""
