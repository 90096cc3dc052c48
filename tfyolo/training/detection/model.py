"""A detector in training: YOLOv5's loss, schedule and metrics for `TrainingModel`."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfyolo.deprecation import renamed_arguments
from tfyolo.models.build import call_heads
from tfyolo.training.detection.hyps import Hyps
from tfyolo.training.detection.loss import LOSSES, DetectionLoss, LossOptions
from tfyolo.training.model import TrainingModel
from tfyolo.training.optimization.schedule import NOMINAL_BATCH, Schedule, cosine, linear
from tfyolo.training.step import StepLosses

_AUTOBALANCE = 0.0001


class DetectorTraining(TrainingModel):
    """A detector in training; see `TrainingModel`.

    Example:
        >>> import tfyolo
        >>> data = tfyolo.TrainingData("bccd-mini", image_size=64, batch_size=8)
        >>> model = tfyolo.training_model("bccd-n", data)
        >>> model.compile("SGD")
        >>> history = model.fit(data, epochs=1, validation_data=data)  # doctest: +SKIP
        >>> history.history["val_map50_95"]  # doctest: +SKIP
        [0.51]
    """

    kind = "detector"
    mean_names = ("loss", *LOSSES)

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
        self.detection_loss = DetectionLoss(self.contract.anchors_px, spec.strides, spec.num_classes, options)
        self.balance = self.add_weight(
            (len(spec.strides),),
            keras.initializers.Constant(0.0),
            dtype="float32",
            trainable=False,
            name="balance",
        )
        self.balance.assign(self.detection_loss.balance)

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
        """Compute YOLOv5's three losses.

        Args:
            images: uint8 (batch, height, width, 3) RGB.
            labels: float32 (batch, boxes, 5): class id, then center x, center y, width and height relative to
                the image; rows with class id -1 are padding.
        """
        heads = call_heads(self.network, tf.cast(images, tf.float32) / 255.0, training=True)
        losses = self.detection_loss(heads, labels, tf.convert_to_tensor(self.balance))
        logs = dict(zip(LOSSES, (losses.box, losses.obj, losses.cls), strict=True))
        return StepLosses(losses.total, logs, losses.objectness_by_scale)

    def complete_logs(self, logs: dict[str, Any]) -> dict[str, Any]:
        """Add the sum of the three losses."""
        return {"loss": sum(logs[name] for name in LOSSES), **logs}

    def _count(self, strategy: Any, step: Any, norm: Any, by_scale: Any) -> None:
        super()._count(strategy, step, norm, by_scale)
        if self.autobalance:
            self.assign_on_devices(strategy, self.balance, self._next_balance(by_scale))

    def _next_balance(self, by_scale: Any) -> Any:
        """Move the weights towards the inverse of each feature map's loss, relative to stride 16."""
        moved = self.balance * (1.0 - _AUTOBALANCE) + _AUTOBALANCE / by_scale
        return moved / moved[self.detection_loss.balance_reference]

    def state_variables(self) -> list[Any]:
        """Return everything that training changes, in a fixed order, for `last.keras`."""
        return [*super().state_variables(), self.balance]

    def validation_of(self, data: Any, frequency: int = 1) -> Any:
        """Return a callback that computes mAP on `data` and adds `val_*` metrics to the logs.

        Args:
            data: `TrainingData` (its `val` split), the path of a dataset, or batches of images and labels.
            frequency: epochs between validations.
        """
        from tfyolo.training.detection.validation import validation_of

        return validation_of(data, frequency)
