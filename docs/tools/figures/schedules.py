"""Learning-rate schedules and the decay of the EMA, from the code that training runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from docs.tools.figures._cells import BLUE, GRAY, GREEN, RED, VIOLET, save, start


def draw(folder: Path) -> None:
    """Draw `schedules.svg`, `warmup.svg` and `ema.svg`."""
    _rates(folder / "schedules.svg")
    _warmup(folder / "warmup.svg")
    _ema(folder / "ema.svg")


def _rates(path: Path) -> None:
    from tfyolo.training.optimization.schedule import Schedule, cosine, linear

    figure, axes = start(size=(5.8, 3.6))
    steps = np.arange(100 * 20)
    for decay, name, color in ((linear, "linear (default)", RED), (cosine, "cosine (--cos-lr)", BLUE)):
        schedule = Schedule(epochs=100, steps_per_epoch=20, batch=16, decay=decay)
        axes.plot(steps / 20, 0.01 * np.array(schedule(steps).factor), color=color, lw=3, label=name)
    axes.set(xlabel="epoch", ylabel="learning rate", ylim=(0, 0.0105), xlim=(0, 100))
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    save(figure, path)


def _warmup(path: Path) -> None:
    from tfyolo.training.optimization.schedule import Schedule

    schedule = Schedule(epochs=100, steps_per_epoch=100, batch=16)
    steps = np.arange(500)
    values = schedule(steps)
    factor, bias, momentum, accumulate = (np.broadcast_to(np.array(value), steps.shape) for value in values)
    figure, (top, middle, bottom) = start(3, 1, (5.8, 7), sharex=True)
    top.plot(steps, 0.01 * factor + 0.1 * bias, color=BLUE, lw=3, label="biases")
    top.plot(steps, 0.01 * factor, color=RED, lw=3, label="weights")
    top.set_title("learning rate")
    top.legend(frameon=False)
    middle.plot(steps, momentum, color=GREEN, lw=3)
    middle.set_title("momentum of SGD")
    bottom.plot(steps, accumulate, color=VIOLET, lw=3)
    bottom.set(title="batches per weight update", xlabel="step (100 steps per epoch)", yticks=range(1, 5))
    for axes in (top, middle, bottom):
        axes.axvline(schedule.warmup_steps, color=GRAY, ls=":")
        axes.grid(alpha=0.3)
    top.text(schedule.warmup_steps + 8, 0.03, "end of\nwarm-up", color=GRAY, fontsize=12)
    save(figure, path)


def _ema(path: Path) -> None:
    from tfyolo.training.optimization.ema import DECAY, RAMP

    figure, axes = start(size=(5.8, 3.4))
    updates = np.arange(1, 10001)
    axes.plot(updates, DECAY * (1 - np.exp(-updates / RAMP)), color=RED, lw=3)
    axes.axhline(DECAY, color=GRAY, ls=":")
    axes.plot([RAMP], [DECAY * (1 - np.exp(-1))], "o", color=BLUE, ms=9)
    axes.annotate("63 % after 2,000 updates", (RAMP, 0.632), (2600, 0.55), color=BLUE)
    axes.set(xlabel="weight updates", ylabel="decay", ylim=(0, 1.05), xlim=(0, 10000))
    axes.grid(alpha=0.3)
    save(figure, path)
