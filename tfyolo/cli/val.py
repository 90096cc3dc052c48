"""`tfyolo val`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfyolo.cli import argument_types as types
from tfyolo.cli import arguments as options

if TYPE_CHECKING:
    from tfyolo.inference.detection import BoxPredictor

EXAMPLES = (
    "tfyolo val --weights yolov5n.pt --data coco128.yaml --img 640",
    "tfyolo val --weights best.tflite --data fruit.yaml --task test --save-json",
)
NOTES = ("exit code 1: some images or labels could not be used; they are listed and left out",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of YOLOv5's val.py to the parser."""
    add_validation(parser, "runs/val")
    options.group(parser, "model")(
        "--augment", action="store_true", help="use test-time augmentation: three scales and a flip"
    )


def add_validation(parser: argparse.ArgumentParser, project: str) -> None:
    """Add the options of the validation of detectors and segmentation models.

    Args:
        parser: parser of the command.
        project: default folder of all runs.
    """
    add = options.group(parser, "data")
    add("--data", required=True, metavar="YAML", help="dataset YAML with path, train, val, test and names")
    add("--task", choices=("train", "val", "test"), default="val", help="split to measure on")
    add(
        "--batch-size",
        "--batch",
        type=types.positive,
        default=32,
        metavar="N",
        help="number of images per batch",
    )
    add(
        "--rect",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="use rectangular batches if the input size of the model may vary",
    )
    add("--single-cls", action="store_true", help="treat all classes as one")
    add("--annotations", type=Path, metavar="JSON", help="COCO ground truth for --save-json")
    options.add_weights(parser)
    options.add_thresholds(parser, confidence=0.001, iou_threshold=0.6, max_detections=300)
    add = options.group(parser, "output")
    add("--verbose", action="store_true", help="print a row for each class, however many there are")
    add("--save-json", action="store_true", help="write predictions.json, and compute COCO's own metrics")
    add("--noplots", action="store_true", help="do not draw curves and image grids")
    options.add_run_folder(parser, project)


def run(arguments: argparse.Namespace) -> int:
    """Validate, write and print the metrics, and return the exit code."""
    from tfyolo.inference.load import load_box_predictor

    return validate_model(arguments, load_box_predictor, {"augment": arguments.augment})


def validate_model(
    arguments: argparse.Namespace, load: Callable[..., BoxPredictor], fields: Mapping[str, Any]
) -> int:
    """Validate a detector or segmentation model, and return the exit code.

    Args:
        arguments: parsed options of `add_validation`.
        load: loads the model from its path and the image size.
        fields: further fields of `ValOptions`.
    """
    from tfyolo.cli.metrics_tables import print_metrics
    from tfyolo.cli.progress import progress_bar
    from tfyolo.data.detection.class_map import match_classes
    from tfyolo.data.detection.scan import read_dataset
    from tfyolo.evaluation.detection_metrics import ValOptions
    from tfyolo.evaluation.validator import check_task, validate
    from tfyolo.files import run_folder
    from tfyolo.inference.nms import NmsOptions

    dataset = read_dataset(arguments.data)
    model = load(arguments.weights, options.image_size(arguments.img))
    val_options = ValOptions(
        split=arguments.task,
        batch_size=arguments.batch_size,
        confidence=arguments.conf_thres,
        iou_threshold=arguments.iou_thres,
        max_detections=arguments.max_det,
        rect=arguments.rect,
        single_cls=arguments.single_cls,
        plots=options.can_plot(not arguments.noplots),
        save_json=arguments.save_json,
        annotations=arguments.annotations,
        **fields,
    )
    check_task(model, val_options)  # fails before a folder is created, as does the next line
    if not arguments.single_cls:
        match_classes(dataset.names, model.names, dataset.yaml_path)
    wanted = NmsOptions(arguments.conf_thres, arguments.iou_thres, max_detections=arguments.max_det)
    if limits := model.limits(wanted):
        print(f"note: {limits}; mAP cannot be compared with that at 0.001", file=sys.stderr)
    elif arguments.conf_thres > 0.001:
        print("note: mAP is overestimated with --conf-thres above 0.001", file=sys.stderr)
    folder = run_folder(arguments.project, arguments.name, arguments.exist_ok)
    with progress_bar() as progress:
        metrics = validate(model, dataset, val_options, folder, progress)
    print_metrics(metrics, folder, verbose=arguments.verbose)
    # The scan reads only the headers of images; some fail later, when they are decoded.
    undecoded = len(metrics.problems) > len(metrics.scan.problems)
    return 1 if undecoded or any(problem.severity == "error" for problem in metrics.scan.problems) else 0
