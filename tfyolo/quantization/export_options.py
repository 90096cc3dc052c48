"""Options of the calibration that is part of an export, and checks of flags that would have no effect.

Importing them imports no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfyolo.errors import TfyoloError, refuse_given
from tfyolo.quantization.budget.options import FloatBudget


@dataclass(frozen=True)
class ExportCalibrationOptions:
    """How an export calibrates a float model.

    Attributes:
        data: dataset YAML, or the folder of a classification dataset; None if there is none.
        calibration_images: maximum number of training images to calibrate on.
        ranges: how a tensor's range is chosen: `mse`, `minmax` or `percentile`.
        keep_float: names of layers that stay in float.
        budget: what keeping further parts in float may cost; None keeps none.
        report: path without suffix of the report on the search for these parts; None writes none.
        given: command-line flags of these options that the user passed. They are refused where they would
            have no effect.
    """

    data: str | Path | None
    calibration_images: int
    ranges: str
    keep_float: Sequence[str] = ()
    given: tuple[str, ...] = ()
    budget: FloatBudget | None = None
    report: Path | None = None


def changed_flags(
    calibration: int = 200,
    ranges: str = "mse",
    keep_float: Sequence[str] = (),
    budget: FloatBudget | None = None,
) -> tuple[str, ...]:
    """Return the flags of calibration arguments that differ from their defaults: `given` of a Python call.

    Args:
        calibration: maximum number of images.
        ranges: method that chooses the range of each tensor.
        keep_float: names of layers that stay in float.
        budget: what keeping further parts in float may cost.

    Example:
        >>> changed_flags(200, "minmax")
        ('--ranges',)
    """
    changed = {
        "--calibration": calibration != 200,
        "--ranges": ranges != "mse",
        "--keep-float": bool(keep_float),
        "--float-budget": budget is not None,
    }
    return tuple(flag for flag, differs in changed.items() if differs)


def check_budget(budget: FloatBudget | None, formats: Collection[str]) -> None:
    """Refuse a float budget for formats that have no float operators.

    Args:
        budget: what keeping parts in float may cost; None for no parts.
        formats: names of the formats that are exported.

    Raises:
        TfyoloError: a format is for the Edge TPU.
    """
    if budget is not None and "edgetpu" in formats:
        raise TfyoloError(
            "edgetpu does not support --float-budget: the first float part and everything after it would run "
            "on the CPU",
            fix="leave out --float-budget, or export edgetpu by itself",
        )


def check_benchmark(
    precisions: Collection[str], given: Sequence[str], quantized: str | Path | None = None
) -> None:
    """Refuse flags of calibration that would have no effect in a benchmark.

    Args:
        precisions: precisions that the model is exported in.
        given: flags that the user passed.
        quantized: path of the model, if it is already quantized.

    Raises:
        TfyoloError: naming the flags.
    """
    if "int8" in precisions:
        if quantized is not None:
            refuse_given(given, (), f"{quantized} is already quantized, with its own ranges")
    elif "int16x8" in precisions:
        reason = "TensorFlow Lite's converter calibrates the ranges of int16x8"
        refuse_given(given, ("--calibration",), reason)
    else:
        refuse_given(given, (), "no export of this benchmark is calibrated (int8 or int16x8)")


def check_quantize(
    quantized: bool,
    given: Sequence[str],
    *,
    has_float_model: bool,
    trains: bool,
    by_train: bool = False,
    path: str | None = None,
) -> None:
    """Refuse to quantize what is quantized, and flags that would have no effect.

    Args:
        quantized: whether the model is already quantized.
        given: flags of calibration that the user passed.
        has_float_model: whether the float model of a quantized one is given.
        trains: whether quantization-aware training follows.
        by_train: whether the command is `train --qat`, which has no `--float`.
        path: the model file, for the message.

    Raises:
        TfyoloError: naming what to leave out, or to pass.
    """
    if not quantized:
        if has_float_model:
            raise TfyoloError(
                "is not quantized; --float is only for quantized weights",
                path=path,
                fix="leave out --float",
            )
        return
    if not has_float_model:
        raise TfyoloError(
            "is quantized: its weights are already rounded",
            path=path,
            fix="pass the float model, or continue from this file with `tfyolo quantize --float`"
            if by_train
            else "pass the float model as --float to continue training from this file",
        )
    refuse_given(given, (), f"{path or 'the model'} is already quantized, with its own ranges")
    if not trains:
        raise TfyoloError("is already calibrated, and --steps is 0", path=path, fix="pass --steps 1000")
