"""Rules for operators: the type of a rule, and the checks of types, shapes and constants that rules share.

Names follow TensorFlow Lite's kernels: `ensure` is their `TF_LITE_ENSURE`, and `infer_shapes` computes what
their `Prepare` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from tfyolo.export.tflite.vetting.graph import Operator, Tensor
from tfyolo.export.tflite.vetting.reader import DamagedError

Shape = tuple[int, ...]
FLOAT_TYPES = ("float32",)
QUANTIZED_TYPES = ("int8", "int16", "uint8")
ACTIVATION_TYPES = (*FLOAT_TYPES, *QUANTIZED_TYPES)
INDEX_TYPES = ("int32", "int64")
MAX_ARITHMETIC_RANK = 4
"""Kernels of element-wise operators extend shapes to four dimensions without checking the rank."""
FUSED_ACTIVATIONS = (0, 1, 2, 3)
"""Values of `ActivationFunctionType`: NONE, RELU, RELU_N1_TO_1, RELU6."""


@dataclass(frozen=True)
class OperatorRule:
    """The forms of one kind of operator that exported models contain.

    Attributes:
        infer_shapes: returns the shapes of the outputs, or raises `DamagedError` for an invalid operator.
        num_inputs: minimum and maximum number of inputs.
        num_outputs: number of outputs; 0 for any.
        options_table: name of the table of the operator's options in schema.fbs; "" for none.
        optional_inputs: indices of inputs that may be missing.
        per_channel_inputs: indices of inputs that may have one scale per channel.
        multiplications: returns the number of multiplications, or an equivalent of other work; 0 for at most
            one per element.
    """

    infer_shapes: Callable[[Operator], list[Shape]]
    num_inputs: tuple[int, int]
    num_outputs: int = 1
    options_table: str = ""
    optional_inputs: tuple[int, ...] = ()
    per_channel_inputs: tuple[int, ...] = ()
    multiplications: Callable[[Operator], int] = lambda _: 0


def ensure(condition: bool, message: str) -> None:
    """Raise `DamagedError` with `message` if `condition` is false."""
    if not condition:
        raise DamagedError(message)


def get_input(op: Operator, index: int) -> Tensor:
    """Return an input tensor.

    Raises:
        DamagedError: the operator has no such input.
    """
    tensor = op.inputs[index]
    if tensor is None:
        raise DamagedError(f"its input {index} is missing")
    return tensor


def input_type(op: Operator, allowed: Iterable[str], *indices: int) -> str:
    """Check that inputs have the same, supported type.

    Args:
        op: the operator.
        allowed: supported types.
        indices: inputs to check; all of them by default.

    Returns:
        The type of these inputs.

    Raises:
        DamagedError: the types differ, or are not supported.
    """
    tensors = [get_input(op, i) for i in indices or range(len(op.inputs))]
    dtypes = {tensor.dtype for tensor in tensors}
    ensure(len(dtypes) == 1 and dtypes <= set(allowed), f"unsupported input type {', '.join(sorted(dtypes))}")
    return tensors[0].dtype


def check_output_types(op: Operator, *dtypes: str) -> None:
    """Check the types of all outputs, in order."""
    output_types = [tensor.dtype for tensor in op.outputs]
    ensure(output_types == list(dtypes), f"unsupported output type {', '.join(output_types)}")


def check_rank(shape: Shape, minimum: int, maximum: int) -> None:
    """Check the number of dimensions of a shape.

    Args:
        shape: shape of a tensor.
        minimum: minimum number of dimensions.
        maximum: maximum number of dimensions.

    Raises:
        DamagedError: it has fewer or more dimensions.
    """
    ensure(minimum <= len(shape) <= maximum, f"unsupported shape of {len(shape)} dimensions")


def constant_integers(op: Operator, index: int) -> list[int]:
    """Return the values of a constant int32 or int64 input that is a scalar or a vector."""
    tensor = get_input(op, index)
    is_vector = tensor.dtype in INDEX_TYPES and len(tensor.shape) <= 1
    ensure(is_vector, f"its input {index} is not a list of integers")
    ensure(tensor.size <= 64, f"its input {index} has {tensor.size} numbers")
    return [int(value) for value in tensor.values().reshape(-1)]


def constant_integer(op: Operator, index: int) -> int:
    """Return the value of a constant input of one integer."""
    values = constant_integers(op, index)
    ensure(len(values) == 1, f"its input {index} is not one number")
    return values[0]


def check_scalar_input(op: Operator, index: int, dtype: str = "float32") -> None:
    """Check that an input, constant or computed, has one element.

    Args:
        op: the operator.
        index: index of the input.
        dtype: type that the input must have.

    Raises:
        DamagedError: it is missing, of another type, or has another number of elements.
    """
    tensor = get_input(op, index)
    ensure(tensor.dtype == dtype and tensor.size == 1, f"its input {index} is not one number")


def normalize_axis(axis: int, rank: int) -> int:
    """Return an axis as a number from 0 to `rank - 1`; negative ones count from the last axis."""
    ensure(-rank <= axis < rank, f"axis {axis} is out of range for {rank} dimensions")
    return axis % rank


def broadcast_shapes(*shapes: Shape) -> Shape:
    """Return the shape that operands are broadcast to."""
    for shape in shapes:
        check_rank(shape, 0, MAX_ARITHMETIC_RANK)
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError as error:
        raise DamagedError("the shapes of its inputs cannot be broadcast") from error


def check_fused_activation(op: Operator) -> None:
    """Check that kernels know the fused activation function."""
    function = op.options["fused_activation_function"]
    ensure(function in FUSED_ACTIVATIONS, f"unsupported fused activation {function}")


def tensor_scale(tensor: Tensor) -> float:
    """Return the scale of a per-tensor quantized tensor."""
    return float(tensor.scales[0])


def check_rescaling(op: Operator, *scales: float, maximum: float = 255.0) -> None:
    """Check the multipliers that rescale integers to the scale of the output.

    XNNPACK refuses convolutions with a multiplier of more than 255 while its delegate is prepared, and then
    LiteRT 2.3 frees memory twice. The kernels of ADD and SUB abort from 2**19 on.

    Args:
        op: operator with quantized inputs.
        scales: scales of the inputs, or products of scales where inputs are multiplied.
        maximum: maximum ratio of one of `scales` to the scale of the output.
    """
    for scale in scales:
        ratio = scale / tensor_scale(op.outputs[0])
        ensure(1e-30 <= ratio < maximum, f"its scales differ by a factor of {ratio:.3g}")


def check_same_quantization(op: Operator, *indices: int) -> None:
    """Check that outputs have the scale and zero point of these inputs, since kernels do not requantize."""
    for output in op.outputs:
        for tensor in (get_input(op, i) for i in indices):
            if output.dtype in QUANTIZED_TYPES and tensor.dtype == output.dtype:
                same_scale = tensor_scale(output) == tensor_scale(tensor)
                same_zero_point = output.zero_points[0] == tensor.zero_points[0]
                ensure(same_scale and same_zero_point, "its input and output differ in scale or zero point")


def check_in_range(value: float, minimum: float, maximum: float, name: str) -> None:
    """Check that an option is a finite number within bounds.

    Args:
        value: value of the option.
        minimum: lowest allowed value.
        maximum: highest allowed value.
        name: name of the option, for the message.

    Raises:
        DamagedError: it is not finite, or out of bounds.
    """
    ensure(math.isfinite(value) and minimum <= value <= maximum, f"its {name} is {value}")
