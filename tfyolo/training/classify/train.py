"""A whole training run of a classifier, from folders of images to `best.keras`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import yaml

from tfyolo.data.classification.augment import ClassificationAugmentationOptions
from tfyolo.data.classification.folders import FolderDataset, read_folders, scan_folders
from tfyolo.data.classification.pipeline import ClassificationPipeline, ClassificationPipelineOptions
from tfyolo.data.detection.sample import Scan
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.classification import ClassificationMetrics, ClassifierValOptions, validate_classifier
from tfyolo.files import atomic
from tfyolo.inference.load import load_classification_predictor
from tfyolo.progress import Log, Progress, no_log
from tfyolo.training.callbacks import Checkpoints, TensorBoard
from tfyolo.training.classify import plots
from tfyolo.training.classify.callbacks import ClassifierResultsCsv, ClassifierValidation
from tfyolo.training.classify.options import ClassifyHyps, ClassifyOptions
from tfyolo.training.classify.start import make_classifier, plan_classifier
from tfyolo.training.describe import describe_run
from tfyolo.training.initialization import check_libraries, frozen_layers
from tfyolo.training.resume import absolute, check_kinds, check_names, tell_ignored, validated
from tfyolo.training.state import RunState, read_state, restore_state
from tfyolo.training.train import PRECISIONS
from tfyolo.training.transfer import InitialWeights
from tfyolo.weights.keras_file import read_contract

TASK = "classify"


@dataclasses.dataclass(frozen=True)
class ClassifyResult:
    """What a run has made.

    Args:
        folder: of the run.
        best: model file of the epoch with the highest top-1.
        last: model file of the last epoch.
        metrics: of `best` on the validation split.
    """

    folder: Path
    best: Path
    last: Path
    metrics: ClassificationMetrics


def train_classifier(
    options: ClassifyOptions,
    folder: Path,
    *,
    resume: Path | None = None,
    callbacks: Sequence[Any] = (),
    log: Log = no_log,
    progress: Progress | None = None,
) -> ClassifyResult:
    """Train a classifier by Keras' `fit`.

    Args:
        options: what to do.
        folder: of the run; `weights/`, `results.csv` and images are written there.
        resume: `last.keras` of an unfinished run to go on with, whose own options count; `log` is told which
            of `options` differ.
        callbacks: Keras callbacks, called after the run's own.
        log: is given sentences for a log.
        progress: is told how far checking and validating are.

    Raises:
        TfyoloError: dataset, weights or options are wrong.

    Example:
        >>> options = ClassifyOptions(Path("cells"), "yolov5n-cls", image_size=64)  # doctest: +SKIP
        >>> train_classifier(options, Path("runs/train-cls/exp")).metrics.top1  # doctest: +SKIP
        0.98
    """
    state = RunState(options=plain(options), task=TASK)
    if resume:
        state = read_state(resume, TASK)
        kept = from_plain(state.options, resume)
        tell_ignored(plain(options), plain(kept), log)
        options = kept
    check_libraries(options)
    keras.utils.set_random_seed(options.seed)
    dataset, split, scans = _scan(options, progress)
    for problem in dict.fromkeys(str(problem) for scan in scans.values() for problem in scan.problems):
        log(problem)
    hyps = options.hyps
    start = _start(options, dataset, resume, log)
    start.contract.check_size((options.image_size, options.image_size))
    model = make_classifier(start, options.image_size, PRECISIONS[options.amp])
    for sentence in describe_run(model, options.image_size):
        log(sentence)
    pipeline = _pipeline(scans["train"], len(dataset.names), options, progress)
    if frozen := model.freeze(frozen_layers(options.freeze, start.contract.spec)):
        log(f"frozen: {len(frozen)} arrays of {len(model.network.trainable_variables)}")
    model.compile(
        options.optimizer, epochs=options.epochs, steps_per_epoch=pipeline.steps_per_epoch,
        batch_size=options.batch, hyps=hyps, cos_lr=options.cos_lr,
    )  # fmt: skip
    if resume:
        restore_state(model, resume)
        log(f"resumed after epoch {state.epoch} of {options.epochs}")
        if note := model.go_to(state.epoch):
            log(note)
    else:
        with atomic(folder / "opt.yaml") as temporary:
            temporary.write_text(yaml.safe_dump(plain(options), sort_keys=False))
    if options.plots and not resume:
        with pipeline.table.naming_damaged():
            plots.save_batches(pipeline, dataset.names, folder)
    settings = ClassifierValOptions(split, options.batch, plots=False)
    checkpoints = Checkpoints(
        folder / "weights", state, options.save_period, options.patience if options.val else 0,
        options.save,
    )  # fmt: skip
    own = [
        ClassifierValidation(dataset, scans[split], settings, options.val, progress),
        ClassifierResultsCsv(folder / "results.csv", state.epoch),
        checkpoints,
        *([TensorBoard(folder)] if options.tensorboard else []),
    ]
    with pipeline.table.naming_damaged():
        model.fit(
            pipeline.stream(state.epoch), epochs=options.epochs, initial_epoch=state.epoch,
            steps_per_epoch=pipeline.steps_per_epoch, callbacks=[*own, *callbacks], verbose=0,
        )  # fmt: skip
    if options.plots:
        plots.save_results(folder / "results.csv", folder / "results.png")
    settings = dataclasses.replace(settings, plots=options.plots)
    classifier = load_classification_predictor(checkpoints.best)
    metrics = validate_classifier(classifier, dataset, settings, folder, progress, scans[split])
    return ClassifyResult(folder, checkpoints.best, checkpoints.last, metrics)


def _start(options: ClassifyOptions, dataset: FolderDataset, resume: Path | None, log: Log) -> InitialWeights:
    """The classifier to begin with, or that of the run that goes on."""
    if resume is None:
        start = plan_classifier(
            options.model, options.pretrained, dataset.names, options.image_size, options.hyps.dropout
        )
        log(start.describe())
        return start
    start = InitialWeights(read_contract(resume))
    check_names(start.contract.names, dataset.names, dataset.root)
    return start


def plain(options: ClassifyOptions) -> dict[str, Any]:
    """Options as JSON and YAML can hold them; `from_plain` takes them back."""
    return {
        **dataclasses.asdict(options),
        "model": absolute(options.model),
        "pretrained": absolute(options.pretrained),
        "data": str(Path(options.data).absolute()),
        "freeze": list(options.freeze),
        "hyps": options.hyps.model_dump(),
        "augmentation": options.augmentation.model_dump(),
    }


def from_plain(values: dict[str, Any], path: Path) -> ClassifyOptions:
    """Options from what `plain` made of them.

    Args:
        values: of the options.
        path: of the file that they come from, for the message.

    Raises:
        TfyoloError: one is of another kind.
    """
    found = check_kinds(ClassifyOptions, values, path)
    typed = {
        "data": Path(found["data"]),
        "freeze": tuple(found.get("freeze", (0,))),
        "hyps": validated(ClassifyHyps, values.get("hyps"), path),
        "augmentation": validated(ClassificationAugmentationOptions, values.get("augmentation"), path),
    }
    return ClassifyOptions(**{**found, **typed})


def _scan(options: ClassifyOptions, progress: Progress | None) -> tuple[FolderDataset, str, dict[str, Scan]]:
    """The dataset, the split to validate on, and both splits' images."""
    dataset = read_folders(options.data)
    if "train" not in dataset.splits or dataset.is_whole:
        fix = "make folders train and val, with the folders of classes inside"
        raise TfyoloError("has no `train`", path=dataset.root, fix=fix)
    split = next((name for name in ("val", "test") if name in dataset.splits), "")
    if not split:
        raise TfyoloError("has no `val`", path=dataset.root, fix="add a folder val, images to measure on")
    if len(dataset.names) < 2:
        fix = "add a folder for what is not of this class"
        raise TfyoloError(f"`train` has but one class, {dataset.names[0]}", path=dataset.root, fix=fix)
    scans = {}
    for name in ("train", split):
        follow = None if progress is None else partial(progress, f"checking {name} images")
        scans[name] = scan_folders(dataset, name, progress=follow)
        if not scans[name].samples:
            raise TfyoloError(f"no image of `{name}` can be used", path=dataset.splits[name])
    return dataset, split, scans


def _pipeline(
    scan: Scan, classes: int, options: ClassifyOptions, progress: Progress | None
) -> ClassificationPipeline:
    settings = ClassificationPipelineOptions(options.image_size, options.batch, options.seed, options.cache)
    follow = None if progress is None else partial(progress, "caching images")
    return ClassificationPipeline(scan.samples, classes, options.augmentation, settings, follow)
