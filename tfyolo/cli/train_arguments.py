"""Options that `tfyolo train`, `tfyolo segment train` and `tfyolo classify train` share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tfyolo.cli import argument_types as types
from tfyolo.cli import arguments as options
from tfyolo.cli import quantization_arguments as quantization


def add_cache(parser: argparse.ArgumentParser, default: str, choices: Sequence[str]) -> None:
    """Add `--cache`.

    Args:
        parser: parser of the command.
        default: value without this option.
        choices: accepted values.
    """
    text = "keep decoded images in memory or on disk; ram without a value"
    if "auto" in choices:
        text += "; auto keeps up to 512 MiB in memory"
    options.group(parser, "data")(
        "--cache", nargs="?", const="ram", default=default, choices=choices, help=text
    )


def add_image_side(parser: argparse.ArgumentParser, default: int, note: str = "") -> None:
    """Add `--img`, `--freeze` and `--resume`, which describe the model that is trained.

    Args:
        parser: parser of the command.
        default: side of the training images in pixels without `--img`.
        note: what is added to the help of `--img`.
    """
    add = options.group(parser, "model")
    add(
        "--img",
        "--imgsz",
        "--img-size",
        dest="img",
        type=types.side,
        metavar="PX",
        help=f"side of the training images in pixels (default: {default}{note})",
    )
    add(
        "--freeze",
        nargs="+",
        type=types.count_or_off,
        default=[0],
        metavar="N",
        help="do not train the first N layers, or the layers with these indices",
    )
    add(
        "--resume",
        nargs="?",
        const="",
        metavar="LAST",
        help="continue an unfinished run: its folder or last.keras; the newest one without a value",
    )


def add_schedule(parser: argparse.ArgumentParser, epochs: int, batch_size: int, optimizer: str) -> None:
    """Add epochs, batch size, optimizer, patience, seed and mixed precision, with the command's defaults.

    Args:
        parser: parser of the command.
        epochs: default number of epochs.
        batch_size: default number of images per batch.
        optimizer: name of the default optimizer.
    """
    add = options.group(parser, "optimization")
    add("--epochs", type=types.positive, default=epochs, metavar="N", help="number of epochs to train")
    is_detector = optimizer == "SGD"
    add(
        "--batch-size",
        "--batch",
        dest="batch",
        type=types.batch_size if is_detector else types.positive,
        default=batch_size,
        metavar="N",
        help="number of images per batch"
        + ("; -1 chooses the largest batch that fits in 80 %% of the GPU's memory" if is_detector else ""),
    )
    add(
        "--optimizer",
        choices=("SGD", "Adam", "AdamW"),
        default=optimizer,
        help="algorithm that updates the weights",
    )
    add(
        "--patience",
        type=types.count_or_off,
        default=100,
        metavar="N",
        help="stop after N epochs without improvement; 0 or -1 never stops",
    )
    add("--seed", type=types.seed, default=0, metavar="N", help="seed of weights and augmentation")
    options.group(parser, "hardware")(
        "--amp",
        nargs="?",
        const="bf16",
        default="off",
        choices=("off", "bf16", "fp16"),
        help="mixed precision; bf16 without a value",
    )


def add_qat(parser: argparse.ArgumentParser) -> None:
    """Add `--qat`, and how the model is calibrated and trained with it."""
    options.group(parser, "quantization")(
        "--qat",
        action="store_true",
        help="train the given weights as an int8 model, by quantization-aware training",
    )
    quantization.add_calibration(parser, data=False)
    quantization.add_qat(parser, "both", short=False)
    parser.set_defaults(parser=parser)


def add_output(parser: argparse.ArgumentParser, project: Path) -> None:
    """Add what a run writes, its folder, and `--device`.

    Args:
        parser: parser of the command.
        project: default folder that holds all runs.
    """
    add = options.group(parser, "output")
    add(
        "--save-period",
        type=types.count_or_off,
        default=0,
        metavar="N",
        help="also write a model file every N epochs; 0 or -1 writes none",
    )
    add("--nosave", action="store_true", help="write weights only at the end; such a run cannot be resumed")
    add("--noval", action="store_true", help="validate only after the last epoch")
    add("--noplots", action="store_true", help="do not draw labels, batches and curves")
    options.add_run_folder(parser, str(project))
    options.add_device(parser)
