"""Options of the calibration that is part of an export; importing them imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
