"""`fit` of detectors and segmentation models."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfyolo.api.fit import OPTIMIZERS, FitArguments, FitResult, square_side
from tfyolo.api.model import TaskModel
from tfyolo.api.resume import find_run
from tfyolo.argument_checks import check_choice, check_whole
from tfyolo.errors import TfyoloError
from tfyolo.files import run_folder
from tfyolo.progress import Log, Progress

_OPTIONS = {
    "detect": "tfyolo.training.detection.options:TrainOptions",
    "segment": "tfyolo.training.segmentation.options:SegmentOptions",
}
"""Type of the options of a run by task; imported when a run begins."""


def fit_boxes(
    model: TaskModel,
    task: str,
    data: str | Path | None,
    *,
    epochs: int,
    batch_size: int,
    image_size: int | None,
    optimizer: str,
    hyp: str | Path,
    callbacks: Sequence[Any],
    resume: bool | str | Path,
    project: str | Path,
    name: str,
    exist_ok: bool,
    progress: Progress,
    log: Log,
    options: Mapping[str, Any],
) -> FitResult:
    """Train from the present weights; see `Detector.fit` and `Segmenter.fit`.

    Args:
        model: model to train, which becomes the best one.
        task: `detect` or `segment`.
        data: dataset YAML, or the name of a dataset that ships; None with `resume`.
        epochs: number of epochs.
        batch_size: number of images per batch, or -1.
        image_size: side of the training images in pixels, or None for that of the model.
        optimizer: name of the optimizer.
        hyp: hyperparameters, by name or file.
        callbacks: Keras callbacks of the user.
        resume: run to continue, or False.
        project: folder that holds all runs.
        name: name of the run's folder.
        exist_ok: write into an existing folder.
        progress: progress callback.
        log: log callback.
        options: hyperparameters, and further fields of the options of the run.

    Returns:
        Files, metrics and history of the run.

    Raises:
        TfyoloError: dataset or options are wrong, no run can be resumed, or the model is an exported file.
    """
    model._require_network("trained")
    if batch_size != -1:
        check_whole(batch_size=batch_size)
    check_whole(epochs=epochs)
    check_choice("optimizer", optimizer, OPTIMIZERS)

    from tfyolo.libraries import require

    require("tensorflow", "keras", "matplotlib", "sklearn")

    from tfyolo.data.detection.scan import read_dataset
    from tfyolo.training.detection.hyps import Hyps, read_hyps
    from tfyolo.training.fit.checks import listed_callbacks
    from tfyolo.training.state import read_state
    from tfyolo.training.train import train

    module, _, kind_name = _OPTIONS[task].partition(":")
    kind = getattr(importlib.import_module(module), kind_name)
    callbacks = listed_callbacks(callbacks)
    if resume:
        last = find_run(resume, project, task)
        run_options = kind.from_plain(read_state(last, task).options, last)
        return model._fit(train, run_options, last.parent.parent, last, callbacks, progress, log)
    if data is None:
        raise TfyoloError("`data` is missing", fix="pass a dataset's YAML, or resume=True")
    side = square_side(image_size, model.image_size)
    if not isinstance(hyp, str | Path):
        raise TfyoloError(
            "hyp must be a name or a YAML file", fix="pass single values by name, such as lr0=0.1"
        )
    arguments = FitArguments(options, kind, Hyps)
    overrides = {**arguments.take("hyp_overrides", {}), **arguments.hyperparameters}
    read_hyps(hyp, **overrides)  # fails before a folder is created, as does the next line
    dataset = read_dataset(data)
    folder = run_folder(project, name, exist_ok)
    run_options = kind(
        data=dataset.yaml_path,
        weights=str(model.save(folder / "weights/initial.keras")),
        hyp=str(hyp),
        hyp_overrides=overrides,
        epochs=epochs,
        batch_size=batch_size,
        image_size=side,
        optimizer=optimizer,
        **arguments.fields,
    )
    return model._fit(train, run_options, folder, None, callbacks, progress, log)
