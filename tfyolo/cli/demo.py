"""`tfyolo demo`."""

from __future__ import annotations

import argparse

from tfyolo.cli import argument_types as types
from tfyolo.cli import arguments as options
from tfyolo.cli.next_command import print_next

NEEDS = ("tensorflow", "keras", "matplotlib", "sklearn")
EXAMPLES = ("tfyolo demo", "tfyolo demo --epochs 10 --project results")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command to its parser."""
    add = options.group(parser, "optimization")
    add("--epochs", type=types.positive, default=4, metavar="N", help="number of epochs to fine-tune")
    options.add_run_folder(parser, "runs/demo")


def run(arguments: argparse.Namespace) -> int:
    """Run all steps, print the path of the page last, and return the exit code."""
    from tfyolo.cli.train_display import Display
    from tfyolo.demo import run_demo
    from tfyolo.files import run_folder

    folder = run_folder(arguments.project, arguments.name, arguments.exist_ok)
    with Display(arguments.epochs) as display:
        page = run_demo(folder, arguments.epochs, display.log, display.bar, [display.callback()])
    print_next("tfyolo", "train", "--data", "your.yaml", "--weights", "yolov5n.pt")
    print(page.absolute())
    return 0
