"""Exponential moving average (EMA) of the weights, which is validated, saved and exported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfyolo.training.optimization.optimizers import on_devices, tensor_of

DECAY = 0.9999
RAMP = 2000.0
"""Updates after which the decay has reached 63 % of `DECAY`.

The decay warms up, because an average with a decay of 0.9999 needs ten thousand updates to forget the random
initial weights: without the warm-up, validation of the first epochs would measure mostly these.
"""


class ExponentialMovingAverage:
    """Updates the averaged weights of a network after each update of the weights in training.

    `average += (1 - decay) * (weight - average)` with `decay = DECAY * (1 - exp(-updates / RAMP))`.

    Args:
        averages: variables of the averaged network, batch-norm statistics included.
        weights: variables of the network in training, in the same order.

    Source: Polyak and Juditsky 1992, Acceleration of Stochastic Approximation by Averaging; the warm-up
    of the decay is that of YOLOv5 (`ModelEMA`).
    """

    def __init__(self, averages: Sequence[Any], weights: Sequence[Any]) -> None:
        self.pairs = [(tensor_of(a), w) for a, w in zip(averages, weights, strict=True)]

    def update(self, updates: Any, changed: Any) -> None:
        """Update the averages.

        Args:
            updates: float32 scalar, number of weight updates so far, this one included.
            changed: float32 scalar, 1 after a weight update, 0 while gradients are accumulated; the averages
                do not change then.
        """
        share = (1.0 - DECAY * (1.0 - tf.exp(-updates / RAMP))) * changed
        on_devices(self._follow, share, [tf.convert_to_tensor(weight) for _, weight in self.pairs])

    def _follow(self, strategy: Any, share: Any, weights: Sequence[Any]) -> None:
        for (average, _), weight in zip(self.pairs, weights, strict=True):
            strategy.extended.update(average, _step, args=(weight, share), group=False)


def _step(average: Any, weight: Any, share: Any) -> None:
    average.assign_add((tf.cast(weight, average.dtype) - average) * tf.cast(share, average.dtype))
