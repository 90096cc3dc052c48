"""Options that several commands share, with YOLOv5's names, and the groups that `--help` lists them in."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tfyolo.cli import argument_types as types
from tfyolo.errors import TfyoloError

GROUPS = (
    "data",
    "model",
    "non-maximum suppression",
    "optimization",
    "augmentation",
    "quantization",
    "output",
    "hardware",
)
"""Titles of the groups of options, in the order of `--help`."""


def group(
    parser: argparse.ArgumentParser, title: str, *, exclusive: bool = False
) -> Callable[..., argparse.Action]:
    """Return the `add_argument` method of a group of options.

    Args:
        parser: parser of a command. The first call creates all groups, in the order of `GROUPS`; argparse
            does not print empty ones.
        title: an entry of `GROUPS`.
        exclusive: make the options that are added with this method exclude each other.

    Returns:
        The method.

    Example:
        >>> parser = argparse.ArgumentParser(prog="tfyolo train")
        >>> _ = group(parser, "optimization")("--epochs", type=int, default=100, help="epochs to train")
        >>> parser.parse_args(["--epochs", "30"]).epochs
        30
    """
    groups = {known.title: known for known in parser._action_groups}
    if title not in groups:
        groups |= {name: parser.add_argument_group(name) for name in GROUPS}
    if exclusive:
        return groups[title].add_mutually_exclusive_group().add_argument
    return groups[title].add_argument


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add `--source` and `--vid-stride`: the images and videos to predict on."""
    add = group(parser, "data")
    add(
        "--source",
        nargs="+",
        required=True,
        metavar="SRC",
        help="image, folder, glob, .txt list, video, webcam index, or rtsp:// or http:// stream",
    )
    add(
        "--vid-stride",
        type=types.positive,
        default=1,
        metavar="N",
        help="use every N-th frame of videos and streams",
    )


def add_weights(
    parser: argparse.ArgumentParser, *, several: bool = False, required: bool = True, exported: bool = True
) -> None:
    """Add `--weights`, `--img` and `--device`.

    Args:
        parser: parser of the command.
        several: accept more than one model file.
        required: refuse a command line without `--weights`; otherwise the detector that ships is used.
        exported: name exported formats in the help text; False for commands that need a Keras model.
    """
    add = group(parser, "model")
    files = "model file or folder (.pt, .keras or an exported format)" if exported else ".pt or .keras file"
    add(
        "--weights",
        nargs="+" if several else None,
        required=required,
        metavar="FILE",
        help=f"{files}, or a release name such as yolov5s"
        + ("" if required else " (default: the blood cell detector bccd-n, which ships with tfyolo)"),
    )
    add_image_size(parser)
    add_device(parser)


def add_float_model(parser: argparse.ArgumentParser) -> None:
    """Add `--float`."""
    group(parser, "model")(
        "--float",
        dest="float_model",
        metavar="FILE",
        help="the float model, if --weights is already quantized",
    )


def add_image_size(parser: argparse.ArgumentParser, default: str = "the model's own size") -> None:
    """Add `--img` for an input size of one number, or height and width.

    Args:
        parser: parser of the command.
        default: the size without this option, for the help text.
    """
    group(parser, "model")(
        "--img",
        "--imgsz",
        "--img-size",
        dest="img",
        nargs="+",
        type=int,
        metavar="PX",
        help=f"input size in pixels: one number, or height and width (default: {default})",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add `--device`."""
    group(parser, "hardware")(
        "--device",
        default="",
        type=types.device,
        help="cpu, or one or more GPU indices separated by commas (default: all GPUs)",
    )


def add_thresholds(
    parser: argparse.ArgumentParser, confidence: float, iou_threshold: float, max_detections: int
) -> None:
    """Add `--conf-thres`, `--iou-thres` and `--max-det`.

    Args:
        parser: parser of the command.
        confidence: default confidence threshold, in 0..1.
        iou_threshold: default IoU threshold of NMS, in 0..1.
        max_detections: default maximum number of boxes per image.
    """
    add = group(parser, "non-maximum suppression")
    add(
        "--conf-thres",
        "--conf",
        type=types.fraction,
        default=confidence,
        metavar="P",
        help="confidence threshold: boxes with a score at or below it are dropped",
    )
    add(
        "--iou-thres",
        "--iou",
        type=types.fraction,
        default=iou_threshold,
        metavar="P",
        help="IoU above which the lower-scoring of two boxes is suppressed",
    )
    add(
        "--max-det",
        type=types.positive,
        default=max_detections,
        metavar="N",
        help="maximum number of boxes per image",
    )


def add_run_folder(parser: argparse.ArgumentParser, project: str) -> None:
    """Add `--project`, `--name` and `--exist-ok`: where results are written."""
    add = group(parser, "output")
    add("--project", type=Path, default=Path(project), metavar="FOLDER", help="folder that holds all runs")
    add(
        "--name",
        default="exp",
        help="name of the run's folder; a number is appended where it exists",
    )
    add("--exist-ok", action="store_true", help="write into an existing run folder")


def given_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> set[str]:
    """Names of the options that a command line contains, whatever their values.

    Args:
        parser: parser of the command.
        words: the command line.

    Returns:
        Names as in the namespace of parsed arguments (argparse's `dest`).
    """
    flags = {word.partition("=")[0] for word in words if word.startswith("-")}
    return {action.dest for action in parser._actions if flags.intersection(action.option_strings)}


def print_ignored_folder(names: set[str], folder: Path) -> None:
    """Print that `--project`, `--name` and `--exist-ok` do not move a resumed run.

    Args:
        names: result of `given_options`, without `project` if the run was looked for there.
        folder: folder of the run.
    """
    for name in sorted(names & {"project", "name", "exist_ok"}):
        print(f"--{name.replace('_', '-')} is ignored: a resumed run continues in {folder}")


def image_size(values: list[int] | None) -> tuple[int, int] | None:
    """Convert `--img` to (height, width) in pixels.

    Returns:
        The size, or None where the option was not given.

    Raises:
        TfyoloError: more than two numbers, or one that is not from 1 to 16384.

    Example:
        >>> image_size([320]), image_size([192, 320]), image_size(None)
        ((320, 320), (192, 320), None)
    """
    if not values:
        return None
    if len(values) > 2 or min(values) < 1 or max(values) > types.MAX_SIDE_PX:
        raise TfyoloError("--img takes one number from 1 to 16384, or height and width")
    return values[0], values[-1]


def can_plot(requested: bool) -> bool:
    """Return True if plots are requested and matplotlib is installed; print a note if it is not."""
    from tfyolo.libraries import is_installed

    if requested and not is_installed("matplotlib"):
        note = "note: no plots, since matplotlib is not installed: pip install 'tfyolo[plots]'"
        print(note, file=sys.stderr)
        return False
    return requested
