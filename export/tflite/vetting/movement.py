"""Rules for operators that move values: reshape, slice, pad, join, gather; and those that select boxes."""

from __future__ import annotations

import math
from typing import Any

from tfyolo.export.tflite.vetting.flexbuffer import read_map
from tfyolo.export.tflite.vetting.graph import Operator
from tfyolo.export.tflite.vetting.rules import (
    FLOAT,
    INDICES,
    NUMBERS,
    Rule,
    Shape,
    axis_of,
    finite,
    given,
    gives,
    integers,
    one,
    rank,
    require,
    same_scale,
    scalar,
    types,
)

_ANY = (*NUMBERS, "int32", "int64", "bool")
_MAX_SIZE = 2**31 - 1
EDGE_TPU = "edgetpu-custom-op"
POSTPROCESS = "TFLite_Detection_PostProcess"


def _same(op: Operator, *indices: int) -> Shape:
    """Shape of the first data input; the output is of its type."""
    gives(op, types(op, _ANY, *(indices or (0,))))
    same_scale(op, *(indices or (0,)))
    return given(op, (indices or (0,))[0]).shape


def _reshape(op: Operator) -> list[Shape]:
    shape = _same(op)
    size = given(op, 0).size
    if len(op.inputs) == 2:
        wanted = integers(op, 1)
    else:
        new: Any = op.options.get("new_shape")
        require(new is not None, "its new shape is missing")
        wanted = [] if new is None else [int(value) for value in new]
    require(len(wanted) <= 6 and wanted.count(-1) <= 1, f"it makes the shape {wanted}")
    known = math.prod(value for value in wanted if value != -1)
    require(all(value >= 1 or value == -1 for value in wanted), f"it makes the shape {wanted}")
    require(size % known == 0 and (-1 in wanted or size == known), f"it makes {wanted} of {shape}")
    return [tuple(size // known if value == -1 else value for value in wanted)]


def _squeeze(op: Operator) -> list[Shape]:
    shape = _same(op)
    listed: Any = op.options.get("squeeze_dims")
    axes = set() if listed is None else {axis_of(int(value), len(shape)) for value in listed}
    axes = axes or {i for i, size in enumerate(shape) if size == 1}
    require(all(shape[axis] == 1 for axis in axes), "it drops a size that is not one")
    return [tuple(size for i, size in enumerate(shape) if i not in axes)]


def _expand(op: Operator) -> list[Shape]:
    shape = _same(op)
    rank(shape, 0, 5)
    axis = axis_of(scalar(op, 1), len(shape) + 1)
    return [(*shape[:axis], 1, *shape[axis:])]


def _transpose(op: Operator) -> list[Shape]:
    shape, order = _same(op), integers(op, 1)
    rank(shape, 1, 6)
    require(sorted(order) == list(range(len(shape))), f"it has the order {order}")
    return [tuple(shape[i] for i in order)]


def _pack(op: Operator) -> list[Shape]:
    shape = _same(op, *range(len(op.inputs)))
    rank(shape, 0, 5)
    count, axis = op.options["values_count"], axis_of(op.options["axis"], len(shape) + 1)
    require(count == len(op.inputs), f"it packs {count} of {len(op.inputs)} inputs")
    require(all(x is not None and x.shape == shape for x in op.inputs), "its inputs differ in shape")
    return [(*shape[:axis], count, *shape[axis:])]


def _parts(op: Operator, index: int, shape: Shape, axis: int, sizes: list[int]) -> list[Shape]:
    """Outputs that share one input along an axis."""
    require(len(op.outputs) == len(sizes), f"it has {len(op.outputs)} outputs, not {len(sizes)}")
    require(sum(sizes) == shape[axis] and min(sizes) >= 1, "its parts do not make up the whole")
    kind = types(op, _ANY, index)
    gives(op, *[kind] * len(sizes))
    same_scale(op, index)
    return [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]


def _split(op: Operator) -> list[Shape]:
    shape = given(op, 1).shape
    axis, count = axis_of(scalar(op, 0), len(shape)), op.options["num_splits"]
    require(1 <= count <= 1000 and shape[axis] % count == 0, f"it splits {shape} into {count}")
    return _parts(op, 1, shape, axis, [shape[axis] // count] * count)


def _split_v(op: Operator) -> list[Shape]:
    shape, sizes = given(op, 0).shape, integers(op, 1)
    require(op.options["num_splits"] == len(sizes) >= 1, "it lacks the sizes of its parts")
    return _parts(op, 0, shape, axis_of(scalar(op, 2), len(shape)), sizes)


def _unpack(op: Operator) -> list[Shape]:
    shape = given(op, 0).shape
    axis = axis_of(op.options["axis"], len(shape))
    require(op.options["num"] == shape[axis], f"it unpacks {op.options['num']} of {shape[axis]}")
    parts = _parts(op, 0, shape, axis, [1] * shape[axis])
    return [part[:axis] + part[axis + 1 :] for part in parts]


def _join(op: Operator) -> list[Shape]:
    shape = _same(op, *range(len(op.inputs)))
    rank(shape, 1, 4)
    axis = axis_of(op.options["axis"], len(shape))
    require(op.options["fused_activation_function"] == 0, "it has a fused activation")
    total = 0
    for i in range(len(op.inputs)):
        other = given(op, i).shape
        fits = len(other) == len(shape) and all(
            a == b or i == axis for i, (a, b) in enumerate(zip(shape, other, strict=True))
        )
        require(fits, "its inputs do not fit one another")
        total += other[axis]
    return [(*shape[:axis], total, *shape[axis + 1 :])]


def _strided_slice(op: Operator) -> list[Shape]:
    shape = _same(op)
    rank(shape, 1, 4)
    begins, ends, strides = (integers(op, i) for i in (1, 2, 3))
    options = op.options
    require(len(begins) == len(ends) == len(strides) == len(shape), "it lacks a place to begin or end")
    unusual = options["ellipsis_mask"] or options["new_axis_mask"] or options["offset"]
    require(not unusual, "it has masks that no exporter writes")
    found = []
    for i, size in enumerate(shape):
        bit = 1 << i
        require(1 <= strides[i] <= _MAX_SIZE, f"it has the stride {strides[i]}")
        if options["shrink_axis_mask"] & bit:
            axis_of(begins[i], size)
            continue
        begin = None if options["begin_mask"] & bit else begins[i]
        end = None if options["end_mask"] & bit else ends[i]
        found.append(len(range(*slice(begin, end, strides[i]).indices(size))))
    return [tuple(found)]


def _slice(op: Operator) -> list[Shape]:
    shape = _same(op)
    rank(shape, 1, 4)
    begins, sizes = integers(op, 1), integers(op, 2)
    require(len(begins) == len(sizes) == len(shape), "it lacks a place to begin or a size")
    found = []
    for begin, size, whole in zip(begins, sizes, shape, strict=True):
        size = whole - begin if size == -1 else size
        require(begin >= 0 and 1 <= size <= whole - begin, f"it takes {size} from {begin} of {whole}")
        found.append(size)
    return [tuple(found)]


def _pad(op: Operator) -> list[Shape]:
    shape = _same(op)
    rank(shape, 1, 4)
    pads = given(op, 1)
    require(pads.dtype in INDICES and pads.shape == (len(shape), 2), "its padding does not fit")
    if len(op.inputs) == 3:
        one(op, 2, given(op, 0).dtype)
    values = [tuple(map(int, row)) for row in pads.values()]
    require(all(0 <= value <= _MAX_SIZE for row in values for value in row), "its padding is negative")
    return [tuple(size + sum(row) for size, row in zip(shape, values, strict=True))]


def _tile(op: Operator) -> list[Shape]:
    shape, times = _same(op), integers(op, 1)
    rank(shape, 1, 4)
    require(len(times) == len(shape) and min(times) >= 1, f"it repeats {shape} {times} times")
    return [tuple(size * count for size, count in zip(shape, times, strict=True))]


def _broadcast_to(op: Operator) -> list[Shape]:
    shape, wanted = _same(op), integers(op, 1)
    rank(shape, 0, len(wanted))
    require(1 <= len(wanted) <= 4, f"it makes the shape {wanted}")
    padded = (1,) * (len(wanted) - len(shape)) + shape
    require(all(a in (1, b) for a, b in zip(padded, wanted, strict=True)), f"it makes {wanted} of {shape}")
    return [tuple(wanted)]


def _resize(op: Operator) -> list[Shape]:
    shape, size = _same(op), integers(op, 1)
    rank(shape, 4, 4)
    require(len(size) == 2 and min(size) >= 1, f"it resizes to {size}")
    both = op.options["align_corners"] and op.options["half_pixel_centers"]
    require(not both, "it aligns corners and centers at once")
    return [(shape[0], *size, shape[3])]


def _gather(op: Operator) -> list[Shape]:
    shape, places = _same(op), given(op, 1)
    rank(shape, 1, 4)
    rank(places.shape, 0, 1)
    axis = axis_of(op.options["axis"], len(shape))
    require(
        places.dtype in INDICES and op.options["batch_dims"] == 0, "its indices are not a list of integers"
    )
    if places.data is not None:  # computed ones are checked by the kernel
        values = places.values()
        require(bool(((values >= 0) & (values < shape[axis])).all()), "an index is out of bounds")
    return [(*shape[:axis], *places.shape, *shape[axis + 1 :])]


def _top_k(op: Operator) -> list[Shape]:
    gives(op, types(op, (*NUMBERS, "int32"), 0), "int32")
    same_scale(op, 0)
    shape, count = given(op, 0).shape, scalar(op, 1)
    rank(shape, 1, 4)
    require(1 <= count <= shape[-1], f"it takes {count} of {shape[-1]}")
    return [(*shape[:-1], count)] * 2


def _one_hot(op: Operator) -> list[Shape]:
    types(op, INDICES, 0)
    gives(op, types(op, ("float32", "int32"), 2, 3))
    one(op, 2, given(op, 2).dtype)
    one(op, 3, given(op, 2).dtype)
    shape, depth = given(op, 0).shape, scalar(op, 1)
    rank(shape, 0, 3)
    require(op.options["axis"] == -1 and depth >= 1, "its axis is not the last, or empty")
    return [(*shape, depth)]


def _suppression(op: Operator) -> list[Shape]:
    """NON_MAX_SUPPRESSION_V4 (boxes, scores, most, thresholds); V5 has a sigma, too, and gives scores."""
    types(op, FLOAT, 0, 1)
    boxes, scores = given(op, 0).shape, given(op, 1).shape
    require(len(boxes) == 2 and boxes[1] == 4 and scores == boxes[:1], "its boxes and scores do not fit")
    most, soft = scalar(op, 2), op.name.endswith("V5")
    require(1 <= most <= _MAX_SIZE and given(op, 2).dtype == "int32", f"it keeps {most} boxes")
    for i in range(3, 6 if soft else 5):
        one(op, i)
        tensor = given(op, i)
        if tensor.data is not None:
            finite(float(tensor.values().reshape(-1)[0]), 0, 1, "threshold")
    gives(op, *(("int32", "float32", "int32") if soft else ("int32", "int32")))
    return [(most,), (most,), ()] if soft else [(most,), ()]


def _postprocess(op: Operator) -> list[Shape]:
    """Its kernel believes its options, and loses count where it suppresses class by class."""
    options = read_map(op.custom or b"")
    whole = ("max_detections", "max_classes_per_detection", "num_classes")
    scales = ("y_scale", "x_scale", "h_scale", "w_scale")
    thresholds = ("nms_score_threshold", "nms_iou_threshold")
    missing = {*whole, *scales, *thresholds} - set(options)
    require(not missing, f"its options lack {', '.join(sorted(missing))}")
    others = set(options) - {*whole, *scales, *thresholds, "use_regular_nms", "detections_per_class"}
    require(not others and not options.get("use_regular_nms"), "its options are none that exporters write")
    for name in scales:
        finite(options[name], 1e-6, 1e6, name)
    finite(options["nms_score_threshold"], -1, 1, "score threshold")
    finite(options["nms_iou_threshold"], 1e-9, 1, "IoU threshold")
    types(op, FLOAT)
    gives(op, *FLOAT * 4)
    boxes, scores, anchors = (given(op, i).shape for i in range(3))
    detections, per_box, classes = (options[name] for name in whole)
    require(all(isinstance(options[name], int) for name in whole), "its options are not whole numbers")
    require(len(boxes) == 3 and boxes[0] == 1 and boxes[2] == 4, f"it takes no boxes {boxes}")
    require(anchors == boxes[1:], "its anchors do not fit its boxes")
    require(len(scores) == 3 and scores[:2] == boxes[:2], "its scores do not fit its boxes")
    require(classes >= 1 and scores[2] - classes in (0, 1), f"it has {classes} classes of {scores[2]}")
    require(1 <= per_box <= classes and detections >= 1, "it keeps no detections")
    count = int(detections * per_box)
    return [(1, count, 4), (1, count), (1, count), (1,)]


def _compiled(op: Operator) -> list[Shape]:
    """Runs on an Edge TPU alone; what comes out is only known to its library."""
    return [tensor.shape for tensor in op.outputs]


def _pairs(op: Operator) -> float:
    """Comparisons of boxes per element of the output; one costs as much as dozens of multiplications."""
    return 100.0 * given(op, 0).size


MOVEMENT: dict[str, Rule] = {
    "RESHAPE": Rule(_reshape, (1, 2), options="ReshapeOptions"),
    "SQUEEZE": Rule(_squeeze, (1, 1), options="SqueezeOptions"),
    "EXPAND_DIMS": Rule(_expand, (2, 2), options="ExpandDimsOptions"),
    "TRANSPOSE": Rule(_transpose, (2, 2), options="TransposeOptions"),
    "PACK": Rule(_pack, (1, 1000), options="PackOptions"),
    "UNPACK": Rule(_unpack, (1, 1), 0, options="UnpackOptions"),
    "SPLIT": Rule(_split, (2, 2), 0, options="SplitOptions"),
    "SPLIT_V": Rule(_split_v, (3, 3), 0, options="SplitVOptions"),
    "CONCATENATION": Rule(_join, (1, 1000), options="ConcatenationOptions"),
    "STRIDED_SLICE": Rule(_strided_slice, (4, 4), options="StridedSliceOptions"),
    "SLICE": Rule(_slice, (3, 3), options="SliceOptions"),
    "PAD": Rule(_pad, (2, 2), options="PadOptions"),
    "PADV2": Rule(_pad, (3, 3), options="PadV2Options"),
    "TILE": Rule(_tile, (2, 2), options="TileOptions"),
    "BROADCAST_TO": Rule(_broadcast_to, (2, 2), options="BroadcastToOptions"),
    "RESIZE_NEAREST_NEIGHBOR": Rule(_resize, (2, 2), options="ResizeNearestNeighborOptions"),
    "RESIZE_BILINEAR": Rule(_resize, (2, 2), options="ResizeBilinearOptions"),
    "GATHER": Rule(_gather, (2, 2), options="GatherOptions"),
    "TOPK_V2": Rule(_top_k, (2, 2), 2, options="TopKV2Options"),
    "ONE_HOT": Rule(_one_hot, (4, 4), options="OneHotOptions"),
    "NON_MAX_SUPPRESSION_V4": Rule(
        _suppression, (5, 5), 2, options="NonMaxSuppressionV4Options", work=_pairs
    ),
    "NON_MAX_SUPPRESSION_V5": Rule(
        _suppression, (6, 6), 3, options="NonMaxSuppressionV5Options", work=_pairs
    ),
    POSTPROCESS: Rule(_postprocess, (3, 3), 4, work=_pairs),
    EDGE_TPU: Rule(_compiled, (1, 1000), 0),
}
"""By the schema's names, and custom operators by their own."""
