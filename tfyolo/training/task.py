"""What a training run does differently for each task: data, model, loss, metrics, plots."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from tfyolo.data.detection.sample import Scan
from tfyolo.models import Contract
from tfyolo.progress import Log, Progress
from tfyolo.training.loop import BatchSource
from tfyolo.training.model import TrainingModel
from tfyolo.training.resume import RunOptions
from tfyolo.training.state import RunState
from tfyolo.training.transfer import InitialWeights

PRECISIONS = {"off": "float32", "bf16": "mixed_bfloat16", "fp16": "mixed_float16"}
"""Keras dtype policies by the values of the option `amp`."""

OptionsType = TypeVar("OptionsType", bound=RunOptions)
MetricsType = TypeVar("MetricsType")


class TrainingTask(ABC, Generic[OptionsType, MetricsType]):
    """Data, model, loss, metrics and plots of one kind of model, for `tfyolo.training.train.train`.

    The trainer calls `scan`, `initial_weights` (or `resumed_weights`), `build_model`, `choose_batch_size`,
    `make_pipeline` and `compile`, in this order.

    Args:
        options: options of the run.
        log: called with each sentence for the log.
        progress: called as `progress(label, done, total)`, or None.

    Attributes:
        name: name of the task, as in `Contract.task`.
        results_columns: columns of results.csv between `epoch` and the learning rates.
        tensorboard_losses: training losses that TensorBoard shows with the prefix `train/`.
        scans: images of the training and the validation split, by split, after `scan`.
    """

    name: ClassVar[str]
    results_columns: ClassVar[tuple[str, ...]]
    tensorboard_losses: ClassVar[tuple[str, ...]] = ()

    def __init__(self, options: OptionsType, log: Log, progress: Progress | None) -> None:
        self.options, self.log, self.progress = options, log, progress
        self.scans: dict[str, Scan] = {}

    @property
    def strategy(self) -> str:
        """Name of the `tf.distribute` strategy, a key of `STRATEGIES`."""
        return "none"

    @abstractmethod
    def scan(self) -> None:
        """Read the dataset, and check the images and labels of both splits.

        Raises:
            TfyoloError: a split is missing, or has no usable images.
        """

    @abstractmethod
    def initial_weights(self) -> InitialWeights:
        """Return the configuration and the weights that a new run starts from."""

    @abstractmethod
    def resumed_weights(self, path: Path, state: RunState) -> InitialWeights:
        """Return the configuration of a resumed run.

        Args:
            path: `last.keras` of the run.
            state: read from it.

        Raises:
            TfyoloError: the dataset has other classes than the run.
        """

    @abstractmethod
    def build_model(self, initial: InitialWeights) -> TrainingModel:
        """Return the model to train."""

    def choose_batch_size(self, model: TrainingModel) -> int:
        """Return the number of images per batch."""
        return self.options.batch_size

    @abstractmethod
    def make_pipeline(self, contract: Contract) -> BatchSource:
        """Return the batches of the training split."""

    @abstractmethod
    def compile(self, model: TrainingModel, steps_per_epoch: int) -> None:
        """Compile the model with optimizer, schedule and loss."""

    @abstractmethod
    def option_files(self) -> dict[str, dict[str, Any]]:
        """Return the contents of the YAML files that document a run, by file name."""

    def new_state(self) -> RunState:
        """Return the state of a run before its first epoch."""
        return RunState(options=self.options.to_plain(), task=self.name)

    @abstractmethod
    def validation(self) -> Any:
        """Return a `ValidationCallback` for the validation split."""

    def image_sampling(self, validation: Any, state: RunState) -> Any:
        """Return a callback whose `weights()` are the sampling weights for the next epoch, or None.

        Args:
            validation: the callback that validates, on whose metrics the weights may depend.
            state: state of the run, which keeps what a resumed run needs.
        """
        return None

    @abstractmethod
    def save_data_plots(self, pipeline: BatchSource, folder: Path) -> None:
        """Draw labels and first batches."""

    @abstractmethod
    def save_result_plots(self, folder: Path) -> None:
        """Draw the training curves of results.csv."""

    @abstractmethod
    def evaluate(self, model: Path, folder: Path) -> MetricsType:
        """Return the metrics of a model file on the validation split; plots are saved to `folder`."""

    def labeled_progress(self, label: str) -> Callable[[int, int], None] | None:
        """Return `progress` for one activity, called as `progress(done, total)`."""
        return None if self.progress is None else partial(self.progress, label)
