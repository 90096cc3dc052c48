"""A detector in training: the one step that `tfyolo train` and Keras' `fit` share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfyolo.errors import TfyoloError
from tfyolo.models import Contract, build_model
from tfyolo.models.build import call_heads
from tfyolo.training.ema import ExponentialMovingAverage
from tfyolo.training.fit_checks import Guard, check_arguments, check_callbacks, check_epochs, steps_of
from tfyolo.training.hyps import Hyps
from tfyolo.training.loss import DetectionLoss, LossOptions
from tfyolo.training.optimizers import GroupedOptimizer, on_devices, tensor_of
from tfyolo.training.schedule import NOMINAL_BATCH, Schedule, cosine, linear

LOSSES = ("box_loss", "obj_loss", "cls_loss")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
_FIRST_LOSS_SCALE = 65536.0
_SOUND_STEPS_TO_DOUBLE = 2000
_AUTOBALANCE = 0.0001


class TrainingModel(keras.Model):
    """A network in training, and beside it the moving average of its weights.

    `step` does all that a training step does. `tfyolo train` calls it in a loop; `fit` calls it through
    `train_step`. Called on images, the model answers with the averaged network's raw heads.

    Args:
        contract: names, anchors and configuration of the detector.
        image_size: side of the training images in pixels: the objectness loss is weighted by it.
        precision: `float32`, `mixed_bfloat16` or `mixed_float16` (with loss scaling); by default Keras' own
            `keras.config.dtype_policy()`.
        synchronized_bn: batch-norm statistics of all devices together.

    Example:
        >>> model = TrainingModel(contract, image_size=320)  # doctest: +SKIP
        >>> model.compile("SGD", epochs=30, steps_per_epoch=data.steps, batch=16)  # doctest: +SKIP
        >>> model.fit(data.stream(), epochs=30, steps_per_epoch=data.steps)  # doctest: +SKIP
    """

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
                f"training has no precision `{precision}`", fix=f"use one of {', '.join(PRECISIONS)}"
            )
        self.contract, self.image_size, self.precision = contract, image_size, precision
        spec = contract.spec
        with dtype_policy(precision):
            self.network = build_model(spec, for_training=True, synchronized_bn=synchronized_bn)
        with dtype_policy("float32"):
            self.averaged = build_model(spec)
        self.averaged.trainable = False
        self.averaged.set_weights(self.network.get_weights())
        self._frozen: frozenset[int] = frozenset()
        self.trained: list[Any] = []
        """Variables that the optimizer changes, from `compile` on: none of frozen layers."""
        self.built = True  # all weights are there, as callbacks that restore them want to know

    def call(self, images: Any, training: bool = False) -> list[Any]:
        """Raw heads of images in 0..1; of the averaged weights unless `training`."""
        return call_heads(self.network if training else self.averaged, images, training=training)

    def begin_with(self, weights: Sequence[Any]) -> None:
        """Begin from these weights, in the order of `keras.Model.get_weights` of the same configuration."""
        self.network.set_weights(weights)
        self.averaged.set_weights(weights)

    def freeze(self, prefixes: Sequence[str]) -> list[str]:
        """Train no weight whose layer's name begins with one of `prefixes`, such as `model.0.`.

        Batch-norm statistics of these layers still follow the data, as in YOLOv5; those of layers whose
        `trainable` is False stay, as in Keras. Both hold from the next `compile` on.

        Returns:
            Paths of the frozen variables.
        """
        layers = {id(v): layer.name + "." for layer in self.network.layers for v in layer.trainable_variables}
        frozen = [v for v in self._released() if layers[id(v)].startswith(tuple(prefixes))]
        self._frozen |= {id(v) for v in frozen}
        return [v.path for v in frozen]

    def _released(self) -> list[Any]:
        """Variables that are to be trained as layers stand now."""
        return [v for v in self.network.trainable_variables if id(v) not in self._frozen]

    def check_trained(self) -> None:
        """Refuse layers that were frozen or released after `compile`, which the optimizer does not know.

        Raises:
            TfyoloError: saying what to call.
        """
        if [id(v) for v in self._released()] != [id(v) for v in self.trained]:
            raise TfyoloError(
                "layers were frozen or released after `compile`, which has no effect",
                fix="call `compile` again after `freeze` or after setting `trainable`",
            )

    def compile(
        self,
        optimizer: str = "SGD",
        *,
        epochs: int,
        steps_per_epoch: int,
        batch: int,
        hyps: Hyps | None = None,
        cos_lr: bool = False,
        autobalance: bool = False,
        nominal_batch: int = NOMINAL_BATCH,
        run_eagerly: bool = False,
        jit_compile: bool = False,
    ) -> None:
        """Choose how to train.

        Args:
            optimizer: `SGD`, `Adam` or `AdamW`, with YOLOv5's groups and schedule.
            epochs: of the whole run, for the schedule.
            steps_per_epoch: batches in an epoch.
            batch: images in a batch, of all workers together.
            hyps: hyperparameters, by default those of `scratch-low`.
            cos_lr: a cosine instead of a straight line.
            autobalance: let the scales' objectness weights follow their losses.
            nominal_batch: images in one update of the weights.
            run_eagerly: as in Keras.
            jit_compile: as in Keras.

        Raises:
            TfyoloError: no such optimizer, or all layers are frozen.
        """
        hyps = hyps or Hyps()
        self.schedule = Schedule(
            epochs, steps_per_epoch, batch, hyps.lrf, hyps.momentum, hyps.warmup_epochs,
            hyps.warmup_momentum, cosine if cos_lr else linear, nominal_batch,
        )  # fmt: skip
        grouped = GroupedOptimizer(
            optimizer,
            hyps.lr0,
            hyps.momentum,
            hyps.weight_decay * self.schedule.decay_scale,
            hyps.warmup_bias_lr,
        )
        super().compile(optimizer=grouped, run_eagerly=run_eagerly, jit_compile=jit_compile)
        self.build_optimizer(grouped)
        spec = self.contract.spec
        settings = LossOptions.of(hyps).scaled(spec.classes, len(spec.strides), self.image_size)
        self.detection_loss = DetectionLoss(self.contract.anchors_px, spec.strides, spec.classes, settings)
        self.autobalance = autobalance
        state = {"step": 0.0, "loss_scale": self._first_scale(), "sound_steps": 0.0}
        self.counters = {
            name: self.add_weight(
                (), keras.initializers.Constant(value), dtype="float32", trainable=False, name=name
            )
            for name, value in state.items()
        }
        self.balance = self.add_weight(
            (len(spec.strides),),
            keras.initializers.Constant(0.0),
            dtype="float32",
            trainable=False,
            name="balance",
        )
        self.balance.assign(self.detection_loss.balance)
        self.average = ExponentialMovingAverage(self.averaged.weights, self.network.weights)
        self.means = [keras.metrics.Mean(name) for name in ("loss", *LOSSES)]

    def build_optimizer(self, optimizer: GroupedOptimizer) -> None:
        """Let an optimizer train what is not frozen.

        Raises:
            TfyoloError: all is.
        """
        self.trained = self._released()
        if not self.trained:
            raise TfyoloError(
                "all layers are frozen, so nothing is left to train",
                fix="freeze fewer, as by a lower --freeze",
            )
        optimizer.build(self.trained)

    def _first_scale(self) -> float:
        return _FIRST_LOSS_SCALE if self.precision == "mixed_float16" else 1.0

    def step(self, images: Any, labels: Any) -> dict[str, Any]:
        """One training step, as a graph function's body.

        Args:
            images: uint8 (batch, height, width, 3) RGB; on several devices, this device's part.
            labels: float32 (batch, boxes, 5) class, center and size as shares of the image; class -1 pads.

        Returns:
            float32 scalars over all devices: the three losses and their sum, the norm of the gradients.
        """
        self.check_trained()
        scale = tf.convert_to_tensor(self.counters["loss_scale"])
        replica = tf.distribute.get_replica_context()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([tensor_of(variable) for variable in self.trained])
            heads = call_heads(self.network, tf.cast(images, tf.float32) / 255.0, training=True)
            losses = self.detection_loss(heads, labels, tf.convert_to_tensor(self.balance))
            scaled = losses.total * scale
        gradients = tape.gradient(scaled, [tensor_of(variable) for variable in self.trained])
        if any(gradient is None for gradient in gradients):
            raise TfyoloError("no loss reaches some of the weights; train the whole detector")
        gradients = replica.all_reduce("sum", [gradient / scale for gradient in gradients])
        step = tf.convert_to_tensor(self.counters["step"])
        changed, norm = self.optimizer.update(gradients, self.schedule(step))
        self.average.update(tf.convert_to_tensor(self.optimizer.updates), changed)
        box, obj, cls, by_scale = replica.all_reduce(
            "sum", [losses.box, losses.obj, losses.cls, losses.objectness_by_scale]
        )
        on_devices(self._count, step, norm, by_scale)
        total = box + obj + cls
        return {"loss": total, "box_loss": box, "obj_loss": obj, "cls_loss": cls, "gradient_norm": norm}

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
        shuffle: bool = False,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> Any:
        """As in Keras; what would have no effect is refused (controls.py).

        Args:
            x: stream of batches, such as `data.stream()`, which shuffles itself; or uint8 images.
            y: labels, where `x` are images.
            batch_size: for images.
            epochs: number of the last epoch; `compile` was told at least as many.
            verbose: as in Keras.
            callbacks: Keras callbacks; those that validate are called first.
            validation_split: refused, as are the other arguments of validation; pass `data.validation()`.
            validation_data: refused.
            shuffle: of arrays.
            class_weight: refused.
            sample_weight: refused.
            initial_epoch: where to go on, counted from 0; the schedule does, too.
            steps_per_epoch: batches in an epoch, by default those that `compile` was told.
            validation_steps: refused.
            validation_batch_size: refused.
            validation_freq: refused.

        Raises:
            TfyoloError: an argument or a callback would have no effect; `compile` was told other numbers.
        """
        given = locals()
        if not self.compiled:
            raise TfyoloError("the model is not compiled", fix="call `compile` before `fit`")
        check_arguments(given)
        self.check_trained()
        steps = steps_of(self, x, batch_size, steps_per_epoch)
        check_epochs(self, epochs, initial_epoch)
        hooks = check_callbacks(self, list(getattr(callbacks, "callbacks", callbacks) or []))
        return super().fit(
            x, y, batch_size, epochs, verbose, [Guard(), *hooks], shuffle=shuffle,
            initial_epoch=initial_epoch, steps_per_epoch=steps,
        )  # fmt: skip

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: there is no Keras metric to evaluate."""
        raise TfyoloError(
            "there is no Keras metric to evaluate",
            fix="pass callbacks=[data.validation()] to fit, or save the model and call tfyolo.validate",
        )

    def save(self, filepath: str | Path, overwrite: bool = True, **kwargs: Any) -> None:
        """`save_averaged`, for Keras' callbacks such as `ModelCheckpoint`.

        Raises:
            TfyoloError: the path does not end in `.keras`, or is there and must not be overwritten.
        """
        if not overwrite and Path(filepath).exists():
            raise TfyoloError("is there already", path=filepath, fix="pass overwrite=True")
        self.save_averaged(filepath)

    def go_to(self, epoch: int) -> str:
        """Set the schedule to the beginning of an epoch, from 0 on; a sentence where it was elsewhere."""
        step, steps = float(self.counters["step"].numpy()), self.schedule.steps_per_epoch
        if step == epoch * steps:
            return ""
        self.counters["step"].assign(float(epoch * steps))
        return (
            f"the schedule, which was at step {step:.0f}, goes on with epoch {epoch + 1}, {steps} steps each"
        )

    def train_step(self, data: tuple[Any, Any]) -> dict[str, Any]:
        """`step`, with means over the epoch, as Keras' `fit` wants it."""
        images, labels = data
        logs = self.step(images, labels)
        for mean in self.means:
            mean.update_state(logs[mean.name])
        return {mean.name: mean.result() for mean in self.means}

    @property
    def metrics(self) -> list[Any]:
        """What `fit` sets back at the start of an epoch."""
        return self.means

    def _count(self, strategy: Any, step: Any, norm: Any, by_scale: Any) -> None:
        """Advance counters, the loss scale of float16, and autobalance."""
        values = {"step": step + 1.0}
        if self.precision == "mixed_float16":
            values |= self._next_scale(norm)
        if self.autobalance:
            values["balance"] = self._next_balance(by_scale)
        variables = {**self.counters, "balance": self.balance}
        for name, value in values.items():
            update = strategy.extended.update
            update(tensor_of(variables[name]), lambda v, new: v.assign(new), args=(value,), group=False)

    def _next_scale(self, norm: Any) -> dict[str, Any]:
        """Half after an overflow, double after many sound steps.

        Source: Micikevicius et al. 2017, Mixed Precision Training, section 3.2.
        """
        scale, sound = self.counters["loss_scale"] + 0.0, self.counters["sound_steps"] + 1.0
        finite, grow = tf.math.is_finite(norm), sound >= _SOUND_STEPS_TO_DOUBLE
        return {
            "loss_scale": tf.where(finite, tf.where(grow, scale * 2.0, scale), tf.maximum(scale / 2.0, 1.0)),
            "sound_steps": tf.where(finite & ~grow, sound, 0.0),
        }

    def _next_balance(self, by_scale: Any) -> Any:
        """Weights that go towards the inverse of each scale's loss, relative to that of stride 16."""
        moved = self.balance * (1.0 - _AUTOBALANCE) + _AUTOBALANCE / by_scale
        return moved / moved[self.detection_loss.balance_reference]

    def save_averaged(self, path: str | Path) -> Path:
        """Write the averaged network and its contract to a `.keras` file that `tfyolo.load` takes."""
        from tfyolo.weights.keras_file import save_keras

        return save_keras(self.averaged, self.contract, path)


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Let Keras build layers of this precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
