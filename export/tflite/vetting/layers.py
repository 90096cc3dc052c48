"""Rules for layers: convolutions, pooling and matrix products."""

from __future__ import annotations

import math
from collections.abc import Callable

from tfyolo.export.tflite.vetting.graph import Operator, Tensor
from tfyolo.export.tflite.vetting.rules import (
    ACTIVATION_TYPES,
    QUANTIZED_TYPES,
    OperatorRule,
    Shape,
    broadcast_shapes,
    check_fused_activation,
    check_output_types,
    check_rank,
    check_rescaling,
    check_same_quantization,
    ensure,
    get_input,
    input_type,
    tensor_scale,
)

_MAX_WINDOW = 1024
"""Maximum stride, dilation, and height or width of a kernel."""


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


def _kernel_multiplications(op: Operator) -> int:
    """Return the multiplications of a convolution or fully connected layer."""
    kernel = get_input(op, 1).shape
    per_element = math.prod(kernel[1:]) if op.name != "DEPTHWISE_CONV_2D" else math.prod(kernel[1:3])
    return op.outputs[0].size * per_element


def _pool_multiplications(op: Operator) -> int:
    window: int = op.options["filter_height"] * op.options["filter_width"]
    return op.outputs[0].size * window


def _matmul_multiplications(op: Operator) -> int:
    a: Tensor = get_input(op, 0)
    return op.outputs[0].size * a.shape[-2 if op.options["adj_x"] else -1]


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


LAYERS: dict[str, OperatorRule] = {
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
}
"""Rules by the operator names of schema.fbs."""
