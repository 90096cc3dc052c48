"""Which operations the Edge TPU compiler takes, in which versions, and under which limits.

Sources: Coral's page "TensorFlow models on the Edge TPU" (operations and limits, runtime 14); logs of the
compiler, versions 14.1 to 16.0, in the issues of google-coral/edgetpu (versions of operations). The compiler
is closed and was last released in 2021; where the sources are ambiguous, the stricter reading is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

EIGHT_BIT = ("INT8", "UINT8")
MAX_SOFTMAX = 16_000


@dataclass(frozen=True)
class Tensor:
    """What the rules ask of a tensor.

    Attributes:
        type: TensorFlow Lite's name of the type, such as `INT8`.
        shape: size of each dimension in the file.
        fixed: whether all dimensions have a fixed size.
        quantized: whether the tensor has a scale.
        values: values of a constant; None if the tensor is computed.
        zero: zero point.
    """

    type: str
    shape: tuple[int, ...]
    fixed: bool = True
    quantized: bool = True
    values: np.ndarray | None = None
    zero: int = 0


@dataclass(frozen=True)
class Operation:
    """One operation of a file.

    Attributes:
        name: name of the operator, such as `CONV_2D`, or of a custom operator.
        version: version of the operator.
        inputs: input tensors; None where an optional one is missing.
        outputs: output tensors.
        options: the flatbuffer's object of options, with attributes in camelCase; None for none.
    """

    name: str
    version: int
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Any = None

    def option(self, name: str, default: Any = 0) -> Any:
        """One of its options; files leave out those that are zero or false."""
        value = getattr(self.options, name, None)
        return default if value is None else value

    def values(self, index: int) -> list[int]:
        """Numbers of a constant input, flat."""
        tensor = self.inputs[index] if index < len(self.inputs) else None
        return [] if tensor is None or tensor.values is None else tensor.values.reshape(-1).tolist()


Rule = Callable[[Operation], str | None]
"""Why an operation is refused, or None."""


@dataclass(frozen=True)
class Entry:
    """An operation that the compiler knows.

    Attributes:
        version: highest version that the compiler is known to accept for 8-bit numbers.
        limits: limits on Coral's page, in words.
        rule: check of the limits that can be read from a file.
        constants: indices of inputs that must be constants.
        newer: meaning of a higher version, for the message.
    """

    version: int
    limits: str = ""
    rule: Rule = lambda op: None
    constants: tuple[int, ...] = ()
    newer: str = ""


def refusal(op: Operation) -> str | None:
    """Why the Edge TPU does not run an operation, or None: general rules first, then those of its entry."""
    computed = [x for x in op.inputs if x is not None and x.values is None]
    # First, so that all of a decoding in float has one and the same reason.
    if any(x.type.startswith("FLOAT") for x in computed):
        return "works on floating-point numbers"
    entry = TABLE.get(op.name)
    if entry is None:
        return "not an operation of the Edge TPU"
    if op.version > entry.version:
        newer = f": {entry.newer}" if entry.newer else ""
        return f"operation version {op.version} not supported, {entry.version} at most{newer}"
    tensors = [*computed, *op.outputs]
    return _numbers(tensors) or _shapes(tensors) or _constants(op, entry.constants) or entry.rule(op)


def unreadable(name: str, version: int, code: int = 0) -> bool:
    """Whether the compiler refuses the whole file because of an operation, wherever that would run.

    Args:
        name: name of the operator, such as `CONV_2D`.
        version: version of the operator.
        code: number of the operator in the enumeration `BuiltinOperator` of TensorFlow Lite's schema.

    Returns:
        True for operator numbers from 150 on, and for versions above the highest that it can read.
    """
    return code >= _FIRST_UNKNOWN_CODE or version > _READABLE.get(name, version)


_FIRST_UNKNOWN_CODE = 150  # "Op builtin_code out of range: 150", compiler 16.0
_READABLE = {"CONV_2D": 5, "TILE": 2, "TRANSPOSE_CONV": 3}
"""Highest versions before "Didn't find op for builtin opcode"; only those that somebody has reported."""


def _numbers(tensors: Sequence[Tensor]) -> str | None:
    for tensor in tensors:
        if tensor.type not in EIGHT_BIT:
            return f"{tensor.type.lower()} where the Edge TPU has 8-bit integers"
        if not tensor.quantized:
            return "works on integers without a scale"
    return None


def _shapes(tensors: Sequence[Tensor]) -> str | None:
    """Coral: one to three dimensions; of more, only the innermost three may be larger than one."""
    for tensor in tensors:
        if not tensor.fixed:
            return "a size is not fixed"
        shape = "x".join(map(str, tensor.shape))
        if len(tensor.shape) > 4:
            return f"a tensor of five or more dimensions ({shape})"
        if any(size > 1 for size in tensor.shape[:-3]):
            return f"a batch larger than one ({shape})"
    return None


def _constants(op: Operation, indices: Sequence[int]) -> str | None:
    for index in indices:
        tensor = op.inputs[index] if index < len(op.inputs) else None
        if tensor is not None and tensor.values is None:
            return f"input {index} is not a constant"
    return None


def _no_activation(op: Operation) -> str | None:
    return "has a fused activation" if op.option("fusedActivationFunction") else None


def _concatenation(op: Operation) -> str | None:
    constants = [x for x in op.inputs if x is not None and x.values is not None]
    zeros = all((x.values == x.zero).all() for x in constants if x.values is not None)
    if constants and (len(op.inputs) > 2 or not zeros):
        return "joins a constant that is not one block of zeros"
    return _no_activation(op)


def _equal_dilation(op: Operation) -> str | None:
    across, down = op.option("dilationWFactor", 1), op.option("dilationHFactor", 1)
    return None if across == down else f"dilation {across} across, {down} down"


def _fully_connected(op: Operation) -> str | None:
    if op.option("weightsFormat"):
        return "weights are not in the default format"
    return None if _is_flat(op.outputs[0]) else "the output has more than one dimension"


def _is_flat(tensor: Tensor) -> bool:
    return sum(size > 1 for size in tensor.shape) <= 1


def _touches_batch(op: Operation, axes: Sequence[int], rank: int) -> bool:
    """Whether an axis is the batch: the outermost of four."""
    return rank == 4 and any(axis % rank == 0 for axis in axes)


def _reduction(op: Operation) -> str | None:
    rank = len(op.inputs[0].shape) if op.inputs[0] else 0
    return "reduces the batch dimension" if _touches_batch(op, op.values(1), rank) else None


def _mean(op: Operation) -> str | None:
    shape = op.inputs[0].shape if op.inputs[0] else ()
    if any(axis % len(shape) == len(shape) - 1 for axis in op.values(1)) and shape[-1] % 4:
        return f"averages {shape[-1]} channels, not a multiple of 4"
    return _reduction(op)


def _pack(op: Operation) -> str | None:
    rank = len(op.outputs[0].shape)
    return "packs along the batch dimension" if _touches_batch(op, [op.option("axis")], rank) else None


def _pad(op: Operation) -> str | None:
    shape = op.inputs[0].shape if op.inputs[0] else ()
    return "pads the batch dimension" if len(shape) == 4 and any(op.values(1)[:2]) else None


def _prelu(op: Operation) -> str | None:
    alpha = op.inputs[1]
    several = alpha is not None and any(size > 1 for size in alpha.shape[:-1])
    return "alpha differs within a channel" if several else None


def _softmax(op: Operation) -> str | None:
    tensor = op.outputs[0]
    count = int(np.prod(tensor.shape))
    if not _is_flat(tensor):
        return "the input has more than one dimension"
    return f"{count} elements, {MAX_SOFTMAX} at most" if count > MAX_SOFTMAX else None


def _split(op: Operation) -> str | None:
    rank = len(op.outputs[0].shape)
    return "splits the batch dimension" if _touches_batch(op, op.values(0), rank) else None


def _strided_slice(op: Operation) -> str | None:
    if any(stride != 1 for stride in op.values(3)):
        return f"strides {op.values(3)}, not all one"
    masks = op.option("ellipsisMask") or op.option("newAxisMask")
    return "has an ellipsis or a new axis" if masks else None


_ACTIVATION, _BATCH = "no fused activation", "not along the batch"
_SIZES = "three dimensions; some sizes stay on the CPU for the sake of precision"
_HALF_PIXEL = "half-pixel centers or aligned corners, which compilers before 16 refuse"

TABLE: dict[str, Entry] = {
    "ADD": Entry(2),
    "AVERAGE_POOL_2D": Entry(2, _ACTIVATION, _no_activation),
    "CONCATENATION": Entry(2, f"{_ACTIVATION}; of constants one at most, all zeros", _concatenation),
    "CONV_2D": Entry(5, "equal dilation in x and y", _equal_dilation, (1, 2)),
    "DEPTHWISE_CONV_2D": Entry(6, "equal dilation in x and y", _equal_dilation, (1, 2)),
    "EXPAND_DIMS": Entry(1, constants=(1,)),
    "FULLY_CONNECTED": Entry(9, "default weight format; one-dimensional output", _fully_connected, (1, 2)),
    "L2_NORMALIZATION": Entry(2),
    "LOGISTIC": Entry(2),
    "MAXIMUM": Entry(2),
    "MAX_POOL_2D": Entry(2, _ACTIVATION, _no_activation),
    "MEAN": Entry(2, f"{_BATCH}; along z a multiple of 4", _mean, (1,)),
    "MINIMUM": Entry(2),
    "MUL": Entry(2),
    "PACK": Entry(2, _BATCH, _pack),
    "PAD": Entry(2, _BATCH, _pad, (1,)),
    "PRELU": Entry(1, "one alpha a channel", _prelu, (1,)),
    "QUANTIZE": Entry(2),
    "REDUCE_MAX": Entry(2, _BATCH, _reduction, (1,)),
    "REDUCE_MIN": Entry(2, _BATCH, _reduction, (1,)),
    "RELU": Entry(2),
    "RELU6": Entry(2),
    "RELU_N1_TO_1": Entry(1),
    "RESHAPE": Entry(1, "some large ones stay on the CPU"),
    "RESIZE_BILINEAR": Entry(2, _SIZES, constants=(1,), newer=_HALF_PIXEL),
    "RESIZE_NEAREST_NEIGHBOR": Entry(2, _SIZES, constants=(1,), newer=_HALF_PIXEL),
    "RSQRT": Entry(2),
    "SLICE": Entry(2, constants=(1, 2)),
    "SOFTMAX": Entry(2, f"one dimension, {MAX_SOFTMAX} elements at most", _softmax),
    "SPACE_TO_DEPTH": Entry(2),
    "SPLIT": Entry(2, _BATCH, _split, (0,)),
    "SQUARED_DIFFERENCE": Entry(2),
    "SQUEEZE": Entry(1),
    "STRIDED_SLICE": Entry(4, "strides of one; no ellipsis, no new axis", _strided_slice, (1, 2, 3)),
    "SUB": Entry(3),
    "SUM": Entry(2, _BATCH, _reduction, (1,)),
    "TANH": Entry(2),
    "TRANSPOSE": Entry(2, "some large ones stay on the CPU", constants=(1,)),
    "TRANSPOSE_CONV": Entry(3, constants=(0, 1, 3)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Entry(3),
}
"""By TensorFlow Lite's name. int8 kernels are version 2 nearly everywhere, those of a resize, too."""
