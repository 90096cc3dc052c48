"""`tfyolo autoanchor`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tfyolo.cli import argument_types as types
from tfyolo.cli import arguments as options
from tfyolo.cli.next_command import print_next
from tfyolo.errors import TfyoloError

if TYPE_CHECKING:
    from tfyolo.anchors import AnchorDecision

NEEDS = ("sklearn",)
EXAMPLES = (
    "tfyolo autoanchor --data bccd.yaml --img 320",
    "tfyolo autoanchor --data bccd.yaml --cfg yolov5s --force --output anchors.yaml",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command to its parser."""
    add = options.group(parser, "data")
    add("--data", required=True, type=Path, metavar="YAML", help="dataset YAML with path, train and names")
    add("--task", choices=("train", "val", "test"), default="train", help="split whose boxes are used")
    add = options.group(parser, "model")
    add(
        "--cfg",
        "--model",
        dest="cfg",
        default="yolov5n",
        metavar="MODEL",
        help="model name or YAML whose anchors are checked",
    )
    add("--img", type=types.side, default=640, metavar="PX", help="side of the training images in pixels")
    add = options.group(parser, "optimization")
    add(
        "--anchor-t",
        type=types.side_ratio,
        default=4.0,
        metavar="X",
        help="maximum ratio between the sides of a box and of an anchor that matches it",
    )
    add("--gen", type=types.positive, default=1000, metavar="N", help="generations of the evolution")
    add("--seed", type=types.seed, default=0, metavar="N", help="seed of k-means and of the evolution")
    add("--force", action="store_true", help="evolve new anchors even if the current ones fit")
    add = options.group(parser, "output")
    add("--output", type=Path, metavar="YAML", help="write the anchors to this file")


def run(arguments: argparse.Namespace) -> int:
    """Check and evolve anchors, print them, and return the exit code."""
    from tfyolo.anchors import auto_anchors
    from tfyolo.cli.progress import progress_bar
    from tfyolo.data.detection.scan import read_dataset, scan_split
    from tfyolo.files import atomic, check_file_target
    from tfyolo.models.registry import load_spec

    if arguments.output:
        check_file_target(arguments.output, (arguments.data, arguments.cfg))
    spec = load_spec(arguments.cfg)
    if not spec.anchors_px:
        raise TfyoloError("has no anchors", path=arguments.cfg, fix="pass --cfg of a detector")
    dataset = read_dataset(arguments.data)
    with progress_bar() as progress:
        scan = scan_split(dataset, arguments.task, progress=lambda *at: progress("checking labels", *at))
        decision = auto_anchors(
            scan.samples,
            spec.anchors_px,
            spec.strides,
            arguments.img,
            threshold=arguments.anchor_t,
            generations=arguments.gen,
            seed=arguments.seed,
            force=arguments.force,
            progress=lambda *at: progress("evolving", *at),
        )
    _print(decision)
    text = "anchors:\n" + "".join(f"  - {_row(row)}\n" for row in decision.anchors_px)
    print(text, end="")
    if arguments.output:
        with atomic(arguments.output) as temporary:
            temporary.write_text(f"# for {arguments.data.name} at {arguments.img} pixels\n{text}", "utf-8")
        print(f"written to {arguments.output}")
    print("paste them into a model YAML, or just train: `tfyolo train` does this automatically")
    print_next("tfyolo", "train", "--data", arguments.data)
    return 0


def _print(decision: AnchorDecision) -> None:
    from rich.table import Table

    from tfyolo.cli.console import console

    table = Table("anchors", "best possible recall", "anchors over threshold", "fitness", box=None)
    for name, fit in (("the model's", decision.before), ("new", decision.after)):
        if fit is not None:
            values = (fit.best_possible_recall, fit.anchors_over_threshold, fit.fitness)
            table.add_row(name, *(f"{value:.4f}" for value in values))
    console().print(table)
    print(decision.reason)


def _row(row: tuple[float, ...]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in row) + "]"
