"""A classifier in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfyolo.errors import TfyoloError
from tfyolo.training.classify.options import ClassifyHyps
from tfyolo.training.ema import ExponentialMovingAverage
from tfyolo.training.model import TrainingModel
from tfyolo.training.optimizers import GroupedOptimizer, on_devices, tensor_of
from tfyolo.training.schedule import Schedule, cosine, linear

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
    """A classifier in training, and beside it the moving average of its weights.

    Called on images, it answers with the averaged network's logits.

    Example:
        >>> model = ClassifierTraining(contract)  # doctest: +SKIP
        >>> model.compile("Adam", epochs=10, steps_per_epoch=data.steps, batch=64)  # doctest: +SKIP
        >>> model.fit(data.stream(), epochs=10, steps_per_epoch=data.steps)  # doctest: +SKIP
    """

    def compile(  # type: ignore[override]
        self,
        optimizer: str = "Adam",
        *,
        epochs: int,
        steps_per_epoch: int,
        batch: int,
        hyps: ClassifyHyps | None = None,
        cos_lr: bool = True,
        run_eagerly: bool = False,
        jit_compile: bool = False,
    ) -> None:
        """Choose how to train.

        Args:
            optimizer: `SGD`, `Adam` or `AdamW`, without weight decay of biases and batch-norm.
            epochs: of the whole run, for the schedule.
            steps_per_epoch: batches in an epoch.
            batch: images in a batch.
            hyps: hyperparameters.
            cos_lr: a cosine instead of a straight line.
            run_eagerly: as in Keras.
            jit_compile: as in Keras.

        Raises:
            TfyoloError: no such optimizer, or all layers are frozen.
        """
        hyps = hyps or ClassifyHyps()
        self.schedule = ClassifySchedule(
            epochs, steps_per_epoch, batch, hyps.lrf, hyps.momentum, hyps.warmup_epochs,
            hyps.momentum, cosine if cos_lr else linear, nominal_batch=batch,
        )  # fmt: skip
        grouped = GroupedOptimizer(optimizer, hyps.lr0, hyps.momentum, hyps.weight_decay, warmup_bias_lr=0.0)
        keras.Model.compile(self, optimizer=grouped, run_eagerly=run_eagerly, jit_compile=jit_compile)
        self.build_optimizer(grouped)
        self.cross_entropy = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=hyps.label_smoothing
        )
        state = {"step": 0.0, "loss_scale": self._first_scale(), "sound_steps": 0.0}
        self.counters = {
            name: self.add_weight(
                (), keras.initializers.Constant(value), dtype="float32", trainable=False, name=name
            )
            for name, value in state.items()
        }
        self.balance, self.autobalance = None, False  # a detector's
        self.average = ExponentialMovingAverage(self.averaged.weights, self.network.weights)
        self.means = [keras.metrics.Mean(name) for name in ("loss", "accuracy")]

    def call(self, images: Any, training: bool = False) -> Any:
        """Logits (batch, classes) of images in 0..1; of the averaged weights unless `training`."""
        return super().call(images, training)[0]

    def step(self, images: Any, labels: Any) -> dict[str, Any]:
        """One training step, as a graph function's body.

        Args:
            images: float32 (batch, height, width, 3) RGB in 0..1.
            labels: float32 (batch, classes), shares of the classes.

        Returns:
            float32 scalars: loss, the share of images whose main class is found, the norm of the gradients.
        """
        self.check_trained()
        scale = tf.convert_to_tensor(self.counters["loss_scale"])
        weights = [tensor_of(variable) for variable in self.trained]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            logits = tf.cast(self.network(images, training=True), tf.float32)
            loss = self.cross_entropy(labels, logits)
            scaled = loss * scale
        gradients = tape.gradient(scaled, weights)
        if any(gradient is None for gradient in gradients):
            raise TfyoloError("no loss reaches some of the weights; train the whole classifier")
        step = tf.convert_to_tensor(self.counters["step"])
        changed, norm = self.optimizer.update([g / scale for g in gradients], self.schedule(step))
        self.average.update(tf.convert_to_tensor(self.optimizer.updates), changed)
        on_devices(self._count, step, norm, None)
        hits = tf.equal(tf.argmax(logits, 1), tf.argmax(labels, 1))
        return {"loss": loss, "accuracy": tf.reduce_mean(tf.cast(hits, tf.float32)), "gradient_norm": norm}
