"""What `fit` trains on: how many batches an epoch has, and how many images a batch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import tensorflow as tf

from tfyolo.data.detection.sample import Scan
from tfyolo.errors import TfyoloError

DEFAULT_BATCH_SIZE = 32
"""Keras' number of images per batch, for arrays."""
_SHOWN = 5
"""Problems of a dataset that a warning shows."""


@runtime_checkable
class FitData(Protocol):
    """Data that knows its own length: `TrainingData` and `ClassificationData`."""

    @property
    def steps(self) -> int:
        """Batches per epoch."""

    @property
    def batch_size(self) -> int:
        """Images per batch."""

    @property
    def names(self) -> tuple[str, ...]:
        """Class names."""

    def stream(self, first_epoch: int = 0) -> Any:
        """Batches from the start of an epoch, without end."""

    def validation(self) -> Any:
        """A callback that validates after each epoch."""


def endless(batches: Any) -> Any:
    """Return a `tf.data.Dataset` that tells Keras and `evaluate` that it has no end.

    Args:
        batches: a dataset of unknown length.
    """
    return batches.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))


def warn_unusable(scan: Scan) -> None:
    """Warn of images that are left out, as the command line logs them; for constructors.

    Args:
        scan: scan of the training split.
    """
    wrong = [str(problem) for problem in scan.problems if problem.severity == "error"]
    if wrong:
        shown = "\n".join(f"  {text}" for text in wrong[:_SHOWN])
        more = f"\n  and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        warnings.warn(
            f"{scan.corrupt} of {scan.corrupt + len(scan.samples)} images cannot be used:\n{shown}{more}",
            stacklevel=5,  # two decorators lie between the constructor and its caller
        )


class SizedData:
    """What `print` and `len` say of data for `fit`.

    Attributes:
        samples: labeled images.
        names: class names.
        image_size: side of the images in pixels.
        batch_size: images per batch.
        steps: batches per epoch.
    """

    samples: Sequence[Any]
    names: Any
    image_size: int
    batch_size: int
    steps: Any

    def __repr__(self) -> str:
        """Return the number of images and classes."""
        return (
            f"<{type(self).__name__}: {len(self.samples)} images of {len(self.names)} classes, "
            f"{self.image_size}x{self.image_size} pixels, {self.steps} batches of {self.batch_size}>"
        )

    def __len__(self) -> int:
        """Return the number of batches per epoch, as Keras' data sets."""
        return int(self.steps)


@dataclass
class FitSource:
    """Arguments of `keras.Model.fit`, and the numbers that a schedule needs.

    Attributes:
        x: argument `x` of `keras.Model.fit`.
        steps: batches per epoch; None if unknown.
        batch_size: images per batch; None if unknown.
        is_endless: whether Keras has to be told `steps`, because the stream does not end.
    """

    x: Any
    steps: int | None
    batch_size: int | None
    is_endless: bool = True


def find_source(
    x: Any, batch_size: int | None, steps: int | None, data: FitData | None, first_epoch: int = 0
) -> FitSource:
    """Return what `fit` is given, with the length of an epoch.

    Args:
        x: argument of `fit`: `FitData`, a stream of batches, or arrays.
        batch_size: argument of `fit`.
        steps: argument `steps_per_epoch` of `fit`.
        data: data that the model was made for; gives an endless stream its length.
        first_epoch: epoch of `FitData` to begin with, from 0: each has its own order and augmentation.

    Returns:
        Arguments of Keras' `fit`, with batches per epoch and images per batch where they are known.

    Raises:
        TfyoloError: the batches do not fit the model, or arguments contradict each other.
    """
    if isinstance(x, FitData):
        if batch_size is not None and batch_size != x.batch_size:
            raise TfyoloError(
                f"the data has batches of {x.batch_size} images, not {batch_size}",
                fix="pass batch_size to the data, not to fit",
            )
        return FitSource(x.stream(first_epoch), steps or x.steps, x.batch_size)
    if isinstance(x, tf.data.Dataset):
        if batch_size is not None:
            raise TfyoloError(
                "fit does not support batch_size for a tf.data.Dataset", fix="batch the dataset itself"
            )
        if not isinstance(x.element_spec, tuple) or len(x.element_spec) != 2:
            raise TfyoloError(
                "batches must be pairs of images and labels, without sample weights",
                fix="pass data.stream()",
            )
        length = int(x.cardinality())
        known = length if length >= 0 else data.steps if data is not None else None
        size = x.element_spec[0].shape[0] or (data.batch_size if data is not None else None)
        return FitSource(x, steps or known, size, is_endless=length < 0 or steps is not None)
    length = len(x) if hasattr(x, "__len__") else 0
    if hasattr(x, "shape"):
        batch_size = batch_size or DEFAULT_BATCH_SIZE
        return FitSource(x, steps or -(-length // batch_size), batch_size, steps is not None)
    return FitSource(x, steps or length or None, batch_size, not length)  # a PyDataset or a generator
