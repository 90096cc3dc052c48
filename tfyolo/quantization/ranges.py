"""Estimators of a tensor's range, from values that it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.models.quantization import Range

Function = Callable[[np.ndarray], np.ndarray]
_COARSE = (1.0, 0.85, 0.7, 0.55, 0.42, 0.32, 0.22, 0.15, 0.1)
_FINE = (1.12, 1.06, 1.0, 0.94, 0.88)


@dataclass(frozen=True)
class Observed:
    """What is known about a tensor.

    Attributes:
        low: its smallest value in all images.
        high: its largest.
        values: (n,) a sample of its values.
        function: what the network does with it next, where that is an activation.
    """

    low: float
    high: float
    values: np.ndarray
    function: Function = lambda x: x


def fake_quantize(values: np.ndarray, limits: Range) -> np.ndarray:
    """`values` on a grid of 256 between the limits, shifted so that zero is on it, as TensorFlow does."""
    low, high = limits
    scale = (high - low) / 255
    zero = np.clip(np.round(-low / scale), 0, 255)
    return (np.clip(np.round(values / scale) + zero, 0, 255) - zero) * scale


def minmax(observed: Observed) -> Range:
    """From the smallest to the largest value."""
    return observed.low, observed.high


def percentile(observed: Observed, outside: float = 0.01) -> Range:
    """All but the `outside` percent at each end."""
    low, high = np.percentile(observed.values, [outside, 100 - outside])
    return float(low), float(high)


def least_squares(observed: Observed) -> Range:
    """The range with the least squared error of what the network makes of the tensor.

    A value before SiLU that is far below zero makes no difference after it, so the range can end there: all
    the others are then rounded less.
    """
    values, wanted = observed.values, observed.function(observed.values)

    def error(limits: Range) -> float:
        return float(np.square(observed.function(fake_quantize(values, limits)) - wanted).sum())

    best, least = _around_zero((observed.low, observed.high)), np.inf
    for step in (_COARSE, _FINE):
        start = best
        for a, b in product(step, step):
            limits = _around_zero((start[0] * a, start[1] * b))
            found = error(limits)
            if found < least:
                best, least = limits, found
    return best


ESTIMATORS: dict[str, Callable[[Observed], Range]] = {
    "mse": least_squares,
    "minmax": minmax,
    "percentile": percentile,
}
"""Values of `--ranges`, the default first."""


def estimate(name: str, observed: Observed) -> Range:
    """A range around zero by one of `ESTIMATORS`.

    Raises:
        TfyoloError: there is no such estimator.
    """
    if name not in ESTIMATORS:
        raise TfyoloError(f"there is no estimator `{name}`", fix=f"one of {', '.join(ESTIMATORS)}")
    return _around_zero(ESTIMATORS[name](observed))


def _around_zero(limits: Range) -> Range:
    """Limits that hold zero and are apart."""
    low, high = min(float(limits[0]), 0.0), max(float(limits[1]), 0.0)
    return (low, high) if high - low > 1e-6 else (low, low + 1e-6)
