"""Rules for operators that select boxes: NMS, and custom operators for detection and the Edge TPU."""

from __future__ import annotations

import math

from tfyolo.export.edgetpu.entry import CUSTOM_OPERATOR
from tfyolo.export.runtime.budget import nms_multiplications
from tfyolo.export.tflite.entry import POSTPROCESS
from tfyolo.export.tflite.vetting.flexbuffer import read_map
from tfyolo.export.tflite.vetting.graph import Operator
from tfyolo.export.tflite.vetting.rules import (
    FLOAT_TYPES,
    OperatorRule,
    Shape,
    check_in_range,
    check_output_types,
    check_scalar_input,
    constant_integer,
    ensure,
    get_input,
    input_type,
)

_MAX_INT32 = 2**31 - 1


def _infer_non_max_suppression(op: Operator) -> list[Shape]:
    """NON_MAX_SUPPRESSION_V4: boxes, scores, maximum number of boxes, IoU and score threshold.

    NON_MAX_SUPPRESSION_V5 has a further input, the sigma of soft NMS, and returns scores as well.
    """
    input_type(op, FLOAT_TYPES, 0, 1)
    boxes, scores = get_input(op, 0).shape, get_input(op, 1).shape
    ensure(
        len(boxes) == 2 and boxes[1] == 4 and scores == boxes[:1],
        "the shapes of its boxes and scores do not match",
    )
    max_boxes, soft = constant_integer(op, 2), op.name.endswith("V5")
    ensure(
        1 <= max_boxes <= _MAX_INT32 and get_input(op, 2).dtype == "int32",
        f"its maximum number of boxes is {max_boxes}",
    )
    for i in range(3, 6 if soft else 5):
        check_scalar_input(op, i)
        tensor = get_input(op, i)
        if tensor.data is not None:
            check_in_range(float(tensor.values().reshape(-1)[0]), 0, 1, "threshold")
    check_output_types(op, *(("int32", "float32", "int32") if soft else ("int32", "int32")))
    return [(max_boxes,), (max_boxes,), ()] if soft else [(max_boxes,), ()]


def _infer_detection_postprocess(op: Operator) -> list[Shape]:
    """TFLite_Detection_PostProcess: its kernel does not check its options.

    `use_regular_nms` is refused, since that mode of the kernel writes past its buffers.
    """
    options = read_map(op.custom or b"")
    whole = ("max_detections", "max_classes_per_detection", "num_classes")
    scales = ("y_scale", "x_scale", "h_scale", "w_scale")
    thresholds = ("nms_score_threshold", "nms_iou_threshold")
    missing = {*whole, *scales, *thresholds} - set(options)
    ensure(not missing, f"its options lack {', '.join(sorted(missing))}")
    others = set(options) - {*whole, *scales, *thresholds, "use_regular_nms", "detections_per_class"}
    ensure(not others and not options.get("use_regular_nms"), "unsupported options")
    for name in scales:
        check_in_range(options[name], 1e-6, 1e6, name)
    check_in_range(options["nms_score_threshold"], -1, 1, "score threshold")
    check_in_range(options["nms_iou_threshold"], 1e-9, 1, "IoU threshold")
    input_type(op, FLOAT_TYPES)
    check_output_types(op, *FLOAT_TYPES * 4)
    boxes, scores, anchors = (get_input(op, i).shape for i in range(3))
    detections, per_box, classes = (options[name] for name in whole)
    ensure(all(isinstance(options[name], int) for name in whole), "its options are not integers")
    ensure(len(boxes) == 3 and boxes[0] == 1 and boxes[2] == 4, f"unsupported shape of boxes {boxes}")
    ensure(anchors == boxes[1:], "the shapes of its anchors and boxes do not match")
    ensure(len(scores) == 3 and scores[:2] == boxes[:2], "the shapes of its scores and boxes do not match")
    ensure(
        classes >= 1 and scores[2] - classes in (0, 1),
        f"num_classes is {classes}, but there are {scores[2]} scores per box",
    )
    ensure(1 <= per_box <= classes and detections >= 1, "its maximum number of detections is not positive")
    count = int(detections * per_box)
    return [(1, count, 4), (1, count), (1, count), (1,)]


def _infer_edge_tpu(op: Operator) -> list[Shape]:
    """Operators compiled for the Edge TPU: only its library knows their output shapes."""
    return [tensor.shape for tensor in op.outputs]


def _nms_multiplications(op: Operator) -> int:
    """Return the cost of NMS of boxes (..., boxes, 4); the first output has one row per selected box."""
    return nms_multiplications(get_input(op, 0).shape[-2], math.prod(op.outputs[0].shape[:2]))


BOX_SELECTION: dict[str, OperatorRule] = {
    "NON_MAX_SUPPRESSION_V4": OperatorRule(
        _infer_non_max_suppression,
        (5, 5),
        2,
        options_table="NonMaxSuppressionV4Options",
        multiplications=_nms_multiplications,
    ),
    "NON_MAX_SUPPRESSION_V5": OperatorRule(
        _infer_non_max_suppression,
        (6, 6),
        3,
        options_table="NonMaxSuppressionV5Options",
        multiplications=_nms_multiplications,
    ),
    POSTPROCESS: OperatorRule(_infer_detection_postprocess, (3, 3), 4, multiplications=_nms_multiplications),
    CUSTOM_OPERATOR: OperatorRule(_infer_edge_tpu, (1, 1000), 0),
}
"""Rules by the operator names of schema.fbs; custom operators by their custom code."""
