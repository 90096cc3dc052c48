"""Keras callbacks of a training run: checkpoints, results.csv, TensorBoard, early stopping."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfyolo.disk import writing
from tfyolo.files import atomic
from tfyolo.training.detection.validation import METRICS
from tfyolo.training.loss import LOSSES
from tfyolo.training.model import TrainingModel
from tfyolo.training.optimizers import GroupedOptimizer
from tfyolo.training.state import RunState, save_state

RATES = ("x/lr0", "x/lr1", "x/lr2")


class Checkpoints(keras.callbacks.Callback):
    """Writes `last.keras` (with the state that a resume needs), `best.keras` and every N-th epoch; stops.

    Args:
        folder: `weights/` of the run.
        state: of the run; kept up to date.
        save_period: epochs between `epochN.keras`; none if less than 1.
        patience: epochs without a better fitness after which training stops; never if less than 1. A fitness
            of 0, as of first epochs, does not count towards it.
        every_epoch: otherwise both files are written once, at the end, from the last epoch's weights, and
            there is nothing to resume.
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
        """The file of the best epoch."""
        return self.folder / "best.keras"

    @property
    def last(self) -> Path:
        """The file of the last epoch."""
        return self.folder / "last.keras"

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Save; a kill in between leaves the files of the epoch before."""
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
        """Whether no epoch before was better; of equal ones the later is taken, as in YOLOv5."""
        state = self.state
        if fitness is None:  # not validated: the last epoch is the best guess
            return True
        if math.isnan(fitness) or fitness < state.best_fitness:
            return False
        if fitness > state.best_fitness or fitness == 0:
            state.best_epoch = epoch
        state.best_fitness = fitness
        return True

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """The run is over: its last model needs no state any more."""
        self.model.save_averaged(self.last)
        if not self.every_epoch:
            self.model.save_averaged(self.best)


class ResultsCsv(keras.callbacks.Callback):
    """Adds a row for each epoch to `results.csv`, with YOLOv5's columns.

    Epochs count from 1, as in the log; in YOLOv5 from 0.

    Args:
        path: the file; an unfinished run's is continued.
        epochs_done: rows of later epochs are dropped.
    """

    COLUMNS = ("epoch", *(f"train/{name}" for name in LOSSES), *METRICS,
               *(f"val/{name}" for name in LOSSES), *RATES)  # fmt: skip

    def __init__(self, path: Path, epochs_done: int = 0) -> None:
        super().__init__()
        self.path = path
        self.rows: list[dict[str, Any]] = []
        if epochs_done and path.exists():
            with path.open(newline="") as stream:
                self.rows = [row for row in csv.DictReader(stream) if int(row["epoch"]) <= epochs_done]

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write the file anew."""
        values: dict[str, Any] = {"epoch": epoch + 1}
        values |= {f"train/{name}": (logs or {}).get(name, "") for name in LOSSES}
        values |= {name: (logs or {}).get(name, "") for name in self.COLUMNS if name in (logs or {})}
        values |= dict(zip(RATES, learning_rates(self.model), strict=True))
        plain = {name: values.get(name, "") for name in self.COLUMNS}
        self.rows.append({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in plain.items()})
        with atomic(self.path) as temporary, temporary.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, self.COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows)


def learning_rates(model: TrainingModel) -> tuple[float, float, float]:
    """Return the learning rates of the last step.

    Args:
        model: in training.

    Returns:
        Those of biases, kernels and batch-norm scales.
    """
    base = float(model.optimizer.learning_rate)
    if not isinstance(model.optimizer, GroupedOptimizer) or model.schedule is None:
        return base, base, base
    values = model.schedule(model.counters["step"].numpy() - 1.0)
    weights = float(values.factor) * base
    return weights + model.optimizer.warmup_rate(base, float(values.bias_rate)), weights, weights


class TensorBoard(keras.callbacks.Callback):
    """Writes every figure of the logs as a TensorBoard scalar; the step is the epoch, from 1.

    Args:
        folder: of the event files.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        with writing(folder):
            self.writer = tf.summary.create_file_writer(str(folder))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write."""
        figures = {
            f"train/{name}" if name in LOSSES else name: value
            for name, value in (logs or {}).items()
            if not name.startswith("val_")  # `val/...` and `metrics/...` have them already
        }
        figures |= dict(zip(RATES, learning_rates(self.model), strict=True))
        with writing(self.folder):
            with self.writer.as_default():
                for name, value in figures.items():
                    tf.summary.scalar(name, value, step=epoch + 1)
            self.writer.flush()
