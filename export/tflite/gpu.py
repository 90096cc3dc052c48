"""Operators of a `.tflite` file that LiteRT's GPU delegate supports.

Operators that it does not support run on the CPU, and each change between the two costs a copy and a
synchronization.

Source: `tflite/tools/versioning/gpu_compatibility.cc` of google-ai-edge/LiteRT, in 2026; the list in LiteRT's
guide is shorter and older. Conditions on attributes that exported models do not have, such as fused
activations of pooling, are omitted. The `Analyzer` in the Python packages TensorFlow
(2.18) and LiteRT (2.3) calls every file compatible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tfyolo.export.tflite.vetting.graph import Graph, Operator

_NAMES = frozenset(
    """
    ABS ADD ADD_N ATAN2 AVERAGE_POOL_2D BATCH_MATMUL BITCAST CAST CEIL CONCATENATION CONV_2D COS CUMSUM
    DENSIFY DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP
    EQUAL EXP FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GELU GREATER GREATER_EQUAL HARD_SWISH
    LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LSTM MAXIMUM MAX_POOL_2D
    MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL ONE_HOT PACK PAD PADV2 POW PRELU QUANTIZE REDUCE_ALL
    REDUCE_ANY REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU RELU6 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR
    RESIZE_NEAREST_NEIGHBOR REVERSE_V2 RIGHT_SHIFT ROUND RSQRT SELECT SELECT_V2 SIGN SIN SLICE SOFTMAX
    SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TILE TOPK_V2
    TRANSPOSE TRANSPOSE_CONV
    """.split()  # noqa: SIM905
)


def not_on_gpu(graph: Graph) -> dict[str, int]:
    """Count the operators that the delegate does not support.

    Args:
        graph: graph of a `.tflite` file.

    Returns:
        Counts by name of the operator, the most frequent first; empty if the whole graph is supported.
    """
    return dict(Counter(op.name for op in graph.operators if not _is_supported(op)).most_common())


def _is_supported(operator: Operator) -> bool:
    """Return True if the delegate supports an operator with its shapes and options."""
    if operator.custom is not None or operator.name not in _NAMES:
        return False
    condition = _CONDITIONS.get(operator.name)
    try:
        return condition is None or condition(operator)
    except IndexError:  # an operator of a damaged file has too few inputs or outputs
        return False


def _cast(operator: Operator) -> bool:
    source, target = _dtype(operator), operator.outputs[0].dtype
    floats = {"float16", "float32"}
    if "bool" in (source, target):
        return {source, target} - {"bool"} <= floats
    return {source, target} <= {"float32", "int32"}


def _gather(operator: Operator) -> bool:
    indices = operator.inputs[1]
    return indices is not None and len(indices.shape) == 1 and indices.dtype == "int32"


def _strided_slice(operator: Operator) -> bool:
    masks = ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    return _rank(operator) in (3, 4) and not any(operator.options.get(mask) for mask in masks)


def _pad(operator: Operator) -> bool:
    paddings = operator.inputs[1]
    return paddings is not None and paddings.shape in ((3, 2), (4, 2))


def _select(operator: Operator) -> bool:
    """Return True if both branches have the shape of the output, or are scalars."""
    shape = operator.outputs[0].shape
    if _dtype(operator) not in ("bool", "float16", "float32"):
        return False
    for branch in operator.inputs[1:]:
        if branch is None or (branch.data is not None and len(branch.shape) == 2):
            return False
        if branch.shape not in ((), (1,), shape):
            return False
    return True


def _broadcast(operator: Operator) -> bool:
    """Return True if the shapes of two inputs can be broadcast from the last axis on."""
    shapes = [tensor.shape for tensor in operator.inputs if tensor is not None]
    if len(shapes) != 2:
        return False
    pairs = zip(reversed(shapes[0]), reversed(shapes[1]), strict=False)
    return len(shapes[0]) == len(shapes[1]) or all(a == b or 1 in (a, b) for a, b in pairs)


def _constant_axes(operator: Operator) -> bool:
    axes = operator.inputs[1]
    return axes is not None and axes.data is not None and axes.dtype == "int32"


def _dtype(operator: Operator) -> str:
    first = operator.inputs[0]
    return "" if first is None else first.dtype


def _rank(operator: Operator) -> int:
    first = operator.inputs[0]
    return -1 if first is None else len(first.shape)


_REDUCTIONS = (
    "MEAN",
    "SUM",
    "REDUCE_ALL",
    "REDUCE_ANY",
    "REDUCE_MAX",
    "REDUCE_MIN",
    "REDUCE_PROD",
    "REVERSE_V2",
)
_CONDITIONS: dict[str, Callable[[Operator], bool]] = {
    "ADD": _broadcast,
    "MUL": _broadcast,
    "CAST": _cast,
    "GATHER": _gather,
    "PAD": _pad,
    "PADV2": _pad,
    "MIRROR_PAD": _pad,
    "SELECT": _select,
    "SELECT_V2": _select,
    "SLICE": lambda operator: _rank(operator) in (3, 4),
    "STRIDED_SLICE": _strided_slice,
    "DEQUANTIZE": lambda operator: _dtype(operator) != "int16",
    **dict.fromkeys(_REDUCTIONS, _constant_axes),
}
"""Operators that are supported under a condition."""
