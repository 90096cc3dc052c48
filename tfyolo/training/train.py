"""The trainer: a whole training run of any task, from a dataset to `best.keras`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import keras
import yaml

from tfyolo.errors import TfyoloError
from tfyolo.evaluation.classification import ClassificationMetrics
from tfyolo.evaluation.detection_metrics import Metrics
from tfyolo.files import atomic
from tfyolo.libraries import require
from tfyolo.models.spec import ModelSpec
from tfyolo.progress import Log, Progress, no_log
from tfyolo.training.callbacks import Checkpoints, ResultsCsv, TensorBoard
from tfyolo.training.classification.options import ClassifyOptions
from tfyolo.training.classification.task import ClassificationTask
from tfyolo.training.describe import describe_run, describe_warmup
from tfyolo.training.detection.options import TrainOptions
from tfyolo.training.detection.task import DetectionTask
from tfyolo.training.loop import run_epochs
from tfyolo.training.model import TrainingModel
from tfyolo.training.optimization.optimizers import RULES
from tfyolo.training.resume import RunOptions, log_ignored_options
from tfyolo.training.segmentation.options import SegmentOptions
from tfyolo.training.segmentation.task import SegmentationTask
from tfyolo.training.state import RunState, read_state, restore_state
from tfyolo.training.strategies import open_strategy
from tfyolo.training.task import TrainingTask

MetricsType = TypeVar("MetricsType")

_TASKS: dict[type[RunOptions], type[TrainingTask[Any, Any]]] = {
    TrainOptions: DetectionTask,
    SegmentOptions: SegmentationTask,
    ClassifyOptions: ClassificationTask,
}
"""By the type of the options."""


@dataclasses.dataclass(frozen=True)
class TrainResult(Generic[MetricsType]):
    """Files and metrics of a training run.

    Attributes:
        folder: folder of the run.
        best: model file of the best epoch.
        last: model file of the last epoch.
        metrics: `Metrics` or `ClassificationMetrics` of `best` on the validation split; None on workers other
            than the first.

    Example:
        >>> tfyolo.train(options, "runs/train/exp").metrics.map50_95  # doctest: +SKIP
        0.51
    """

    folder: Path
    best: Path
    last: Path
    metrics: MetricsType


@overload
def train(
    options: TrainOptions,
    folder: Path,
    *,
    resume: Path | None = ...,
    callbacks: Sequence[Any] = ...,
    log: Log = ...,
    progress: Progress | None = ...,
) -> TrainResult[Metrics | None]: ...


@overload
def train(
    options: ClassifyOptions,
    folder: Path,
    *,
    resume: Path | None = ...,
    callbacks: Sequence[Any] = ...,
    log: Log = ...,
    progress: Progress | None = ...,
) -> TrainResult[ClassificationMetrics]: ...


def train(
    options: TrainOptions | ClassifyOptions,
    folder: Path,
    *,
    resume: Path | None = None,
    callbacks: Sequence[Any] = (),
    log: Log = no_log,
    progress: Progress | None = None,
) -> TrainResult[Any]:
    """Train a detector, a segmentation model or a classifier.

    Args:
        options: `TrainOptions` for a detector, `SegmentOptions` for a segmentation model, `ClassifyOptions`
            for a classifier.
        folder: folder of the run; `weights/`, `results.csv`, option files and plots are written to it.
        resume: `last.keras` of an unfinished run to continue. Its own options and hyperparameters are used;
            options of this call that differ are logged as ignored.
        callbacks: Keras callbacks, called after those of the run.
        log: called with each sentence for the log.
        progress: called as `progress(label, done, total)` while images are checked and validated.

    Returns:
        Files and metrics of the run.

    Raises:
        TfyoloError: the dataset, the weights or an option is wrong.

    Example:
        >>> options = TrainOptions(Path("bccd.yaml"), weights="yolov5n.pt", epochs=30)  # doctest: +SKIP
        >>> train(options, Path("runs/train/exp")).metrics.map50  # doctest: +SKIP
        0.85
    """
    task_type, state = _TASKS[type(options)], None
    if resume:
        state = read_state(resume, task_type.name)
        saved = type(options).from_plain(state.options, resume)
        log_ignored_options(options.to_plain(), saved.to_plain(), log)
        options = saved
    if options.optimizer not in RULES:  # optimizers of Keras are for `fit`
        raise TfyoloError(f"unknown optimizer `{options.optimizer}`", fix=f"use one of {', '.join(RULES)}")
    task = task_type(options, log, progress)
    strategy = open_strategy(task.strategy)  # workers connect before TensorFlow is used for anything else
    require(*(["matplotlib"] if options.plots else []), *(["tensorboard"] if options.tensorboard else []))
    keras.utils.set_random_seed(options.seed)
    task.scan()
    for problem in dict.fromkeys(str(problem) for scan in task.scans.values() for problem in scan.problems):
        log(problem)
    initial = task.resumed_weights(resume, state) if resume and state else task.initial_weights()
    with strategy.scope() if strategy else nullcontext():
        model = task.build_model(initial)
        for sentence in describe_run(model, options.image_size):
            log(sentence)
        options = task.options = dataclasses.replace(options, batch_size=task.choose_batch_size(model))
        state = state or task.new_state()
        pipeline = task.make_pipeline(initial.contract)
        if frozen := model.freeze(frozen_layers(options.freeze, initial.contract.spec)):
            log(f"frozen: {len(frozen)} of {len(model.network.trainable_variables)} arrays")
        task.compile(model, pipeline.steps_per_epoch)
        if model.schedule is not None and (note := describe_warmup(model.schedule)):
            log(note)
        if resume:
            _restore(model, resume, state, options.epochs, log)
        checkpoints = _checkpoints(folder, task, state)
        if strategy is not None and not strategy.extended.should_checkpoint:  # another worker writes
            with pipeline.table.naming_damaged():
                run_epochs(model, pipeline, options.epochs, state.epoch)
            return TrainResult(folder, checkpoints.best, checkpoints.last, None)
        if not resume:
            _write_option_files(folder, task)
            if options.plots:
                with pipeline.table.naming_damaged():
                    task.save_data_plots(pipeline, folder)
        validation = task.validation()
        sampling = task.image_sampling(validation, state)
        hooks = [
            validation,
            *([sampling] if sampling else []),
            ResultsCsv(folder / "results.csv", task.results_columns, state.epoch),
            checkpoints,
            *([TensorBoard(folder, task.tensorboard_losses)] if options.tensorboard else []),
        ]
        with pipeline.table.naming_damaged():
            run_epochs(
                model,
                pipeline,
                options.epochs,
                state.epoch,
                [*hooks, *callbacks],
                sampling.weights if sampling else None,
            )
    if options.plots:
        task.save_result_plots(folder)
    metrics = task.evaluate(checkpoints.best, folder)
    return TrainResult(folder, checkpoints.best, checkpoints.last, metrics)


def frozen_layers(freeze: Sequence[int], spec: ModelSpec) -> list[str]:
    """Return name prefixes of the layers that the option `freeze` excludes from training.

    Args:
        freeze: one number n for the first n layers, or the numbers of several layers.
        spec: configuration of the model.

    Returns:
        Prefixes for `TrainingModel.freeze`.

    Raises:
        TfyoloError: the model has no such layer.
    """
    count = len(spec.layers)
    if len(freeze) > 1 and (outside := [layer for layer in freeze if not 0 <= layer < count]):
        raise TfyoloError(
            f"there is no layer {outside[0]} to freeze", fix=f"pass numbers from 0 to {count - 1}"
        )
    layers = range(min(freeze[0], count)) if len(freeze) == 1 else freeze
    return [f"model.{layer}." for layer in layers]


def _restore(model: TrainingModel, resume: Path, state: RunState, epochs: int, log: Log) -> None:
    """Restore the training state of a resumed run, and log the epoch it continues from."""
    restore_state(model, resume)
    log(f"resumed after epoch {state.epoch} of {epochs}")
    if note := model.go_to(state.epoch):
        log(note)


def _checkpoints(folder: Path, task: TrainingTask[Any, Any], state: RunState) -> Checkpoints:
    """Return the callback that writes model files and stops early."""
    options = task.options
    # Without validation there is nothing to stop by, and a worker that stopped alone would block the others.
    patience = options.patience if options.val and task.strategy != "multiworker" else 0
    return Checkpoints(folder / "weights", state, options.save_period, patience, options.save)


def _write_option_files(folder: Path, task: TrainingTask[Any, Any]) -> None:
    """Write `opt.yaml` and the like."""
    for name, values in task.option_files().items():
        with atomic(folder / name) as temporary:
            temporary.write_text(yaml.safe_dump(values, sort_keys=False))
