"""`tfyolo val`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tfyolo.cli import arguments as options

if TYPE_CHECKING:
    from tfyolo.evaluation.validator import Metrics

EXAMPLES = (
    "tfyolo val --weights yolov5n.pt --data coco128.yaml --img 640",
    "tfyolo val --weights best.tflite --data fruit.yaml --task test --save-json",
    "exit code 1: some images or labels could not be used; they are named and left out",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of YOLOv5's val.py."""
    options.add_model(parser)
    parser.add_argument(
        "--data", required=True, metavar="YAML", help="dataset: path, train, val, test, names"
    )
    options.add_thresholds(parser, conf=0.001, iou=0.6, max_det=300)
    parser.add_argument("--task", choices=("train", "val", "test"), default="val", help="split (%(default)s)")
    parser.add_argument(
        "--batch-size", "--batch", type=options.positive, default=32, metavar="N", help="images (32)"
    )
    parser.add_argument(
        "--rect", action=argparse.BooleanOptionalAction, default=True,
        help="rectangular batches where the model's input may vary",
    )  # fmt: skip
    parser.add_argument(
        "--augment", action="store_true", help="test-time augmentation: three scales and a flip"
    )
    parser.add_argument("--single-cls", action="store_true", help="count all classes as one")
    parser.add_argument("--verbose", action="store_true", help="a row for each class, however many")
    parser.add_argument("--save-json", action="store_true", help="predictions.json, and COCO's own figures")
    parser.add_argument("--annotations", type=Path, metavar="JSON", help="COCO ground truth for --save-json")
    parser.add_argument("--noplots", action="store_true", help="draw no curves and mosaics")
    options.add_run(parser, "runs/val")


def run(arguments: argparse.Namespace) -> int:
    """Validate, write, print."""
    from tfyolo.cli.progress import progress_bar
    from tfyolo.data.detection.class_map import match_classes
    from tfyolo.data.detection.scan import read_dataset
    from tfyolo.evaluation.validator import ValOptions, validate
    from tfyolo.files import run_folder
    from tfyolo.inference.load import load_detector
    from tfyolo.inference.nms import NmsOptions

    dataset = read_dataset(arguments.data)
    detector = load_detector(arguments.weights, options.image_size(arguments.img))
    if not arguments.single_cls:
        match_classes(dataset.names, detector.names, dataset.yaml_path)  # refuses before a folder is made
    wanted = NmsOptions(arguments.conf_thres, arguments.iou_thres, max_detections=arguments.max_det)
    if limits := detector.limits(wanted):
        print(f"note: {limits}; mAP cannot be compared with that at 0.001", file=sys.stderr)
    elif arguments.conf_thres > 0.001:
        print("note: mAP at --conf-thres over 0.001 comes out higher than it is", file=sys.stderr)
    plots = options.drawn_plots(not arguments.noplots)
    folder = run_folder(arguments.project, arguments.name, arguments.exist_ok)
    with progress_bar() as progress:
        metrics = validate(
            detector,
            dataset,
            ValOptions(
                split=arguments.task,
                batch=arguments.batch_size,
                confidence=arguments.conf_thres,
                iou=arguments.iou_thres,
                max_detections=arguments.max_det,
                rect=arguments.rect,
                augment=arguments.augment,
                single_cls=arguments.single_cls,
                plots=plots,
                save_json=arguments.save_json,
                annotations=arguments.annotations,
            ),
            folder,
            progress,
        )
    print_metrics(metrics, folder, arguments.verbose or len(metrics.names) <= 30)
    # Those of the scan, which reads headers only, and of images that could not be decoded.
    undecoded = len(metrics.problems) > len(metrics.scan.problems)
    return 1 if undecoded or any(problem.severity == "error" for problem in metrics.scan.problems) else 0


def print_metrics(metrics: Metrics, folder: Path, per_class: bool, scanned: bool = False) -> None:
    """Print the table of figures.

    Args:
        metrics: what was measured.
        folder: where results are.
        per_class: a row for each class.
        scanned: what was wrong with the dataset has been told before.
    """
    from rich.markup import escape
    from rich.table import Table

    from tfyolo.cli.console import console
    from tfyolo.text import printable

    out, result, scan = console(), metrics.result, metrics.scan
    for problem in metrics.problems[len(scan.problems) if scanned else 0 :]:
        out.print(printable(problem), markup=False)
    for note in metrics.notes:
        out.print(f"note: {note}", markup=False)
    out.print(scan.summary())
    table = Table("class", *(("labels", "P", "R", "mAP50", "mAP50-95")), box=None)
    for column in table.columns[1:]:
        column.justify = "right"

    def row(name: str, labels: int, *values: float) -> None:
        table.add_row(escape(printable(name)), str(labels), *(f"{value:.3f}" for value in values))

    labels = int(result.labels.sum())
    row("all", labels, result.mean_precision, result.mean_recall, result.map50, result.map50_95)
    if per_class:
        columns = (result.classes, result.labels, result.precision, result.recall, result.ap50)
        rows = zip(*columns, result.ap.mean(1), strict=True)
        for index, count, *values in rows:
            row(metrics.names[index], int(count), *values)
    out.print(table)
    if metrics.coco:
        figures = ", ".join(f"{key} {value:.3f}" for key, value in metrics.coco.items())
        out.print(f"COCO protocol: {figures}", soft_wrap=True)
    speed = ", ".join(f"{value:.1f} ms {key}" for key, value in metrics.speed_ms.items())
    out.print(f"speed an image: {speed}")
    out.print(f"results are in {folder}", markup=False, soft_wrap=True)
