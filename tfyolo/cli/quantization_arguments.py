"""Options of calibration, float budget and QAT, which several commands share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from tfyolo.cli import argument_types as types
from tfyolo.cli.arguments import group
from tfyolo.errors import TfyoloError
from tfyolo.libraries import require

if TYPE_CHECKING:
    from tfyolo.quantization.budget.options import FloatBudget
    from tfyolo.quantization.calibration import CalibrationOptions


def add_calibration(parser: argparse.ArgumentParser, *, required: bool = False, data: bool = True) -> None:
    """Add `--data`, `--calibration`, `--ranges` and `--keep-float`: how int8 ranges are calibrated.

    Args:
        parser: parser of the command.
        required: refuse a command line without `--data`.
        data: add `--data`; False for commands that have their own.
    """
    if data:
        group(parser, "data")(
            "--data",
            required=required,
            metavar="DATA",
            help="dataset whose training images are used for calibration: a YAML, or a classifier's folder",
        )
    add = group(parser, "quantization")
    add(
        "--calibration",
        type=types.positive,
        default=200,
        metavar="N",
        action=_Given,
        help="maximum number of images to calibrate on",
    )
    add(
        "--ranges",
        choices=("mse", "minmax", "percentile"),
        default="mse",
        action=_Given,
        help="method that chooses the range of each tensor",
    )
    add(
        "--keep-float",
        nargs="+",
        default=[],
        metavar="NAME",
        action=_Given,
        help="layers that stay in float, such as model.9 or model.24.m.0.box",
    )
    add(
        "--float-budget",
        type=types.percentage,
        default=0.0,
        metavar="SHARE",
        action=_Given,
        help="keep the parts that gain the most accuracy in float, within a cost limit such as 15%%",
    )
    add(
        "--budget-of",
        choices=("latency", "multiply-adds"),
        default="latency",
        action=_Given,
        help="what --float-budget limits: additional latency in LiteRT on this machine, or the share of "
        "multiply-adds in float, for another device",
    )
    add(
        "--budget-images",
        type=types.positive,
        default=32,
        metavar="N",
        action=_Given,
        help="number of calibration images that the parts are compared on",
    )
    parser.set_defaults(given=())


def calibration_options(arguments: argparse.Namespace) -> CalibrationOptions:
    """Return the options of calibration; importing them imports TensorFlow.

    Raises:
        TfyoloError: an option of the budget is given without a budget.
    """
    from tfyolo.quantization.calibration import CalibrationOptions

    return CalibrationOptions(
        arguments.ranges, keep_float=tuple(arguments.keep_float), budget=float_budget(arguments)
    )


def float_budget(arguments: argparse.Namespace) -> FloatBudget | None:
    """Return the budget of `--float-budget`; None for 0.

    Raises:
        TfyoloError: an option of the budget is given without a budget.
    """
    from tfyolo.quantization.budget.options import FloatBudget

    if not arguments.float_budget:
        rest = [flag for flag in arguments.given if flag in ("--budget-of", "--budget-images")]
        if rest:
            raise TfyoloError(f"{rest[0]} needs --float-budget", fix="pass --float-budget 15%")
        return None
    require("matplotlib")  # draws the chart of the search
    return FloatBudget(arguments.float_budget, arguments.budget_of, arguments.budget_images)


class _Given(argparse.Action):
    """Stores a value, and adds the flag to `given`, so that an explicit default can be told from none."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, values)
        namespace.given = (*namespace.given, self.option_strings[0])


def add_qat(parser: argparse.ArgumentParser, loss: str = "distill", *, short: bool = True) -> None:
    """Add `--qat-loss` and `--qat-lr`: how quantization-aware training (QAT) learns.

    Args:
        parser: parser of the command.
        loss: default loss.
        short: accept `--loss` and `--lr` too.
    """
    add = group(parser, "quantization")
    add(
        *(["--loss"] if short else []),
        "--qat-loss",
        dest="qat_loss",
        choices=("distill", "labels", "both"),
        default=loss,
        help="QAT loss: follow the float model, the training loss on labels, or both",
    )
    add(
        *(["--lr"] if short else []),
        "--qat-lr",
        dest="qat_lr",
        type=types.number,
        default=0.01,
        metavar="X",
        help="QAT learning rate, in quantization steps per update",
    )
