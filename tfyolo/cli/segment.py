"""`tfyolo segment train` and `predict`."""

from __future__ import annotations

import argparse

from tfyolo.cli import arguments as options
from tfyolo.cli import detect, segment_train
from tfyolo.cli.parser import HelpFormatter, examples_text

EXAMPLES = (
    "tfyolo segment predict --weights yolov5n-seg.pt --source bus.jpg",
    "tfyolo segment predict --weights best.keras --source holiday/ --save-txt --retina-masks",
)
NOTES = ("Segmentation models cannot be quantized yet, and are exported only to .pt.",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add subcommands for training and prediction."""
    commands = parser.add_subparsers(dest="part", required=True, metavar="train|predict")
    command = commands.add_parser(
        "predict",
        help="find objects and their masks in images, videos and streams",
        description="Find objects and their masks in images, videos and streams.",
        allow_abbrev=False,
        epilog=examples_text(EXAMPLES, detect.NOTES),
        formatter_class=HelpFormatter,
    )
    detect.add_prediction(command, "runs/predict-seg", default_model=False)
    options.group(command, "output")(
        "--retina-masks",
        action="store_true",
        help="enlarge masks to the image before they are cropped to their boxes, for sharper borders",
    )
    command = commands.add_parser(
        "train",
        help="train a segmentation model on a dataset with polygons",
        description="Train a segmentation model on a dataset with polygons.",
        allow_abbrev=False,
        epilog=examples_text(segment_train.EXAMPLES),
        formatter_class=HelpFormatter,
    )
    segment_train.add_arguments(command)


def run(arguments: argparse.Namespace) -> int:
    """Run the subcommand, and return the exit code."""
    return {"train": segment_train.run, "predict": _predict}[arguments.part](arguments)


def _predict(arguments: argparse.Namespace) -> int:
    """Find objects and their masks, write results, and return the exit code."""
    from tfyolo.inference.load import load_segmentation_predictor
    from tfyolo.inference.sources import open_sources

    frames = open_sources(arguments.source, arguments.vid_stride)
    segmenter = load_segmentation_predictor(arguments.weights, options.image_size(arguments.img))
    return detect.predict(segmenter, frames, arguments, {"retina_masks": arguments.retina_masks})
