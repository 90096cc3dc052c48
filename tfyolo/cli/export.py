"""`tfyolo export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfyolo.cli import argument_types as types
from tfyolo.cli import arguments as options
from tfyolo.cli import quantization_arguments as quantization
from tfyolo.cli.next_command import print_next
from tfyolo.errors import TfyoloError

EXAMPLES = (
    "tfyolo export --weights yolov5n.pt --include tflite",
    "tfyolo export --weights best.keras --include saved_model pb tflite tfjs --half --img 320",
    "tfyolo export --weights best.keras --include tflite edgetpu --int8 --data fruit.yaml",
    "tfyolo export --weights best.keras --include tflite --int8 --data fruit.yaml --float-budget 15%",
    "tfyolo export --weights yolov5n.pt --include tflite --conf-thres 0.001 --iou-thres 0.6 --multi-label",
)
# The kinds of export/graph/nms.py, which imports TensorFlow.
_NMS_KINDS = ("postprocess", "builtin", "combined", "tensor", "pipeline", "efficient", "none", "raw")
_PRECISION_HELP = {
    "float16": "store weights as float16, at half the size",
    "dynamic": "store weights as int8 and compute in float",
    "int8": "write an int8 model, a quarter of the float32 size; needs --data, or weights that "
    "`tfyolo quantize` wrote",
    "int16x8": "write 16-bit activations and 8-bit weights; needs --data",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of YOLOv5's export.py to the parser."""
    from tfyolo.export.registry import PRECISIONS, exportable

    quantization.add_calibration(parser)
    options.add_weights(parser, exported=False)
    add = options.group(parser, "non-maximum suppression")
    add(
        "--nms",
        nargs="?",
        const="auto",
        choices=("auto", *_NMS_KINDS),
        metavar="KIND",
        help=f"kind of NMS inside the file: {', '.join(_NMS_KINDS)}, or auto for the format's own; none "
        "returns all boxes, raw the heads' logits (default: auto)",
    )
    options.add_thresholds(parser, confidence=0.25, iou_threshold=0.45, max_detections=100)
    add("--topk-all", dest="max_det", type=types.positive, metavar="N", help="the same as --max-det")
    add(
        "--topk-per-class",
        type=types.positive,
        metavar="N",
        help="maximum number of boxes per class (default: no limit)",
    )
    add("--agnostic-nms", action="store_true", help="let boxes of different classes suppress each other")
    add(
        "--candidates",
        type=types.positive,
        default=1000,
        metavar="N",
        help="number of boxes with the highest objectness that enter NMS",
    )
    add("--multi-label", action="store_true", help="let a box have several classes, as mAP is measured")
    add = options.group(parser, "quantization", exclusive=True)
    for precision, text in _PRECISION_HELP.items():
        add(PRECISIONS[precision], dest="precision", action="store_const", const=precision, help=text)
    parser.set_defaults(precision="float32")
    add = options.group(parser, "quantization")
    add(
        "--calibrator",
        choices=("tfyolo", "runtime"),
        default="tfyolo",
        help="origin of the ranges of --int8: tfyolo's calibration, which QAT can improve, or the tool "
        "of ONNX Runtime or OpenVINO",
    )
    add = options.group(parser, "output")
    names = ", ".join(entry.name for entry in exportable())
    add("--include", nargs="+", default=["tflite"], metavar="FORMAT", help=f"formats to write: {names}")
    add("--dynamic-batch", action="store_true", help="accept any batch size (ONNX and OpenVINO)")
    add("--opset", type=types.opset, default=17, metavar="N", help="ONNX operator set version to write")
    add(
        "--simplify",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="simplify ONNX graphs with onnxslim",
    )
    add(
        "--output",
        metavar="PATH",
        help="path of the files, which get the suffix of their format, or a folder/ (default: --weights)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Export, print the files and the next commands, and return the exit code."""
    from tfyolo.cli.progress import progress_bar
    from tfyolo.export.registry import check_targets, export_stem, find_format, format_of
    from tfyolo.files import megabytes
    from tfyolo.libraries import require
    from tfyolo.weights.hub import fetch_weights, output_stem

    if arguments.nms == "auto" and arguments.dynamic_batch:
        raise TfyoloError("--nms does not support --dynamic-batch", fix="leave out --nms, or pass --nms none")
    nms = arguments.nms or "auto"
    for name in arguments.include:  # fails before TensorFlow is imported
        entry = find_format(name)
        entry.check(nms, arguments.precision)
    budget = quantization.float_budget(arguments)
    require(*dict.fromkeys(module for name in arguments.include for module in find_format(name).writes_with))
    path = fetch_weights(arguments.weights)
    if not format_of(path).source:
        raise TfyoloError(
            "is already an exported file", path=path, fix="pass the .pt or .keras file it was exported from"
        )
    stem = output_stem(arguments.weights)
    if arguments.output:
        stem = export_stem(arguments.output, stem.name)
    check_targets(arguments.include, stem, path)

    from tfyolo.api.export import write_formats
    from tfyolo.export.graph.options import GraphNmsOptions
    from tfyolo.export.job import ExportJob
    from tfyolo.export.options import ExportOptions
    from tfyolo.quantization.export_options import ExportCalibrationOptions
    from tfyolo.weights import load_model

    model, contract = load_model(path)
    image_size = options.image_size(arguments.img) or contract.image_size
    nms_options = GraphNmsOptions(
        confidence=arguments.conf_thres,
        iou_threshold=arguments.iou_thres,
        max_detections=arguments.max_det,
        candidates=arguments.candidates,
        multi_label=arguments.multi_label,
        agnostic=arguments.agnostic_nms,
        per_class=arguments.topk_per_class,
    )
    notes: list[str] = []
    job = ExportJob(
        model,
        contract,
        ExportOptions(
            image_size=image_size,
            nms=nms,
            nms_options=nms_options,
            precision=arguments.precision,
            dynamic_batch=arguments.dynamic_batch,
            opset=arguments.opset,
            simplify=arguments.simplify,
            calibrator=arguments.calibrator,
        ),
        log=notes.append,
    )
    calibration = ExportCalibrationOptions(
        arguments.data,
        arguments.calibration,
        arguments.ranges,
        arguments.keep_float,
        tuple(arguments.given),
        budget,
        report=stem,
    )
    with progress_bar() as progress:
        written = write_formats(job, arguments.include, stem, calibration, path, progress)
    for note in notes:
        print(note)
    for name, file in written.items():
        print(f"{name}: {file} ({megabytes(file):.1f} MB)")
    print_next(
        "tfyolo", *_PREDICT[contract.task], "--weights", next(iter(written.values())), "--source", "IMAGE"
    )
    for formats, words, note in _NEXT if contract.task == "detect" else ():
        if words[0] == "make" and not Path("android_demo").is_dir():  # only in a clone
            continue
        if files := [written[name] for name in formats if name in written]:
            print_next(*(word.format(file=files[0]) for word in words), note=note)
    return 0


_PREDICT = {"detect": ["detect"], "classify": ["classify", "predict"], "segment": ["segment", "predict"]}
"""Command that predicts, by task."""
_NEXT = (
    (("tflite", "tfjs"), ("tfyolo", "web", "--weights", "{file}"), "in a browser"),
    (
        ("tflite",),
        ("make", "android", "MODEL={file}"),
        "in an app; or copy it to app/src/main/assets/models/ of another app",
    ),
)
"""Next commands for files of these formats: for the first one that was written."""
