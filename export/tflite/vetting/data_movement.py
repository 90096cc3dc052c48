"""Rules for operators that move values: reshape, slice, pad, concatenate, gather."""

from __future__ import annotations

import math
from typing import Any

from tfyolo.export.runtime.budget import sort_multiplications
from tfyolo.export.tflite.vetting.graph import Operator
from tfyolo.export.tflite.vetting.rules import (
    ACTIVATION_TYPES,
    INDEX_TYPES,
    OperatorRule,
    Shape,
    check_output_types,
    check_rank,
    check_same_quantization,
    check_scalar_input,
    constant_integer,
    constant_integers,
    ensure,
    get_input,
    input_type,
    normalize_axis,
)

_ALL_TYPES = (*ACTIVATION_TYPES, "int32", "int64", "bool")
_MAX_INT32 = 2**31 - 1


def _same_type_shape(op: Operator, *indices: int) -> Shape:
    """Check that output and data inputs have one type and quantization; return the first input's shape."""
    check_output_types(op, input_type(op, _ALL_TYPES, *(indices or (0,))))
    check_same_quantization(op, *(indices or (0,)))
    return get_input(op, (indices or (0,))[0]).shape


def _infer_reshape(op: Operator) -> list[Shape]:
    shape = _same_type_shape(op)
    size = get_input(op, 0).size
    if len(op.inputs) == 2:
        wanted = get_input(op, 1)
        # LiteRT takes the shape from the options if this input is of another kind.
        ensure(
            wanted.dtype == "int32" and len(wanted.shape) == 1, "its input 1 is not a list of int32 numbers"
        )
        new_shape = constant_integers(op, 1)
    else:
        new: Any = op.options.get("new_shape")
        ensure(new is not None, "its new shape is missing")
        new_shape = [] if new is None else [int(value) for value in new]
    ensure(len(new_shape) <= 6 and new_shape.count(-1) <= 1, f"invalid new shape {new_shape}")
    known = math.prod(value for value in new_shape if value != -1)
    ensure(all(value >= 1 or value == -1 for value in new_shape), f"invalid new shape {new_shape}")
    ensure(
        size % known == 0 and (-1 in new_shape or size == known),
        f"{shape} cannot be given the shape {new_shape}",
    )
    return [tuple(size // known if value == -1 else value for value in new_shape)]


def _infer_squeeze(op: Operator) -> list[Shape]:
    shape = _same_type_shape(op)
    listed: Any = op.options.get("squeeze_dims")
    axes = set() if listed is None else {normalize_axis(int(value), len(shape)) for value in listed}
    axes = axes or {i for i, size in enumerate(shape) if size == 1}
    ensure(all(shape[axis] == 1 for axis in axes), "it squeezes an axis of a size other than one")
    return [tuple(size for i, size in enumerate(shape) if i not in axes)]


def _infer_expand_dims(op: Operator) -> list[Shape]:
    shape = _same_type_shape(op)
    check_rank(shape, 0, 5)
    axis = normalize_axis(constant_integer(op, 1), len(shape) + 1)
    return [(*shape[:axis], 1, *shape[axis:])]


def _infer_transpose(op: Operator) -> list[Shape]:
    shape, order = _same_type_shape(op), constant_integers(op, 1)
    check_rank(shape, 1, 6)
    ensure(sorted(order) == list(range(len(shape))), f"{order} is not a permutation of its axes")
    return [tuple(shape[i] for i in order)]


def _infer_pack(op: Operator) -> list[Shape]:
    shape = _same_type_shape(op, *range(len(op.inputs)))
    check_rank(shape, 0, 5)
    count, axis = op.options["values_count"], normalize_axis(op.options["axis"], len(shape) + 1)
    ensure(count == len(op.inputs), f"its option values_count is {count}, but it has {len(op.inputs)} inputs")
    ensure(all(x is not None and x.shape == shape for x in op.inputs), "the shapes of its inputs differ")
    return [(*shape[:axis], count, *shape[axis:])]


def _split_shapes(op: Operator, index: int, shape: Shape, axis: int, sizes: list[int]) -> list[Shape]:
    """Check an operator that splits one input along an axis; return the shapes of its outputs.

    Args:
        op: the operator.
        index: index of the data input.
        shape: its shape.
        axis: axis along which it is split.
        sizes: size of each output along `axis`.
    """
    ensure(len(op.outputs) == len(sizes), f"it has {len(op.outputs)} outputs, not {len(sizes)}")
    ensure(
        sum(sizes) == shape[axis] and min(sizes) >= 1,
        "the sizes of its outputs do not add up to that of its input",
    )
    kind = input_type(op, _ALL_TYPES, index)
    check_output_types(op, *[kind] * len(sizes))
    check_same_quantization(op, index)
    return [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]


def _infer_split(op: Operator) -> list[Shape]:
    shape = get_input(op, 1).shape
    axis, count = normalize_axis(constant_integer(op, 0), len(shape)), op.options["num_splits"]
    ensure(1 <= count <= 1000 and shape[axis] % count == 0, f"{shape} cannot be split into {count}")
    return _split_shapes(op, 1, shape, axis, [shape[axis] // count] * count)


def _infer_split_v(op: Operator) -> list[Shape]:
    shape, sizes = get_input(op, 0).shape, constant_integers(op, 1)
    ensure(op.options["num_splits"] == len(sizes) >= 1, "its option num_splits is not the number of sizes")
    return _split_shapes(op, 0, shape, normalize_axis(constant_integer(op, 2), len(shape)), sizes)


def _infer_unpack(op: Operator) -> list[Shape]:
    shape = get_input(op, 0).shape
    axis = normalize_axis(op.options["axis"], len(shape))
    ensure(
        op.options["num"] == shape[axis],
        f"its option num is {op.options['num']}, but its axis has the size {shape[axis]}",
    )
    parts = _split_shapes(op, 0, shape, axis, [1] * shape[axis])
    return [part[:axis] + part[axis + 1 :] for part in parts]


def _infer_concatenation(op: Operator) -> list[Shape]:
    shape = _same_type_shape(op, *range(len(op.inputs)))
    check_rank(shape, 1, 4)
    axis = normalize_axis(op.options["axis"], len(shape))
    ensure(op.options["fused_activation_function"] == 0, "it has a fused activation")
    total = 0
    for i in range(len(op.inputs)):
        other = get_input(op, i).shape
        fits = len(other) == len(shape) and all(
            a == b or i == axis for i, (a, b) in enumerate(zip(shape, other, strict=True))
        )
        ensure(fits, "the shapes of its inputs do not match")
        total += other[axis]
    return [(*shape[:axis], total, *shape[axis + 1 :])]


def _infer_strided_slice(op: Operator) -> list[Shape]:
    shape = _same_type_shape(op)
    check_rank(shape, 1, 4)
    begins, ends, strides = (constant_integers(op, i) for i in (1, 2, 3))
    options = op.options
    ensure(
        len(begins) == len(ends) == len(strides) == len(shape),
        "its begin, end or strides have the wrong length",
    )
    unusual = options["ellipsis_mask"] or options["new_axis_mask"] or options["offset"]
    ensure(not unusual, "unsupported masks")
    output_sizes = []
    for i, size in enumerate(shape):
        bit = 1 << i
        ensure(1 <= strides[i] <= _MAX_INT32, f"it has the stride {strides[i]}")
        if options["shrink_axis_mask"] & bit:
            normalize_axis(begins[i], size)
            continue
        begin = None if options["begin_mask"] & bit else begins[i]
        end = None if options["end_mask"] & bit else ends[i]
        output_sizes.append(len(range(*slice(begin, end, strides[i]).indices(size))))
    return [tuple(output_sizes)]


def _infer_slice(op: Operator) -> list[Shape]:
    shape = _same_type_shape(op)
    check_rank(shape, 1, 4)
    begins, sizes = constant_integers(op, 1), constant_integers(op, 2)
    ensure(len(begins) == len(sizes) == len(shape), "its begin or size has the wrong length")
    output_sizes = []
    for begin, size, whole in zip(begins, sizes, shape, strict=True):
        size = whole - begin if size == -1 else size
        ensure(
            begin >= 0 and 1 <= size <= whole - begin,
            f"a slice of {size} from {begin} is out of range for {whole}",
        )
        output_sizes.append(size)
    return [tuple(output_sizes)]


def _infer_pad(op: Operator) -> list[Shape]:
    shape = _same_type_shape(op)
    check_rank(shape, 1, 4)
    pads = get_input(op, 1)
    ensure(
        pads.dtype in INDEX_TYPES and pads.shape == (len(shape), 2), "its padding has the wrong type or shape"
    )
    if len(op.inputs) == 3:
        check_scalar_input(op, 2, get_input(op, 0).dtype)
    values = [tuple(map(int, row)) for row in pads.values()]
    ensure(all(0 <= value <= _MAX_INT32 for row in values for value in row), "its padding is negative")
    return [tuple(size + sum(row) for size, row in zip(shape, values, strict=True))]


def _infer_tile(op: Operator) -> list[Shape]:
    shape, multiples = _same_type_shape(op), constant_integers(op, 1)
    check_rank(shape, 1, 4)
    ensure(len(multiples) == len(shape) and min(multiples) >= 1, f"{shape} cannot be tiled {multiples} times")
    return [tuple(size * count for size, count in zip(shape, multiples, strict=True))]


def _infer_broadcast_to(op: Operator) -> list[Shape]:
    shape, new_shape = _same_type_shape(op), constant_integers(op, 1)
    check_rank(shape, 0, len(new_shape))
    ensure(1 <= len(new_shape) <= 4, f"invalid new shape {new_shape}")
    padded = (1,) * (len(new_shape) - len(shape)) + shape
    ensure(
        all(a in (1, b) for a, b in zip(padded, new_shape, strict=True)),
        f"{shape} cannot be given the shape {new_shape}",
    )
    return [tuple(new_shape)]


def _infer_resize(op: Operator) -> list[Shape]:
    shape, size = _same_type_shape(op), constant_integers(op, 1)
    check_rank(shape, 4, 4)
    ensure(len(size) == 2 and min(size) >= 1, f"invalid size {size}")
    both = op.options["align_corners"] and op.options["half_pixel_centers"]
    ensure(not both, "align_corners and half_pixel_centers exclude each other")
    return [(shape[0], *size, shape[3])]


def _infer_gather(op: Operator) -> list[Shape]:
    shape, indices = _same_type_shape(op), get_input(op, 1)
    check_rank(shape, 1, 4)
    check_rank(indices.shape, 0, 1)
    axis = normalize_axis(op.options["axis"], len(shape))
    ensure(
        indices.dtype in INDEX_TYPES and op.options["batch_dims"] == 0,
        "its indices are not a list of integers",
    )
    if indices.data is not None:  # the kernel checks indices that are computed
        values = indices.values()
        ensure(bool(((values >= 0) & (values < shape[axis])).all()), "an index is out of bounds")
    return [(*shape[:axis], *indices.shape, *shape[axis + 1 :])]


def _infer_top_k(op: Operator) -> list[Shape]:
    check_output_types(op, input_type(op, (*ACTIVATION_TYPES, "int32"), 0), "int32")
    check_same_quantization(op, 0)
    shape, count = get_input(op, 0).shape, constant_integer(op, 1)
    check_rank(shape, 1, 4)
    ensure(1 <= count <= shape[-1], f"k is {count}, but the last axis has the size {shape[-1]}")
    return [(*shape[:-1], count)] * 2


def _infer_one_hot(op: Operator) -> list[Shape]:
    input_type(op, INDEX_TYPES, 0)
    check_output_types(op, input_type(op, ("float32", "int32"), 2, 3))
    check_scalar_input(op, 2, get_input(op, 2).dtype)
    check_scalar_input(op, 3, get_input(op, 2).dtype)
    shape, depth = get_input(op, 0).shape, constant_integer(op, 1)
    check_rank(shape, 0, 3)
    ensure(
        op.options["axis"] == -1 and depth >= 1, "its axis is not the last one, or its depth is not positive"
    )
    return [(*shape, depth)]


DATA_MOVEMENT: dict[str, OperatorRule] = {
    "RESHAPE": OperatorRule(_infer_reshape, (1, 2), options_table="ReshapeOptions"),
    "SQUEEZE": OperatorRule(_infer_squeeze, (1, 1), options_table="SqueezeOptions"),
    "EXPAND_DIMS": OperatorRule(_infer_expand_dims, (2, 2), options_table="ExpandDimsOptions"),
    "TRANSPOSE": OperatorRule(_infer_transpose, (2, 2), options_table="TransposeOptions"),
    "PACK": OperatorRule(_infer_pack, (1, 1000), options_table="PackOptions"),
    "UNPACK": OperatorRule(_infer_unpack, (1, 1), 0, options_table="UnpackOptions"),
    "SPLIT": OperatorRule(_infer_split, (2, 2), 0, options_table="SplitOptions"),
    "SPLIT_V": OperatorRule(_infer_split_v, (3, 3), 0, options_table="SplitVOptions"),
    "CONCATENATION": OperatorRule(_infer_concatenation, (1, 1000), options_table="ConcatenationOptions"),
    "STRIDED_SLICE": OperatorRule(_infer_strided_slice, (4, 4), options_table="StridedSliceOptions"),
    "SLICE": OperatorRule(_infer_slice, (3, 3), options_table="SliceOptions"),
    "PAD": OperatorRule(_infer_pad, (2, 2), options_table="PadOptions"),
    "PADV2": OperatorRule(_infer_pad, (3, 3), options_table="PadV2Options"),
    "TILE": OperatorRule(_infer_tile, (2, 2), options_table="TileOptions"),
    "BROADCAST_TO": OperatorRule(_infer_broadcast_to, (2, 2), options_table="BroadcastToOptions"),
    "RESIZE_NEAREST_NEIGHBOR": OperatorRule(
        _infer_resize, (2, 2), options_table="ResizeNearestNeighborOptions"
    ),
    "RESIZE_BILINEAR": OperatorRule(_infer_resize, (2, 2), options_table="ResizeBilinearOptions"),
    "GATHER": OperatorRule(_infer_gather, (2, 2), options_table="GatherOptions"),
    "TOPK_V2": OperatorRule(
        _infer_top_k,
        (2, 2),
        2,
        options_table="TopKV2Options",
        multiplications=lambda op: sort_multiplications(get_input(op, 0).size),
    ),
    "ONE_HOT": OperatorRule(_infer_one_hot, (4, 4), options_table="OneHotOptions"),
}
"""Rules by the operator names of schema.fbs."""
