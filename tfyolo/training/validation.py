"""Validation after each epoch, as a Keras callback; each task has its metrics."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import keras
import tensorflow as tf

from tfyolo.errors import TfyoloError
from tfyolo.training.fit.source import FitData

_MAX_IMAGES = 32
"""Images that are validated at once: a user's batch can be a whole dataset."""


class ValidationCallback(keras.callbacks.Callback):
    """Adds losses and metrics of the EMA weights to the logs after an epoch.

    Each has the prefix `val_`, as in Keras. The columns of YOLOv5's results.csv and `fitness`, by which the
    best epoch is chosen, are added, too, unless the callback was made for Keras' `validation_data`.

    Args:
        every_epoch: validate after each epoch; otherwise only after the last.
        frequency: epochs between validations, if `every_epoch`.

    Attributes:
        with_yolov5_names: whether the logs also have YOLOv5's names.
    """

    puts_metrics = True  # into the logs, for the callbacks after it

    def __init__(self, every_epoch: bool = True, frequency: int = 1) -> None:
        super().__init__()
        self.every_epoch, self.frequency = every_epoch, frequency
        self.with_yolov5_names = True

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Validate now, and return losses and metrics by name."""

    @abstractmethod
    def yolov5_logs(self, results: dict[str, float]) -> dict[str, float]:
        """Return `fitness` and the columns of results.csv."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Validate, and add the metrics to the logs."""
        is_last = epoch + 1 >= (self.params or {}).get("epochs", 0)
        if not is_last and (not self.every_epoch or (epoch + 1) % self.frequency):
            return
        results = self.validate()
        if logs is not None:
            logs.update(self.yolov5_logs(results) if self.with_yolov5_names else {})
            logs.update({f"val_{name}": value for name, value in results.items()})


class ValidationBatches:
    """Batches that a user passes to validate on, divided into those of at most 32 images.

    Args:
        batches: pairs of images and targets: a `tf.data.Dataset`, a `keras.utils.PyDataset`, or any iterable;
            or one pair of arrays.
        steps: maximum number of batches; None for all.

    Raises:
        TfyoloError: the stream has no end, and `steps` is None.

    Example:
        >>> import numpy as np
        >>> batches = ValidationBatches((np.zeros((70, 64, 64, 3)), np.zeros((70, 1, 5))))
        >>> [len(images) for images, _ in batches]
        [32, 32, 6]
    """

    def __init__(self, batches: Any, steps: int | None = None) -> None:
        length = int(batches.cardinality()) if isinstance(batches, tf.data.Dataset) else 0
        if steps is None and length == tf.data.INFINITE_CARDINALITY:
            raise TfyoloError(
                "the batches to validate on have no end",
                fix="pass the data itself, such as TrainingData, or `stream.take(steps)`",
            )
        self.batches, self.steps = batches, steps

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for images, targets in islice(self._whole_batches(), self.steps):
            for start in range(0, len(images), _MAX_IMAGES):
                part = slice(start, start + _MAX_IMAGES)
                yield images[part], keras.tree.map_structure(lambda array, part=part: array[part], targets)

    def _whole_batches(self) -> Iterable[Any]:
        if isinstance(self.batches, tuple) and len(self.batches) == 2:
            return [self.batches]
        if isinstance(self.batches, keras.utils.PyDataset):
            return (self.batches[index] for index in range(len(self.batches)))
        return iter(self.batches)


Callback = TypeVar("Callback", bound=ValidationCallback)


def choose_validation(
    data: Any,
    on_dataset: Callable[[str | Path], Callback],
    on_batches: Callable[[Iterable[Any]], Callback],
    frequency: int,
) -> Callback:
    """Return the callback for what a user passes as `validation_data`.

    Args:
        data: `FitData` (its validation split), the path of a dataset, or what `ValidationBatches` takes.
        on_dataset: makes a callback from a path.
        on_batches: makes one from batches.
        frequency: epochs between validations.

    Returns:
        Callback that validates after every `frequency` epochs.

    Raises:
        TfyoloError: the batches have no end.
    """
    if isinstance(data, FitData):
        callback = data.validation()
    elif isinstance(data, str | Path):
        callback = on_dataset(data)
    else:
        callback = on_batches(data if isinstance(data, ValidationBatches) else ValidationBatches(data))
    callback.frequency = frequency
    callback.with_yolov5_names = False  # Keras shows all logs in one line
    return callback
