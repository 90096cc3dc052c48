"""`tfyolo export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfyolo.cli import arguments as options

EXAMPLES = (
    "tfyolo export --weights yolov5n.pt --include tflite",
    "tfyolo export --weights best.keras --include saved_model tflite --half --nms none --img 320",
    "tfyolo export --weights yolov5n.pt --include tflite --conf-thres 0.001 --iou-thres 0.6   # for mAP",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of YOLOv5's export.py."""
    options.add_model(parser)
    parser.add_argument(
        "--include",
        nargs="+",
        default=["tflite"],
        metavar="FORMAT",
        help="saved_model, tflite (default: tflite)",
    )
    parser.add_argument("--half", action="store_true", help="weights as float16: half the size")
    parser.add_argument(
        "--nms", choices=("auto", "postprocess", "combined", "none"), default="auto",
        help="suppression inside: postprocess is TFLite's own operation, combined is TensorFlow's; "
        "auto is the format's default",
    )  # fmt: skip
    options.add_thresholds(parser, conf=0.25, iou=0.45, max_det=100)
    parser.add_argument(
        "--candidates", type=options.positive, default=1000, metavar="N",
        help="boxes of highest objectness that are suppressed (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--multi-label", action="store_true", help="a box may have several classes, as when mAP is measured"
    )
    parser.add_argument(
        "--output", type=Path, metavar="STEM", help="path without suffix; beside --weights by default"
    )


def run(arguments: argparse.Namespace) -> int:
    """Export, print what was written and how to use it."""
    from tfyolo.cli.progress import progress_bar
    from tfyolo.errors import TfyoloError
    from tfyolo.export.nms import NmsSettings
    from tfyolo.export.registry import find_format
    from tfyolo.export.request import ExportRequest, export_model
    from tfyolo.quiet import hidden_stderr
    from tfyolo.weights import load_model
    from tfyolo.weights.hub import find_weights

    for name in arguments.include:  # a doomed request ends before TensorFlow is loaded
        find_format(name).check(arguments.nms)
    path = find_weights(arguments.weights)
    if path.suffix not in (".pt", ".pth", ".keras"):
        raise TfyoloError(
            "is exported already", path=path, fix="pass the .pt or .keras file it was made from"
        )
    model, contract = load_model(path)
    request = ExportRequest(
        model,
        contract,
        options.image_hw(arguments.img) or contract.image_size,
        arguments.nms,
        NmsSettings(
            arguments.conf_thres,
            arguments.iou_thres,
            arguments.max_det,
            arguments.candidates,
            arguments.multi_label,
        ),
        arguments.half,
    )
    stem = arguments.output or path.with_suffix("")
    with progress_bar() as progress, hidden_stderr():
        written = export_model(request, arguments.include, stem, progress)
    for name, file in written.items():
        print(f"{name}: {file} ({megabytes(file):.1f} MB)")
    print(f"next: tfyolo detect --weights {next(iter(written.values()))} --source PICTURE")
    return 0


def megabytes(path: Path) -> float:
    """Size of a file or a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6
