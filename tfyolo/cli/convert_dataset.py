"""`tfyolo convert-dataset`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfyolo.cli import argument_types as types
from tfyolo.cli import arguments as options
from tfyolo.cli.next_command import print_next
from tfyolo.data.detection.dataset import SPLITS
from tfyolo.data.formats.writers.table import WRITERS

EXAMPLES = (
    "tfyolo convert-dataset --data bccd.yaml --to yolo --output bccd-yolo",
    "tfyolo convert-dataset --data coco.yaml --to tfrecord --output records --splits train val --shards 16",
    "tfyolo convert-dataset --data coco.yaml --to yolo --output pets --names cat dog --link",
    "tfyolo convert-dataset --data coco.yaml --to yolo --output coco-seg --polygons --link",
)
_REASONS = {
    "box": "they do not fill their boxes (--polygons keeps them)",
    "none": "the format does not support polygons",
}
"""Why polygons are saved as boxes, by `Writer.polygons`."""
NOTES = ("exit code 1: some images or labels could not be used; they are listed and left out",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command to its parser."""
    add = options.group(parser, "data")
    add("--data", required=True, metavar="YAML", help="dataset YAML of any format")
    add(
        "--splits",
        nargs="+",
        choices=SPLITS,
        default=(),
        metavar="SPLIT",
        help="splits to write: train, val or test (default: all)",
    )
    add(
        "--names",
        nargs="+",
        default=(),
        metavar="NAME",
        help="classes to keep, numbered in this order (default: all)",
    )
    add = options.group(parser, "output")
    add("--to", required=True, choices=tuple(WRITERS), help="format to write")
    add("--output", required=True, type=Path, metavar="FOLDER", help="new or empty folder to write to")
    add(
        "--shards",
        type=types.positive,
        metavar="N",
        help="TFRecord files per split (default: files of 256 MiB)",
    )
    add(
        "--polygons",
        action="store_true",
        help="for segmentation: keep polygons in YOLO files that do not fill their boxes (default: as boxes)",
    )
    add_exclusive = options.group(parser, "output", exclusive=True)
    add_exclusive("--copy", action="store_true", help="copy the image files, which is the default")
    add_exclusive(
        "--link", action="store_true", help="hard-link the image files: no disk space, same disk only"
    )
    add("--exist-ok", action="store_true", help="write into a folder that is not empty, and replace files")


def run(arguments: argparse.Namespace) -> int:
    """Convert, print problems and counts, and return the exit code."""
    from tfyolo.cli.console import console
    from tfyolo.cli.progress import progress_bar
    from tfyolo.data.detection.scan import read_dataset
    from tfyolo.data.formats.convert import ConvertOptions, convert_dataset
    from tfyolo.libraries import require
    from tfyolo.text import printable

    if arguments.to == "tfrecord":
        require("tensorflow")
    dataset = read_dataset(arguments.data)
    settings = ConvertOptions(
        arguments.splits,
        arguments.names,
        arguments.shards,
        arguments.link,
        arguments.exist_ok,
        arguments.polygons,
    )
    with progress_bar() as progress:
        done = convert_dataset(dataset, arguments.to, arguments.output, settings, progress)
    out = console()
    for split, scan in done.scans.items():
        for problem in scan.problems:
            out.print(printable(str(problem)), markup=False)
        out.print(f"{split}: {scan.summary()}")
    if done.polygons_lost:
        reason = _REASONS[WRITERS[arguments.to].polygons]
        out.print(f"note: {done.polygons_lost} polygons are saved as boxes; {reason}")
    out.print(f"{done.boxes} boxes are in {printable(str(done.yaml_path))}", markup=False, soft_wrap=True)
    print_next("tfyolo", "train", "--data", done.yaml_path)
    problems = [problem for scan in done.scans.values() for problem in scan.problems]
    return 1 if any(problem.severity == "error" for problem in problems) else 0
