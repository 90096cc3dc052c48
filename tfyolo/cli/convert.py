"""`tfyolo convert`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfyolo.cli import arguments as options
from tfyolo.cli.next_command import print_next
from tfyolo.errors import TfyoloError

NEEDS = ("tensorflow", "keras")
EXAMPLES = ("tfyolo convert yolov5s.pt yolov5s.keras",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command to its parser."""
    options.group(parser, "model")(
        "source", metavar="A.pt", help="YOLOv5 checkpoint of any release, or a release name"
    )
    add = options.group(parser, "output")
    add("target", nargs="?", type=Path, metavar="B.keras", help="file to write (default: A.keras)")
    add("--half", action="store_true", help="store weights as float16, at half the size")


def run(arguments: argparse.Namespace) -> int:
    """Convert, print the file written, and return the exit code."""
    from tfyolo.weights import load_model
    from tfyolo.weights.hub import fetch_weights
    from tfyolo.weights.keras_file import check_target, save_keras

    if arguments.target:
        check_target(arguments.target)
    path = fetch_weights(arguments.source)
    # Next to the checkpoint; for a release name in the current folder, not in the download cache.
    folder = path.parent if path == Path(arguments.source) else Path()
    target = check_target(arguments.target or folder / f"{path.stem}.keras")
    if target.resolve() == path.resolve():
        raise TfyoloError("is the input file itself", path=path, fix="choose another output file")
    model, contract = load_model(path)
    save_keras(model, contract, target, half=arguments.half)
    print(f"{target}: {len(contract.names)} classes, {model.count_params():,} weights")
    print_next("tfyolo", "detect", "--weights", target, "--source", "IMAGE")
    return 0
