"""Keyword arguments, log and result of `fit`, which detectors and classifiers share."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from tfyolo.api.checks import as_image_size, check_names
from tfyolo.argument_checks import check_choice, check_whole
from tfyolo.errors import TfyoloError

OPTIMIZERS = ("SGD", "Adam", "AdamW")
_CHOICES = {
    "amp": ("off", "bf16", "fp16"),
    "cache": ("auto", "none", "ram", "disk"),
    "strategy": ("none", "mirrored", "multiworker"),
}
_WHOLE = {"nominal_batch": 1, "patience": 0, "seed": 0, "save_period": -1}
"""Whole numbers with their smallest values."""
# Fields of the options objects that are arguments of `fit`, or that the model itself provides.
_SET_BY_FIT = frozenset(
    {"data", "epochs", "batch", "batch_size", "image_size", "optimizer", "hyp", "weights", "model"}
    | {"pretrained", "hyps", "augmentation"}
)
_NAMES_ELSEWHERE = {
    "batch": "batch_size",
    "noautoanchor": "autoanchor=False",
    "noplots": "plots=False",
    "nosave": "save=False",
    "noval": "val=False",
    "weights": "tfyolo.load(weights).fit",
    "decay": "weight_decay",
    "img": "image_size",
    "imgsz": "image_size",
    "learning_rate": "lr0",
    "lr": "lr0",
    "verbose": "log=print",
}


@dataclasses.dataclass(frozen=True)
class FitResult:
    """Result of `Detector.fit` or `Classifier.fit`, with the `history` of Keras' `History`.

    Attributes:
        folder: folder of the run.
        best: `.keras` file of the best epoch, whose weights the model has after `fit`.
        last: `.keras` file of the last epoch.
        metrics: metrics of `best` on the validation split; None on workers other than the first.
        epoch: epochs, counted from 1; those before a resume are included.
        history: losses and metrics by name, such as `metrics/mAP_0.5`: one value per epoch, or NaN.

    Example:
        >>> import tfyolo
        >>> result = tfyolo.load("bccd-n").fit("bccd-mini", epochs=3)  # doctest: +SKIP
        >>> result.history["train/box_loss"]  # doctest: +SKIP
        [0.0312, 0.0305, 0.0301]
    """

    folder: Path
    best: Path
    last: Path
    metrics: Any
    epoch: list[int]
    history: dict[str, list[float]]


def read_history(path: Path) -> tuple[list[int], dict[str, list[float]]]:
    """Read the losses and metrics of a run.

    Args:
        path: `results.csv` of the run.

    Returns:
        Epochs, and by column name one value per epoch.
    """
    if not path.exists():  # workers other than the first write none
        return [], {}
    with path.open(newline="", encoding="utf-8") as stream:
        rows = [
            {name.strip(): value.strip() for name, value in row.items()} for row in csv.DictReader(stream)
        ]
    names = [name for name in (rows[0] if rows else ()) if name != "epoch"]
    history = {name: [float(row[name] or "nan") for row in rows] for name in names}
    return [int(row["epoch"]) for row in rows], history


def square_side(image_size: int | tuple[int, int] | None, model_size: tuple[int, int]) -> int:
    """Return the side of the square input that a run trains with.

    Args:
        image_size: what the user passed.
        model_size: (height, width) of the model, the default.

    Raises:
        TfyoloError: the user passed two different sides.
    """
    given = as_image_size(image_size)
    if given and given[0] != given[1]:
        raise TfyoloError("training images are square", fix=f"pass image_size={max(given)}")
    return max(given or model_size)


class FitArguments:
    """Sorts the keyword arguments of `fit` into fields of the options object and hyperparameters.

    Args:
        given: keyword arguments that the user passed.
        options: dataclass of the run's options.
        hyperparameters: pydantic models of the hyperparameters.

    Attributes:
        fields: values of the options object.
        hyperparameters: values of hyperparameters.

    Raises:
        TfyoloError: an argument does not exist, or its value is not one of the choices.
    """

    def __init__(self, given: Mapping[str, Any], options: Any, *hyperparameters: type[BaseModel]) -> None:
        known = {field.name for field in dataclasses.fields(options)} - _SET_BY_FIT
        names = {name for model in hyperparameters for name in model.model_fields}
        check_names(given, known | names, _NAMES_ELSEWHERE)
        for name in given.keys() & _CHOICES.keys():
            check_choice(name, given[name], _CHOICES[name])
        self.hyperparameters = {name: value for name, value in given.items() if name not in known}
        self.fields = {name: value for name, value in given.items() if name in known}
        for name, minimum in _WHOLE.items():
            check_whole(minimum, **{name: given[name]} if name in given else {})
        freeze = self.fields.get("freeze")
        if freeze is not None:
            layers = (freeze,) if isinstance(freeze, int | str) else tuple(freeze)
            for layer in layers:
                check_whole(-1, freeze=layer)
            self.fields["freeze"] = layers

    def take(self, name: str, default: Any) -> Any:
        """Remove a field and return its value.

        Args:
            name: name of the field.
            default: value where it was not given.
        """
        return self.fields.pop(name, default)

    def model(self, kind: type[Any]) -> Any:
        """Create one of the pydantic models from the hyperparameters.

        Args:
            kind: class of the model.

        Returns:
            The model.

        Raises:
            TfyoloError: a value is out of bounds.
        """
        values = {name: value for name, value in self.hyperparameters.items() if name in kind.model_fields}
        try:
            return kind(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            allowed = kind.model_fields[name].description
            raise TfyoloError(
                f"`{name}`: {first['msg'][:1].lower()}{first['msg'][1:]} ({allowed})", fix="correct the value"
            ) from error


def epoch_log(log: Callable[[str], None], epochs: int) -> Any:
    """Create a Keras callback that logs losses and metrics of each epoch in one line.

    Args:
        log: called with the line.
        epochs: number of epochs of the run.

    Returns:
        A `keras.callbacks.LambdaCallback`.
    """
    import keras

    def on_epoch_end(epoch: int, logs: dict[str, float] | None = None) -> None:
        # Columns of results.csv, such as `metrics/mAP_0.5`, repeat values that Keras' names give.
        named = {name: value for name, value in (logs or {}).items() if "/" not in name and name != "fitness"}
        values = ", ".join(f"{name} {value:.4g}" for name, value in named.items())
        log(f"epoch {epoch + 1}/{epochs}: {values}")

    return keras.callbacks.LambdaCallback(on_epoch_end=on_epoch_end)
