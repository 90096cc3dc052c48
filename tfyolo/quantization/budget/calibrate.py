"""Calibration, followed by the search for float parts that a budget asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tfyolo.models.contract import Contract
from tfyolo.models.network import Network
from tfyolo.models.quantization import QuantizationSpec
from tfyolo.progress import Progress, no_progress
from tfyolo.quantization.budget.costs import find_cost
from tfyolo.quantization.budget.search import FloatSearch, comparison, search
from tfyolo.quantization.calibration import CalibrationOptions, calibrate
from tfyolo.quantization.mixed import MixedPrecision

Searched = Callable[[FloatSearch], object]


def unreported(search: FloatSearch) -> None:
    """Do nothing with a search."""


def calibrate_within_budget(
    network: Network,
    contract: Contract,
    images: np.ndarray,
    options: CalibrationOptions,
    progress: Progress = no_progress,
    searched: Searched = unreported,
) -> tuple[Network, QuantizationSpec]:
    """Calibrate a network; with a budget, choose float parts, and calibrate anew for them.

    Weights that were fitted to the rounding of a part that is in float now are fitted again. If that does not
    pay, the first ones stay.

    Args:
        network: the float network.
        contract: contract of the model.
        images: uint8 (n, height, width, 3) RGB, letterboxed.
        options: how to calibrate; `budget` of them asks for a search.
        progress: called as `progress(label, done, total)` after each step.
        searched: called with the result of the search.

    Returns:
        The network with int8 weights (as floats on the int8 grid), and its quantization.
    """
    calibrated = calibrate(network, images, options, progress)
    if options.budget is None or not options.budget.share:
        return calibrated
    mixed = MixedPrecision(network, *calibrated)
    image_size = (images.shape[1], images.shape[2])
    cost, budget, remark = find_cost(options.budget, mixed, contract, image_size)
    measure = comparison(network, contract, images, budget.images)
    found = replace(search(mixed, measure, cost, budget, progress), note=remark)
    if not found.kept:
        searched(found)
        return calibrated
    anew = calibrate(
        network, images, replace(options, keep_float=(*options.keep_float, *found.kept)), progress
    )
    result = measure(*anew, False)
    last = replace(found.path[-1], errors=result.errors(), fidelity=result.fidelity)
    found = replace(found, recalibrated=last)
    searched(found)
    network, spec = anew if found.pays else mixed.keeping(found.kept)
    method = f"{spec.method}; float parts within {100 * budget.share:.3g} % of {budget.of}"
    return network, spec.model_copy(update={"method": method})
