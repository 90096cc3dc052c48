"""`tfyolo classify train`, `val` and `predict`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfyolo.cli import argument_types as types
from tfyolo.cli import arguments as options
from tfyolo.cli import classify_train
from tfyolo.cli.next_command import print_next
from tfyolo.cli.parser import HelpFormatter, examples_text

EXAMPLES = (
    "tfyolo classify train --data cells/ --model yolov5n-cls --img 64 --epochs 30",
    "tfyolo classify train --data cells/ --pretrained yolov5n.pt --freeze 5   # a detector's backbone",
    "tfyolo classify train --qat --data cells/ --pretrained best.keras   # as an int8 model",
    "tfyolo classify train --resume   # continue the newest unfinished run",
    "tfyolo classify val --data cells/ --weights best.keras --split test",
    "tfyolo classify predict --weights best.keras --source images/",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a subcommand for training, validation and prediction."""
    commands = parser.add_subparsers(dest="part", required=True, metavar="train|val|predict")
    for name, purpose, add_options in (
        ("train", "train a classifier on a folder of images per class", classify_train.add_arguments),
        ("val", "measure top-1 and top-5 accuracy on a split", _add_val_arguments),
        ("predict", "classify images, videos and streams", _add_predict_arguments),
    ):
        examples = [line for line in EXAMPLES if line.startswith(f"tfyolo classify {name}")]
        command = commands.add_parser(
            name,
            help=purpose,
            description=f"{purpose[0].upper()}{purpose[1:]}.",
            allow_abbrev=False,
            epilog=examples_text(examples),
            formatter_class=HelpFormatter,
        )
        add_options(command)


def run(arguments: argparse.Namespace) -> int:
    """Run the subcommand, and return the exit code."""
    return {"train": classify_train.run, "val": _val, "predict": _predict}[arguments.part](arguments)


def _add_val_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of YOLOv5's classify/val.py."""
    add = options.group(parser, "data")
    add("--data", required=True, type=Path, metavar="FOLDER", help="dataset folder with val/CLASS/*.jpg")
    add(
        "--split",
        "--task",
        choices=("train", "val", "test"),
        default="",
        help="split to measure on (default: val, or test if there is no val)",
    )
    add(
        "--batch-size",
        "--batch",
        dest="batch",
        type=types.positive,
        default=64,
        metavar="N",
        help="number of images per batch",
    )
    options.add_weights(parser)
    add = options.group(parser, "output")
    add("--verbose", action="store_true", help="print a row for each class, however many there are")
    add("--noplots", action="store_true", help="do not draw the confusion matrix and images")
    options.add_run_folder(parser, "runs/val-cls")


def _add_predict_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of YOLOv5's classify/predict.py."""
    options.add_source(parser)
    options.add_weights(parser)
    add = options.group(parser, "output")
    add("--top", type=types.positive, default=5, metavar="N", help="number of top classes to show")
    add("--save-txt", action="store_true", help="write labels/NAME.txt: probability and class, best first")
    add("--save-csv", action="store_true", help="write all predictions to predictions.csv")
    add("--nosave", action="store_true", help="do not write annotated images and videos")
    options.add_run_folder(parser, "runs/predict-cls")


def _val(arguments: argparse.Namespace) -> int:
    """Measure accuracy; returns exit code 1 if images were damaged."""
    from tfyolo.cli.metrics_tables import print_metrics
    from tfyolo.cli.progress import progress_bar
    from tfyolo.data.classification.folders import read_folders
    from tfyolo.evaluation.classification import ClassifierValOptions, validate_classifier
    from tfyolo.files import run_folder
    from tfyolo.inference.load import load_classification_predictor

    dataset = read_folders(arguments.data)
    classifier = load_classification_predictor(arguments.weights, options.image_size(arguments.img))
    dataset.with_names(classifier.names)  # fails before a folder is created
    plots = options.can_plot(not arguments.noplots)
    folder = run_folder(arguments.project, arguments.name, arguments.exist_ok)
    val_options = ClassifierValOptions(arguments.split, arguments.batch, plots)
    with progress_bar() as progress:
        metrics = validate_classifier(classifier, dataset, val_options, folder, progress)
    print_metrics(metrics, folder, verbose=arguments.verbose)
    print_next("tfyolo", "classify", "predict", "--weights", arguments.weights, "--source", "IMAGES")
    return 1 if metrics.scan.corrupt else 0


def _predict(arguments: argparse.Namespace) -> int:
    """Classify images; returns exit code 1 if some could not be read, 130 after Ctrl-C."""
    from tfyolo.cli.classify_run import predict_classes
    from tfyolo.files import run_folder
    from tfyolo.inference.load import load_classification_predictor
    from tfyolo.inference.sources import open_sources
    from tfyolo.inference.writers import OutputOptions

    frames = open_sources(arguments.source, arguments.vid_stride)
    classifier = load_classification_predictor(arguments.weights, options.image_size(arguments.img))
    outputs = None
    if not arguments.nosave or arguments.save_txt or arguments.save_csv:
        folder = run_folder(arguments.project, arguments.name, arguments.exist_ok)
        outputs = OutputOptions(
            folder, images=not arguments.nosave, txt=arguments.save_txt, csv=arguments.save_csv
        )
    report = predict_classes(classifier, frames, outputs, arguments.top)
    print(report)
    if report.interrupted and frames.total is not None:  # stopping an endless stream is not a failure
        return 130
    return 0 if report.is_complete else 1
