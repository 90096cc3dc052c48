"""Options of the search for float parts; importing them imports no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BudgetOf = Literal["latency", "multiply-adds"]
MAX_SHARE = 10
"""Largest budget: eleven times the latency. Float networks take about three times that of int8."""


@dataclass(frozen=True)
class FloatBudget:
    """What keeping parts of an int8 network in float may cost.

    Attributes:
        share: of `latency`, how much slower than the int8 network the file may be (0.15: 15 %); of
            `multiply-adds`, the share of all multiply-adds that may be in float.
        of: `latency`, measured in LiteRT on one thread of this machine, or `multiply-adds`, for a file
            that another device runs.
        images: number of calibration images that parts are compared on.

    Example:
        >>> FloatBudget(0.15)
        FloatBudget(share=0.15, of='latency', images=32)
    """

    share: float
    of: BudgetOf = "latency"
    images: int = 32
