"""What a run needs to resume after it was killed, kept inside its `last.keras`."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.inputs import MODEL, open_input
from tfyolo.models.tasks import TASKS
from tfyolo.training.model import TrainingModel
from tfyolo.training.resume import read_fields
from tfyolo.weights.keras_file import save_keras

_ARRAYS, _NOTES = "training.npz", "training.json"
_COMMANDS = {"detect": "train", "segment": "segment train", "classify": "classify train"}
"""Commands that train, by task."""


@dataclass
class RunState:
    """How far a run has come.

    Attributes:
        epoch: number of completed epochs.
        best_fitness: best fitness so far: 0.1 mAP50 + 0.9 mAP50-95, summed over boxes and masks, or top-1 of
            a classifier.
        best_epoch: last epoch in which it rose or was 0, counted from 0.
        options: options of the run, as plain values.
        hyps: hyperparameters of the run, as plain values.
        class_maps: mAP50-95 of each class after the last validation, for `--image-weights`.
        task: `detect`, `segment` or `classify`.
    """

    epoch: int = 0
    best_fitness: float = -1.0
    best_epoch: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    hyps: dict[str, Any] = field(default_factory=dict)
    class_maps: list[float] = field(default_factory=list)
    task: str = "detect"


def save_state(model: TrainingModel, state: RunState, path: Path) -> None:
    """Write the EMA network as a model file that also contains all that is needed to resume, atomically.

    Args:
        model: model in training.
        state: progress and options of the run.
        path: file to write.
    """
    data = BytesIO()
    np.savez(data, **{str(i): variable.numpy() for i, variable in enumerate(model.state_variables())})
    members = {_ARRAYS: data.getvalue(), _NOTES: json.dumps(asdict(state)).encode()}
    save_keras(model.averaged, model.contract, path, members)


def read_state(path: Path, task: str = "detect") -> RunState:
    """The notes in a `last.keras`.

    Args:
        path: the file.
        task: expected task of the run: `detect`, `segment` or `classify`.

    Raises:
        TfyoloError: the file is not of an unfinished run, or of another task.
    """
    try:
        with open_input(path, MODEL) as file, zipfile.ZipFile(file) as archive:
            notes = json.loads(archive.read(_NOTES))
        state = RunState(**read_fields(RunState, notes, path))
    except KeyError as error:
        raise TfyoloError(
            "contains no unfinished run: it has ended, or the file was not written by `tfyolo train`",
            path=path,
            fix="start a new run with --weights",
        ) from error
    except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise TfyoloError("is damaged or not a tfyolo model", path=path) from error
    if state.task != task:
        kind, fix = "another task", "resume it with the release that it was started with"
        if state.task in _COMMANDS:
            kind = f"a {TASKS[state.task].noun}"
            fix = f"tfyolo {_COMMANDS[state.task]} --resume {path}"
        raise TfyoloError(f"belongs to a run of {kind}", path=path, fix=fix)
    return state


def newest_run(project: Path, task: str = "detect") -> Path:
    """The `last.keras` written last, of the runs in a folder that have not ended.

    Raises:
        TfyoloError: there is none.
    """
    found = sorted(project.glob("*/weights/last.keras"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found:
        try:
            read_state(path, task)
        except TfyoloError:
            continue
        return path
    raise TfyoloError(f"no unfinished run in {project}", fix="pass the run's weights/last.keras")


def restore_state(model: TrainingModel, path: Path) -> None:
    """Set weights, averages, optimizer and counters of a compiled model as they were saved.

    Raises:
        TfyoloError: the file is damaged, or of another network or optimizer.
    """
    variables = model.state_variables()
    try:
        with (
            open_input(path, MODEL) as file,
            zipfile.ZipFile(file) as archive,
            np.load(BytesIO(archive.read(_ARRAYS))) as arrays,
        ):
            values = [arrays[str(i)] for i in range(len(arrays.files))]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise TfyoloError("its training state cannot be read", path=path) from error
    if [value.shape for value in values] != [tuple(variable.shape) for variable in variables]:
        raise TfyoloError("its training state belongs to another network or optimizer", path=path)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
