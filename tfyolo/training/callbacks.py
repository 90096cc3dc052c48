"""What happens after each epoch, as Keras callbacks: validation, files, curves, stopping."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfyolo.data.detection.scan import Dataset, Scan
from tfyolo.disk import writing
from tfyolo.evaluation.batches import Batch
from tfyolo.evaluation.validator import Metrics, ValOptions, labels_xyxy_px, validate
from tfyolo.export.keras.runtime import KerasRuntime
from tfyolo.files import atomic
from tfyolo.inference.detector import Detector
from tfyolo.progress import Progress
from tfyolo.training.model import LOSSES, TrainingModel
from tfyolo.training.state import RunState, save_state

METRICS = ("metrics/precision", "metrics/recall", "metrics/mAP_0.5", "metrics/mAP_0.5:0.95")
RATES = ("x/lr0", "x/lr1", "x/lr2")


def fitness(metrics: Metrics) -> float:
    """YOLOv5's measure of the best epoch: 0.1 mAP50 + 0.9 mAP50-95."""
    return 0.1 * metrics.map50 + 0.9 * metrics.map50_95


class Validation(keras.callbacks.Callback):
    """Validates the averaged weights after each epoch, and puts figures and losses into the logs.

    Args:
        dataset: with a `val` split.
        scan: of that split.
        options: of validation.
        image_size: side in pixels.
        every_epoch: otherwise after the last only.
        progress: is told how far it is.

    Example:
        >>> model.fit(stream, callbacks=[Validation(dataset, scan)])  # doctest: +SKIP
    """

    puts_metrics = True  # into the logs, for the callbacks after it

    def __init__(
        self,
        dataset: Dataset,
        scan: Scan | None = None,
        options: ValOptions | None = None,
        image_size: int | None = None,
        every_epoch: bool = True,
        progress: Progress | None = None,
    ) -> None:
        super().__init__()
        self.dataset, self.scan, self.image_size = dataset, scan, image_size
        self.options = options or ValOptions(plots=False)
        self.every_epoch, self.progress = every_epoch, progress
        self.detector: Detector | None = None
        self.metrics: Metrics | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Measure."""
        model: TrainingModel = self.model
        if not self.every_epoch and epoch + 1 < (self.params or {}).get("epochs", 0):
            return
        if self.detector is None:
            size = self.image_size or model.image_size
            self.detector = Detector(KerasRuntime(model.averaged, model.contract), (size, size))
        sums = np.zeros(3)
        count = 0

        def observe(batch: Batch) -> None:
            nonlocal sums, count
            assert self.detector is not None  # noqa: S101
            heads = self.detector.runtime.heads  # type: ignore[attr-defined]
            losses = model.detection_loss(heads, batch_labels(batch, self.options.single_cls))
            sums += [float(losses.box), float(losses.obj), float(losses.cls)]
            count += 1

        self.metrics = validate(
            self.detector, self.dataset, self.options, progress=self.progress, scan=self.scan, observe=observe
        )
        self.scan = self.metrics.scan
        if logs is not None:
            result = self.metrics.result
            values = (result.mean_precision, result.mean_recall, result.map50, result.map50_95)
            logs.update(zip(METRICS, map(float, values), strict=True))
            logs.update(
                {f"val/{name}": value for name, value in zip(LOSSES, sums / max(count, 1), strict=True)}
            )
            logs["fitness"] = fitness(self.metrics)


def batch_labels(batch: Batch, single_cls: bool = False) -> np.ndarray:
    """(batch, boxes, 5) labels of a validation batch as the loss takes them, in shares of the input."""
    height, width = batch.images.shape[1:3]
    longest = max((len(sample.classes) for sample in batch.samples), default=0)
    labels = np.zeros((len(batch.samples), max(longest, 1), 5), np.float32)
    labels[..., 0] = -1
    for row, sample, box in zip(labels, batch.samples, batch.letterboxes, strict=True):
        corners = box.to_input(labels_xyxy_px(sample)) / np.array([width, height] * 2, np.float32)
        count = len(sample.classes)
        row[:count, 0] = 0 if single_cls else sample.classes
        row[:count, 1:3] = (corners[:, :2] + corners[:, 2:]) / 2
        row[:count, 3:] = corners[:, 2:] - corners[:, :2]
    return labels


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
    """Of biases, kernels and batch-norm scales, at the last step."""
    controls = model.schedule(model.counters["step"].numpy() - 1.0)
    base = float(model.optimizer.learning_rate.numpy())
    weights = float(controls.factor) * base
    return weights + model.optimizer.warmup_rate(base, float(controls.bias_rate)), weights, weights


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
        figures = {f"train/{k}" if k in LOSSES else k: v for k, v in (logs or {}).items()}
        figures |= dict(zip(RATES, learning_rates(self.model), strict=True))
        with writing(self.folder):
            with self.writer.as_default():
                for name, value in figures.items():
                    tf.summary.scalar(name, value, step=epoch + 1)
            self.writer.flush()
