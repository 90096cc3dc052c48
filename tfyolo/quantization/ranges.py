"""Estimators of a tensor's quantization range, from a sample of its values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.models.quantization import Range

Function = Callable[[np.ndarray], np.ndarray]
# Grid search in two stages: each limit is multiplied by the coarse factors, then by the fine ones around the
# best of these.
_COARSE_FACTORS = (1.0, 0.85, 0.7, 0.55, 0.42, 0.32, 0.22, 0.15, 0.1)
_FINE_FACTORS = (1.12, 1.06, 1.0, 0.94, 0.88)


@dataclass(frozen=True)
class ObservedTensor:
    """Statistics of a tensor over all calibration images.

    Attributes:
        low: smallest value.
        high: largest value.
        values: (n,) float32 sample of its values.
        function: the activation that the network applies to the tensor; the identity if there is none.
    """

    low: float
    high: float
    values: np.ndarray
    function: Function = lambda x: x


def fake_quantize_array(values: np.ndarray, limits: Range) -> np.ndarray:
    """Fake quantization to 8 bits in NumPy: round to the nearest of 256 evenly spaced values.

    As in TensorFlow's `fake_quant_with_min_max_args`, the range is shifted so that zero is one of the values.

    Args:
        values: any shape.
        limits: lowest and highest value of the range, with zero in between.

    Returns:
        The shape of `values`.

    Source: Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference, eq. 12.

    Example:
        >>> fake_quantize_array(np.array([-1.0, 0.1234, 3.0]), (0.0, 2.55)).round(4).tolist()
        [0.0, 0.12, 2.55]
    """
    low, high = limits
    scale = (high - low) / 255
    zero_point = np.clip(np.round(-low / scale), 0, 255)
    return (np.clip(np.round(values / scale) + zero_point, 0, 255) - zero_point) * scale


def minmax(observed: ObservedTensor) -> Range:
    """Return the smallest and the largest value: nothing is clipped."""
    return observed.low, observed.high


def percentile(observed: ObservedTensor, outside: float = 0.01) -> Range:
    """Return the range that clips `outside` percent of the values at each end."""
    low, high = np.percentile(observed.values, [outside, 100 - outside])
    return float(low), float(high)


def minimize_mse(observed: ObservedTensor) -> Range:
    """Return the range with the least squared quantization error behind the activation.

    A narrower range clips large values and rounds the others more finely. The error is measured after the
    activation, because SiLU is nearly zero far below zero: clipping there costs nothing.
    """
    values, target = observed.values, observed.function(observed.values)

    def squared_error(limits: Range) -> float:
        return float(np.square(observed.function(fake_quantize_array(values, limits)) - target).sum())

    best, least_error = _including_zero((observed.low, observed.high)), np.inf
    for factors in (_COARSE_FACTORS, _FINE_FACTORS):
        start = best
        for low_factor, high_factor in product(factors, factors):
            limits = _including_zero((start[0] * low_factor, start[1] * high_factor))
            error = squared_error(limits)
            if error < least_error:
                best, least_error = limits, error
    return best


ESTIMATORS: dict[str, Callable[[ObservedTensor], Range]] = {
    "mse": minimize_mse,
    "minmax": minmax,
    "percentile": percentile,
}
"""Values of `--ranges`; the first is the default."""


def estimate(name: str, observed: ObservedTensor) -> Range:
    """Estimate a tensor's range.

    Args:
        name: a key of `ESTIMATORS`.
        observed: statistics of the tensor.

    Returns:
        Lowest and highest value; zero lies within, so that padding and ReLU's zeros are exact in int8.

    Raises:
        TfyoloError: there is no such estimator.

    Example:
        >>> estimate("minmax", ObservedTensor(0.5, 2.0, np.array([0.5, 2.0])))
        (0.0, 2.0)
    """
    if name not in ESTIMATORS:
        raise TfyoloError(f"unknown estimator `{name}`", fix=f"use one of {', '.join(ESTIMATORS)}")
    return _including_zero(ESTIMATORS[name](observed))


def _including_zero(limits: Range) -> Range:
    """Widen a range to include zero, and to at least 1e-6, so that its scale is never zero."""
    low, high = min(float(limits[0]), 0.0), max(float(limits[1]), 0.0)
    return (low, high) if high - low > 1e-6 else (low, low + 1e-6)
