"""A model in training with the interface of Keras: `fit`, `evaluate`, `save`, `export`."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfyolo.data.detection.class_map import ClassMap, match_classes
from tfyolo.errors import TfyoloError
from tfyolo.training.fit.batches import refusals
from tfyolo.training.fit.checks import (
    OWN_LOSS,
    REFUSED_BY_COMPILE,
    FollowEpochs,
    check_arguments,
    check_callbacks,
    check_plan,
    listed_callbacks,
    restored_epoch,
    sets_learning_rate,
)
from tfyolo.training.fit.source import FitData, FitSource, find_source
from tfyolo.training.fit.unsupported import SupportedStep
from tfyolo.training.optimization.ema import ExponentialMovingAverage
from tfyolo.training.optimization.optimizers import GroupedOptimizer, find_optimizer
from tfyolo.training.optimization.schedule import Schedule
from tfyolo.training.validation import ValidationBatches


class TrainingModel(SupportedStep):
    """A `TrainingStep` that is compiled, fitted, evaluated and saved as a `keras.Model`.

    Subclasses define the loss, the schedule, the metrics and `compile` of one task.
    """

    @abstractmethod
    def make_schedule(self, epochs: int, steps_per_epoch: int, batch_size: int, flat: bool) -> Schedule:
        """Return the learning-rate schedule of a run.

        Args:
            epochs: number of epochs.
            steps_per_epoch: batches per epoch.
            batch_size: images per batch; 0 if unknown.
            flat: whether the learning rate is constant, without warm-up or decay.

        Returns:
            Schedule for `epochs * steps_per_epoch` steps.
        """

    @abstractmethod
    def validation_of(self, data: Any, frequency: int = 1) -> Any:
        """Return a callback that validates on `data` and adds `val_*` metrics to the logs."""

    @abstractmethod
    def to_own_classes(self, labels: Any, classes: ClassMap) -> Any:
        """Return the labels of a batch with the class ids of the model.

        Args:
            labels: with the class ids of a dataset.
            classes: matches them.
        """

    def compile_training(
        self,
        optimizer: Any,
        grouped: dict[str, float],
        plan: tuple[int | None, int | None, int | None],
        refused: dict[str, Any],
        **options: Any,
    ) -> None:
        """Do what `compile` has in common for all tasks.

        Args:
            optimizer: name, or a Keras optimizer.
            grouped: arguments of `GroupedOptimizer`.
            plan: epochs, steps per epoch and batch size, if known already.
            refused: arguments of Keras' `compile` that have no meaning here.
            options: passed to Keras' `compile`.

        Raises:
            TfyoloError: an unknown optimizer, a refused argument, or all layers are frozen.
        """
        for name in refused:
            raise TfyoloError(
                f"compile does not support `{name}`: {REFUSED_BY_COMPILE.get(name, OWN_LOSS)}",
                fix="leave it out",
            )
        super().compile(optimizer=find_optimizer(optimizer, grouped), **options)
        self.trained = []
        self.follow_trainable()
        state = {"step": 0.0, "loss_scale": self._first_scale(), "sound_steps": 0.0}
        self.counters = {
            name: self.add_weight(
                (), keras.initializers.Constant(value), dtype="float32", trainable=False, name=name
            )
            for name, value in state.items()
        }
        self.average = ExponentialMovingAverage(self.averaged.weights, self.network.weights)
        self.means = [keras.metrics.Mean(name) for name in self.mean_names]
        epochs, steps, batch_size = plan
        self._planned = epochs is not None and steps is not None
        self.schedule = None
        if epochs is not None and steps is not None:
            self.plan(epochs, steps, batch_size or 0)

    def plan(self, epochs: int, steps_per_epoch: int, batch_size: int, flat: bool = False) -> None:
        """Set the schedule of a run.

        Args:
            epochs: number of epochs of the whole run.
            steps_per_epoch: batches per epoch.
            batch_size: images per batch, of all workers together; 0 if unknown.
            flat: keep the learning rate constant, because a callback sets it.
        """
        schedule = self.make_schedule(epochs, steps_per_epoch, batch_size, flat)
        if schedule != self.schedule:
            self.schedule = schedule
            self.train_function = None
            if isinstance(self.optimizer, GroupedOptimizer):
                self.optimizer.scale_decay(schedule.decay_scale)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> Any:
        """Train, as `keras.Model.fit`.

        The learning rate follows YOLOv5's schedule over the epochs of this call: warm-up, then decay to
        `lrf`. A `LearningRateScheduler` replaces it; `ReduceLROnPlateau` scales it. A Keras optimizer keeps
        its own rate.

        Args:
            x: `TrainingData` (or `ClassificationData`), whose classes are matched with the model's by name; a
                stream of batches such as `data.stream()`; or images: uint8, or floats in 0..1.
            y: labels, if `x` are images.
            batch_size: images per batch, if `x` are images; defaults to 32.
            epochs: number of the last epoch.
            verbose: as in Keras.
            callbacks: Keras callbacks; callbacks that validate are called before the others.
            validation_split: refused; pass `validation_data`.
            validation_data: what to validate on after each epoch: the data that `x` is (its `val` split), the
                path of a dataset, a stream of batches, or a pair of images and labels. Adds `val_*` metrics
                to the logs, mAP among them.
            shuffle: whether to shuffle arrays; streams shuffle themselves.
            class_weight: refused.
            sample_weight: refused.
            initial_epoch: epoch to continue from, counted from 0; the schedule continues there, too, and so
                do order and augmentation of the data. Without it, a further call of `fit` continues with
                the data where the last one ended.
            steps_per_epoch: batches per epoch; defaults to the length of the data.
            validation_steps: refused.
            validation_batch_size: refused.
            validation_freq: epochs between validations.

        Returns:
            A `keras.callbacks.History`.

        Raises:
            TfyoloError: an argument or a callback would have no effect, the length of an epoch is unknown,
                classes of the data are not classes of the model, or images or labels are out of range.
        """
        given = locals()
        if not self.compiled:
            raise TfyoloError("the model is not compiled", fix="call `compile` before `fit`")
        check_arguments(given)
        hooks = listed_callbacks(callbacks)
        self.epochs_fitted = restored_epoch(hooks) or initial_epoch or self.epochs_fitted
        source = find_source(x, batch_size, steps_per_epoch, self.data, self.epochs_fitted)
        if isinstance(x, FitData):
            source.x = self._in_own_classes(source.x, x.names)
        self._plan_fit(source, epochs, initial_epoch, sets_learning_rate(hooks))
        if validation_data is not None:
            hooks = [self.validation_of(validation_data, int(validation_freq)), *hooks]
        self.follow_trainable()
        with refusals():
            return super().fit(
                source.x,
                y,
                batch_size,
                epochs,
                verbose,
                [FollowEpochs(), *check_callbacks(hooks)],
                shuffle=shuffle and not isinstance(source.x, tf.data.Dataset),  # Keras warns of it
                initial_epoch=initial_epoch,
                steps_per_epoch=source.steps if source.is_endless else None,
            )

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Train on one batch, as `keras.Model.train_on_batch`."""
        with refusals():
            return super().train_on_batch(*args, **kwargs)

    def _in_own_classes(self, stream: Any, names: tuple[str, ...]) -> Any:
        """Return batches whose class ids are those of the model, matched by name."""
        classes = match_classes(names, self.contract.names)
        if classes.is_identity:
            return stream
        return stream.map(lambda images, labels: (images, self.to_own_classes(labels, classes)))

    def _plan_fit(self, source: FitSource, epochs: int, initial_epoch: int, flat: bool) -> None:
        """Make the schedule of a call of `fit`, or check it against the numbers of `compile`."""
        if self._planned:
            if initial_epoch:
                self.go_to(initial_epoch)
            check_plan(self.schedule, float(self.counters["step"].numpy()), source, epochs, initial_epoch)
            self.plan(self.schedule.epochs, self.schedule.steps_per_epoch, self.schedule.batch, flat)
            source.steps = self.schedule.steps_per_epoch
            return
        if source.steps is None:
            raise TfyoloError(
                "the length of an epoch is unknown, and the learning-rate schedule needs it",
                fix="pass steps_per_epoch to fit",
            )
        self.plan(epochs, source.steps, source.batch_size or 0, flat)
        self.counters["step"].assign(float(initial_epoch * source.steps))

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Validate the EMA weights, as `keras.Model.evaluate`.

        Args:
            x: `TrainingData` (its `val` split), the path of a dataset, a stream of batches, or images as for
                `fit`; defaults to the data that the model was made for.
            y: labels, if `x` are images.
            batch_size: images per batch, if `x` are images; defaults to 32.
            verbose: ignored; nothing is printed.
            sample_weight: refused.
            steps: maximum number of batches, of a stream or of arrays.
            callbacks: refused.
            return_dict: return a dict by name instead of a list.

        Returns:
            Losses and metrics as floats: of a detector `loss`, `box_loss`, `obj_loss`, `cls_loss`,
            `precision`, `recall`, `map50` and `map50_95`, in this order; of a classifier `loss`, `accuracy`
            (top-1) and `top5`.

        Raises:
            TfyoloError: there is nothing to validate on, or an argument would have no effect.
        """
        if not self.compiled:
            raise TfyoloError("the model is not compiled", fix="call `compile` before `evaluate`")
        for name, value in (("sample_weight", sample_weight), ("callbacks", callbacks)):
            if value is not None:
                raise TfyoloError(f"evaluate does not support `{name}`", fix="leave it out")
        data = self.data if x is None else x
        if data is None:
            raise TfyoloError("there is no data to evaluate on", fix="pass data, or the path of a dataset")
        if y is not None:
            size = batch_size or 32
            data = tf.data.Dataset.from_tensor_slices((data, y)).batch(size)
        if steps is not None and not isinstance(data, FitData | str | Path):
            data = ValidationBatches(data, steps)
        callback = self.validation_of(data)
        callback.set_model(self)
        results = callback.validate()
        return results if return_dict else list(results.values())

    def go_to(self, epoch: int) -> str:
        """Set the schedule to the beginning of an epoch.

        Args:
            epoch: counted from 0.

        Returns:
            A sentence for the log if the schedule was at another step; else an empty string.
        """
        step, steps = float(self.counters["step"].numpy()), self.schedule.steps_per_epoch
        if step == epoch * steps:
            return ""
        self.counters["step"].assign(float(epoch * steps))
        return (
            f"the learning-rate schedule was at step {step:.0f} and continues with epoch {epoch + 1} "
            f"({steps} steps per epoch)"
        )

    def save(self, filepath: str | Path, overwrite: bool = True, **kwargs: Any) -> None:
        """Write the EMA network, as `save_averaged`; Keras' callbacks such as `ModelCheckpoint` call it.

        `keras.saving.load_model` (with `safe_mode=True`, its default) and `tfyolo.load` both read the file.

        Args:
            filepath: file to write, which ends in `.keras`.
            overwrite: replace an existing file.
            kwargs: ignored.

        Raises:
            TfyoloError: the path does not end in `.keras`, or exists and must not be overwritten.
        """
        if not overwrite and Path(filepath).exists():
            raise TfyoloError("already exists", path=filepath, fix="pass overwrite=True")
        self.save_averaged(filepath)

    def save_averaged(self, path: str | Path) -> Path:
        """Write the EMA network and its contract to a `.keras` file that `tfyolo.load` reads.

        Args:
            path: file to write, which ends in `.keras`.

        Returns:
            The path.
        """
        from tfyolo.weights.keras_file import save_keras

        return save_keras(self.averaged, self.contract, path)

    def export(self, filepath: str | Path, format: str = "tf_saved_model", **kwargs: Any) -> None:
        """Export the EMA network with `keras.Model.export`: raw heads, without decoding or NMS.

        Save the model and use `tfyolo.load(path).export(...)` for files with NMS inside.

        Args:
            filepath: folder or file to write.
            format: as in Keras, such as `tf_saved_model` or (Keras 3.13 and newer) `litert`.
            kwargs: passed to `keras.Model.export`.
        """
        self.averaged.export(str(filepath), format=format, **kwargs)
