"""What `fit` of a detector and of a classifier share: their keyword arguments, and a log of epochs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from tfyolo.api.checks import check_choice, check_names
from tfyolo.errors import TfyoloError

OPTIMIZERS = ("SGD", "Adam", "AdamW")
_CHOICES = {
    "amp": ("off", "bf16", "fp16"),
    "cache": ("auto", "none", "ram", "disk"),
    "strategy": ("none", "mirrored", "multiworker"),
}
_OWN = {"data", "epochs", "batch", "image_size", "optimizer", "hyp", "weights", "model", "pretrained", "hyps",
        "augmentation"}  # fmt: skip
"""Fields of the options objects that are arguments of `fit`, or that the model itself decides."""
_ELSEWHERE = {
    "batch": "batch_size",
    "decay": "weight_decay",
    "img": "image_size",
    "imgsz": "image_size",
    "learning_rate": "lr0",
    "lr": "lr0",
    "verbose": "log=print",
}


class FitArguments:
    """Keyword arguments of `fit`, told apart.

    Args:
        given: by the user.
        options: dataclass of the run's options.
        hyperparameters: pydantic models of the hyperparameters.

    Raises:
        TfyoloError: one does not exist, or has a value that it cannot have.
    """

    def __init__(self, given: Mapping[str, Any], options: Any, *hyperparameters: type[BaseModel]) -> None:
        known = {field.name for field in dataclasses.fields(options)} - _OWN
        names = {name for model in hyperparameters for name in model.model_fields}
        check_names(given, known | names, _ELSEWHERE)
        for name in given.keys() & _CHOICES.keys():
            check_choice(name, given[name], _CHOICES[name])
        self.hyperparameters = {name: value for name, value in given.items() if name not in known}
        self.fields = {name: value for name, value in given.items() if name in known}
        """Of the options object."""
        freeze = self.fields.get("freeze")
        if freeze is not None:
            self.fields["freeze"] = (freeze,) if isinstance(freeze, int) else tuple(freeze)

    def take(self, name: str, default: Any) -> Any:
        """A field, which is not in `fields` any more."""
        return self.fields.pop(name, default)

    def model(self, kind: type[Any]) -> Any:
        """Hyperparameters as one of the pydantic models.

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
    """A Keras callback that logs losses and figures of each epoch in one line.

    Args:
        log: called with the line.
        epochs: of the run.
    """
    import keras

    def on_epoch_end(epoch: int, logs: dict[str, float] | None = None) -> None:
        figures = ", ".join(f"{name} {value:.4g}" for name, value in (logs or {}).items())
        log(f"epoch {epoch + 1}/{epochs}: {figures}")

    return keras.callbacks.LambdaCallback(on_epoch_end=on_epoch_end)
