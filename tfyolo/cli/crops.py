"""`tfyolo crops`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfyolo.cli import argument_types as types
from tfyolo.cli import arguments as options
from tfyolo.cli.next_command import print_next
from tfyolo.data.detection.dataset import SPLITS

EXAMPLES = (
    "tfyolo crops --data bccd.yaml --out cells/",
    "tfyolo crops --data fruit.yaml --out fruit-crops/ --square --margin 0.2 --format png",
)
NOTES = ("exit code 1: some images or labels could not be used; they are listed and left out",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command to its parser."""
    add = options.group(parser, "data")
    add("--data", required=True, metavar="YAML", help="dataset YAML of any format, with boxes")
    add(
        "--splits",
        nargs="+",
        choices=SPLITS,
        default=(),
        metavar="SPLIT",
        help="splits to crop: train, val or test (default: all)",
    )
    add(
        "--margin",
        type=float,
        default=0.1,
        metavar="P",
        help="margin on each side, as a fraction of the box",
    )
    add("--square", action="store_true", help="crop squares, which keeps the aspect ratio of objects")
    add(
        "--min-size",
        type=types.count,
        default=4,
        metavar="PX",
        help="skip boxes whose shorter side has fewer pixels",
    )
    add = options.group(parser, "output")
    add("--out", required=True, type=Path, metavar="FOLDER", help="new or empty folder to write to")
    add("--format", choices=("jpg", "png"), default="jpg", help="file format of the crops")
    add = options.group(parser, "hardware")
    add("--workers", type=types.positive, default=2, metavar="N", help="number of CPU threads")


def run(arguments: argparse.Namespace) -> int:
    """Crop, print counts and problems, and return the exit code."""
    from rich.markup import escape
    from rich.table import Table

    from tfyolo.cli.console import console
    from tfyolo.cli.progress import progress_bar
    from tfyolo.data.classification.crops import CropOptions, crop_dataset
    from tfyolo.data.detection.scan import read_dataset
    from tfyolo.text import printable

    names = ("splits", "margin", "square", "min_size", "format", "workers")
    settings = CropOptions(**{name: getattr(arguments, name) for name in names})
    dataset = read_dataset(arguments.data)
    with progress_bar() as progress:
        done = crop_dataset(dataset, arguments.out, settings, progress)
    out = console()
    found = [*(problem for scan in done.scans.values() for problem in scan.problems), *done.problems]
    for problem in found:
        out.print(printable(str(problem)), markup=False)
    table = Table("class", *done.counts, box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for name in dataset.names:
        counts = [str(part[name]) for part in done.counts.values()]
        table.add_row(escape(printable(name)), *counts)
    out.print(table)
    if done.small:
        out.print(f"note: {done.small} boxes under {settings.min_size} pixels are left out")
    total = sum(sum(part.values()) for part in done.counts.values())
    place = printable(str(arguments.out))
    out.print(f"{total} crops are in {place}", markup=False, soft_wrap=True)
    print_next("tfyolo", "classify", "train", "--data", arguments.out, "--model", "yolov5n-cls", "--img", 64)
    return 1 if any(problem.severity == "error" for problem in found) else 0
