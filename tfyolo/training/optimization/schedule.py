"""How learning rates, momentum and gradient accumulation go over a training run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import tensorflow as tf

NOMINAL_BATCH = 64
"""YOLOv5's number of images in one update of the weights."""
_SHORTEST_WARMUP = 100


class ScheduleValues(NamedTuple):
    """What holds at one step; float32 scalars.

    Args:
        factor: of the optimizer's base learning rate, for weights.
        bias_rate: share of `warmup_bias_lr` that is added for biases; 0 after the warm-up.
        momentum: SGD's momentum; Adam's first beta is not warmed up.
        accumulate: steps whose gradients are added up before an update.
    """

    factor: Any
    bias_rate: Any
    momentum: Any
    accumulate: Any


def linear(progress: Any, last: float) -> Any:
    """From 1 to `last` in a straight line; `progress` in 0..1."""
    return (1.0 - progress) * (1.0 - last) + last


def cosine(progress: Any, last: float) -> Any:
    """From 1 to `last` along half a cosine (He et al. 2019, Bag of Tricks, section 5.1)."""
    return (1.0 - tf.cos(progress * math.pi)) / 2.0 * (last - 1.0) + 1.0


@dataclass(frozen=True)
class Schedule:
    """YOLOv5's schedule as a function of the step, in TensorFlow operations.

    Args:
        epochs: of the whole run.
        steps_per_epoch: batches in an epoch.
        batch: images in a batch, of all workers together.
        lrf: last learning rate as a share of the first.
        momentum: after the warm-up.
        warmup_epochs: epochs in which the rate rises from 0 and momentum from `warmup_momentum`; at least
            100 steps, unless 0.
        warmup_momentum: at the first step.
        decay: `linear` or `cosine`.
        nominal_batch: images that one update sees, by gradient accumulation where a batch is smaller.

    Example:
        >>> at = Schedule(epochs=30, steps_per_epoch=13, batch=16)
        >>> round(float(at(1000).accumulate))
        4
    """

    epochs: int
    steps_per_epoch: int
    batch: int
    lrf: float = 0.01
    momentum: float = 0.937
    warmup_epochs: float = 3.0
    warmup_momentum: float = 0.8
    decay: Callable[[Any, float], Any] = linear
    nominal_batch: int = NOMINAL_BATCH

    @property
    def warmup_steps(self) -> int:
        """Steps of the warm-up."""
        steps = round(self.warmup_epochs * self.steps_per_epoch)
        return max(steps, _SHORTEST_WARMUP) if self.warmup_epochs > 0 else 0

    @property
    def is_flat(self) -> bool:
        """Whether the learning rate is the optimizer's own at every step."""
        return self.lrf == 1 and not self.warmup_steps

    @property
    def accumulate(self) -> int:
        """Batches in an update after the warm-up."""
        return max(round(self.nominal_batch / self.batch), 1)

    @property
    def decay_scale(self) -> float:
        """Factor of the weight decay, for batches that do not make up the nominal one."""
        return self.batch * self.accumulate / self.nominal_batch

    def __call__(self, step: Any) -> ScheduleValues:
        """What holds at `step`, counted from 0; an int or a scalar tensor."""
        step = tf.cast(step, tf.float32)
        epoch = tf.floor(step / self.steps_per_epoch)
        factor = self.decay(tf.minimum(epoch / self.epochs, 1.0), self.lrf)
        warm = tf.minimum(step / self.warmup_steps, 1.0) if self.warmup_steps else tf.constant(1.0)
        share = self.nominal_batch / self.batch
        return ScheduleValues(
            factor=warm * factor,
            bias_rate=1.0 - warm,
            momentum=self.warmup_momentum + warm * (self.momentum - self.warmup_momentum),
            accumulate=tf.maximum(tf.round(1.0 + warm * (share - 1.0)), 1.0),
        )
