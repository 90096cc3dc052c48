"""`tfyolo convert-dataset`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfyolo.cli import arguments as options
from tfyolo.cli.next_command import print_next
from tfyolo.data.detection.dataset_yaml import SPLITS
from tfyolo.data.formats.writers.table import WRITERS

EXAMPLES = (
    "tfyolo convert-dataset --data bccd.yaml --to yolo --output bccd-yolo",
    "tfyolo convert-dataset --data coco.yaml --to tfrecord --output records --splits train val --shards 16",
    "tfyolo convert-dataset --data coco.yaml --to yolo --output pets --names cat dog --link",
    "exit code 1: some images or labels could not be used; they are named and left out",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to read, what to write, and where."""
    parser.add_argument("--data", required=True, metavar="YAML", help="dataset of any format")
    parser.add_argument("--to", required=True, choices=tuple(WRITERS), help="format to write")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER", help="new or empty folder")
    parser.add_argument(
        "--splits", nargs="+", choices=SPLITS, default=(), metavar="SPLIT", help="train, val, test (all)"
    )
    parser.add_argument(
        "--names", nargs="+", default=(), metavar="NAME", help="classes to keep, numbered in this order (all)"
    )
    parser.add_argument(
        "--shards", type=options.positive, metavar="N", help="tfrecord: files a split (256 MiB each)"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--copy", action="store_true", help="copy the images (the default)")
    how.add_argument("--link", action="store_true", help="hard-link the images: no space, same disk only")
    parser.add_argument(
        "--exist-ok",
        action="store_true",
        help="write into a folder that is not empty; replaces what is there",
    )


def run(arguments: argparse.Namespace) -> int:
    """Convert, say what was found and what was lost."""
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
        arguments.splits, arguments.names, arguments.shards, arguments.link, arguments.exist_ok
    )
    with progress_bar() as progress:
        done = convert_dataset(dataset, arguments.to, arguments.output, settings, progress)
    out = console()
    for split, scan in done.scans.items():
        for problem in scan.problems:
            out.print(printable(str(problem)), markup=False)
        out.print(f"{split}: {scan.summary()}")
    if done.outlines_lost:
        out.print(f"note: {arguments.to} has no outlines; of {done.outlines_lost} objects the boxes are kept")
    out.print(f"{done.boxes} boxes are in {printable(str(done.yaml_path))}", markup=False, soft_wrap=True)
    print_next("tfyolo", "train", "--data", done.yaml_path)
    problems = [problem for scan in done.scans.values() for problem in scan.problems]
    return 1 if any(problem.severity == "error" for problem in problems) else 0
