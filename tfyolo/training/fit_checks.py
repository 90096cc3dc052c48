"""Keras' controls of training: which hold for a training model, and what to do in place of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from tfyolo.errors import TfyoloError

if TYPE_CHECKING:
    from tfyolo.training.model import TrainingModel

_VALIDATE = "pass callbacks=[data.validation()], which measures after each epoch"
_WEIGH = "leave it out: this loss knows no such weights"
REFUSED = {
    "validation_data": ("there is no Keras metric to evaluate", _VALIDATE),
    "validation_split": ("there is no Keras metric to evaluate", _VALIDATE),
    "validation_steps": ("there is no Keras metric to evaluate", _VALIDATE),
    "validation_batch_size": ("there is no Keras metric to evaluate", _VALIDATE),
    "validation_freq": ("there is no Keras metric to evaluate", _VALIDATE),
    "class_weight": ("classes are not weighted one by one", _WEIGH),
    "sample_weight": ("images are not weighted one by one", _WEIGH),
}
"""Arguments of `fit` that would have no effect, with the reason and what to do."""
_OFF = {"validation_split": 0.0, "validation_freq": 1}


class Guard(keras.callbacks.Callback):
    """Refuses, at the beginning of each epoch, layers that were frozen or released after `compile`."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Check."""
        self.model.check_trained()


def check_arguments(given: dict[str, Any]) -> None:
    """Refuse arguments of `fit` that would have no effect.

    Raises:
        TfyoloError: with the reason and the alternative.
    """
    for name, (reason, fix) in REFUSED.items():
        if given[name] is not None and given[name] != _OFF.get(name):
            raise TfyoloError(f"fit takes no `{name}`: {reason}", fix=fix)


def steps_of(model: TrainingModel, x: Any, batch_size: int | None, steps: int | None) -> int | None:
    """Batches in an epoch of `fit`; for streams without end those that `compile` was told.

    Args:
        model: compiled.
        x: what `fit` is given.
        batch_size: argument of `fit`.
        steps: its `steps_per_epoch`.

    Raises:
        TfyoloError: the schedule was made for another number, or the stream does not fit the model.
    """
    planned = model.schedule.steps_per_epoch
    if batch_size is not None and batch_size != model.schedule.batch:
        raise TfyoloError(
            f"fit has batch_size {batch_size}, but compile was told {model.schedule.batch}",
            fix="pass both the same number",
        )
    found = steps
    if isinstance(x, tf.data.Dataset):
        if batch_size is not None:
            raise TfyoloError("fit takes no batch_size for a tf.data.Dataset", fix="batch the stream")
        if not isinstance(x.element_spec, tuple) or len(x.element_spec) != 2:
            raise TfyoloError(
                "batches have to be pairs of images and labels, without weights of samples",
                fix="pass data.stream()",
            )
        size = int(x.cardinality())
        found = steps or (size if size >= 0 else planned)
    if found is not None and found != planned:
        raise TfyoloError(
            f"an epoch of fit has {found} batches, but compile was told {planned}, which the learning-rate "
            "schedule follows",
            fix=f"compile with steps_per_epoch={found}",
        )
    return found


def check_epochs(model: TrainingModel, epochs: int, initial_epoch: int) -> None:
    """Refuse more epochs than the schedule was made for.

    Raises:
        TfyoloError: with the number that `compile` has to be told.
    """
    if initial_epoch:
        model.go_to(initial_epoch)
    done = round(float(model.counters["step"].numpy()) / model.schedule.steps_per_epoch)
    total = done + epochs - initial_epoch
    if total > model.schedule.epochs:
        began = f", of which {done} are done" if done else ""
        raise TfyoloError(
            f"compile has planned the learning rate for {model.schedule.epochs} epochs{began}, and fit would "
            f"come to {total}",
            fix=f"compile with epochs={total}"
            if not done
            else f"compile again, with epochs={epochs - initial_epoch}",
        )


def check_callbacks(model: TrainingModel, callbacks: Sequence[Any], loop: bool = False) -> list[Any]:
    """The callbacks in the order in which they depend on each other: what validates comes first.

    Args:
        model: compiled.
        callbacks: Keras callbacks.
        loop: whether they are for `tfyolo train` and not for `fit`.

    Raises:
        TfyoloError: one would have no effect, or another one than it says.
    """
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.LearningRateScheduler) and not model.schedule.is_flat:
            raise TfyoloError(
                "LearningRateScheduler sets a rate that the model's own schedule multiplies",
                fix="compile with hyps of lrf 1 and warmup_epochs 0, and the rate is what it sets; or leave "
                "it out: lr0, lrf, warmup_epochs and cos_lr shape the model's own schedule",
            )
        if isinstance(callback, keras.callbacks.SwapEMAWeights):
            raise TfyoloError(
                "SwapEMAWeights needs an optimizer with an average of its own",
                fix="leave it out: the model keeps a moving average, which is what is validated and saved",
            )
        if loop and isinstance(callback, keras.callbacks.BackupAndRestore):
            raise TfyoloError("BackupAndRestore is for fit", fix="leave it out: `resume` goes on with a run")
    return sorted(callbacks, key=lambda callback: not getattr(callback, "puts_metrics", False))
