"""`tfyolo segment train`, `val` and `predict`."""

from __future__ import annotations

import argparse

from tfyolo.cli import arguments as options
from tfyolo.cli import detect, segment_train, val
from tfyolo.cli.parser import HelpFormatter, examples_text

PREDICT_EXAMPLES = (
    "tfyolo segment predict --weights yolov5n-seg.pt --source bus.jpg",
    "tfyolo segment predict --weights best.keras --source holiday/ --save-txt --retina-masks",
)
VAL_EXAMPLES = (
    "tfyolo segment val --weights best.pt --data fruit.yaml --img 640",
    "tfyolo segment val --weights best.keras --data fruit.yaml --save-json --retina-masks",
)
EXAMPLES = (*segment_train.EXAMPLES, *VAL_EXAMPLES, *PREDICT_EXAMPLES)
NOTES = ("`tfyolo export`, `quantize`, `quant-debug` and `benchmark` take segmentation models as well.",)
VAL_NOTES = (
    "Masks are measured with the polygons of the labels; a label without a polygon counts as a rectangle.",
    *val.NOTES,
)
_RETINA = "before they are cropped to their boxes, for sharper borders"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add subcommands for training, validation and prediction."""
    commands = parser.add_subparsers(dest="part", required=True, metavar="train|val|predict")
    command = commands.add_parser(
        "train",
        help="train a segmentation model on a dataset with polygons",
        description="Train a segmentation model on a dataset with polygons.",
        allow_abbrev=False,
        epilog=examples_text(segment_train.EXAMPLES),
        formatter_class=HelpFormatter,
    )
    segment_train.add_arguments(command)
    command = commands.add_parser(
        "val",
        help="measure precision, recall and mAP of boxes and masks",
        description="Measure precision, recall and mAP of boxes and masks by YOLOv5's protocol.",
        allow_abbrev=False,
        epilog=examples_text(VAL_EXAMPLES, VAL_NOTES),
        formatter_class=HelpFormatter,
    )
    val.add_validation(command, "runs/val-seg")
    options.group(command, "output")(
        "--retina-masks",
        action="store_true",
        help=f"enlarge the masks of predictions.json and image grids to the image {_RETINA}",
    )
    command = commands.add_parser(
        "predict",
        help="find objects and their masks in images, videos and streams",
        description="Find objects and their masks in images, videos and streams.",
        allow_abbrev=False,
        epilog=examples_text(PREDICT_EXAMPLES, detect.NOTES),
        formatter_class=HelpFormatter,
    )
    detect.add_prediction(command, "runs/predict-seg", default_model=False)
    options.group(command, "output")(
        "--retina-masks", action="store_true", help=f"enlarge masks to the image {_RETINA}"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the subcommand, and return the exit code."""
    return {"train": segment_train.run, "val": _val, "predict": _predict}[arguments.part](arguments)


def _predict(arguments: argparse.Namespace) -> int:
    """Find objects and their masks, and write results."""
    from tfyolo.inference.load import load_segmentation_predictor
    from tfyolo.inference.sources import open_sources

    frames = open_sources(arguments.source, arguments.vid_stride)
    segmenter = load_segmentation_predictor(arguments.weights, options.image_size(arguments.img))
    return detect.predict(segmenter, frames, arguments, {"retina_masks": arguments.retina_masks})


def _val(arguments: argparse.Namespace) -> int:
    """Validate, write and print the metrics."""
    from tfyolo.inference.load import load_segmentation_predictor

    return val.validate_model(
        arguments, load_segmentation_predictor, {"retina_masks": arguments.retina_masks}
    )
