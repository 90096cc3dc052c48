"""A whole training run, from a dataset to `best.keras`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import yaml

from tfyolo.data.detection.pipeline import Pipeline, PipelineOptions
from tfyolo.data.detection.scan import Dataset, Sample, Scan, check_usable, read_dataset, scan_split
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.detection_metrics import Metrics, ValOptions
from tfyolo.evaluation.validator import validate
from tfyolo.files import atomic
from tfyolo.inference.load import load_detection_predictor
from tfyolo.progress import Log, Progress, no_log
from tfyolo.training import plots
from tfyolo.training.callbacks import Checkpoints, ResultsCsv, TensorBoard
from tfyolo.training.describe import describe_run
from tfyolo.training.detection.validation import Validation
from tfyolo.training.hyps import Hyps, read_hyps
from tfyolo.training.initialization import (
    check_libraries,
    frozen_layers,
    make_model,
    plan_start,
    with_anchors,
)
from tfyolo.training.loop import run_epochs
from tfyolo.training.model import TrainingModel
from tfyolo.training.options import TrainOptions
from tfyolo.training.resume import absolute, check_kinds, check_names, tell_ignored, validated
from tfyolo.training.state import RunState, read_state, restore_state
from tfyolo.training.strategies import open_strategy
from tfyolo.training.transfer import InitialWeights
from tfyolo.weights.keras_file import read_contract

PRECISIONS = {"off": "float32", "bf16": "mixed_bfloat16", "fp16": "mixed_float16"}


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """What a run has made.

    Args:
        folder: of the run.
        best: model file of the best epoch.
        last: model file of the last epoch.
        metrics: of `best` on the validation split; None on workers other than the first.
    """

    folder: Path
    best: Path
    last: Path
    metrics: Metrics | None


def train(
    options: TrainOptions,
    folder: Path,
    *,
    resume: Path | None = None,
    callbacks: Sequence[Any] = (),
    log: Log = no_log,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a detector.

    Args:
        options: what to do.
        folder: of the run; `weights/`, `results.csv` and images are written there.
        resume: `last.keras` of an unfinished run to go on with, whose own options and hyperparameters count;
            `log` is told which of `options` differ.
        callbacks: Keras callbacks, called after the run's own.
        log: is given sentences for a log.
        progress: is told how far scanning and validating are.

    Raises:
        TfyoloError: dataset, weights or options are wrong.

    Example:
        >>> options = TrainOptions(Path("bccd.yaml"), weights="yolov5n.pt", epochs=30)  # doctest: +SKIP
        >>> train(options, Path("runs/train/exp")).metrics.map50  # doctest: +SKIP
        0.85
    """
    state = None
    if resume:
        state = read_state(resume)
        kept = from_plain(state.options, resume)
        tell_ignored(plain(options), plain(kept), log)
        options = kept
    strategy = open_strategy(options.strategy)  # workers connect before anything else is done
    check_libraries(options)
    keras.utils.set_random_seed(options.seed)
    dataset, scans = _scan(options, progress)
    for problem in dict.fromkeys(str(problem) for scan in scans.values() for problem in scan.problems):
        log(problem)
    names = ("object",) if options.single_cls else dataset.names
    samples = scans["train"].samples
    if state and resume:
        hyps = _kept_hyps(state, options, resume, log)
        start = InitialWeights(read_contract(resume))
        check_names(start.contract.names, names, dataset.yaml_path)
    else:
        hyps = read_hyps(options.hyp, **options.hyp_overrides)
        start = plan_start(options.weights, options.cfg, names, options.image_size, hyps.anchors)
        log(start.describe())
        start = with_anchors(
            start, samples, options.image_size, hyps.anchor_t, check=options.autoanchor, seed=options.seed,
            log=log, progress=None if progress is None else partial(progress, "evolving anchors"),
        )  # fmt: skip
    with strategy.scope() if strategy else nullcontext():
        model = make_model(start, options.image_size, PRECISIONS[options.amp], options.sync_bn)
        for sentence in describe_run(model, options.image_size):
            log(sentence)
        batch = _batch(options, model, log)
        options = dataclasses.replace(options, batch=batch)
        state = state or RunState(options=plain(options), hyps=hyps.model_dump())
        pipeline = _pipeline(samples, options, hyps, batch, max(start.contract.strides), progress)
        if frozen := model.freeze(frozen_layers(options.freeze, start.contract.spec)):
            log(f"frozen: {len(frozen)} arrays of {len(model.network.trainable_variables)}")
        model.compile(
            options.optimizer,
            epochs=options.epochs,
            steps_per_epoch=pipeline.steps_per_epoch,
            batch_size=batch,
            hyps=hyps,
            cos_lr=options.cos_lr,
            autobalance=options.autobalance,
            nominal_batch=options.nominal_batch,
        )
        if resume:
            restore_state(model, resume)
            log(f"resumed after epoch {state.epoch} of {options.epochs}")
            if note := model.go_to(state.epoch):
                log(note)
        if strategy is not None and not strategy.extended.should_checkpoint:  # another worker writes
            with pipeline.table.naming_damaged():
                run_epochs(model, pipeline, options.epochs, state.epoch)
            return TrainResult(folder, folder / "weights/best.keras", folder / "weights/last.keras", None)
        if not resume:
            _write_notes(folder, options, hyps)
        if options.plots and not resume:
            plots.save_labels(samples, dataset.names, folder / "labels.jpg")
            with pipeline.table.naming_damaged():
                plots.save_batches(pipeline, names, folder)
        checkpoints, own = _own_callbacks(folder, options, state, dataset, scans.get("val"), progress)
        weights = _weights_for(samples, own[0], names) if options.image_weights else None
        with pipeline.table.naming_damaged():
            run_epochs(model, pipeline, options.epochs, state.epoch, [*own, *callbacks], weights)
    if options.plots:
        plots.save_results(folder / "results.csv", folder / "results.png")
    metrics = None
    if "val" in scans:
        settings = ValOptions(single_cls=options.single_cls, plots=options.plots)
        metrics = validate(
            load_detection_predictor(checkpoints.best), dataset, settings, folder, progress, scans["val"]
        )
    return TrainResult(folder, checkpoints.best, checkpoints.last, metrics)


def plain(options: TrainOptions) -> dict[str, Any]:
    """Options as JSON and YAML can hold them, files by absolute paths; `from_plain` takes them back."""
    files = {name: absolute(getattr(options, name)) for name in ("weights", "cfg", "hyp")}
    data = {"data": str(Path(options.data).absolute()), "freeze": list(options.freeze)}
    return {**dataclasses.asdict(options), **files, **data}


def from_plain(values: dict[str, Any], path: Path) -> TrainOptions:
    """Options from what `plain` made of them.

    Args:
        values: of the options.
        path: of the file that they come from, for the message.

    Raises:
        TfyoloError: one is of another kind.
    """
    found = check_kinds(TrainOptions, values, path)
    return TrainOptions(**{**found, "data": Path(found["data"]), "freeze": tuple(found.get("freeze", (0,)))})


def _kept_hyps(state: RunState, options: TrainOptions, resume: Path, log: Log) -> Hyps:
    """Hyperparameters of a run that goes on, and a word where its file says others by now."""
    kept = validated(Hyps, state.hyps, resume)
    try:
        now = read_hyps(options.hyp, **options.hyp_overrides)
    except TfyoloError:  # moved, or no longer right: it is not needed
        return kept
    changed = [name for name in Hyps.model_fields if getattr(now, name) != getattr(kept, name)]
    if changed:
        values = ", ".join(f"{name} = {getattr(kept, name)}" for name in changed)
        log(f"{options.hyp} has changed, but a resumed run keeps its hyperparameters: {values}")
    return kept


def _scan(options: TrainOptions, progress: Progress | None) -> tuple[Dataset, dict[str, Scan]]:
    dataset = read_dataset(options.data)
    scans = {}
    for split in ("train", "val"):
        if split == "val" and split not in dataset.splits:
            raise TfyoloError("has no `val`", path=dataset.yaml_path, fix="add `val:`, images to measure on")
        follow = None if progress is None else partial(progress, f"checking {split} labels")
        scans[split] = scan_split(dataset, split, progress=follow)
        check_usable(dataset, split, scans[split], labeled=split == "train")
    return dataset, scans


def _batch(options: TrainOptions, model: TrainingModel, log: Log) -> int:
    if options.batch > 0:
        return options.batch
    from tfyolo.training.autobatch import fitting_batch

    batch = fitting_batch(model, options.image_size)
    log(f"batch size: {batch} fits the GPU's memory")
    return batch


def _pipeline(
    samples: Sequence[Sample],
    options: TrainOptions,
    hyps: Hyps,
    batch: int,
    stride: int,
    progress: Progress | None,
) -> Pipeline:
    settings = PipelineOptions(
        image_size=options.image_size, batch=batch, seed=options.seed, rect=options.rect,
        multi_scale=options.multi_scale, cache=options.cache, stride=stride, single_cls=options.single_cls,
    )  # fmt: skip
    follow = None if progress is None else partial(progress, f"caching images ({options.cache})")
    return Pipeline(samples, hyps.augmentation(), settings, follow)


def _own_callbacks(
    folder: Path,
    options: TrainOptions,
    state: RunState,
    dataset: Dataset,
    scan: Scan | None,
    progress: Progress | None,
) -> tuple[Checkpoints, list[Any]]:
    """In the order in which they depend on each other."""
    settings = ValOptions(single_cls=options.single_cls, plots=False, batch_size=2 * max(options.batch, 8))
    # A worker that stopped alone would leave the others waiting.
    patience = options.patience if options.val and options.strategy != "multiworker" else 0
    checkpoints = Checkpoints(folder / "weights", state, options.save_period, patience, options.save)
    own = [
        Validation(dataset, scan, settings, options.image_size, options.val, progress),
        ResultsCsv(folder / "results.csv", state.epoch),
        checkpoints,
    ]
    if options.tensorboard:
        own.append(TensorBoard(folder))
    return checkpoints, own


def _weights_for(
    samples: Sequence[Sample], validation: Validation, names: Sequence[str]
) -> Callable[[], np.ndarray]:
    """How often to draw each image: more often where it shows rare and badly detected classes.

    Source: YOLOv5's image weights: class frequency's inverse times (1 - mAP)^2, summed over its labels.
    """
    classes = len(names)
    last = classes - 1  # with --single-cls all are class 0
    counts = np.stack([np.bincount(np.minimum(s.classes, last), minlength=classes) for s in samples])
    rarity = 1.0 / np.maximum(counts.sum(0), 1)
    rarity /= rarity.sum()

    def weights() -> np.ndarray:
        maps = np.zeros(classes)
        if validation.metrics is not None:
            result = validation.metrics.result
            maps[result.class_ids] = result.ap.mean(1)
        return (counts * (rarity * (1.0 - maps) ** 2)).sum(1) + 1e-6

    return weights


def _write_notes(folder: Path, options: TrainOptions, hyps: Hyps) -> None:
    for name, values in (("opt.yaml", plain(options)), ("hyp.yaml", hyps.model_dump())):
        with atomic(folder / name) as temporary:
            temporary.write_text(yaml.safe_dump(values, sort_keys=False))
