"""Schedule of learning rates, momentum and gradient accumulation over a training run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import tensorflow as tf

NOMINAL_BATCH = 64
"""Number of images per weight update in YOLOv5."""
_SHORTEST_WARMUP = 100


class ScheduleValues(NamedTuple):
    """Values of the schedule at one step, as float32 scalars.

    Attributes:
        factor: factor of the base learning rate.
        bias_rate: share of `warmup_bias_lr` added to the learning rate of biases; 0 after the warm-up.
        momentum: momentum of SGD; beta 1 of Adam is not warmed up.
        accumulate: number of steps whose gradients are accumulated before a weight update.
    """

    factor: Any
    bias_rate: Any
    momentum: Any
    accumulate: Any


def linear(progress: Any, last: float) -> Any:
    """Return a linear decay from 1 to `last`.

    Args:
        progress: 0 at the beginning of the run, 1 at its end.
        last: value at the end.
    """
    return (1.0 - progress) * (1.0 - last) + last


def cosine(progress: Any, last: float) -> Any:
    """Return a cosine decay from 1 to `last`.

    Args:
        progress: 0 at the beginning of the run, 1 at its end.
        last: value at the end.

    Source: Loshchilov and Hutter 2016, SGDR, eq. 5, without restarts.
    """
    return (1.0 - tf.cos(progress * math.pi)) / 2.0 * (last - 1.0) + 1.0


@dataclass(frozen=True)
class Schedule:
    """Schedule of YOLOv5 as a function of the step, in TensorFlow operations.

    The learning rate rises linearly from 0 during the warm-up, and decays from epoch to epoch. During the
    warm-up the number of accumulated batches rises from 1 as well, so that the first, small updates are
    frequent.

    Attributes:
        epochs: number of epochs of the whole run.
        steps_per_epoch: batches per epoch.
        batch: images per batch, of all workers together.
        lrf: last learning rate relative to the first.
        momentum: momentum after the warm-up.
        warmup_epochs: length of the warm-up, at least 100 steps; 0 disables it.
        warmup_momentum: momentum at the first step.
        decay: `linear` or `cosine`.
        nominal_batch: images per weight update; gradients of smaller batches are accumulated.

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
        """Number of steps of the warm-up."""
        steps = round(self.warmup_epochs * self.steps_per_epoch)
        return max(steps, _SHORTEST_WARMUP) if self.warmup_epochs > 0 else 0

    @property
    def accumulate(self) -> int:
        """Number of batches per weight update after the warm-up."""
        return max(round(self.nominal_batch / self.batch), 1)

    @property
    def decay_scale(self) -> float:
        """Factor of the weight decay, for batches that do not add up to the nominal batch size."""
        return self.batch * self.accumulate / self.nominal_batch

    def __call__(self, step: Any) -> ScheduleValues:
        """Return the values at a step.

        Args:
            step: int or scalar tensor, counted from 0.
        """
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
