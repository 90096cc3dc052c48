"""A whole training run, from a data set to `best.keras`."""

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

from tfyolo.data.dataset import Dataset, Sample, Scan, check_usable, read_dataset, scan_split
from tfyolo.data.pipeline import Pipeline, PipelineOptions
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.validator import Metrics, ValOptions, validate
from tfyolo.files import atomic
from tfyolo.inference.load import load_detector
from tfyolo.training import plots
from tfyolo.training.callbacks import Checkpoints, ResultsCsv, TensorBoard, Validation
from tfyolo.training.describe import describe_run
from tfyolo.training.hyps import Hyps, read_hyps
from tfyolo.training.loop import run_epochs
from tfyolo.training.model import TrainingModel
from tfyolo.training.options import TrainOptions
from tfyolo.training.resume import absolute, check_kinds, check_names, tell_ignored, validated
from tfyolo.training.start import check_libraries, frozen_layers, make_model, plan_start, with_anchors
from tfyolo.training.state import Progress, read_progress, restore_state
from tfyolo.training.strategies import open_strategy
from tfyolo.training.transfer import Start
from tfyolo.weights.keras_file import read_contract

Tell = Callable[[str], None]
Bar = Callable[[str, int, int], None]
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
    tell: Tell = lambda _: None,
    bar: Bar | None = None,
) -> TrainResult:
    """Train a detector.

    Args:
        options: what to do.
        folder: of the run; `weights/`, `results.csv` and pictures are written there.
        resume: `last.keras` of an unfinished run to go on with, whose own options and hyperparameters count;
            `tell` is told which of `options` differ.
        callbacks: Keras callbacks, called after the run's own.
        tell: is given sentences for a log.
        bar: is told how far scanning and validating are.

    Raises:
        TfyoloError: data set, weights or options are wrong.

    Example:
        >>> options = TrainOptions(Path("bccd.yaml"), weights="yolov5n.pt", epochs=30)  # doctest: +SKIP
        >>> train(options, Path("runs/train/exp")).metrics.map50  # doctest: +SKIP
        0.85
    """
    progress = None
    if resume:
        progress = read_progress(resume)
        kept = from_plain(progress.options, resume)
        tell_ignored(plain(options), plain(kept), tell)
        options = kept
    strategy = open_strategy(options.strategy)  # workers connect before anything else is done
    check_libraries(options)
    keras.utils.set_random_seed(options.seed)
    dataset, scans = _scan(options, bar)
    for problem in dict.fromkeys(str(problem) for scan in scans.values() for problem in scan.problems):
        tell(problem)
    names = ("object",) if options.single_cls else dataset.names
    samples = scans["train"].samples
    if progress and resume:
        hyps = _kept_hyps(progress, options, resume, tell)
        start = Start(read_contract(resume))
        check_names(start.contract.names, names, dataset.yaml_path)
    else:
        hyps = read_hyps(options.hyp, **options.hyp_overrides)
        start = plan_start(options.weights, options.cfg, names, options.image_size, hyps.anchors)
        tell(start.describe())
        start = with_anchors(
            start, samples, options.image_size, hyps.anchor_t, check=options.autoanchor, seed=options.seed,
            tell=tell, progress=None if bar is None else partial(bar, "evolving anchors"),
        )  # fmt: skip
    with strategy.scope() if strategy else nullcontext():
        model = make_model(start, options.image_size, PRECISIONS[options.amp], options.sync_bn)
        for sentence in describe_run(model, options.image_size):
            tell(sentence)
        batch = _batch(options, model, tell)
        options = dataclasses.replace(options, batch=batch)
        progress = progress or Progress(options=plain(options), hyps=hyps.model_dump())
        pipeline = _pipeline(samples, options, hyps, batch, max(start.contract.strides), bar)
        if frozen := model.freeze(frozen_layers(options.freeze, start.contract.spec)):
            tell(f"frozen: {len(frozen)} arrays of {len(model.network.trainable_variables)}")
        model.compile(
            options.optimizer, epochs=options.epochs, steps_per_epoch=pipeline.steps_per_epoch, batch=batch,
            hyps=hyps, cos_lr=options.cos_lr, autobalance=options.autobalance,
            nominal_batch=options.nominal_batch,
        )  # fmt: skip
        if resume:
            restore_state(model, resume)
            tell(f"resumed after epoch {progress.epoch} of {options.epochs}")
            if note := model.go_to(progress.epoch):
                tell(note)
        if strategy is not None and not strategy.extended.should_checkpoint:  # another worker writes
            with pipeline.table.naming_damaged():
                run_epochs(model, pipeline, options.epochs, progress.epoch)
            return TrainResult(folder, folder / "weights/best.keras", folder / "weights/last.keras", None)
        if not resume:
            _write_notes(folder, options, hyps)
        if options.plots and not resume:
            plots.save_labels(samples, dataset.names, folder / "labels.jpg")
            with pipeline.table.naming_damaged():
                plots.save_batches(pipeline, names, folder)
        checkpoints, own = _own_callbacks(folder, options, progress, dataset, scans.get("val"), bar)
        weights = _weights_for(samples, own[0], names) if options.image_weights else None
        with pipeline.table.naming_damaged():
            run_epochs(model, pipeline, options.epochs, progress.epoch, [*own, *callbacks], weights)
    if options.plots:
        plots.save_results(folder / "results.csv", folder / "results.png")
    metrics = None
    if "val" in scans:
        settings = ValOptions(single_cls=options.single_cls, plots=options.plots)
        metrics = validate(load_detector(checkpoints.best), dataset, settings, folder, bar, scans["val"])
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


def _kept_hyps(progress: Progress, options: TrainOptions, resume: Path, tell: Tell) -> Hyps:
    """Hyperparameters of a run that goes on, and a word where its file says others by now."""
    kept = validated(Hyps, progress.hyps, resume)
    try:
        now = read_hyps(options.hyp, **options.hyp_overrides)
    except TfyoloError:  # moved, or no longer right: it is not needed
        return kept
    changed = [name for name in Hyps.model_fields if getattr(now, name) != getattr(kept, name)]
    if changed:
        values = ", ".join(f"{name} = {getattr(kept, name)}" for name in changed)
        tell(f"{options.hyp} has changed, but a resumed run keeps its hyperparameters: {values}")
    return kept


def _scan(options: TrainOptions, bar: Bar | None) -> tuple[Dataset, dict[str, Scan]]:
    dataset = read_dataset(options.data)
    scans = {}
    for split in ("train", "val"):
        if split == "val" and split not in dataset.splits:
            raise TfyoloError(
                "has no `val`", path=dataset.yaml_path, fix="add `val:`, pictures to measure on"
            )
        follow = None if bar is None else partial(bar, f"checking {split} labels")
        scans[split] = scan_split(dataset, split, progress=follow)
        check_usable(dataset, split, scans[split], labelled=split == "train")
    return dataset, scans


def _batch(options: TrainOptions, model: TrainingModel, tell: Tell) -> int:
    if options.batch > 0:
        return options.batch
    from tfyolo.training.autobatch import fitting_batch

    batch = fitting_batch(model, options.image_size)
    tell(f"batch size: {batch} fits the GPU's memory")
    return batch


def _pipeline(
    samples: Sequence[Sample],
    options: TrainOptions,
    hyps: Hyps,
    batch: int,
    stride: int,
    bar: Bar | None,
) -> Pipeline:
    settings = PipelineOptions(
        image_size=options.image_size, batch=batch, seed=options.seed, rect=options.rect,
        multi_scale=options.multi_scale, cache=options.cache, stride=stride, single_cls=options.single_cls,
    )  # fmt: skip
    follow = None if bar is None else partial(bar, f"caching pictures ({options.cache})")
    return Pipeline(samples, hyps.augmentation(), settings, follow)


def _own_callbacks(
    folder: Path,
    options: TrainOptions,
    progress: Progress,
    dataset: Dataset,
    scan: Scan | None,
    bar: Bar | None,
) -> tuple[Checkpoints, list[Any]]:
    """In the order in which they depend on each other."""
    settings = ValOptions(single_cls=options.single_cls, plots=False, batch=2 * max(options.batch, 8))
    # A worker that stopped alone would leave the others waiting.
    patience = options.patience if options.val and options.strategy != "multiworker" else 0
    checkpoints = Checkpoints(folder / "weights", progress, options.save_period, patience, options.save)
    own = [
        Validation(dataset, scan, settings, options.image_size, options.val, bar),
        ResultsCsv(folder / "results.csv", progress.epoch),
        checkpoints,
    ]
    if options.tensorboard:
        own.append(TensorBoard(folder))
    return checkpoints, own


def _weights_for(
    samples: Sequence[Sample], validation: Validation, names: Sequence[str]
) -> Callable[[], np.ndarray]:
    """How often to draw each picture: more often where it shows rare and badly detected classes.

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
            maps[result.classes] = result.ap.mean(1)
        return (counts * (rarity * (1.0 - maps) ** 2)).sum(1) + 1e-6

    return weights


def _write_notes(folder: Path, options: TrainOptions, hyps: Hyps) -> None:
    for name, values in (("opt.yaml", plain(options)), ("hyp.yaml", hyps.model_dump())):
        with atomic(folder / name) as temporary:
            temporary.write_text(yaml.safe_dump(values, sort_keys=False))
