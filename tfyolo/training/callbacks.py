"""Keras callbacks of a training run: checkpoints, results.csv, TensorBoard, early stopping."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfyolo.disk import writing
from tfyolo.files import atomic
from tfyolo.training.model import TrainingModel
from tfyolo.training.optimization.optimizers import GroupedOptimizer
from tfyolo.training.state import RunState, save_state

RATES = ("x/lr0", "x/lr1", "x/lr2")


class Checkpoints(keras.callbacks.Callback):
    """Writes `best.keras`, `last.keras` (with the training state) and `epochN.keras`, and stops early.

    Args:
        folder: `weights/` of the run.
        state: state of the run; updated after each epoch.
        save_period: epochs between `epochN.keras` files; 0 disables them.
        patience: epochs without a better fitness after which training stops; 0 disables early stopping.
            Epochs with a fitness of 0, as at the beginning of a training from random weights, do not count.
        every_epoch: otherwise `best.keras` and `last.keras` are written once, at the end, from the weights
            of the last epoch, and an interrupted run cannot be resumed.
    """

    def __init__(
        self,
        folder: Path,
        state: RunState,
        save_period: int = 0,
        patience: int = 100,
        every_epoch: bool = True,
    ) -> None:
        super().__init__()
        self.folder, self.state = folder, state
        self.save_period, self.patience, self.every_epoch = save_period, patience, every_epoch

    @property
    def best(self) -> Path:
        """Model file of the best epoch."""
        return self.folder / "best.keras"

    @property
    def last(self) -> Path:
        """Model file of the last epoch."""
        return self.folder / "last.keras"

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write the files, each atomically: a killed run leaves those of the epoch before."""
        self.state.epoch = epoch + 1
        is_best = self._is_best(epoch, (logs or {}).get("fitness"))
        if self.every_epoch:
            if is_best or not self.best.exists():
                self.model.save_averaged(self.best)
            save_state(self.model, self.state, self.last)
        if self.save_period > 0 and (epoch + 1) % self.save_period == 0:
            self.model.save_averaged(self.folder / f"epoch{epoch + 1}.keras")
        if 0 < self.patience <= epoch - self.state.best_epoch:
            self.model.stop_training = True

    def _is_best(self, epoch: int, fitness: float | None) -> bool:
        """Return whether no earlier epoch was better; of equal epochs the later one is kept, as in YOLOv5."""
        state = self.state
        if fitness is None:  # without validation the last epoch is taken for the best
            return True
        if math.isnan(fitness) or fitness < state.best_fitness:
            return False
        if fitness > state.best_fitness or fitness == 0:
            state.best_epoch = epoch
        state.best_fitness = fitness
        return True

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Write the last model without the training state: a finished run is not resumed."""
        self.model.save_averaged(self.last)
        if not self.every_epoch:
            self.model.save_averaged(self.best)


class ResultsCsv(keras.callbacks.Callback):
    """Adds a row to `results.csv` after each epoch, with YOLOv5's columns.

    Epochs count from 1, as in the log; in YOLOv5 from 0.

    Args:
        path: path of the file; the rows of a resumed run are kept.
        columns: between `epoch` and the learning rates; `train/NAME` is the value NAME of the logs.
        epochs_done: epochs of a resumed run; rows of later epochs are dropped.
    """

    def __init__(self, path: Path, columns: Sequence[str], epochs_done: int = 0) -> None:
        super().__init__()
        self.path, self.columns = path, ("epoch", *columns, *RATES)
        self.rows: list[dict[str, Any]] = []
        if epochs_done and path.exists():
            with path.open(newline="") as stream:
                self.rows = [row for row in csv.DictReader(stream) if int(row["epoch"]) <= epochs_done]

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write the file with the new row."""
        values = {name: (logs or {}).get(name.removeprefix("train/"), "") for name in self.columns}
        values |= {"epoch": epoch + 1, **dict(zip(RATES, learning_rates(self.model), strict=True))}
        self.rows.append({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in values.items()})
        with atomic(self.path) as temporary, temporary.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, self.columns)
            writer.writeheader()
            writer.writerows(self.rows)


def learning_rates(model: TrainingModel) -> tuple[float, float, float]:
    """Return the learning rates of the last step.

    Args:
        model: model in training.

    Returns:
        Those of biases, kernels and batch-norm scales.
    """
    base = float(model.optimizer.learning_rate.numpy())
    if not isinstance(model.optimizer, GroupedOptimizer) or model.schedule is None:
        return base, base, base
    values = model.schedule(model.counters["step"].numpy() - 1.0)
    weights = float(values.factor) * base
    return weights + model.optimizer.warmup_rate(base, float(values.bias_rate)), weights, weights


class TensorBoard(keras.callbacks.Callback):
    """Writes the losses, metrics and learning rates of each epoch as TensorBoard scalars.

    The step of a scalar is the epoch, counted from 1. For one call of `fit`.

    Args:
        folder: folder of the event files.
        losses: names in the logs that are shown with the prefix `train/`.
    """

    def __init__(self, folder: Path, losses: Sequence[str] = ()) -> None:
        super().__init__()
        self.folder, self.losses = folder, losses
        with writing(folder):
            self.writer = tf.summary.create_file_writer(str(folder))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write the scalars of an epoch."""
        scalars = {
            f"train/{name}" if name in self.losses else name: value
            for name, value in (logs or {}).items()
            if not name.startswith("val_")  # `val/...` and `metrics/...` have them already
        }
        scalars |= dict(zip(RATES, learning_rates(self.model), strict=True))
        with writing(self.folder):
            with self.writer.as_default():
                for name, value in scalars.items():
                    tf.summary.scalar(name, value, step=epoch + 1)
            self.writer.flush()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Close the event file."""
        with writing(self.folder):
            self.writer.close()
