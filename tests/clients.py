"""Files that are only described, for tests of the clients that `tfyolo inspect --snippet` prints."""

from __future__ import annotations

from tfyolo.export.runtime.inspection import Inspection, TensorInfo
from tfyolo.models import load_spec
from tfyolo.models.contract import Contract

OUTPUTS = {
    "suppressed": [
        ("detection_boxes", (1, 100, 4)),
        ("detection_classes", (1, 100)),
        ("detection_scores", (1, 100)),
        ("num_detections", (1,)),
    ],
    "boxes": [("boxes", (1, 6300, 4)), ("scores", (1, 6300, 3))],
    "probabilities": [("probabilities", (1, 3))],
}
"""Names and shapes of outputs by the kind that templates know."""


def inspection(
    kind: str,
    dtype: str,
    names: tuple[str, ...] = ("Platelets", "RBC", "WBC"),
    size: tuple[int, int] = (320, 320),
) -> Inspection:
    """What a file would hold.

    Args:
        kind: of `OUTPUTS`.
        dtype: of its input, `uint8` or `float32`.
        names: of its classes.
        size: height and width of its input.
    """
    task = "classify" if kind == "probabilities" else "detect"
    spec = load_spec("yolov5n-cls" if task == "classify" else "yolov5n", num_classes=len(names))
    notes = {"nms": "none", "precision": "int8" if dtype == "uint8" else dtype}
    if kind == "suppressed":
        notes |= {"nms": "postprocess", "conf_thres": 0.25, "iou_thres": 0.45, "max_det": 100}
    contract = Contract.of(spec, names, size).model_copy(update={"export": notes})
    images = TensorInfo("images", (1, *size, 3), dtype, (1 / 255, 0) if dtype == "uint8" else None)
    outputs = tuple(TensorInfo(name, shape, "float32") for name, shape in OUTPUTS[kind])
    return Inspection(contract, (images,), outputs, {})
