"""`tfyolo segment train`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tfyolo.cli import argument_types as types
from tfyolo.cli import arguments as options
from tfyolo.cli import train, train_arguments
from tfyolo.cli.next_command import print_next
from tfyolo.libraries import require

if TYPE_CHECKING:
    from tfyolo.training.detection.options import TrainOptions

EXAMPLES = (
    "tfyolo segment train --data coco128-seg.yaml --weights yolov5n.pt --img 320 --epochs 60   # a detector",
    "tfyolo segment train --data fruit.yaml --weights yolov5s-seg.pt --no-overlap",
    "tfyolo segment train --resume   # continue the newest unfinished run",
)
PROJECT = Path("runs/train-seg")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of YOLOv5's segment/train.py to the parser."""
    train.add_training(parser)
    add = options.group(parser, "data")
    add(
        "--mask-ratio",
        type=types.positive,
        default=4,
        metavar="N",
        help="pixels of the training images per pixel of the masks; 4 is the size of the prototypes",
    )
    add(
        "--no-overlap",
        action="store_true",
        help="one mask per object, instead of one index mask per image in which smaller objects are drawn "
        "over larger ones",
    )
    train_arguments.add_output(parser, PROJECT)
    parser.set_defaults(parser=parser)


def run(arguments: argparse.Namespace) -> int:
    """Train, resume or evolve, print the results, and return the exit code."""
    require(*train.NEEDS)
    from tfyolo.training.segmentation.options import SegmentOptions

    return train.start(
        arguments,
        SegmentOptions,
        "segment",
        _train,
        mask_ratio=arguments.mask_ratio,
        overlap=not arguments.no_overlap,
    )


def _train(train_options: TrainOptions, folder: Path, resume: Path | None) -> int:
    """Train with a live display, and print the metrics and the next command."""
    from tfyolo.cli.segment_display import SegmentDisplay

    best = train.train_and_print(SegmentDisplay(train_options.epochs), train_options, folder, resume)
    if best is None:
        return 0
    size = ["--img", str(train_options.image_size)]
    single = ["--single-cls"] if train_options.single_cls else []
    print_next("tfyolo", "segment", "val", "--weights", best, "--data", train_options.data, *size, *single)
    print_next("tfyolo", "segment", "predict", "--weights", best, "--source", "IMAGES")
    return 0
