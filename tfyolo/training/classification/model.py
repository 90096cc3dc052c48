"""A classifier in training: cross-entropy, schedule and metrics for `TrainingModel`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfyolo.data.detection.class_map import ClassMap
from tfyolo.deprecation import renamed_arguments
from tfyolo.training.classification.options import ClassifyHyps
from tfyolo.training.fit.batches import checked_classes, unit_images
from tfyolo.training.model import TrainingModel
from tfyolo.training.optimization.schedule import Schedule, cosine, linear
from tfyolo.training.step import StepLosses

_LONGEST_WARMUP = 0.1


@dataclass(frozen=True)
class ClassifySchedule(Schedule):
    """A schedule whose warm-up is short: Adam needs little, and runs on small datasets have few steps."""

    @property
    def warmup_steps(self) -> int:
        """Steps of the warm-up, at most a tenth of the run."""
        steps = self.warmup_epochs * self.steps_per_epoch
        return round(min(steps, _LONGEST_WARMUP * self.epochs * self.steps_per_epoch))


class ClassifierTraining(TrainingModel):
    """A classifier in training; see `TrainingModel`.

    Example:
        >>> import tfyolo
        >>> data = tfyolo.ClassificationData("cells", image_size=64)  # doctest: +SKIP
        >>> model = tfyolo.training_classifier(data, "yolov5n-cls")  # doctest: +SKIP
        >>> model.compile("Adam")  # doctest: +SKIP
        >>> history = model.fit(data, epochs=10, validation_data=data)  # doctest: +SKIP
    """

    kind = "classifier"
    mean_names = ("loss", "accuracy")

    @renamed_arguments(batch="batch_size")
    def compile(
        self,
        optimizer: Any = "Adam",
        *,
        hyps: ClassifyHyps | None = None,
        cos_lr: bool = True,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        batch_size: int | None = None,
        run_eagerly: bool = False,
        jit_compile: bool = False,
        **refused: Any,
    ) -> None:
        """Configure training.

        Args:
            optimizer: `SGD`, `Adam` or `AdamW` without weight decay of biases and batch normalization; or a
                Keras optimizer, which is used with its own learning rate.
            hyps: hyperparameters; default to those of YOLOv5's classifiers.
            cos_lr: decay the learning rate along a cosine instead of a line.
            epochs: number of epochs of the whole run, only for code that calls `step` itself; `fit` knows it.
            steps_per_epoch: batches per epoch; `fit` knows it.
            batch_size: images per batch; `fit` knows it.
            run_eagerly: as in Keras.
            jit_compile: as in Keras.
            refused: other arguments of Keras' `compile`, such as `loss`, are refused.

        Raises:
            TfyoloError: an unknown optimizer, a refused argument, or all layers are frozen.
        """
        self.hyps, self.cos_lr = hyps or ClassifyHyps(), cos_lr
        grouped = {
            "learning_rate": self.hyps.lr0,
            "momentum": self.hyps.momentum,
            "weight_decay": self.hyps.weight_decay,
            "warmup_bias_lr": 0.0,
        }
        plan = (epochs, steps_per_epoch, batch_size)
        self.compile_training(
            optimizer, grouped, plan, refused, run_eagerly=run_eagerly, jit_compile=jit_compile
        )
        self.cross_entropy = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=self.hyps.label_smoothing
        )

    def make_schedule(self, epochs: int, steps_per_epoch: int, batch_size: int, flat: bool) -> Schedule:
        """Return a schedule with a short warm-up and no accumulation; a constant rate if `flat`."""
        hyps, batch_size = self.hyps, batch_size or 1
        return ClassifySchedule(
            epochs,
            steps_per_epoch,
            batch_size,
            1.0 if flat else hyps.lrf,
            hyps.momentum,
            0.0 if flat else hyps.warmup_epochs,
            hyps.momentum,
            cosine if self.cos_lr else linear,
            nominal_batch=batch_size,
        )

    def call(self, images: Any, training: bool = False) -> Any:
        """Compute logits; see `TrainingModel.call`.

        Args:
            images: (batch, height, width, 3) RGB in 0..1.
            training: with False, the default, the EMA weights answer.

        Returns:
            (batch, classes) logits.
        """
        return super().call(images, training)[0]

    def losses_of(self, images: Any, labels: Any) -> StepLosses:
        """Compute the cross-entropy with label smoothing.

        Args:
            images: (batch, height, width, 3) RGB: floats in 0..1, or uint8.
            labels: float32 (batch, classes), a probability per class.
        """
        logits = tf.cast(self.network(unit_images(images), training=True), tf.float32)
        loss = self.cross_entropy(labels, logits)
        correct = tf.equal(tf.argmax(logits, 1), tf.argmax(labels, 1))
        return StepLosses(loss, {"loss": loss, "accuracy": tf.reduce_mean(tf.cast(correct, tf.float32))})

    def checked_labels(self, labels: Any) -> Any:
        """Return a probability per class: labels as they are, or class ids one-hot."""
        return checked_classes(labels, len(self.contract.names))

    def to_own_classes(self, labels: Any, classes: ClassMap) -> Any:
        """Return the labels of a batch with a column per class of the model."""
        return tf.matmul(labels, tf.one_hot(classes.model_ids, classes.num_model_classes))

    def validation_of(self, data: Any, frequency: int = 1) -> Any:
        """Return a callback that computes top-1 and top-5 accuracy on `data` and adds `val_*` metrics.

        Args:
            data: `ClassificationData` (its `val` split), the folder of a dataset, or batches of images and
                labels.
            frequency: epochs between validations.
        """
        from tfyolo.training.classification.validation import validation_of

        return validation_of(data, frequency)
