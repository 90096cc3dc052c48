"""One training step: forward and backward pass, loss, weight update, EMA. The same for every task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import keras
import tensorflow as tf

from tfyolo.errors import TfyoloError
from tfyolo.models import Contract, build_model
from tfyolo.models.build import call_heads
from tfyolo.training.fit.batches import checked_images
from tfyolo.training.fit.checks import REFUSED
from tfyolo.training.fit.source import FitData
from tfyolo.training.optimization.optimizers import GroupedOptimizer, assign_all, on_devices, tensor_of

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
_FIRST_LOSS_SCALE = 65536.0
_FINITE_STEPS_TO_DOUBLE = 2000


class StepLosses(NamedTuple):
    """Losses of one batch, in the tape of a training step.

    Attributes:
        total: float32 scalar that the gradients are of.
        logs: float32 scalars by name, of this device.
        by_scale: (scales,) objectness loss of each feature map, which autobalance follows; None otherwise.
    """

    total: Any
    logs: dict[str, Any]
    by_scale: Any = None


class TrainingStep(keras.Model):
    """A network in training, and the exponential moving average (EMA) of its weights.

    `step` is the whole training step: forward and backward pass, loss, weight update, EMA. `tfyolo train`
    calls it in a loop, `fit` through `train_step`. Subclasses define the loss, the metrics and `compile` of
    one task.

    Args:
        contract: names, anchors and configuration of the model.
        image_size: side of the training images in pixels.
        precision: `float32`, `mixed_bfloat16` or `mixed_float16` (with loss scaling); defaults to
            `keras.config.dtype_policy()`.
        synchronized_bn: compute batch-norm statistics over all devices.

    Attributes:
        network: the `keras.Model` that is trained.
        averaged: a `keras.Model` with the EMA weights, which are validated, saved and exported.
        trained: variables that the optimizer changes; none of frozen layers.
        data: the data that the model was made for, if any: `fit` takes the number of steps from it.
        epochs_fitted: epochs of its data that `fit` has trained on.
    """

    kind: ClassVar[str]
    mean_names: ClassVar[tuple[str, ...]]
    optimizer: Any

    def __init__(
        self,
        contract: Contract,
        image_size: int = 640,
        precision: str | None = None,
        synchronized_bn: bool = False,
    ) -> None:
        super().__init__(name="training", dtype="float32")
        precision = precision or keras.config.dtype_policy().name
        if precision not in PRECISIONS:
            raise TfyoloError(
                f"unknown training precision `{precision}`", fix=f"use one of {', '.join(PRECISIONS)}"
            )
        self.contract, self.image_size, self.precision = contract, image_size, precision
        spec = contract.spec
        self.network = build_model(
            spec, for_training=True, synchronized_bn=synchronized_bn, precision=precision
        )
        self.averaged = build_model(spec)
        self.averaged.trainable = False
        self.averaged.set_weights(self.network.get_weights())
        self.data: FitData | None = None
        self.schedule: Any = None  # a `Schedule` once the length of a run is known
        self.trained: list[Any] = []
        self._frozen: frozenset[int] = frozenset()
        self._planned = False
        self.epochs_fitted = 0
        self.built = True  # all weights exist, which callbacks that restore them check

    # What a task defines.

    @abstractmethod
    def losses_of(self, images: Any, labels: Any) -> StepLosses:
        """Compute the losses of a batch with the trained network, in training mode."""

    @abstractmethod
    def checked_labels(self, labels: Any) -> Any:
        """Return labels in the format of the loss.

        Args:
            labels: labels of a batch as a user passes them.

        Raises:
            TfyoloError: the loss would misread them.
        """

    # Weights.

    def call(self, images: Any, training: bool = False) -> list[Any]:
        """Compute raw heads.

        Args:
            images: (batch, height, width, 3) RGB in 0..1.
            training: with False, the default, the EMA weights answer, as in validation and in saved files;
                with True, the weights in training answer, with batch statistics in batch normalization.

        Returns:
            One tensor of logits per feature map.
        """
        return call_heads(self.network if training else self.averaged, images, training=training)

    def begin_with(self, weights: Sequence[Any]) -> None:
        """Set the initial weights of network and EMA.

        Args:
            weights: arrays in the order of `keras.Model.get_weights` of the same configuration.
        """
        self.network.set_weights(weights)
        self.averaged.set_weights(weights)

    def freeze(self, prefixes: Sequence[str]) -> list[str]:
        """Exclude layers from training, from the next epoch on.

        Batch-norm statistics of these layers still follow the data, as in YOLOv5; to stop them as well, set
        `trainable = False` on the layers, as in Keras.

        Args:
            prefixes: beginnings of layer names, such as `model.0.`.

        Returns:
            Paths of the variables that are frozen now.
        """
        layers = {id(v): layer.name + "." for layer in self.network.layers for v in layer.trainable_variables}
        frozen = [v for v in self._trainable_now() if layers[id(v)].startswith(tuple(prefixes))]
        self._frozen |= {id(v) for v in frozen}
        return [v.path for v in frozen]

    def _trainable_now(self) -> list[Any]:
        """Variables that are neither frozen nor of layers whose `trainable` is False."""
        return [v for v in self.network.trainable_variables if id(v) not in self._frozen]

    def follow_trainable(self) -> bool:
        """Let the optimizer train the layers that are trainable now; called at every
        epoch.

        Returns:
            Whether they have changed, so that the step has to be traced again.

        Raises:
            TfyoloError: all layers are frozen.
        """
        wanted = self._trainable_now()
        if not wanted:
            raise TfyoloError(
                "all layers are frozen, so there is nothing to train",
                fix="freeze fewer layers",
            )
        if [id(v) for v in wanted] == [id(v) for v in self.trained]:
            return False
        if isinstance(self.optimizer, GroupedOptimizer):
            self.optimizer = self.optimizer.rebuilt(wanted)
        elif not self.optimizer.built:  # it has to know layers that are released later, too
            self.optimizer.build([v for v in self.network.weights if not v.name.startswith("moving_")])
        self.trained = wanted
        self.train_function = None
        return True

    # The training step.

    def step(self, images: Any, labels: Any) -> dict[str, Any]:
        """Compute one training step, as the body of a graph function.

        Args:
            images: images of a batch; on several devices, the part of this device.
            labels: labels of the same images.

        Returns:
            float32 scalars over all devices: the losses, and `gradient_norm` before clipping.
        """
        scale = tf.convert_to_tensor(self.counters["loss_scale"]) if self._scales_loss else None
        replica = tf.distribute.get_replica_context()
        weights = [tensor_of(variable) for variable in self.trained]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            losses = self.losses_of(images, labels)
            scaled = losses.total if scale is None else losses.total * scale
        gradients = tape.gradient(scaled, weights)
        if any(gradient is None for gradient in gradients):
            raise TfyoloError(f"some weights get no gradient; train the whole {self.kind}")
        if scale is not None:
            gradients = [gradient / scale for gradient in gradients]
        gradients = replica.all_reduce("sum", gradients)
        step = tf.convert_to_tensor(self.counters["step"])
        norm = self._update(gradients, step)
        values = list(losses.logs.values()) + ([] if losses.by_scale is None else [losses.by_scale])
        values = replica.all_reduce("sum", values)
        by_scale = None if losses.by_scale is None else values.pop()
        variables, new = zip(*self.next_values(step, norm, by_scale), strict=True)
        on_devices(partial(assign_all, variables), list(new))
        return {**self.complete_logs(dict(zip(losses.logs, values, strict=True))), "gradient_norm": norm}

    def complete_logs(self, logs: dict[str, Any]) -> dict[str, Any]:
        """Add what follows from the losses of all devices, such as their sum."""
        return logs

    def _update(self, gradients: list[Any], step: Any) -> Any:
        """Apply gradients and let the EMA follow; returns the norm of the gradients.

        Raises:
            TfyoloError: an optimizer that follows the learning-rate schedule has none yet.
        """
        if isinstance(self.optimizer, GroupedOptimizer):
            if self.schedule is None:
                raise TfyoloError(
                    "the length of the training is unknown, and the learning-rate schedule needs it",
                    fix="pass epochs, steps_per_epoch and batch_size to compile",
                )
            changed, norm = self.optimizer.update(gradients, self.schedule(step))
            updates = tf.convert_to_tensor(self.optimizer.updates)
        else:
            norm = tf.linalg.global_norm(gradients)
            finite = tf.math.is_finite(norm)
            changing = [*self.trained, *self.optimizer.variables] if self._scales_loss else []
            before = [tf.identity(tensor_of(variable)) for variable in changing]
            self.optimizer.apply([tf.where(finite, g, tf.zeros_like(g)) for g in gradients], self.trained)
            # After an overflow of float16 nothing is to change; gradients of zero would still apply momentum
            # and weight decay.
            after = [tf.identity(tensor_of(variable)) for variable in changing]
            chosen = [tf.where(finite, new, old) for new, old in zip(after, before, strict=True)]
            on_devices(partial(assign_all, changing), chosen)
            updates = tf.cast(tf.convert_to_tensor(self.optimizer.iterations), tf.float32)
            changed = tf.cast(finite, tf.float32) if self._scales_loss else 1.0
        self.average.update(updates, changed)
        return norm

    def train_step(self, data: Any) -> dict[str, Any]:
        """Compute `step` and the means over the epoch, for Keras' `fit` and `train_on_batch`.

        Raises:
            TfyoloError: there are sample weights or no labels, or images or labels have another format.
        """
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        if weights is not None:
            reason, fix = REFUSED["sample_weight"]
            raise TfyoloError(reason, fix=fix)
        if labels is None:
            raise TfyoloError("a batch has no labels", fix="pass pairs of images and labels")
        logs = self.step(checked_images(images), self.checked_labels(labels))
        for mean in self.means:
            mean.update_state(logs[mean.name])
        return {mean.name: mean.result() for mean in self.means}

    @property
    def metrics(self) -> list[Any]:
        """Means that `fit` resets at the beginning of an epoch."""
        return self.means

    @property
    def _scales_loss(self) -> bool:
        """Whether gradients could underflow in float16."""
        return self.precision == "mixed_float16"

    def _first_scale(self) -> float:
        return _FIRST_LOSS_SCALE if self._scales_loss else 1.0

    def next_values(self, step: Any, norm: Any, by_scale: Any) -> list[tuple[Any, Any]]:
        """Compute the next step counter, loss scale of float16, and what a task counts.

        Args:
            step: number of steps before this one.
            norm: norm of the gradients.
            by_scale: objectness loss of each feature map, or None.

        Returns:
            Pairs of a Keras variable and its new value.
        """
        values = {"step": step + 1.0}
        if self._scales_loss:
            values |= self._next_scale(norm)
        return [(self.counters[name], value) for name, value in values.items()]

    def _next_scale(self, norm: Any) -> dict[str, Any]:
        """Halve the loss scale after an overflow, double it after many finite steps.

        Source: Micikevicius et al. 2017, Mixed Precision Training, section 3.2.
        """
        scale, sound = self.counters["loss_scale"] + 0.0, self.counters["sound_steps"] + 1.0
        finite, grow = tf.math.is_finite(norm), sound >= _FINITE_STEPS_TO_DOUBLE
        return {
            "loss_scale": tf.where(finite, tf.where(grow, scale * 2.0, scale), tf.maximum(scale / 2.0, 1.0)),
            "sound_steps": tf.where(finite & ~grow, sound, 0.0),
        }

    def state_variables(self) -> list[Any]:
        """Return everything that training changes, in a fixed order, for `last.keras`."""
        counters = [self.counters[name] for name in sorted(self.counters)]
        return [*self.network.weights, *self.averaged.weights, *self.optimizer.variables, *counters]
