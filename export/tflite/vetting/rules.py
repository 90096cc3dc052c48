"""What rules for operators share: conditions on types and shapes, and constants that kernels believe."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from tfyolo.export.tflite.vetting.graph import Operator, Tensor
from tfyolo.export.tflite.vetting.reader import DamagedError

Shape = tuple[int, ...]
FLOAT = ("float32",)
NUMBERS = ("float32", "int8", "int16", "uint8")
"""Types of activations."""
QUANTIZED = NUMBERS[1:]
INDICES = ("int32", "int64")
MAX_ARITHMETIC_RANK = 4
"""Kernels extend shapes to four sizes without a check."""
ACTIVATIONS = (0, 1, 2, 3)
"""Fused ones: none, ReLU, ReLU of -1 to 1, ReLU6."""


@dataclass(frozen=True)
class Rule:
    """What a kind of operator may look like, and what comes out of it.

    Attributes:
        check: returns the shapes of the outputs, or raises `DamagedError`.
        inputs: least and most number of inputs.
        outputs: number of outputs; 0 for any.
        options: table of its options; "" where it has none.
        optional: inputs that may be left out.
        channels: inputs that may have a scale per channel.
        work: multiplications per element of the first output, for a bound on time.
    """

    check: Callable[[Operator], list[Shape]]
    inputs: tuple[int, int]
    outputs: int = 1
    options: str = ""
    optional: tuple[int, ...] = ()
    channels: tuple[int, ...] = ()
    work: Callable[[Operator], float] = lambda _: 1.0


def require(condition: bool, message: str) -> None:
    """Raise `DamagedError` unless `condition` holds."""
    if not condition:
        raise DamagedError(message)


def given(op: Operator, index: int) -> Tensor:
    """An input that is there."""
    tensor = op.inputs[index]
    assert tensor is not None  # noqa: S101 - `check_operators` has looked
    return tensor


def types(op: Operator, allowed: Iterable[str], *indices: int) -> str:
    """The common type of some inputs (all by default); refuses others than those `allowed`."""
    tensors = [given(op, i) for i in indices or range(len(op.inputs))]
    kinds = {tensor.dtype for tensor in tensors}
    require(len(kinds) == 1 and kinds <= set(allowed), f"it takes no {', '.join(sorted(kinds))}")
    return tensors[0].dtype


def gives(op: Operator, *dtypes: str) -> None:
    """Require these types of outputs."""
    found = [tensor.dtype for tensor in op.outputs]
    require(found == list(dtypes), f"its outputs are {', '.join(found)}")


def rank(shape: Shape, least: int, most: int) -> None:
    """Require a number of dimensions."""
    require(least <= len(shape) <= most, f"it takes no shape of {len(shape)} dimensions")


def integers(op: Operator, index: int) -> list[int]:
    """A constant input of whole numbers, one or a list of them."""
    tensor = given(op, index)
    require(
        tensor.dtype in INDICES and len(tensor.shape) <= 1, f"its input {index} is not a list of integers"
    )
    require(tensor.size <= 64, f"its input {index} has {tensor.size} numbers")
    return [int(value) for value in tensor.values().reshape(-1)]


def scalar(op: Operator, index: int) -> int:
    """A constant input of one whole number."""
    values = integers(op, index)
    require(len(values) == 1, f"its input {index} is not one number")
    return values[0]


def one(op: Operator, index: int, dtype: str = "float32") -> None:
    """Require an input of one number, constant or not."""
    tensor = given(op, index)
    require(tensor.dtype == dtype and tensor.size == 1, f"its input {index} is not one number")


def axis_of(value: int, dimensions: int) -> int:
    """An axis, counted from the end where it is negative."""
    require(-dimensions <= value < dimensions, f"it has axis {value} of {dimensions}")
    return value % dimensions


def broadcast(*shapes: Shape) -> Shape:
    """The common shape that operands are repeated to."""
    for shape in shapes:
        rank(shape, 0, MAX_ARITHMETIC_RANK)
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError as error:
        raise DamagedError("its shapes do not fit one another") from error


def activation(op: Operator, allowed: tuple[int, ...] = ACTIVATIONS) -> None:
    """Require a fused activation that kernels know."""
    fused = op.options["fused_activation_function"]
    require(fused in allowed, f"it has the fused activation {fused}")


def scale(tensor: Tensor) -> float:
    """Of a tensor with one."""
    return float(tensor.scales[0])


def rescaled(op: Operator, *factors: float, most: float = 255.0) -> None:
    """Bound what integers are multiplied by on their way to the output.

    XNNPACK refuses convolutions of more than 255 while its delegate is prepared, and then LiteRT 2.3 frees
    memory twice; kernels for sums abort from 2**19 on.

    Args:
        op: with integers.
        factors: scales of what comes in, products of scales included.
        most: largest ratio of such a scale to the output's.
    """
    for factor in factors:
        ratio = factor / scale(op.outputs[0])
        require(1e-30 <= ratio < most, f"its scales differ by a factor of {ratio:.3g}")


def same_scale(op: Operator, *indices: int) -> None:
    """Require that integers go out with the scale and zero point that they come in with."""
    for tensor in op.outputs:
        for other in (given(op, i) for i in indices):
            if tensor.dtype in QUANTIZED and other.dtype == tensor.dtype:
                equal = scale(tensor) == scale(other) and tensor.zero_points[0] == other.zero_points[0]
                require(equal, "its input and output differ in scale")


def finite(value: float, least: float, most: float, what: str) -> None:
    """Require a number within bounds; NaN is in none."""
    require(math.isfinite(value) and least <= value <= most, f"its {what} is {value}")
