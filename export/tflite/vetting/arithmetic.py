"""Rules for arithmetic operators: element-wise, reductions, quantization and casts."""

from __future__ import annotations

from functools import partial

from tfyolo.export.tflite.vetting.graph import Operator
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


def _infer_cumsum(op: Operator) -> list[Shape]:
    check_output_types(op, input_type(op, (*FLOAT_TYPES, "int32", "int64"), 0))
    input_type(op, ("int32",), 1)
    shape = get_input(op, 0).shape
    check_rank(shape, 1, 4)
    normalize_axis(constant_integer(op, 1), len(shape))
    return [shape]


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
    "CUMSUM": OperatorRule(_infer_cumsum, (2, 2), options_table="CumsumOptions"),
    "QUANTIZE": OperatorRule(_infer_quantize, (1, 1), options_table="QuantizeOptions"),
    "DEQUANTIZE": OperatorRule(_infer_dequantize, (1, 1), options_table="DequantizeOptions"),
    "CAST": OperatorRule(_infer_cast, (1, 1), options_table="CastOptions"),
}
"""Rules by the operator names of schema.fbs."""
