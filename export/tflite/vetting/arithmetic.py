"""Rules for arithmetic operators: element-wise, reductions, convolutions and matrix products."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from tfyolo.export.tflite.vetting.graph import Operator, Tensor
from tfyolo.export.tflite.vetting.rules import (
    ACTIVATION_TYPES,
    FLOAT_TYPES,
    QUANTIZED_TYPES,
    OperatorRule,
    Shape,
    broadcast_shapes,
    check_fused_activation,
    check_in_range,
    check_output_types,
    check_rank,
    check_rescaling,
    check_same_quantization,
    constant_integer,
    constant_integers,
    ensure,
    get_input,
    input_type,
    normalize_axis,
    tensor_scale,
)

_MAX_WINDOW = 1024
"""Maximum stride, dilation, and height or width of a kernel."""


def _infer_unary(allowed: tuple[str, ...], op: Operator) -> list[Shape]:
    check_output_types(op, input_type(op, allowed))
    return [get_input(op, 0).shape]


def _infer_binary(allowed: tuple[str, ...], result: str, op: Operator) -> list[Shape]:
    """Element-wise operator with broadcasting; `result` is its output type, or "" for that of the inputs."""
    check_output_types(op, result or input_type(op, allowed))
    input_type(op, allowed)
    if "fused_activation_function" in op.options:
        check_fused_activation(op)
    return [broadcast_shapes(get_input(op, 0).shape, get_input(op, 1).shape)]


def _infer_add_sub(op: Operator) -> list[Shape]:
    """ADD and SUB; integer kernels abort if the scale of the output is much smaller than that of an input."""
    shapes = _infer_binary((*ACTIVATION_TYPES, "int32", "int64"), "", op)
    if op.outputs[0].dtype in QUANTIZED_TYPES:
        check_rescaling(op, tensor_scale(get_input(op, 0)), tensor_scale(get_input(op, 1)), maximum=2**13)
    return shapes


def _infer_mul(op: Operator) -> list[Shape]:
    shapes = _infer_binary((*ACTIVATION_TYPES, "int32", "int64"), "", op)
    if op.outputs[0].dtype in QUANTIZED_TYPES:
        check_rescaling(op, tensor_scale(get_input(op, 0)) * tensor_scale(get_input(op, 1)), maximum=2**13)
    return shapes


def _infer_maximum_minimum(op: Operator) -> list[Shape]:
    check_same_quantization(op, 0, 1)
    return _infer_binary((*ACTIVATION_TYPES, "int32", "int64"), "", op)


def _infer_div(op: Operator) -> list[Shape]:
    """DIV and FLOOR_DIV; integers only by positive constants, since kernels do not check for zero."""
    shapes = _infer_binary((*FLOAT_TYPES, "int32"), "", op)
    if op.outputs[0].dtype == "int32":
        ensure(bool((get_input(op, 1).values() > 0).all()), "it divides by a number that is not positive")
    return shapes


def _infer_leaky_relu(op: Operator) -> list[Shape]:
    check_in_range(op.options["alpha"], -1e3, 1e3, "slope")
    if op.outputs[0].dtype in QUANTIZED_TYPES:
        factor = tensor_scale(get_input(op, 0))
        check_rescaling(op, factor, abs(op.options["alpha"]) * factor, maximum=2**13)
    return _infer_unary(ACTIVATION_TYPES, op)


def _infer_softmax(op: Operator) -> list[Shape]:
    check_in_range(op.options["beta"], 0.01, 100, "beta")
    check_rank(get_input(op, 0).shape, 1, 4)
    return _infer_unary(ACTIVATION_TYPES, op)


def _infer_select(op: Operator) -> list[Shape]:
    check_output_types(op, input_type(op, (*ACTIVATION_TYPES, "int32", "int64", "bool"), 1, 2))
    input_type(op, ("bool",), 0)
    shapes = [get_input(op, i).shape for i in range(3)]
    if op.name == "SELECT":
        ensure(len(set(shapes)) == 1, "the shapes of its inputs differ")
    return [broadcast_shapes(*shapes)]


def _infer_reduction(allowed: tuple[str, ...], op: Operator) -> list[Shape]:
    check_output_types(op, input_type(op, allowed, 0))
    if op.name == "MEAN" and op.outputs[0].dtype in QUANTIZED_TYPES:
        check_rescaling(op, tensor_scale(get_input(op, 0)), maximum=2**13)
    elif op.name != "MEAN":
        check_same_quantization(op, 0)
    shape = get_input(op, 0).shape
    check_rank(shape, 1, 4)
    axes = [normalize_axis(axis, len(shape)) for axis in constant_integers(op, 1)]
    ensure(bool(axes) and len(set(axes)) == len(axes), "it has no axes, or one of them twice")
    if op.options["keep_dims"]:
        return [tuple(1 if i in axes else size for i, size in enumerate(shape))]
    return [tuple(size for i, size in enumerate(shape) if i not in axes)]


def _infer_arg_max(op: Operator) -> list[Shape]:
    input_type(op, ACTIVATION_TYPES, 0)
    check_output_types(op, {2: "int32", 4: "int64"}.get(op.options["output_type"], "int32 or int64"))
    shape = get_input(op, 0).shape
    check_rank(shape, 1, 4)
    axis = normalize_axis(constant_integer(op, 1), len(shape))
    return [shape[:axis] + shape[axis + 1 :]]


def _sliding_window(op: Operator, shape: Shape, kernel: Shape, dilations: Shape = (1, 1)) -> Shape:
    """Return the output height and width of a sliding window; options.padding is 0 for SAME, 1 for VALID."""
    strides = op.options["stride_h"], op.options["stride_w"]
    for value in (*strides, *dilations, *kernel):
        ensure(1 <= value <= _MAX_WINDOW, f"it has a stride, dilation or kernel size of {value}")
    ensure(op.options["padding"] in (0, 1), f"unsupported padding {op.options['padding']}")
    output_sizes = []
    for size, side, stride, dilation in zip(shape[1:3], kernel, strides, dilations, strict=True):
        reach = 1 if op.options["padding"] == 0 else (side - 1) * dilation + 1
        ensure(size >= reach, f"its kernel of {reach} pixels is larger than its input of {size}")
        output_sizes.append(-(-(size - reach + 1) // stride))
    return tuple(output_sizes)


def _check_weights_and_bias(op: Operator, channels: int, axis: int) -> None:
    """Check types of weights and bias, and that weights have one scale, or one per output channel.

    Args:
        op: operator with the inputs data, weights and optionally bias.
        channels: number of output channels.
        axis: axis of the output channels in the weights.
    """
    data, kernel = get_input(op, 0), get_input(op, 1)
    bias = op.inputs[2] if len(op.inputs) > 2 else None
    bias_types_of = {
        ("float32", "float32"): ("float32",),
        ("float32", "int8"): ("float32",),
        ("int8", "int8"): ("int32",),
        ("int16", "int8"): ("int64", "int32"),
    }
    bias_types = bias_types_of.get((data.dtype, kernel.dtype), ())
    ensure(bool(bias_types), f"unsupported weights of type {kernel.dtype} for inputs of type {data.dtype}")
    if bias is not None:
        ensure(bias.dtype in bias_types and bias.shape == (channels,), "its bias has the wrong type or shape")
    check_output_types(op, data.dtype)
    if kernel.dtype == "int8":
        ensure(kernel.data is not None, "its integer weights are not constant")
        ensure(
            len(kernel.scales) == 1 or kernel.axis == axis, "its weights are quantized along the wrong axis"
        )
        ensure(len(kernel.scales) in (1, channels), "its weights have the wrong number of scales")
        ensure(not kernel.zero_points.any(), "its weights have a zero point other than 0")
        ensure(data.dtype == "float32" or bias is None or bias.data is not None, "its bias is not constant")
    if data.dtype in QUANTIZED_TYPES:
        check_rescaling(
            op, *(tensor_scale(data) * float(x) for x in (kernel.scales.min(), kernel.scales.max()))
        )
    kind = op.options.get("quantized_bias_type", 0)
    ensure(kind in (0, 2, 4), f"unsupported bias type {kind}")
    check_fused_activation(op)


def _infer_conv_2d(op: Operator) -> list[Shape]:
    shape, kernel = get_input(op, 0).shape, get_input(op, 1).shape
    check_rank(shape, 4, 4)
    check_rank(kernel, 4, 4)
    channels, depth = kernel[0], kernel[3]
    ensure(
        shape[3] % depth == 0 and channels % (shape[3] // depth) == 0,
        "its number of channels does not match its weights",
    )
    _check_weights_and_bias(op, channels, 0)
    dilations = op.options["dilation_h_factor"], op.options["dilation_w_factor"]
    return [(shape[0], *_sliding_window(op, shape, kernel[1:3], dilations), channels)]


def _infer_depthwise_conv_2d(op: Operator) -> list[Shape]:
    shape, kernel = get_input(op, 0).shape, get_input(op, 1).shape
    check_rank(shape, 4, 4)
    check_rank(kernel, 4, 4)
    multiples = op.options["depth_multiplier"]
    ensure(
        kernel[0] == 1 and kernel[3] == shape[3] * multiples,
        "its number of channels does not match its weights",
    )
    _check_weights_and_bias(op, kernel[3], 3)
    dilations = op.options["dilation_h_factor"], op.options["dilation_w_factor"]
    return [(shape[0], *_sliding_window(op, shape, kernel[1:3], dilations), kernel[3])]


def _infer_pool_2d(op: Operator) -> list[Shape]:
    check_output_types(op, input_type(op, ACTIVATION_TYPES))
    check_fused_activation(op)
    shape = get_input(op, 0).shape
    check_rank(shape, 4, 4)
    kernel = op.options["filter_height"], op.options["filter_width"]
    if op.name == "MAX_POOL_2D":
        check_same_quantization(op, 0)
    elif op.outputs[0].dtype in QUANTIZED_TYPES:
        check_rescaling(op, tensor_scale(get_input(op, 0)), maximum=2**13)
    strides = op.options["stride_h"], op.options["stride_w"]
    ensure(max(strides) == 1 or min(kernel) > 1, "its window of one pixel has a stride")
    return [(shape[0], *_sliding_window(op, shape, kernel), shape[3])]


def _infer_fully_connected(op: Operator) -> list[Shape]:
    data, kernel = get_input(op, 0), get_input(op, 1)
    check_rank(data.shape, 1, 4)
    check_rank(kernel.shape, 2, 2)
    channels, depth = kernel.shape
    ensure(op.options["weights_format"] == 0, "unsupported weights format")
    ensure(data.size % depth == 0, "the shape of its input does not match its weights")
    _check_weights_and_bias(op, channels, 0)
    if op.options["keep_num_dims"]:
        ensure(data.shape[-1] == depth, "the shape of its input does not match its weights")
        return [(*data.shape[:-1], channels)]
    return [(data.size // depth, channels)]


def _infer_batch_matmul(op: Operator) -> list[Shape]:
    """BATCH_MATMUL: the last two axes are those of the matrices, the others are broadcast."""
    check_output_types(op, input_type(op, ("float32", "int8", "int16")))
    a, b = get_input(op, 0).shape, get_input(op, 1).shape
    check_rank(a, 2, 4)
    check_rank(b, 2, 4)
    if op.outputs[0].dtype in QUANTIZED_TYPES:
        check_rescaling(op, tensor_scale(get_input(op, 0)) * tensor_scale(get_input(op, 1)))
    (rows, inner), (inner_b, columns) = a[-2:], b[-2:]
    if op.options["adj_x"]:
        rows, inner = inner, rows
    if op.options["adj_y"]:
        inner_b, columns = columns, inner_b
    ensure(inner == inner_b, "the shapes of its matrices do not match")
    return [(*broadcast_shapes(a[:-2], b[:-2]), rows, columns)]


def _infer_quantize(op: Operator) -> list[Shape]:
    ensure(op.outputs[0].dtype in QUANTIZED_TYPES, f"unsupported output type {op.outputs[0].dtype}")
    if input_type(op, ACTIVATION_TYPES) in QUANTIZED_TYPES:
        check_rescaling(op, tensor_scale(get_input(op, 0)), maximum=2**13)
    return [get_input(op, 0).shape]


def _infer_dequantize(op: Operator) -> list[Shape]:
    input_type(op, ("int8", "uint8", "int16", "float16"))
    check_output_types(op, "float32")
    return [get_input(op, 0).shape]


def _infer_cast(op: Operator) -> list[Shape]:
    dtypes = ("float32", "int32", "int64", "bool", "uint8")
    input_type(op, dtypes)
    ensure(op.outputs[0].dtype in dtypes, f"unsupported output type {op.outputs[0].dtype}")
    return [get_input(op, 0).shape]


def _kernel_multiplications(op: Operator) -> float:
    """Return the multiplications per output element of a convolution or fully connected layer."""
    kernel = get_input(op, 1).shape
    return math.prod(kernel[1:]) if op.name != "DEPTHWISE_CONV_2D" else math.prod(kernel[1:3])


def _pool_multiplications(op: Operator) -> float:
    return float(op.options["filter_height"] * op.options["filter_width"])


def _matmul_multiplications(op: Operator) -> float:
    a: Tensor = get_input(op, 0)
    return float(a.shape[-2 if op.options["adj_x"] else -1])


def _unary_rules(allowed: tuple[str, ...], options: str, *names: str) -> dict[str, OperatorRule]:
    return {
        name: OperatorRule(partial(_infer_unary, allowed), (1, 1), options_table=options) for name in names
    }


def _binary_rules(allowed: tuple[str, ...], result: str, **names: str) -> dict[str, OperatorRule]:
    """Return rules by operator name; the values of `names` are the tables of their options."""
    return {
        name: OperatorRule(partial(_infer_binary, allowed, result), (2, 2), options_table=x)
        for name, x in names.items()
    }


def _reduction_rules(allowed: tuple[str, ...], *names: str) -> dict[str, OperatorRule]:
    return {
        name: OperatorRule(partial(_infer_reduction, allowed), (2, 2), options_table="ReducerOptions")
        for name in names
    }


_COMPARABLE_TYPES = ("float32", "int32", "int64")


def _weighted_rule(check: Callable[[Operator], list[Shape]], options: str) -> OperatorRule:
    """Return the rule of an operator with weights, quantized per tensor or channel, and an optional bias."""
    return OperatorRule(
        check,
        (2, 3),
        options_table=options,
        optional_inputs=(2,),
        per_channel_inputs=(1, 2),
        multiplications=_kernel_multiplications,
    )


ARITHMETIC: dict[str, OperatorRule] = {
    **_unary_rules(ACTIVATION_TYPES, "", "LOGISTIC", "TANH", "RELU", "RELU6", "RELU_N1_TO_1"),
    **_unary_rules(FLOAT_TYPES, "", "FLOOR", "CEIL", "ROUND", "LOG", "SQRT", "RSQRT", "SIN", "ELU"),
    **_unary_rules(FLOAT_TYPES, "ExpOptions", "EXP"),
    **_unary_rules(FLOAT_TYPES, "CosOptions", "COS"),
    **_unary_rules((*FLOAT_TYPES, "int32"), "NegOptions", "NEG"),
    **_unary_rules(FLOAT_TYPES, "AbsOptions", "ABS"),
    **_unary_rules(FLOAT_TYPES, "SquareOptions", "SQUARE"),
    **_unary_rules(("float32", "int8"), "HardSwishOptions", "HARD_SWISH"),
    **_unary_rules(FLOAT_TYPES, "GeluOptions", "GELU"),
    **_unary_rules(("bool",), "LogicalNotOptions", "LOGICAL_NOT"),
    **_binary_rules(FLOAT_TYPES, "", SQUARED_DIFFERENCE="SquaredDifferenceOptions", POW="PowOptions"),
    **_binary_rules(_COMPARABLE_TYPES, "bool", GREATER="GreaterOptions", GREATER_EQUAL="GreaterEqualOptions"),
    **_binary_rules(_COMPARABLE_TYPES, "bool", LESS="LessOptions", LESS_EQUAL="LessEqualOptions"),
    **_binary_rules((*_COMPARABLE_TYPES, "bool"), "bool", EQUAL="EqualOptions", NOT_EQUAL="NotEqualOptions"),
    **_binary_rules(("bool",), "bool", LOGICAL_AND="LogicalAndOptions", LOGICAL_OR="LogicalOrOptions"),
    "MUL": OperatorRule(_infer_mul, (2, 2), options_table="MulOptions"),
    "MAXIMUM": OperatorRule(_infer_maximum_minimum, (2, 2), options_table="MaximumMinimumOptions"),
    "MINIMUM": OperatorRule(_infer_maximum_minimum, (2, 2), options_table="MaximumMinimumOptions"),
    "ADD": OperatorRule(_infer_add_sub, (2, 2), options_table="AddOptions"),
    "SUB": OperatorRule(_infer_add_sub, (2, 2), options_table="SubOptions"),
    "DIV": OperatorRule(_infer_div, (2, 2), options_table="DivOptions"),
    "FLOOR_DIV": OperatorRule(_infer_div, (2, 2), options_table="FloorDivOptions"),
    "LEAKY_RELU": OperatorRule(_infer_leaky_relu, (1, 1), options_table="LeakyReluOptions"),
    "SOFTMAX": OperatorRule(_infer_softmax, (1, 1), options_table="SoftmaxOptions"),
    "SELECT": OperatorRule(_infer_select, (3, 3), options_table="SelectOptions"),
    "SELECT_V2": OperatorRule(_infer_select, (3, 3), options_table="SelectV2Options"),
    **_reduction_rules(ACTIVATION_TYPES, "MEAN", "REDUCE_MAX", "REDUCE_MIN"),
    **_reduction_rules(FLOAT_TYPES, "SUM"),
    "ARG_MAX": OperatorRule(_infer_arg_max, (2, 2), options_table="ArgMaxOptions"),
    "CONV_2D": _weighted_rule(_infer_conv_2d, "Conv2DOptions"),
    "DEPTHWISE_CONV_2D": _weighted_rule(_infer_depthwise_conv_2d, "DepthwiseConv2DOptions"),
    "FULLY_CONNECTED": _weighted_rule(_infer_fully_connected, "FullyConnectedOptions"),
    "MAX_POOL_2D": OperatorRule(
        _infer_pool_2d, (1, 1), options_table="Pool2DOptions", multiplications=_pool_multiplications
    ),
    "AVERAGE_POOL_2D": OperatorRule(
        _infer_pool_2d, (1, 1), options_table="Pool2DOptions", multiplications=_pool_multiplications
    ),
    "BATCH_MATMUL": OperatorRule(
        _infer_batch_matmul,
        (2, 2),
        options_table="BatchMatMulOptions",
        multiplications=_matmul_multiplications,
    ),
    "QUANTIZE": OperatorRule(_infer_quantize, (1, 1), options_table="QuantizeOptions"),
    "DEQUANTIZE": OperatorRule(_infer_dequantize, (1, 1), options_table="DequantizeOptions"),
    "CAST": OperatorRule(_infer_cast, (1, 1), options_table="CastOptions"),
}
"""Rules by the operator names of schema.fbs."""
