"""Arguments and callbacks of `fit`: which are refused, with the remedy, and the order of the others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras

from tfyolo.errors import TfyoloError
from tfyolo.inputs import JSON_TEXT, read_input
from tfyolo.training.fit.source import FitSource
from tfyolo.training.optimization.schedule import Schedule

_NO_WEIGHTS = "leave it out: the loss has no such weights"
_WHOLE_SPLIT = "leave it out: the whole split is used"
OWN_LOSS = "the model has YOLOv5's loss and metrics"
REFUSED_BY_COMPILE = {
    "steps_per_execution": "each call of the step trains on one batch",
    "auto_scale_loss": "float16 has a loss scale of its own",
}
"""Arguments of Keras' `compile` that are refused for another reason than `OWN_LOSS`."""
REFUSED = {
    "validation_split": ("a stream cannot be split", "pass validation_data"),
    "validation_steps": ("mAP of a subset of the images would be misleading", _WHOLE_SPLIT),
    "validation_batch_size": ("the batch size does not change the metrics", _WHOLE_SPLIT),
    "class_weight": ("class weights are not supported", _NO_WEIGHTS),
    "sample_weight": ("sample weights are not supported", _NO_WEIGHTS),
}
"""Arguments of `fit` that would have no effect, with the reason and the remedy."""
_DEFAULTS = {"validation_split": 0.0}


class FollowEpochs(keras.callbacks.Callback):
    """Counts epochs, and applies changes of `trainable` and calls of `freeze` at the beginning of each."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Let the optimizer follow, and trace the step again if layers have changed."""
        if self.model.follow_trainable():
            self.model.make_train_function(force=True)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Count, so that the next call of `fit` begins with other images."""
        self.model.epochs_fitted += 1


def check_arguments(given: dict[str, Any]) -> None:
    """Refuse arguments of `fit` that would have no effect.

    Args:
        given: arguments by name.

    Raises:
        TfyoloError: with the reason and the remedy.
    """
    for name, (reason, fix) in REFUSED.items():
        value = given[name]
        if value is not None and not (name in _DEFAULTS and value == _DEFAULTS[name]):  # it can be an array
            raise TfyoloError(f"fit does not support `{name}`: {reason}", fix=fix)
    frequency = given["validation_freq"]
    if not isinstance(frequency, int) or isinstance(frequency, bool) or frequency < 1:
        raise TfyoloError(f"validation_freq must be a whole number of epochs, not {frequency!r}")


def check_plan(schedule: Schedule, step: float, source: FitSource, epochs: int, initial_epoch: int) -> None:
    """Compare arguments of `fit` with the numbers that `compile` was given.

    Args:
        schedule: made by `compile`.
        step: current step of the schedule.
        source: data that `fit` trains on.
        epochs: argument of `fit`.
        initial_epoch: argument of `fit`.

    Raises:
        TfyoloError: they differ, so that the learning rate would not reach its end.
    """
    if source.batch_size is not None and schedule.batch and source.batch_size != schedule.batch:
        raise TfyoloError(
            f"fit has batches of {source.batch_size} images, but compile was given "
            f"batch_size={schedule.batch}",
            fix="leave these arguments out of compile: fit sets them",
        )
    if source.steps is not None and source.steps != schedule.steps_per_epoch:
        raise TfyoloError(
            f"an epoch of fit has {source.steps} batches, but compile was given "
            f"steps_per_epoch={schedule.steps_per_epoch}",
            fix="leave these arguments out of compile: fit sets them",
        )
    done = round(step / schedule.steps_per_epoch)
    total = done + epochs - initial_epoch
    if total > schedule.epochs:
        finished = f", of which {done} are done" if done else ""
        raise TfyoloError(
            f"compile was given epochs={schedule.epochs}{finished}, and fit would reach epoch {total}",
            fix="leave these arguments out of compile: fit sets them",
        )


def listed_callbacks(callbacks: Any) -> list[Any]:
    """Return callbacks as a list, as Keras takes them: None, one callback, several, or a `CallbackList`.

    Raises:
        TfyoloError: it is something else.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    if isinstance(callbacks, keras.callbacks.Callback):
        return [callbacks]
    if callbacks is not None and not isinstance(callbacks, Iterable):
        raise TfyoloError(
            f"callbacks must be Keras callbacks, not {callbacks!r:.60}", fix="pass a list of callbacks"
        )
    return list(callbacks or [])


def sets_learning_rate(callbacks: Sequence[Any]) -> bool:
    """Return whether a callback sets the learning rate of each epoch, in place of the model's schedule."""
    return any(isinstance(callback, keras.callbacks.LearningRateScheduler) for callback in callbacks)


def restored_epoch(callbacks: Sequence[Any]) -> int:
    """Return the epoch that `BackupAndRestore` will continue with, counted from 0; 0 without it."""
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.BackupAndRestore):
            file = Path(callback.backup_dir) / "training_metadata.json"
            return int(json.loads(read_input(file, JSON_TEXT))["epoch"]) if file.is_file() else 0
    return 0


def check_callbacks(callbacks: Sequence[Any], loop: bool = False) -> list[Any]:
    """Return the callbacks in the order in which they depend on each other: validation comes first.

    Args:
        callbacks: Keras callbacks.
        loop: whether they are for `tfyolo train` and not for `fit`.

    Raises:
        TfyoloError: a callback would not do what it says.
    """
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.SwapEMAWeights):
            raise TfyoloError(
                "SwapEMAWeights needs an optimizer with use_ema=True",
                fix="leave it out: the model keeps its own EMA weights, which are validated and saved",
            )
        if loop and isinstance(callback, keras.callbacks.BackupAndRestore):
            raise TfyoloError(
                "BackupAndRestore is supported only in fit", fix="leave it out: `resume` continues a run"
            )
    return sorted(callbacks, key=lambda callback: not getattr(callback, "puts_metrics", False))
