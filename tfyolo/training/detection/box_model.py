"""What detectors and segmentation models have in common in training: schedule, loss of boxes, autobalance."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfyolo.data.detection.class_map import ClassMap
from tfyolo.deprecation import renamed_arguments
from tfyolo.errors import TfyoloError
from tfyolo.models.build import call_heads
from tfyolo.training.detection.hyps import Hyps
from tfyolo.training.detection.loss import DetectionLoss, LossOptions
from tfyolo.training.fit.batches import checked_boxes, unit_images
from tfyolo.training.model import TrainingModel
from tfyolo.training.optimization.schedule import NOMINAL_BATCH, Schedule, cosine, linear
from tfyolo.training.step import StepLosses

_AUTOBALANCE = 0.0001


class BoxTraining(TrainingModel):
    """A network with anchors in training; see `TrainingModel`. Subclasses define the loss.

    Attributes:
        loss_names: losses in the logs, in the order of the loss.
        box_loss: loss of boxes, objectness and classes.
        balance: (scales,) weights of the objectness losses.
    """

    loss_names: ClassVar[tuple[str, ...]]
    box_loss: DetectionLoss

    @abstractmethod
    def make_loss(self, options: LossOptions) -> DetectionLoss:
        """Create the loss, and return the part of it that all networks with anchors have.

        Args:
            options: scaled hyperparameters of the loss.
        """

    @abstractmethod
    def head_losses(self, outputs: Sequence[Any], targets: Any, balance: Any = None) -> Any:
        """Compute the losses of outputs of the network.

        Args:
            outputs: outputs of the network, in the order of `call_heads`.
            targets: ground truth of the batch, as `fit` takes it.
            balance: (scales,) weights of the objectness losses; default to those of YOLOv5.

        Returns:
            A named tuple: the total, one scalar per name in `loss_names`, and the objectness loss per scale.
        """

    @renamed_arguments(batch="batch_size")
    def compile(
        self,
        optimizer: Any = "SGD",
        *,
        hyps: Hyps | None = None,
        cos_lr: bool = False,
        autobalance: bool = False,
        nominal_batch: int = NOMINAL_BATCH,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        batch_size: int | None = None,
        run_eagerly: bool = False,
        jit_compile: bool = False,
        **refused: Any,
    ) -> None:
        """Configure training.

        Args:
            optimizer: `SGD`, `Adam` or `AdamW` with YOLOv5's parameter groups, warm-up, gradient accumulation
                and schedule; or a Keras optimizer, which is used with its own learning rate, once per batch.
            hyps: hyperparameters; default to those of `scratch-low`.
            cos_lr: decay the learning rate along a cosine instead of a line.
            autobalance: adapt the objectness weight of each feature map to its loss.
            nominal_batch: images per weight update; smaller batches are accumulated.
            epochs: number of epochs of the whole run, only for code that calls `step` itself; `fit` knows it.
            steps_per_epoch: batches per epoch; `fit` knows it.
            batch_size: images per batch, of all workers together; `fit` knows it.
            run_eagerly: as in Keras.
            jit_compile: as in Keras.
            refused: other arguments of Keras' `compile`, such as `loss`, are refused.

        Raises:
            TfyoloError: an unknown optimizer, a refused argument, or all layers are frozen.
        """
        if not isinstance(hyps, Hyps | None):
            raise TfyoloError(
                f"hyps must be Hyps, not {hyps!r:.60}", fix="pass hyps=read_hyps('scratch-low', lr0=0.1)"
            )
        self.hyps = hyps or Hyps()
        self.cos_lr, self.autobalance, self.nominal_batch = cos_lr, autobalance, nominal_batch
        grouped = {
            "learning_rate": self.hyps.lr0,
            "momentum": self.hyps.momentum,
            "weight_decay": self.hyps.weight_decay,
            "warmup_bias_lr": self.hyps.warmup_bias_lr,
        }
        plan = (epochs, steps_per_epoch, batch_size)
        self.compile_training(
            optimizer, grouped, plan, refused, run_eagerly=run_eagerly, jit_compile=jit_compile
        )
        spec = self.contract.spec
        options = LossOptions.of(self.hyps).scaled(spec.num_classes, len(spec.strides), self.image_size)
        self.box_loss = self.make_loss(options)
        self.balance = self.add_weight(
            (len(spec.strides),),
            keras.initializers.Constant(0.0),
            dtype="float32",
            trainable=False,
            name="balance",
        )
        self.balance.assign(self.box_loss.balance)

    def make_schedule(self, epochs: int, steps_per_epoch: int, batch_size: int, flat: bool) -> Schedule:
        """Return YOLOv5's schedule: warm-up, then decay to `lrf`; a constant rate if `flat`."""
        hyps = self.hyps
        return Schedule(
            epochs,
            steps_per_epoch,
            batch_size or self.nominal_batch,
            1.0 if flat else hyps.lrf,
            hyps.momentum,
            0.0 if flat else hyps.warmup_epochs,
            hyps.warmup_momentum,
            cosine if self.cos_lr else linear,
            self.nominal_batch,
        )

    def losses_of(self, images: Any, labels: Any) -> StepLosses:
        """Compute YOLOv5's losses.

        Args:
            images: (batch, height, width, 3) RGB: uint8, or floats in 0..1.
            labels: ground truth of the batch, as `head_losses` takes it.
        """
        outputs = call_heads(self.network, unit_images(images), training=True)
        total, *parts, by_scale = self.head_losses(outputs, labels, tf.convert_to_tensor(self.balance))
        return StepLosses(total, dict(zip(self.loss_names, parts, strict=True)), by_scale)

    def checked_labels(self, labels: Any) -> Any:
        """Return the labels of a batch unchanged, once boxes and class ids are in range."""
        if not isinstance(labels, Mapping):
            return checked_boxes(labels, len(self.contract.names))
        return {**labels, "labels": checked_boxes(labels["labels"], len(self.contract.names))}

    def to_own_classes(self, labels: Any, classes: ClassMap) -> Any:
        """Return the labels of a batch with the class ids of the model."""
        if isinstance(labels, Mapping):
            return {**labels, "labels": self.to_own_classes(labels["labels"], classes)}
        class_ids = tf.cast(labels[..., :1], tf.int32)
        own = tf.gather(tf.constant(classes.model_ids), tf.maximum(class_ids, 0))
        own = tf.where(class_ids < 0, -1.0, tf.cast(own, tf.float32))
        return tf.concat([own, labels[..., 1:]], -1)

    def complete_logs(self, logs: dict[str, Any]) -> dict[str, Any]:
        """Add the sum of the losses."""
        return {"loss": sum(logs[name] for name in self.loss_names), **logs}

    def next_values(self, step: Any, norm: Any, by_scale: Any) -> list[tuple[Any, Any]]:
        """Compute the next counters, and with autobalance the next weights of the objectness losses."""
        values = super().next_values(step, norm, by_scale)
        return [*values, (self.balance, self._next_balance(by_scale))] if self.autobalance else values

    def _next_balance(self, by_scale: Any) -> Any:
        """Move the weights towards the inverse of each feature map's loss, relative to stride 16."""
        moved = self.balance * (1.0 - _AUTOBALANCE) + _AUTOBALANCE / by_scale
        return moved / moved[self.box_loss.balance_reference]

    def state_variables(self) -> list[Any]:
        """Return everything that training changes, in a fixed order, for `last.keras`."""
        return [*super().state_variables(), self.balance]
