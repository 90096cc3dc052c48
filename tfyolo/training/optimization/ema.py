"""The exponential moving average of a network's weights, which is what is validated and saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfyolo.training.optimization.optimizers import on_devices, tensor_of

DECAY = 0.9999
RAMP = 2000.0
"""Updates after which the decay has risen to two thirds: an average of little follows its weights at once."""


class ExponentialMovingAverage:
    """Lets the weights of one network follow those of another.

    Args:
        averages: variables of the network that follows, batch-norm statistics included.
        weights: of the network in training, in the same order.

    Source: YOLOv5's ramp, `DECAY * (1 - exp(-updates / RAMP))`.
    """

    def __init__(self, averages: Sequence[Any], weights: Sequence[Any]) -> None:
        self.pairs = [(tensor_of(a), w) for a, w in zip(averages, weights, strict=True)]

    def update(self, updates: Any, changed: Any) -> None:
        """Follow by one step.

        Args:
            updates: number of updates of the weights so far, this one included; float32.
            changed: 1 where there was an update, 0 where nothing is to happen; float32.
        """
        share = (1.0 - DECAY * (1.0 - tf.exp(-updates / RAMP))) * changed
        on_devices(self._follow, share, [tf.convert_to_tensor(weight) for _, weight in self.pairs])

    def _follow(self, strategy: Any, share: Any, weights: Sequence[Any]) -> None:
        for (average, _), weight in zip(self.pairs, weights, strict=True):
            strategy.extended.update(average, _step, args=(weight, share), group=False)


def _step(average: Any, weight: Any, share: Any) -> None:
    average.assign_add((tf.cast(weight, average.dtype) - average) * tf.cast(share, average.dtype))
