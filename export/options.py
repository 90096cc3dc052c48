"""Options of an export: what a user chooses."""

from __future__ import annotations

from dataclasses import dataclass, field

from tfyolo.export.graph.options import GraphNmsOptions


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export, the same for all formats.

    Attributes:
        image_size: fixed input size of the exported model in pixels, one side or (height, width). Defaults to
            the size of the model.
        nms: kind of non-maximum suppression (NMS) in the file: `postprocess`, `builtin`, `combined`,
            `tensor`, `pipeline` or `efficient`; `none` for all boxes, `raw` for the logits of the heads.
            `auto` is the default kind of each format.
        nms_options: thresholds and limits of the NMS in the file.
        precision: `float32`; `float16` for half the size; `dynamic` for int8 weights and float computation;
            `int8` for an integer model; `int16x8` for int16 activations and int8 weights.
        dynamic_batch: let the file take any number of images at once (ONNX, OpenVINO).
        opset: version of the ONNX operators, 13 to 18.
        simplify: let onnxslim simplify ONNX graphs.
        calibrator: origin of the ranges of an int8 file: `tfyolo` for those of the model, which calibration
            or quantization-aware training measured; `runtime` for those that the calibration tool of ONNX
            Runtime or OpenVINO measures.

    Example:
        >>> options = ExportOptions(image_size=320, nms="none", precision="float16")
        >>> options.nms_options.iou_threshold
        0.45
    """

    image_size: int | tuple[int, int] | None = None
    nms: str = "auto"
    nms_options: GraphNmsOptions = field(default_factory=GraphNmsOptions)
    precision: str = "float32"
    dynamic_batch: bool = False
    opset: int = 17
    simplify: bool = True
    calibrator: str = "tfyolo"
